"""The object types that refer to each other, and the connections between them.

How a field gets its value: `resolvers.field_declarations`. Which permissions a type or a field
requires: `resolvers.field_permissions`.
"""

from typing import TYPE_CHECKING, Annotated, Any, Generic, Self, TypeVar

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
from resolvers.field_resolvers.persons import customer_persons
from resolvers.types.items import SegmentItem
from resolvers.types.provider_limits import ProviderLimit
from resolvers.types.sizes import SIZE_HISTORY, SegmentSizePoint
from resolvers.value_types import (
    AssignmentKind,
    AssignmentState,
    Capability,
    Count,
    DataOrigin,
    DateTime,
    DateTimeRange,
    LegalEntity,
    LocalizedText,
    MembershipKind,
    PageInfo,
    ProviderHealth,
    SegmentRule,
    SegmentStatus,
    SourceError,
)
from resolvers.webhook_types import ProviderWebhooks

if TYPE_CHECKING:
    from resolvers.types.persons import Person

T = TypeVar("T")

SEGMENTS = requires(Permission.SEGMENTS_READ)
OWN_SEGMENTS = requires(Permission.SEGMENTS_READ, own=True)
ASSIGNMENTS = requires(Permission.ASSIGNMENTS_READ)
OWN_ASSIGNMENTS = requires(Permission.ASSIGNMENTS_READ, own=True)
CUSTOMERS = requires(Permission.CUSTOMERS_READ)
OWN_CUSTOMERS = requires(Permission.CUSTOMERS_READ, own=True)
OWN_ASSIGNED_SEGMENTS = requires(Permission.ASSIGNMENTS_READ, Permission.SEGMENTS_READ, own=True)

LINKED = "Use `Person.links`."
"""Why the fields of a link at an identity are deprecated."""

Context = Info[RequestContext, None]
"""The `info` of a resolver that is a method."""


@strawberry.interface(description="Anything that has a global id.")
class Node(View):
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[Any]

    def __init_subclass__(cls) -> None:
        """Refuse a type without a requirement of its own: that of `Node` is open."""
        if "requirement" not in vars(cls):
            raise TypeError(cls)

    id: strawberry.ID = computed(
        global_ids.of,
        "Opaque and stable; the same object has the same id wherever it appears.",
        many=global_ids.of_each,
    )

    @classmethod
    def of(cls, value: Any) -> Self:
        """Wrap a value; for the interface itself, in the type of the value."""
        if cls is not Node:
            return cls(value=value)
        view: Any = next(view for kind, view in NODES.items() if isinstance(value, kind))
        return view(value=value)  # type: ignore[no-any-return]  # a subclass of Node, which Self is


@strawberry.type(description="The contribution of one provider to a page.")
class Source(View):
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[context.Source]

    provider: "Provider" = computed(connections.source_provider, "The provider.")
    origin: DataOrigin | None = attribute(
        "origin", "Where its rows come from; null if it has no rows here or failed."
    )
    fetched_at: DateTime | None = attribute("fetched_at", "When its rows were fetched.")
    total_count: int | None = attribute(
        "total", "The size of its whole list; null if it does not report one."
    )
    error: SourceError | None = computed(
        connections.source_error, "The error, if it failed: its rows are missing."
    )
    skipped: int = attribute(
        "skipped", "The number of rows left out because their ids cannot be read."
    )


@strawberry.type(description="One row of a connection.")
class Edge(View, Generic[T]):
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[connections.Row]

    cursor: str = attribute("cursor", "Pass this as `after` to continue after this row.")
    node: T = attribute("value", "The row.")


@strawberry.type(description="A page of a list, merged from the lists of one or more providers.")
class Connection(View, Generic[T]):
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[context.Connection[Any]]

    edges: list[Edge[T]] = computed(connections.rows, "The rows, with their cursors.")
    nodes: list[T] = attribute("rows", "The rows.")
    page_info: PageInfo = computed(connections.page_info, "The position of this page in the list.")
    total_count: int | None = attribute(
        "total", "The size of the whole list; null if any provider in scope does not report it."
    )
    sources: list[Source] = attribute(
        "sources",
        "One entry per provider in scope; also the only place where a failed provider appears.",
    )


