"""What fields tell of segments, customers and assignments, beyond their plain attributes."""

from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
import strawberry

from gateway import context, domain
from gateway.context import Provider
from gateway.domain import Ref
from gateway.errors import GatewayError, Malformed
from resolvers import errors, ids
from resolvers.access import Right
from resolvers.connections import After, First, paging
from resolvers.ids import Kind
from resolvers.inputs import SegmentsWhere, segment_filter
from resolvers.leaves import (
    CircuitState,
    Count,
    CountPrecision,
    HealthStatus,
    ItemType,
    LegalEntity,
    Localized,
    ProviderHealth,
    Range,
    RuleCondition,
    SegmentRule,
    localized,
)
from resolvers.selection import Asked

T = TypeVar("T")
V = TypeVar("V")

Language = Annotated[
    str | None,
    strawberry.argument(
        description="BCP 47. What there is of: this, its base language, the provider's default, "
        "any. If missing, the languages of Accept-Language."
    ),
]
OnlyActive = Annotated[bool | None, strawberry.argument(description="Only those with `isActive`.")]
OnlyType = Annotated[ItemType | None, strawberry.argument(name="type", description="Only these.")]

TOLD_IN_PART = frozenset({"__typename", "id", "provider", "externalId", "name", "names", "origin"})
"""The fields of a segment that are known even where a provider tells it only in part."""

Answers = Sequence[T | GatewayError | None]


class Identity(NamedTuple):
    """One name of a customer, and whose customer it is."""

    ref: Ref
    key: domain.CustomerKey


class LimitOf(NamedTuple):
    """A limit, and whose it is."""

    provider: str
    name: str
    maximum: int


def provider(value: Any, asked: Asked) -> Provider:
    """Return the provider of what has a reference."""
    return asked.context.providers[value.ref.provider]


def document(value: Any) -> Any:
    """Return a provider's own document. Raises `Malformed`: only here is all of it read."""
    if value.raw is None:
        return None
    try:
        return msgspec.json.decode(bytes(value.raw))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(value.ref.provider, "raw", detail=str(error)) from error


def _best(texts: domain.Texts, asked: Asked, language: str | None) -> str | None:
    return texts.best((language,) if language else asked.context.languages)


def names(value: domain.Segment | domain.Item) -> list[Localized]:
    """Return the name in every language."""
    return localized(value.names)


# Providers.


def limits(value: Provider) -> list[LimitOf]:
    """Return a provider's documented bounds."""
    return [LimitOf(value.key, row.name, row.maximum) for row in value.limits]


async def limit_used(limit: LimitOf, asked: Asked) -> int | None:
    """Return how much of a limit is used."""
    return await asked.context.reads.limit_used(limit.provider, limit.name)


def health(value: Provider, asked: Asked) -> ProviderHealth:
    """Return how a provider is doing: true now, so the answer is not to be kept."""
    asked.context.scope.note_freshness(0)
    found = value.health
    return ProviderHealth(
        status=HealthStatus(found.status),
        circuit=CircuitState(value.circuit),
        latency_ms_p50=found.latency_ms(0.50),
        latency_ms_p95=found.latency_ms(0.95),
        last_success_at=found.last_success_at,  # type: ignore[arg-type]  # a NewType
        last_error=errors.CODES[found.last_error] if found.last_error else None,
    )


def permitted(wanted: domain.SegmentFilter, asked: Asked) -> domain.SegmentFilter:
    """Return a filter; raise `Forbidden` for one that tells who is in a segment to who may not."""
    if wanted.customer is not None:
        told = "filter.customerId"
        asked.context.demand(Right.ASSIGNMENTS_READ, wanted.customer.provider, told)
    return wanted


async def provider_segments(
    value: Provider,
    asked: Asked,
    first: First = 50,
    after: After = strawberry.UNSET,
    where: SegmentsWhere = strawberry.UNSET,
) -> context.Connection[domain.Segment]:
    """List a provider's segments. Raises what it fails with."""
    wanted = permitted(segment_filter(where), asked)
    is_meant = wanted.providers is None or value.key in wanted.providers
    wanted = msgspec.structs.replace(wanted, providers=(value.key,) if is_meant else ())
    found = await asked.context.reads.segments(wanted, paging(asked, first, after))
    for source in found.sources:
        if source.error is not None:
            raise source.error
    return found


# Segments.


def segment_name(
    segment: domain.Segment, asked: Asked, language: Language = strawberry.UNSET
) -> str:
    """Return the name, or what there is instead."""
    return _best(segment.names, asked, language) or segment.ref.key


def segment_description(
    segment: domain.Segment, asked: Asked, language: Language = strawberry.UNSET
) -> str | None:
    """Return the description."""
    return _best(segment.descriptions, asked, language)


def descriptions(segment: domain.Segment) -> list[Localized]:
    """Return the description in every language."""
    return localized(segment.descriptions)


def is_active(segment: domain.Segment, asked: Asked) -> bool:
    """Tell whether a segment is switched on and valid now."""
    return segment.is_active(asked.context.now)


def validity(segment: domain.Segment) -> Range | None:
    """Return when a segment is valid; None when always."""
    if segment.valid_from is None and segment.valid_to is None:
        return None
    return Range(segment.valid_from, segment.valid_to)


def rule(segment: domain.Segment) -> SegmentRule | None:
    """Return a segment's rule with its tests one by one."""
    found = segment.rule
    if found is None:
        return None
    return SegmentRule(
        native=found.native,  # type: ignore[arg-type]  # any JSON is this scalar
        expression=None,
        conditions=[
            RuleCondition(
                path=each.path,
                field=each.field,
                operator=each.operator,
                values=list(each.values),
            )
            for each in found.flatten(found.native)
        ],
    )


