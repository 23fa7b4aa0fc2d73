"""The object types that lead to each other; a graph is cyclic, so it lives in one module.

Each field says how it gets its value: see `field_declarations`. What a type
or a field needs of its caller: see `resolvers.field_permissions`.
"""

from typing import Any, Generic, Self, TypeVar

import strawberry
from strawberry.scalars import JSON
from strawberry.types import Info

from gateway import context
from gateway.context import RequestContext
from gateway.domain import entities
from resolvers import global_ids
from resolvers.field_declarations import View, attribute, computed, computed_all, read, read_all
from resolvers.field_permissions import OPEN, Permission, requires
from resolvers.field_resolvers import connections, providers
from resolvers.field_resolvers import segments as field_resolvers
from resolvers.field_resolvers.assignments import (
    assignment_customers,
    assignment_segments,
    completed,
    legal_entity,
)
from resolvers.field_resolvers.customers import (
    Identity,
    customer_assignments,
    customer_segments,
    identities,
    primary_segment,
    unlinked,
)
from resolvers.value_types import (
    AssignmentKind,
    AssignmentState,
    Capability,
    Count,
    DataOrigin,
    DateTime,
    DateTimeRange,
    ItemType,
    LegalEntity,
    LocalizedText,
    MembershipKind,
    PageInfo,
    ProviderHealth,
    SegmentRule,
    SegmentStatus,
    SourceError,
)

T = TypeVar("T")

SEGMENTS = requires(Permission.SEGMENTS_READ)
OWN_SEGMENTS = requires(Permission.SEGMENTS_READ, own=True)
ASSIGNMENTS = requires(Permission.ASSIGNMENTS_READ)
OWN_ASSIGNMENTS = requires(Permission.ASSIGNMENTS_READ, own=True)
CUSTOMERS = requires(Permission.CUSTOMERS_READ)
OWN_CUSTOMERS = requires(Permission.CUSTOMERS_READ, own=True)
OWN_ASSIGNED_SEGMENTS = requires(Permission.ASSIGNMENTS_READ, Permission.SEGMENTS_READ, own=True)

Context = Info[RequestContext, None]
"""What a resolver that is a method gets."""


@strawberry.interface(description="Anything that has a global id.")
class Node(View):
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[Any]

    def __init_subclass__(cls) -> None:
        """Refuse a type that does not say what it needs: what any node needs is not enough."""
        if "requirement" not in vars(cls):
            raise TypeError(cls)

    id: strawberry.ID = computed(
        global_ids.of,
        "Opaque, stable, and the same for the same thing however it was asked for.",
        many=global_ids.of_each,
    )

    @classmethod
    def of(cls, value: Any) -> Self:
        """Show a value; where any node may stand, as the type for it."""
        if cls is not Node:
            return cls(value=value)
        shown: Any = next(kind for known, kind in NODES.items() if isinstance(value, known))
        return shown(value=value)  # type: ignore[no-any-return]  # a subclass of Node, which Self is


@strawberry.type(description="What one provider contributed to a page.")
class Source(View):
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[context.Source]

    provider: "Provider" = computed(connections.source_provider, "The provider.")
    origin: DataOrigin | None = attribute(
        "origin", "Where its rows come from; null when this page needed none, or it failed."
    )
    fetched_at: DateTime | None = attribute("fetched_at", "When its answer was read.")
    total_count: int | None = attribute(
        "total", "Rows of its whole list; null when it cannot tell."
    )
    error: SourceError | None = computed(
        connections.source_error, "What it failed with; its rows are missing then."
    )
    skipped: int = attribute(
        "skipped", "Rows that are left out here, since the provider gives them no readable id."
    )


@strawberry.type(description="One row of a connection.")
class Edge(View, Generic[T]):
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[connections.Row]

    cursor: str = attribute("cursor", "Give this as `after` to go on behind this row.")
    node: T = attribute("value", "The row itself.")


@strawberry.type(description="A page of a list that several providers may contribute to.")
class Connection(View, Generic[T]):
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[context.Connection[Any]]

    edges: list[Edge[T]] = computed(connections.rows, "The rows, each with its cursor.")
    nodes: list[T] = attribute("rows", "The rows.")
    page_info: PageInfo = computed(connections.page_info, "Where the page stands in the list.")
    total_count: int | None = attribute(
        "total", "Rows of the whole list; null when any provider asked cannot tell."
    )
    sources: list[Source] = attribute(
        "sources",
        "One row for each provider in scope. A provider that failed stands here alone.",
    )


