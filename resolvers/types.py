"""The object types that lead to each other; a graph is cyclic, so it lives in one module."""

from typing import Annotated, Any

import msgspec
import strawberry
from strawberry.scalars import JSON
from strawberry.types import Info

from gateway import context, domain
from gateway.context import RequestContext
from gateway.domain import Ref
from resolvers import errors, ids
from resolvers.connections import After, Connection, First, paging
from resolvers.ids import Kind
from resolvers.inputs import SegmentsWhere, segment_filter
from resolvers.leaves import (
    AssignmentKind,
    AssignmentState,
    Capability,
    CircuitState,
    Count,
    CountPrecision,
    DataOrigin,
    DateTime,
    DateTimeRange,
    HealthStatus,
    ItemType,
    LegalEntity,
    LocalizedText,
    MembershipKind,
    ProviderHealth,
    RuleCondition,
    SegmentRule,
    SegmentStatus,
    localized,
)
from resolvers.selection import selected, selected_of_nodes

Context = Info[RequestContext, None]
Language = Annotated[
    str | None,
    strawberry.argument(
        description="BCP 47. What there is of: this, its base language, the provider's default, "
        "any. If missing, the languages of Accept-Language."
    ),
]

OnlyActive = Annotated[bool | None, strawberry.argument(description="Only those with `isActive`.")]

TOLD_IN_PART = frozenset({"__typename", "id", "provider", "externalId", "name", "names", "origin"})
"""The fields of a segment that are known even where a provider tells it only in part."""


def languages(info: Context, language: str | None) -> list[str]:
    """Return the languages to look for, best first."""
    return [language] if language else list(info.context.languages)


def document(raw: bytes | msgspec.Raw | None) -> JSON | None:
    """Return a provider's own document."""
    return None if raw is None else msgspec.json.decode(raw)


@strawberry.interface(description="Anything that has a global id.")
class Node:
    """See the description."""

    value: strawberry.Private[Any]

    @strawberry.field(
        description="Opaque, stable, and the same for the same thing however it was asked for."
    )
    def id(self) -> strawberry.ID:
        """See the description."""
        return strawberry.ID(ids.of(self.value))


@strawberry.type(description="A bound that a provider documents.")
class ProviderLimit:
    """See the description."""

    provider: strawberry.Private[str]
    value: strawberry.Private[domain.Limit]

    @strawberry.field(description="For example `STATIC_SEGMENT_CUSTOMERS`.")
    def name(self) -> str:
        """See the description."""
        return self.value.name

    @strawberry.field(description="The bound.")
    def maximum(self) -> int | None:
        """See the description."""
        return self.value.maximum

    @strawberry.field(
        description="How much of it is used: asked of the provider when selected; null where it "
        "cannot be asked."
    )
    async def current(self, info: Context) -> int | None:
        """See the description."""
        return await info.context.reads.limit_used(self.provider, self.value.name)


@strawberry.type(description="One configured account of one kind of provider.")
class Provider(Node):
    """See the description."""

    value: strawberry.Private[context.Provider]

    @strawberry.field(
        description="Its unique key in the configuration, for example `acme-emporix`."
    )
    def key(self) -> str:
        """See the description."""
        return self.value.key

    @strawberry.field(description="What it is an account of, for example `emporix`.")
    def kind(self) -> str:
        """See the description."""
        return self.value.kind

    @strawberry.field(description="Its name for people.")
    def display_name(self) -> str:
        """See the description."""
        return self.value.display_name

    @strawberry.field(description="What it can do through this gateway, and what it cannot.")
    def capabilities(self) -> list[Capability]:
        """See the description."""
        return [Capability(**row._asdict()) for row in self.value.capabilities]

    @strawberry.field(description="Its documented bounds.")
    def limits(self) -> list[ProviderLimit]:
        """See the description."""
        return [ProviderLimit(provider=self.value.key, value=row) for row in self.value.limits]

    @strawberry.field(description="How it is doing.")
    def health(self) -> ProviderHealth:
        """See the description."""
        health = self.value.health
        return ProviderHealth(
            status=HealthStatus(health.status),
            circuit=CircuitState.CLOSED,
            latency_ms_p50=health.latency_ms(0.50),
            latency_ms_p95=health.latency_ms(0.95),
            last_success_at=health.last_success_at,  # type: ignore[arg-type]  # a NewType
            last_error=errors.CODES[health.last_error] if health.last_error else None,
        )

    @strawberry.field(description="Its segments. Null with an error when it fails.")
    async def segments(
        self,
        info: Context,
        first: First = 50,
        after: After = strawberry.UNSET,
        where: SegmentsWhere = strawberry.UNSET,
    ) -> Connection["Segment"] | None:
        """See the description."""
        wanted = msgspec.structs.replace(segment_filter(where), providers=(self.value.key,))
        found = await info.context.reads.segments(wanted, paging(info, first, after))
        for source in found.sources:
            if source.error is not None:
                raise source.error
        return Connection(value=found, wrap=Segment.of)


