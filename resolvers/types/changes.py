"""Changes: the entries of the change log that clients see.

The requirement of a field here applies to its own type of change, at the provider of each change:
see `resolvers.execution.required_permissions`.
"""

from typing import Any

import strawberry

from gateway.context import ChangePage
from gateway.domain import change_log
from resolvers.field_declarations import View, attribute, computed, computed_all, read_all
from resolvers.field_permissions import OPEN
from resolvers.field_resolvers import changes, providers
from resolvers.inputs.changes import ChangeKind, ChangeSource
from resolvers.types.nodes import (
    NODES,
    OWN_ASSIGNMENTS,
    OWN_CUSTOMERS,
    OWN_SEGMENTS,
    SEGMENTS,
    Customer,
    Node,
    Provider,
    Segment,
)
from resolvers.value_types import DateTime, LegalEntity, PageInfo


@strawberry.interface(description="An entry of the change log.")
class Change(Node):
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[Any]

    cursor: str = attribute(
        "cursor.text",
        "The position of the change: pass it as `after` to read the changes after it.",
    )
    occurred_at: DateTime | None = attribute(
        "occurred_at",
        "When it happened. `WRITE`: when the provider replied. `WEBHOOK`: the time that the "
        "provider reports. `DIFF`: null.",
    )
    recorded_at: DateTime = attribute("recorded_at", "When the gateway recorded it.")
    provider: Provider = computed_all(providers.providers, "The provider.")
    source: ChangeSource = attribute("source", "Which source reported it first.")
    kind: ChangeKind = attribute("kind", "What happened.")

    @classmethod
    def of(cls, value: Any) -> Any:
        """Wrap a value; for the interface itself, in the type of the value."""
        return Node.of(value) if cls is Change else cls(value=value)


@strawberry.type(
    description="A customer entered or left a segment, or the data of the assignment changed."
)
class AssignmentChange(Change):
    """See the description."""

    requirement = OWN_ASSIGNMENTS

    value: strawberry.Private[change_log.AssignmentChange]

    segment_id: strawberry.ID = computed(changes.segment_id, "The global id of the segment.")
    customer_id: strawberry.ID = computed(changes.customer_id, "The global id of the customer.")
    segment: Segment | None = read_all(
        changes.segments, "The segment as it is now; null if deleted.", OWN_SEGMENTS
    )
    customer: Customer | None = read_all(
        changes.customers, "The customer as they are now; null if deleted.", OWN_CUSTOMERS
    )
    legal_entity: LegalEntity | None = computed(
        changes.legal_entity,
        "The legal entity that the customer is assigned through; its name is null here.",
    )


@strawberry.type(description="A segment was created, updated or deleted.")
class SegmentChange(Change):
    """See the description."""

    requirement = SEGMENTS

    value: strawberry.Private[change_log.SegmentChange]

    segment_id: strawberry.ID = computed(changes.segment_id, "The global id of the segment.")
    segment: Segment | None = read_all(
        changes.segments, "The segment as it is now; null if deleted."
    )


@strawberry.type(description="A change in a page of changes.")
class ChangeEdge(View):
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[changes.ChangeRow]

    cursor: str = attribute("cursor", "Pass this as `after` to read the changes after this one.")
    node: Change = attribute("change", "The change.")


@strawberry.type(description="A page of changes, oldest first.")
class ChangeConnection(View):
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[ChangePage]

    edges: list[ChangeEdge] = computed(changes.edges, "The changes, each with its cursor.")
    nodes: list[Change] = computed(changes.nodes, "The changes.")
    page_info: PageInfo = computed(
        changes.page_info,
        "The position of the page. `endCursor` is where the scan of the log ended, even if the "
        "page is empty: with `hasNextPage`, continue from there.",
    )


NODES[change_log.AssignmentChange] = AssignmentChange
NODES[change_log.SegmentChange] = SegmentChange
