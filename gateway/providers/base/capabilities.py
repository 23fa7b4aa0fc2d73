"""Capabilities: the operations that an adapter supports, derived from its protocols."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from gateway.providers.base.adapter import (
    Adapter,
    FindsCustomersByEmail,
    FindsCustomersByName,
    FindsCustomersByPhone,
    FindsSegmentsByItem,
    ListsCustomers,
    ListsItems,
    ListsMembers,
    ListsSegments,
    ListsSegmentsOfCustomer,
    MatchesItems,
    ReadsCustomers,
    ReadsMembers,
    ReadsSegments,
)
from gateway.providers.base.write_protocols import (
    AssignsCustomers,
    AssignsItems,
    CreatesSegments,
    DeletesSegments,
    ReordersSegments,
    ReplacesTags,
    UpdatesCustomerAttributes,
    UpdatesSegments,
    UpsertsSegments,
    WritesSegmentsInBulk,
)


@runtime_checkable
class ReplacesAssignments(AssignsCustomers, ListsSegmentsOfCustomer, Protocol):
    """Has what the gateway needs to replace a customer's segments one assignment at a time."""


OPERATIONS: Mapping[str, tuple[type, ...]] = {
    "SEGMENT_LIST": (ListsSegments,),
    "SEGMENT_GET": (ReadsSegments, ListsSegments),
    "SEGMENT_MEMBERS": (ReadsMembers, ListsMembers),
    "SEGMENT_ITEMS": (ListsItems,),
    "SEGMENT_SEARCH_ITEM": (FindsSegmentsByItem,),
    "CUSTOMER_LIST": (ListsCustomers,),
    "CUSTOMER_SEARCH_EMAIL": (FindsCustomersByEmail,),
    "CUSTOMER_SEARCH_NAME": (FindsCustomersByName,),
    "CUSTOMER_SEARCH_PHONE": (FindsCustomersByPhone,),
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
    # If customers can only be assigned one by one, the gateway computes the difference.
    "ASSIGNMENT_REPLACE": (ReplacesTags, ReplacesAssignments),
    "ITEM_ASSIGN": (AssignsItems,),
    "CUSTOMER_ATTRIBUTES_UPDATE": (UpdatesCustomerAttributes,),
}
"""Each operation with its protocols; an adapter that implements any of them supports it."""


class Capability(NamedTuple):
    """Whether a provider supports an operation, with a remark for callers."""

    operation: str
    supported: bool
    note: str | None


def capabilities(adapter: Adapter) -> Sequence[Capability]:
    """Return the capability for each of `OPERATIONS`, in that order."""
    return [
        Capability(name, isinstance(adapter, protocols), adapter.notes.get(name))
        for name, protocols in OPERATIONS.items()
    ]