@strawberry.type(description="A group of customers at one provider.")
class Segment(Node):
    """See the description."""

    value: strawberry.Private[domain.Segment]

    @staticmethod
    def of(value: domain.Segment) -> "Segment":
        """Show a segment."""
        return Segment(value=value)

    @strawberry.field(description="The provider that keeps it.")
    def provider(self, info: Context) -> Provider:
        """See the description."""
        return Provider(value=info.context.providers[self.value.ref.provider])

    @strawberry.field(description="The provider's own id, unchanged.")
    def external_id(self) -> str:
        """See the description."""
        return self.value.ref.key

    @strawberry.field(description="Its name; its external id where the provider has no name.")
    def name(self, info: Context, language: Language = strawberry.UNSET) -> str:
        """See the description."""
        return self.value.names.best(languages(info, language)) or self.value.ref.key

    @strawberry.field(description="Its name in every language.")
    def names(self) -> list[LocalizedText]:
        """See the description."""
        return localized(self.value.names)

    @strawberry.field(description="Its description.")
    def description(self, info: Context, language: Language = strawberry.UNSET) -> str | None:
        """See the description."""
        return self.value.descriptions.best(languages(info, language))

    @strawberry.field(description="Its description in every language.")
    def descriptions(self) -> list[LocalizedText]:
        """See the description."""
        return localized(self.value.descriptions)

    @strawberry.field(description="How it gets its members.")
    def membership(self) -> MembershipKind:
        """See the description."""
        return self.value.membership

    @strawberry.field(description="The provider reports who enters and leaves.")
    def emits_membership_events(self) -> bool:
        """See the description."""
        return self.value.emits_membership_events

    @strawberry.field(description="Whether it is switched on.")
    def status(self) -> SegmentStatus:
        """See the description."""
        return self.value.status

    @strawberry.field(description="Switched on, and valid now.")
    def is_active(self, info: Context) -> bool:
        """See the description."""
        return self.value.is_active(info.context.now)

    @strawberry.field(description="When it is valid; null when always.")
    def validity(self) -> DateTimeRange | None:
        """See the description."""
        since, until = self.value.valid_from, self.value.valid_to
        if since is None and until is None:
            return None
        return DateTimeRange(from_=since, to=until)  # type: ignore[arg-type]  # a NewType

    @strawberry.field(description="The site it is for.")
    def site_code(self) -> str | None:
        """See the description."""
        return self.value.site_code

    @strawberry.field(description="Lower wins when a customer matches several.")
    def priority(self) -> int | None:
        """See the description."""
        return self.value.priority

    @strawberry.field(description="What decides who belongs; null for a kept list.")
    def rule(self) -> SegmentRule | None:
        """See the description."""
        rule = self.value.rule
        if rule is None:
            return None
        return SegmentRule(
            native=rule.native,  # type: ignore[arg-type]  # any JSON is this scalar
            expression=None,
            conditions=[
                RuleCondition(
                    path=each.path,
                    field=each.field,
                    operator=each.operator,
                    values=list(each.values),
                )
                for each in rule.flatten(rule.native)
            ],
        )

    @strawberry.field(description="When it was made.")
    def created_at(self) -> DateTime | None:
        """See the description."""
        return self.value.created_at  # type: ignore[return-value]  # a NewType

    @strawberry.field(description="When it was last changed.")
    def updated_at(self) -> DateTime | None:
        """See the description."""
        return self.value.updated_at  # type: ignore[return-value]  # a NewType

    @strawberry.field(description="Rises with every change, where the provider counts them.")
    def version(self) -> int | None:
        """See the description."""
        return self.value.version

    @strawberry.field(description="The provider's custom attributes.")
    def attributes(self) -> JSON | None:
        """See the description."""
        return self.value.attributes  # type: ignore[return-value]  # any JSON is this scalar

    @strawberry.field(description="The provider's own document, untouched.")
    def raw(self) -> JSON | None:
        """See the description."""
        return document(self.value.raw)

    @strawberry.field(description="Where this comes from.")
    def origin(self) -> DataOrigin:
        """See the description."""
        return self.value.origin

    @strawberry.field(
        description="Who is in it. Null with an error when the provider cannot tell."
    )
    async def assignments(
        self, info: Context, first: First = 50, after: After = strawberry.UNSET
    ) -> Connection["Assignment"] | None:
        """See the description."""
        found = await info.context.reads.members(self.value, paging(info, first, after))
        return Connection(value=found, wrap=Assignment.of)

    @strawberry.field(
        description="The customers in it, each once. Null with an error when the provider cannot "
        "tell."
    )
    async def customers(
        self, info: Context, first: First = 50, after: After = strawberry.UNSET
    ) -> Connection["Customer"] | None:
        """See the description."""
        wanted = paging(info, first, after)
        found = await info.context.reads.member_customers(self.value.ref, wanted)
        return Connection(value=found, wrap=Customer.of)

    @strawberry.field(description="How many are in it; asked of the provider when selected.")
    async def customers_count(self, info: Context) -> Count | None:
        """See the description."""
        count = await info.context.reads.member_count(self.value.ref)
        return Count(count=count, precision=CountPrecision.EXACT)

    @strawberry.field(
        description="Products and categories in it. Null with an error when the provider has none."
    )
    async def items(
        self,
        info: Context,
        first: First = 50,
        after: After = strawberry.UNSET,
        kind: Annotated[
            ItemType | None, strawberry.argument(name="type", description="Only these.")
        ] = strawberry.UNSET,
    ) -> Connection["SegmentItem"] | None:
        """See the description."""
        wanted = paging(info, first, after)
        found = await info.context.reads.items(self.value.ref, kind or None, wanted)
        return Connection(value=found, wrap=SegmentItem.of)