@strawberry.type(description="A bound that a provider documents.")
class ProviderLimit(View):
    """See the description."""

    requirement = SEGMENTS

    value: strawberry.Private[providers.LimitOf]

    name: str = attribute("name", "For example `STATIC_SEGMENT_CUSTOMERS`.")
    maximum: int | None = attribute("maximum", "The bound.")
    current: int | None = read(
        providers.limit_used,
        "How much of it is used: asked of the provider when selected; null where it cannot be "
        "asked.",
    )


@strawberry.type(description="One configured account of one kind of provider.")
class Provider(Node):
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[context.Provider]

    key: str = attribute("key", "Its unique key in the configuration, for example `acme-emporix`.")
    kind: str = attribute("kind", "What it is an account of, for example `emporix`.")
    display_name: str = attribute("display_name", "Its name for people.")
    capabilities: list[Capability] = attribute(
        "capabilities",
        "What it can do through this gateway, and what it cannot.",
        requirement=SEGMENTS,
    )
    limits: list[ProviderLimit] = computed(
        providers.limits, "Its documented bounds.", requirement=SEGMENTS
    )
    health: ProviderHealth = computed(providers.health, "How it is doing.", requirement=SEGMENTS)
    segments: Connection["Segment"] | None = read(
        field_resolvers.provider_segments,
        "Its segments. Null where it has no list of them; with an error when it fails.",
        requirement=SEGMENTS,
    )


@strawberry.type(description="A group of customers at one provider.")
class Segment(Node):
    """See the description."""

    requirement = OWN_SEGMENTS

    value: strawberry.Private[entities.Segment]

    provider: Provider = computed_all(providers.providers, "The provider that keeps it.")
    external_id: str = attribute("ref.key", "The provider's own id, unchanged.")
    name: str = computed_all(
        field_resolvers.segment_names, "Its name; its external id where the provider has no name."
    )
    names: list[LocalizedText] = computed(field_resolvers.names, "Its name in every language.")
    description: str | None = computed_all(
        field_resolvers.segment_descriptions, "Its description."
    )
    descriptions: list[LocalizedText] = computed(
        field_resolvers.descriptions, "Its description in every language."
    )
    membership: MembershipKind = attribute("membership", "How it gets its members.")
    emits_membership_events: bool = attribute(
        "emits_membership_events",
        "The provider reports who enters and leaves.",
        requirement=SEGMENTS,
    )
    status: SegmentStatus = attribute("status", "Whether it is switched on.")
    is_active: bool = computed(field_resolvers.is_active, "Switched on, and valid now.")
    validity: DateTimeRange | None = computed(
        field_resolvers.validity, "When it is valid; null when always."
    )
    site_code: str | None = attribute("site_code", "The site it is for.")
    priority: int | None = attribute("priority", "Lower wins when a customer matches several.")
    rule: SegmentRule | None = computed(
        field_resolvers.rule,
        "What decides who belongs; null for a kept list.",
        requirement=SEGMENTS,
    )
    created_at: DateTime | None = attribute("created_at", "When it was made.")
    updated_at: DateTime | None = attribute("updated_at", "When it was last changed.")
    version: int | None = attribute(
        "version", "Rises with every change, where the provider counts them."
    )
    attributes: JSON | None = attribute(
        "attributes", "The provider's custom attributes.", requirement=SEGMENTS
    )
    raw: JSON | None = computed(
        field_resolvers.document,
        "The provider's own document, untouched.",
        requirement=requires(Permission.SEGMENTS_READ, Permission.RAW_READ),
    )
    origin: DataOrigin = attribute("origin", "Where this comes from.")
    assignments: Connection["Assignment"] | None = read_all(
        field_resolvers.members,
        "Who is in it. Null where the provider has no way to tell; with an error when it fails.",
        requirement=ASSIGNMENTS,
    )
    customers: Connection["Customer"] | None = read(
        field_resolvers.member_customers,
        "The customers in it, each once. Null where the provider has no way to tell; with an "
        "error when it fails.",
        requirement=requires(Permission.ASSIGNMENTS_READ, Permission.CUSTOMERS_READ),
    )
    customers_count: Count | None = read(
        field_resolvers.member_count,
        "How many are in it; asked of the provider when selected. Null where it cannot count; "
        "with an error when it fails.",
        requirement=ASSIGNMENTS,
    )
    items: Connection["SegmentItem"] | None = read(
        field_resolvers.items,
        "Products and categories in it. Null where the provider has none; with an error when it "
        "fails.",
        requirement=SEGMENTS,
    )