@strawberry.type(description="One configured account of one kind of provider.")
class Provider(Node):
    """See the description."""

    requirement = OPEN

    value: strawberry.Private[context.Provider]

    key: str = attribute("key", "The unique key in the configuration, for example `acme-emporix`.")
    kind: str = attribute("kind", "The kind of provider, for example `emporix`.")
    display_name: str = attribute("display_name", "The name to display.")
    capabilities: list[Capability] = attribute(
        "capabilities",
        "Every operation, and whether this provider supports it through the gateway.",
        requirement=SEGMENTS,
    )
    limits: list[ProviderLimit] = computed(
        providers.limits, "The limits that the provider documents.", requirement=SEGMENTS
    )
    health: ProviderHealth = computed(
        providers.health, "The health of the provider.", requirement=SEGMENTS
    )
    segments: Connection["Segment"] | None = read(
        field_resolvers.provider_segments,
        "The provider's segments. Null if it cannot list them, or (with an error) if it fails.",
        requirement=SEGMENTS,
    )
    webhooks: ProviderWebhooks | None = read(
        providers.webhooks,
        "The webhooks that it sends to this gateway. Null (with an error) while the store fails.",
        requirement=SEGMENTS,
        null_only_on_error=True,
    )


@strawberry.type(description="A group of customers at one provider.")
class Segment(Node):
    """See the description."""

    requirement = OWN_SEGMENTS

    value: strawberry.Private[entities.Segment]

    provider: Provider = computed_all(providers.providers, "The provider it belongs to.")
    external_id: str = attribute("ref.key", "The provider's own id, unchanged.")
    name: str = computed_all(
        field_resolvers.segment_names, "The name; the external id if the provider has no name."
    )
    names: list[LocalizedText] = computed(field_resolvers.names, "The name in every language.")
    description: str | None = computed_all(
        field_resolvers.segment_descriptions, "The description."
    )
    descriptions: list[LocalizedText] = computed(
        field_resolvers.descriptions, "The description in every language."
    )
    membership: MembershipKind = attribute("membership", "How the segment gets its members.")
    emits_membership_events: bool = attribute(
        "emits_membership_events",
        "Whether the provider emits an event when a customer enters or leaves.",
        requirement=SEGMENTS,
    )
    status: SegmentStatus = attribute("status", "Whether the segment is enabled.")
    is_active: bool = computed(
        field_resolvers.is_active, "Whether the segment is enabled and valid now."
    )
    validity: DateTimeRange | None = computed(
        field_resolvers.validity, "The period of validity; null if always valid."
    )
    site_code: str | None = attribute("site_code", "The site that it applies to.")
    priority: int | None = attribute(
        "priority", "The lowest number wins if a customer is in several segments."
    )
    rule: SegmentRule | None = computed(
        field_resolvers.rule,
        "The rule that decides which customers belong; null for other kinds of membership.",
        requirement=SEGMENTS,
    )
    created_at: DateTime | None = attribute("created_at", "When it was created.")
    updated_at: DateTime | None = attribute("updated_at", "When it was last updated.")
    version: int | None = attribute(
        "version", "Increases with every update, if the provider has versions."
    )
    attributes: JSON | None = attribute(
        "attributes", "The provider's custom attributes.", requirement=SEGMENTS
    )
    raw: JSON | None = computed(
        field_resolvers.document,
        "The provider's own document, unchanged.",
        requirement=requires(Permission.SEGMENTS_READ, Permission.RAW_READ),
    )
    origin: DataOrigin = attribute("origin", "Where this data comes from.")
    assignments: Connection["Assignment"] | None = read_all(
        field_resolvers.members,
        "The assignments of its members. Null if the provider cannot list them, or (with an "
        "error) if it fails.",
        requirement=ASSIGNMENTS,
    )
    customers: Connection["Customer"] | None = read(
        field_resolvers.member_customers,
        "Its members, each once. Null if the provider cannot list them, or (with an error) if it "
        "fails.",
        requirement=requires(Permission.ASSIGNMENTS_READ, Permission.CUSTOMERS_READ),
    )
    customers_count: Count | None = read(
        field_resolvers.member_count,
        "The number of members; costs a call to the provider. Null if it cannot count them, or "
        "(with an error) if it fails.",
        requirement=ASSIGNMENTS,
    )
    size_history: list[SegmentSizePoint] | None = read(
        field_resolvers.size_history, SIZE_HISTORY, requirement=ASSIGNMENTS
    )
    items: Connection[SegmentItem] | None = read(
        field_resolvers.items,
        "Products and categories in it. Null if the provider does not support items, or (with an "
        "error) if it fails.",
        requirement=SEGMENTS,
    )