@strawberry.type(description="One name that a provider knows a customer by.")
class CustomerIdentity:
    """See the description."""

    ref: strawberry.Private[Ref]
    value: strawberry.Private[domain.CustomerKey]

    @strawberry.field(description="The provider.")
    def provider(self, info: Context) -> Provider:
        """See the description."""
        return Provider(value=info.context.providers[self.ref.provider])

    @strawberry.field(description="The name.")
    def external_id(self) -> str:
        """See the description."""
        return self.value.value

    @strawberry.field(description="The provider's word for it: `id`, `source_id`, …")
    def key(self) -> str | None:
        """See the description."""
        return self.value.kind

    @strawberry.field(description="What linked it to the others; null for the provider itself.")
    def linked_by(self) -> str | None:
        """See the description."""
        return None

    @strawberry.field(description="When it was linked.")
    def linked_at(self) -> DateTime | None:
        """See the description."""
        return None


@strawberry.type(description="A person or company.")
class Customer(Node):
    """See the description."""

    value: strawberry.Private[domain.Customer]

    @staticmethod
    def of(value: domain.Customer) -> "Customer":
        """Show a customer."""
        return Customer(value=value)

    @strawberry.field(description="The names that providers know this customer by.")
    def identities(self) -> list[CustomerIdentity]:
        """See the description."""
        return [CustomerIdentity(ref=self.value.ref, value=key) for key in self.value.keys]

    @strawberry.field(description="Full name.")
    def name(self) -> str | None:
        """See the description."""
        return self.value.name

    @strawberry.field(description="Email address.")
    def email(self) -> str | None:
        """See the description."""
        return self.value.email

    @strawberry.field(description="Phone number, as the provider writes it.")
    def phone(self) -> str | None:
        """See the description."""
        return self.value.phone

    @strawberry.field(description="The provider's custom attributes.")
    def attributes(self) -> JSON | None:
        """See the description."""
        return self.value.attributes  # type: ignore[return-value]  # any JSON is this scalar

    @strawberry.field(description="The provider's own document, untouched.")
    def raw(self) -> JSON | None:
        """See the description."""
        return document(self.value.raw)

    @strawberry.field(description="The links to segments, over all identities.")
    async def assignments(
        self, info: Context, first: First = 50, after: After = strawberry.UNSET
    ) -> Connection["Assignment"] | None:
        """See the description."""
        wanted = paging(info, first, after)
        found = await info.context.reads.assignments_of(self.value.ref, wanted)
        return Connection(value=found, wrap=Assignment.of)

    @strawberry.field(description="The segments this customer is in, over all identities.")
    async def segments(
        self,
        info: Context,
        first: First = 50,
        after: After = strawberry.UNSET,
        only_active: OnlyActive = False,
    ) -> Connection["Segment"] | None:
        """See the description."""
        now = info.context.now
        found = await info.context.reads.segments_of(
            self.value.ref,
            paging(info, first, after),
            (lambda segment: segment.is_active(now)) if only_active else None,
            whole=not selected_of_nodes(info) <= TOLD_IN_PART,
        )
        return Connection(value=found, wrap=Segment.of)

    @strawberry.field(
        description="The segment that wins by priority; null where the provider does not rank."
    )
    async def primary_segment(self, info: Context) -> Segment | None:
        """See the description."""
        found = await info.context.reads.primary_segment(self.value.ref)
        return Segment.of(found) if found else None