@strawberry.type(description="One name that a provider knows a customer by.")
class CustomerIdentity(View):
    """See the description."""

    requirement = OWN_CUSTOMERS

    value: strawberry.Private[Identity]

    provider: Provider = computed_all(providers.providers, "The provider.")
    external_id: str = attribute("key.value", "The name.")
    key: str | None = attribute("key.kind", "The provider's word for it: `id`, `source_id`, …")
    linked_by: str | None = computed(
        unlinked, "What linked it to the others; null for the provider itself."
    )
    linked_at: DateTime | None = computed(unlinked, "When it was linked.")


@strawberry.type(description="A person or company.")
class Customer(Node):
    """See the description."""

    requirement = OWN_CUSTOMERS

    value: strawberry.Private[entities.Customer]

    identities: list[CustomerIdentity] = computed(
        identities, "The names that providers know this customer by."
    )
    name: str | None = attribute("name", "Full name.")
    email: str | None = attribute("email", "Email address.")
    phone: str | None = attribute("phone", "Phone number, as the provider writes it.")
    attributes: JSON | None = attribute(
        "attributes", "The provider's custom attributes.", requirement=CUSTOMERS
    )
    raw: JSON | None = computed(
        field_resolvers.document,
        "The provider's own document, untouched.",
        requirement=requires(Permission.CUSTOMERS_READ, Permission.RAW_READ),
    )
    assignments: Connection["Assignment"] | None = read(
        customer_assignments,
        "The links to segments, over all identities.",
        requirement=OWN_ASSIGNMENTS,
    )
    segments: Connection["Segment"] | None = read(
        customer_segments,
        "The segments this customer is in, over all identities.",
        requirement=OWN_ASSIGNED_SEGMENTS,
    )
    primary_segment: Segment | None = read(
        primary_segment,
        "The segment that wins by priority; null where the provider does not rank.",
        requirement=OWN_ASSIGNED_SEGMENTS,
    )


@strawberry.type(description="The link between one customer and one segment.")
class Assignment(Node):
    """See the description."""

    requirement = OWN_ASSIGNMENTS

    value: strawberry.Private[entities.Assignment]

    provider: Provider = computed_all(providers.providers, "The provider that keeps it.")
    segment: Segment | None = read_all(
        assignment_segments,
        "The segment; null when it was deleted meanwhile.",
        requirement=OWN_SEGMENTS,
    )
    customer: Customer | None = read_all(
        assignment_customers,
        "The customer; null when deleted meanwhile.",
        requirement=OWN_CUSTOMERS,
    )
    legal_entity: LegalEntity | None = completed(
        legal_entity, "The legal entity that the customer is assigned through."
    )
    kind: AssignmentKind = completed("kind", "Who made it.")
    state: AssignmentState = attribute("state", "How sure it is.")
    origin: DataOrigin = attribute("origin", "Where this comes from.")
    created_at: DateTime | None = completed("created_at", "When it was made.")
    updated_at: DateTime | None = completed("updated_at", "When it was last changed.")
    version: int | None = completed(
        "version", "Rises with every change, where the provider counts them."
    )


@strawberry.type(description="A product or category that belongs to a segment.")
class SegmentItem(View):
    """See the description."""

    requirement = SEGMENTS

    value: strawberry.Private[entities.Item]

    external_id: str = attribute("key", "The provider's own id, unchanged.")
    type: ItemType = attribute("kind", "What it is.")
    code: str | None = attribute("code", "The code that people know it by.")
    name: str | None = computed_all(field_resolvers.item_names, "Its name.")
    names: list[LocalizedText] = computed(field_resolvers.names, "Its name in every language.")
    created_at: DateTime | None = attribute("created_at", "When it was assigned.")
    updated_at: DateTime | None = attribute("updated_at", "When the assignment was last changed.")


NODES = {
    context.Provider: Provider,
    entities.Segment: Segment,
    entities.Customer: Customer,
    entities.Assignment: Assignment,
}
"""What shows as which type where any node may stand."""
