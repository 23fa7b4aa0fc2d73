"""The change log's filter and enums, and their mapping to the domain."""

import strawberry

from gateway.domain import change_log
from gateway.domain.change_log import ChangeKind, ChangeSource
from resolvers import global_ids
from resolvers.inputs.filters import given
from resolvers.value_types import DateTime, describe

__all__ = ["ChangeFilter", "ChangeKind", "ChangeSource", "change_filter"]

describe(
    ChangeKind,
    "ChangeKind",
    "What happened.",
    {
        "ENTERED": "A customer entered a segment.",
        "LEFT": "A customer left a segment.",
        "UPDATED": "A segment, or the data of an assignment, changed.",
        "CREATED": "A segment was created.",
        "DELETED": "A segment was deleted, and its assignments with it.",
    },
)
describe(
    ChangeSource,
    "ChangeSource",
    "Which source reported a change first.",
    {
        "WRITE": "A write through this gateway.",
        "WEBHOOK": "A webhook of the provider.",
        "DIFF": "A comparison with the last known state.",
    },
)


@strawberry.input(
    description="Selects changes; all given conditions must hold. An empty list matches nothing."
)
class ChangeFilter:
    """See the description."""

    providers: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="Only changes at providers with these keys."
    )
    segment_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only changes to segments with these global ids, or to their assignments.",
    )
    customer_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only changes to assignments of customers with these global ids.",
    )
    kinds: list[ChangeKind] | None = strawberry.field(
        default=strawberry.UNSET, description="Only changes of these kinds."
    )
    since: DateTime | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only changes recorded at this time or later (`recordedAt`).",
    )


def change_filter(value: ChangeFilter | None) -> change_log.ChangeFilter:
    """Read a filter. Raises `BadInput` for an invalid id."""
    if not value:
        return change_log.EVERY_CHANGE
    providers, kinds = given(value.providers), given(value.kinds)
    segments, customers = given(value.segment_ids), given(value.customer_ids)
    segment_refs = global_ids.segments(segments, "filter.segmentIds")
    customer_refs = global_ids.customers(customers, "filter.customerIds")
    return change_log.ChangeFilter(
        None if providers is None else frozenset(providers),
        None if segments is None else frozenset(segment_refs),
        None if customers is None else frozenset(customer_refs),
        None if kinds is None else frozenset(kinds),
        given(value.since),
    )