@strawberry.type(description="The link between one customer and one segment.")
class Assignment(Node):
    """See the description."""

    value: strawberry.Private[domain.Assignment]

    @staticmethod
    def of(value: domain.Assignment) -> "Assignment":
        """Show an assignment."""
        return Assignment(value=value)

    @strawberry.field(description="The provider that keeps it.")
    def provider(self, info: Context) -> Provider:
        """See the description."""
        return Provider(value=info.context.providers[self.value.ref.provider])

    @strawberry.field(description="The segment; null when it was deleted meanwhile.")
    async def segment(self, info: Context) -> Segment | None:
        """See the description."""
        told = self.value.segment
        if told is None or (told.is_partial and not selected(info) <= TOLD_IN_PART):
            ref = Ref(self.value.ref.provider, self.value.ref.segment)
            told = await info.context.loaders.segment.load(ref)
        return Segment.of(told) if told else None

    @strawberry.field(description="The customer; null when deleted meanwhile.")
    async def customer(self, info: Context) -> Customer | None:
        """See the description."""
        ref = Ref(self.value.ref.provider, self.value.ref.customer)
        found = await info.context.loaders.customer.load(ref)
        return Customer.of(found) if found else None

    @strawberry.field(description="The legal entity that the customer is assigned through.")
    async def legal_entity(self, info: Context) -> LegalEntity | None:
        """See the description."""
        found = await info.context.loaders.complete(self.value)
        key = found.ref.legal_entity
        if key is None:
            return None
        return LegalEntity(id=strawberry.ID(key), name=found.legal_entity_name)

    @strawberry.field(description="Who made it.")
    async def kind(self, info: Context) -> AssignmentKind:
        """See the description."""
        return (await info.context.loaders.complete(self.value)).kind

    @strawberry.field(description="How sure it is.")
    def state(self) -> AssignmentState:
        """See the description."""
        return self.value.state

    @strawberry.field(description="Where this comes from.")
    def origin(self) -> DataOrigin:
        """See the description."""
        return self.value.origin

    @strawberry.field(description="When it was made.")
    async def created_at(self, info: Context) -> DateTime | None:
        """See the description."""
        found = await info.context.loaders.complete(self.value)
        return found.created_at  # type: ignore[return-value]  # a NewType

    @strawberry.field(description="When it was last changed.")
    async def updated_at(self, info: Context) -> DateTime | None:
        """See the description."""
        found = await info.context.loaders.complete(self.value)
        return found.updated_at  # type: ignore[return-value]  # a NewType

    @strawberry.field(description="Rises with every change, where the provider counts them.")
    async def version(self, info: Context) -> int | None:
        """See the description."""
        return (await info.context.loaders.complete(self.value)).version