async def members(
    segment: domain.Segment,
    asked: Asked,
    first: First = 50,
    after: After = strawberry.UNSET,
) -> context.Connection[domain.Assignment]:
    """List the assignments of a segment."""
    return await asked.context.reads.members(segment, paging(asked, first, after))


async def member_customers(
    segment: domain.Segment,
    asked: Asked,
    first: First = 50,
    after: After = strawberry.UNSET,
) -> context.Connection[domain.Customer]:
    """List the customers of a segment."""
    return await asked.context.reads.member_customers(segment.ref, paging(asked, first, after))


async def member_count(segment: domain.Segment, asked: Asked) -> Count:
    """Count the members of a segment."""
    count = await asked.context.reads.member_count(segment.ref)
    return Count(count=count, precision=CountPrecision.EXACT)


async def items(
    segment: domain.Segment,
    asked: Asked,
    first: First = 50,
    after: After = strawberry.UNSET,
    kind: OnlyType = strawberry.UNSET,
) -> context.Connection[domain.Item]:
    """List the items of a segment."""
    wanted = paging(asked, first, after)
    return await asked.context.reads.items(segment.ref, kind or None, wanted)


def item_name(
    item: domain.Item, asked: Asked, language: Language = strawberry.UNSET
) -> str | None:
    """Return the name of an item."""
    return _best(item.names, asked, language)


# Customers.


def identities(customer: domain.Customer) -> list[Identity]:
    """Return the names that a provider knows a customer by."""
    return [Identity(customer.ref, key) for key in customer.keys]


def unlinked(_: Identity) -> None:
    """Return what made the link of an identity: there are no links yet."""


async def customer_assignments(
    customer: domain.Customer,
    asked: Asked,
    first: First = 50,
    after: After = strawberry.UNSET,
) -> context.Connection[domain.Assignment]:
    """List the assignments of a customer."""
    return await asked.context.reads.assignments_of(customer.ref, paging(asked, first, after))


async def customer_segments(
    customer: domain.Customer,
    asked: Asked,
    first: First = 50,
    after: After = strawberry.UNSET,
    only_active: OnlyActive = False,
) -> context.Connection[domain.Segment]:
    """List the segments of a customer, read whole only where the query shows more than a part."""
    now = asked.context.now
    return await asked.context.reads.segments_of(
        customer.ref,
        paging(asked, first, after),
        (lambda segment: segment.is_active(now)) if only_active else None,
        whole=not asked.selection.of_nodes <= TOLD_IN_PART,
    )


async def primary_segment(customer: domain.Customer, asked: Asked) -> domain.Segment | None:
    """Return the segment that wins by priority."""
    return await asked.context.reads.primary_segment(customer.ref)


# Assignments and memberships.


async def assignment_segments(
    assignments: Sequence[domain.Assignment], asked: Asked
) -> Answers[domain.Segment]:
    """Return the segment of each; read where the assignment tells less of it than is shown."""
    suffices = asked.selection.names() <= TOLD_IN_PART
    told = [
        each.segment
        if each.segment is not None and (suffices or not each.segment.is_partial)
        else None
        for each in assignments
    ]
    wanted = [
        Ref(each.ref.provider, each.ref.segment)
        for each, segment in zip(assignments, told, strict=True)
        if segment is None
    ]
    if not wanted:
        return told
    read = iter(await asked.context.loaders.segment.answers(wanted))
    return [next(read) if segment is None else segment for segment in told]


async def assignment_customers(
    assignments: Sequence[domain.Assignment], asked: Asked
) -> Answers[domain.Customer]:
    """Return the customer of each."""
    refs = [Ref(each.ref.provider, each.ref.customer) for each in assignments]
    return await asked.context.loaders.customer.answers(refs)


_IS_PARTIAL = attrgetter("is_partial")


def completed(
    show: Callable[[domain.Assignment], V],
) -> Callable[[Sequence[domain.Assignment], Asked], Awaitable[Answers[V]]]:
    """Return what shows something that a list of assignments may have left out."""

    async def shown(assignments: Sequence[domain.Assignment], asked: Asked) -> Answers[V]:
        if not any(map(_IS_PARTIAL, assignments)):
            return list(map(show, assignments))
        found = await asked.context.loaders.complete(assignments)
        return [each if isinstance(each, GatewayError) else show(each) for each in found]

    return shown


def legal_entity(assignment: domain.Assignment) -> LegalEntity | None:
    """Return the legal entity that the customer is assigned through."""
    key = assignment.ref.legal_entity
    if key is None:
        return None
    return LegalEntity(id=strawberry.ID(key), name=assignment.legal_entity_name)


def membership_customer_id(row: context.Membership) -> str:
    """Return the customer's global id."""
    return ids.of_ref(Kind.CUSTOMER, row.customer)


def membership_segment_id(row: context.Membership) -> str:
    """Return the segment's global id."""
    return ids.of_ref(Kind.SEGMENT, row.segment)


async def membership_customers(
    rows: Sequence[context.Membership], asked: Asked
) -> Answers[domain.Customer]:
    """Return the customer of each row."""
    return await asked.context.loaders.customer.answers([row.customer for row in rows])


async def membership_segments(
    rows: Sequence[context.Membership], asked: Asked
) -> Answers[domain.Segment]:
    """Return the segment of each row."""
    return await asked.context.loaders.segment.answers([row.segment for row in rows])


def is_member(row: context.Membership) -> bool | None:
    """Tell whether the customer is in the segment; raises what the provider failed with."""
    if row.error is not None:
        raise row.error
    return row.is_member


def membership_origin(row: context.Membership) -> domain.Origin | None:
    """Return where the answer comes from."""
    return row.origin