@strawberry.type(description="A key by which a provider knows a customer.")
class CustomerIdentity(View):
    """See the description."""

    requirement = OWN_CUSTOMERS

    value: strawberry.Private[Identity]

    provider: Provider = computed_all(providers.providers, "The provider.")
    external_id: str = attribute("key.value", "The key.")
    key: str | None = attribute(
        "key.kind",
        "The kind of key, as the provider names it: `id`, `source_id`, …",
        null_only_on_error=True,
    )
    linked_by: str | None = computed(unlinked, "Always null.", deprecated=LINKED)
    linked_at: DateTime | None = computed(unlinked, "Always null.", deprecated=LINKED)


@strawberry.type(description="A person or company.")
class Customer(Node):
    """See the description."""

    requirement = OWN_CUSTOMERS

    value: strawberry.Private[entities.Customer]

    identities: list[CustomerIdentity] = computed(
        identities, "The keys by which providers know this customer."
    )
    name: str | None = attribute("name", "Full name.")
    email: str | None = attribute("email", "Email address.")
    phone: str | None = attribute("phone", "Phone number, as the provider formats it.")
    attributes: JSON | None = attribute(
        "attributes", "The provider's custom attributes.", requirement=CUSTOMERS
    )
    raw: JSON | None = computed(
        field_resolvers.document,
        "The provider's own document, unchanged.",
        requirement=requires(Permission.CUSTOMERS_READ, Permission.RAW_READ),
    )
    assignments: Connection["Assignment"] | None = read(
        customer_assignments,
        "The assignments of this record alone; `person` has those of all providers.",
        requirement=OWN_ASSIGNMENTS,
        null_only_on_error=True,
    )
    segments: Connection["Segment"] | None = read(
        customer_segments,
        "The segments of this record alone; `person` has those of all providers.",
        requirement=OWN_ASSIGNED_SEGMENTS,
        null_only_on_error=True,
    )
    primary_segment: Segment | None = read(
        primary_segment,
        "The segment that wins by priority; null if the provider has no priorities.",
        requirement=OWN_ASSIGNED_SEGMENTS,
    )
    person: Annotated["Person", strawberry.lazy("resolvers.types.persons")] | None = read_all(
        customer_persons,
        "The person: this customer and those of other providers that links connect. Below "
        "`Query.customer` and `Query.node` the providers are asked for them; in lists the index "
        "of customers that were read before is used.",
        null_only_on_error=True,
    )


@strawberry.type(description="The link between one customer and one segment.")
class Assignment(Node):
    """See the description."""

    requirement = OWN_ASSIGNMENTS

    value: strawberry.Private[entities.Assignment]

    provider: Provider = computed_all(providers.providers, "The provider it belongs to.")
    segment: Segment | None = read_all(
        assignment_segments,
        "The segment; null if it has been deleted.",
        requirement=OWN_SEGMENTS,
    )
    customer: Customer | None = read_all(
        assignment_customers,
        "The customer; null if it has been deleted.",
        requirement=OWN_CUSTOMERS,
    )
    legal_entity: LegalEntity | None = completed(
        legal_entity, "The legal entity through which the customer is assigned."
    )
    kind: AssignmentKind = completed("kind", "How it came about.")
    state: AssignmentState = attribute("state", "Whether the provider has confirmed it.")
    origin: DataOrigin = attribute("origin", "Where this data comes from.")
    created_at: DateTime | None = completed("created_at", "When it was created.")
    updated_at: DateTime | None = completed("updated_at", "When it was last updated.")
    version: int | None = completed(
        "version", "Increases with every update, if the provider has versions."
    )


NODES: dict[type, type[Node]] = {
    context.Provider: Provider,
    entities.Segment: Segment,
    entities.Customer: Customer,
    entities.Assignment: Assignment,
}
"""The object type of each class of values, for fields of type `Node`."""