@strawberry.type(description="A product or category that belongs to a segment.")
class SegmentItem:
    """See the description."""

    value: strawberry.Private[domain.Item]

    @staticmethod
    def of(value: domain.Item) -> "SegmentItem":
        """Show an item."""
        return SegmentItem(value=value)

    @strawberry.field(description="The provider's own id, unchanged.")
    def external_id(self) -> str:
        """See the description."""
        return self.value.key

    @strawberry.field(description="What it is.")
    def type(self) -> ItemType:
        """See the description."""
        return self.value.kind

    @strawberry.field(description="The code that people know it by.")
    def code(self) -> str | None:
        """See the description."""
        return self.value.code

    @strawberry.field(description="Its name.")
    def name(self, info: Context, language: Language = strawberry.UNSET) -> str | None:
        """See the description."""
        return self.value.names.best(languages(info, language))

    @strawberry.field(description="Its name in every language.")
    def names(self) -> list[LocalizedText]:
        """See the description."""
        return localized(self.value.names)

    @strawberry.field(description="When it was assigned.")
    def created_at(self) -> DateTime | None:
        """See the description."""
        return self.value.created_at  # type: ignore[return-value]  # a NewType

    @strawberry.field(description="When the assignment was last changed.")
    def updated_at(self) -> DateTime | None:
        """See the description."""
        return self.value.updated_at  # type: ignore[return-value]  # a NewType


@strawberry.type(description="Whether a customer is in a segment.")
class SegmentMembership:
    """See the description."""

    value: strawberry.Private[context.Membership]

    @strawberry.field(description="The customer's global id, as asked.")
    def customer_id(self) -> strawberry.ID:
        """See the description."""
        return strawberry.ID(ids.of_ref(Kind.CUSTOMER, self.value.customer))

    @strawberry.field(description="The segment's global id, as asked.")
    def segment_id(self) -> strawberry.ID:
        """See the description."""
        return strawberry.ID(ids.of_ref(Kind.SEGMENT, self.value.segment))

    @strawberry.field(description="The customer; null when there is none.")
    async def customer(self, info: Context) -> Customer | None:
        """See the description."""
        found = await info.context.loaders.customer.load(self.value.customer)
        return Customer.of(found) if found else None

    @strawberry.field(description="The segment; null when there is none.")
    async def segment(self, info: Context) -> Segment | None:
        """See the description."""
        found = await info.context.loaders.segment.load(self.value.segment)
        return Segment.of(found) if found else None

    @strawberry.field(
        description="True: in it. False: not. Null: cannot be told, since they are of different "
        "providers or, with an error, since the provider fails."
    )
    def is_member(self) -> bool | None:
        """See the description."""
        if self.value.error is not None:
            raise self.value.error
        return self.value.is_member

    @strawberry.field(description="Where this comes from; null when it cannot be told.")
    def origin(self) -> DataOrigin | None:
        """See the description."""
        return None if self.value.is_member is None else domain.Origin.LIVE


def node_of(value: domain.Segment | domain.Customer | domain.Assignment | None) -> Node | None:
    """Show a segment, customer or assignment as its type; None stays None."""
    if value is None:
        return None
    if isinstance(value, domain.Segment):
        return Segment(value=value)
    return Customer(value=value) if isinstance(value, domain.Customer) else Assignment(value=value)
