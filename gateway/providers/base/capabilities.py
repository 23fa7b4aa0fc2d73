"""Capabilities: each operation, and which protocols of an adapter make it possible."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.providers.base.adapter import (
    Adapter,
    FindsCustomersByEmail,
    ListsCustomers,
    ListsItems,
    ListsMembers,
    ListsSegments,
    ListsSegmentsOfCustomer,
    MatchesItems,
    ReadsCustomers,
    ReadsSegments,
)
from gateway.providers.base.write_protocols import (
    AssignsCustomers,
    AssignsItems,
    CreatesSegments,
    DeletesSegments,
    ReordersSegments,
    ReplacesTags,
    UpdatesSegments,
    UpsertsSegments,
    WritesSegmentsInBulk,
)

OPERATIONS: Mapping[str, tuple[type, ...]] = {
    "SEGMENT_LIST": (ListsSegments,),
    "SEGMENT_GET": (ReadsSegments, ListsSegments),
    "SEGMENT_MEMBERS": (ListsMembers,),
    "SEGMENT_ITEMS": (ListsItems,),
    "CUSTOMER_LIST": (ListsCustomers,),
    "CUSTOMER_SEARCH_EMAIL": (FindsCustomersByEmail,),
    "CUSTOMER_GET": (ReadsCustomers, ListsCustomers),
    "CUSTOMER_SEGMENTS": (ListsSegmentsOfCustomer,),
    "ITEM_MATCH": (MatchesItems,),
    "SEGMENT_CREATE": (CreatesSegments,),
    "SEGMENT_UPDATE": (UpdatesSegments,),
    "SEGMENT_UPSERT": (UpsertsSegments,),
    "SEGMENT_DELETE": (DeletesSegments,),
    "SEGMENT_BULK": (WritesSegmentsInBulk,),
    "SEGMENT_REORDER": (ReordersSegments,),
    "ASSIGNMENT_CREATE": (AssignsCustomers,),
    "ASSIGNMENT_DELETE": (AssignsCustomers,),
    # Where customers are only assigned one by one, the gateway computes the difference.
    "ASSIGNMENT_REPLACE": (ReplacesTags, AssignsCustomers),
    "ITEM_ASSIGN": (AssignsItems,),
}
"""Each operation with the protocols that make it possible, any of them."""


class Capability(NamedTuple):
    """Whether a provider can do an operation, and what a caller should know of it."""

    operation: str
    supported: bool
    note: str | None


def capabilities(adapter: Adapter) -> Sequence[Capability]:
    """Return one row for each of `OPERATIONS`, in that order."""
    return [
        Capability(name, isinstance(adapter, protocols), adapter.notes.get(name))
        for name, protocols in OPERATIONS.items()
    ]
