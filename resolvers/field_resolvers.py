"""What fields tell of segments, customers and assignments, beyond their plain attributes."""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
import strawberry

from gateway import context
from gateway.context import Provider
from gateway.domain import entities, queries
from gateway.domain.entities import Ref
from gateway.domain.texts import Texts, best_texts
from gateway.errors import GatewayError, Malformed
from resolvers import error_codes, global_ids
from resolvers.field_declarations import Told, read_all
from resolvers.field_permissions import Right
from resolvers.global_ids import Kind
from resolvers.inputs.filters import SegmentsWhere, segment_filter
from resolvers.inputs.paging import After, First, paging
from resolvers.lookahead import Asked
from resolvers.value_types import (
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

T = TypeVar("T")

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
    key: entities.CustomerKey


class LimitOf(NamedTuple):
    """A limit, and whose it is."""

    provider: str
    name: str
    maximum: int


def providers(values: Sequence[Any], asked: Asked) -> Sequence[Provider]:
    """Return the provider of each of what has a reference."""
    known = asked.context.providers
    return [known[each.ref.provider] for each in values]


def document(value: Any) -> Any:
    """Return a provider's own document. Raises `Malformed`: only here is all of it read."""
    if value.raw is None:
        return None
    if isinstance(value.raw, GatewayError):
        raise value.raw
    try:
        return msgspec.json.decode(bytes(value.raw))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(value.ref.provider, "raw", detail=str(error)) from error


def _best(texts: Iterable[Texts], asked: Asked, language: str | None) -> Sequence[str | None]:
    return best_texts(texts, (language,) if language else asked.context.languages)


def names(value: entities.Segment | entities.Item) -> list[Localized]:
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
        latency_ms_p50=_rounded(found.latency_ms(0.50)),
        latency_ms_p95=_rounded(found.latency_ms(0.95)),
        last_success_at=found.last_success_at,  # type: ignore[arg-type]  # a NewType
        last_error=error_codes.CODES[found.last_error] if found.last_error else None,
    )


def _rounded(milliseconds: float | None) -> float | None:
    """Return a latency to a tenth of a millisecond: no call is measured more exactly."""
    return None if milliseconds is None else round(milliseconds, 1)


def permitted(wanted: queries.SegmentFilter, asked: Asked) -> queries.SegmentFilter:
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
) -> context.Connection[entities.Segment]:
    """List a provider's segments. Raises what it fails with."""
    wanted = permitted(segment_filter(where), asked)
    is_meant = wanted.providers is None or value.key in wanted.providers
    wanted = msgspec.structs.replace(wanted, providers=(value.key,) if is_meant else ())
    found = await asked.context.reads.segments(wanted, paging(asked, first, after))
    if found.failure is not None:
        raise found.failure
    return found


# Segments.


def segment_names(
    segments: Sequence[entities.Segment], asked: Asked, language: Language = strawberry.UNSET
) -> Sequence[str]:
    """Return the name of each, or what there is instead."""
    found = _best([each.names for each in segments], asked, language)
    told = [name for name in found if name]
    if len(told) == len(segments):
        return told
    return [name or each.ref.key for name, each in zip(found, segments, strict=True)]


def segment_descriptions(
    segments: Sequence[entities.Segment], asked: Asked, language: Language = strawberry.UNSET
) -> Sequence[str | None]:
    """Return the description of each."""
    return _best([each.descriptions for each in segments], asked, language)


def descriptions(segment: entities.Segment) -> list[Localized]:
    """Return the description in every language."""
    return localized(segment.descriptions)


def is_active(segment: entities.Segment, asked: Asked) -> bool:
    """Tell whether a segment is switched on and valid now."""
    return segment.is_active(asked.context.now)


def validity(segment: entities.Segment) -> Range | None:
    """Return when a segment is valid; None when always."""
    if segment.valid_from is None and segment.valid_to is None:
        return None
    return Range(segment.valid_from, segment.valid_to)


def rule(segment: entities.Segment) -> SegmentRule | None:
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
    segments: Sequence[entities.Segment],
    asked: Asked,
    first: First = 50,
    after: After = strawberry.UNSET,
) -> Answers[context.Connection[entities.Assignment]]:
    """List the assignments of each segment."""
    return await asked.context.reads.members(segments, paging(asked, first, after))


async def member_customers(
    segment: entities.Segment,
    asked: Asked,
    first: First = 50,
    after: After = strawberry.UNSET,
) -> context.Connection[entities.Customer]:
    """List the customers of a segment."""
    return await asked.context.reads.member_customers(segment.ref, paging(asked, first, after))


async def member_count(segment: entities.Segment, asked: Asked) -> Count:
    """Count the members of a segment."""
    count = await asked.context.reads.member_count(segment.ref)
    return Count(count=count, precision=CountPrecision.EXACT)


async def items(
    segment: entities.Segment,
    asked: Asked,
    first: First = 50,
    after: After = strawberry.UNSET,
    kind: OnlyType = strawberry.UNSET,
) -> context.Connection[entities.Item]:
    """List the items of a segment."""
    wanted = paging(asked, first, after)
    return await asked.context.reads.items(segment.ref, kind or None, wanted)


def item_names(
    items: Sequence[entities.Item], asked: Asked, language: Language = strawberry.UNSET
) -> Sequence[str | None]:
    """Return the name of each item."""
    return _best([each.names for each in items], asked, language)


# Customers.


def identities(customer: entities.Customer) -> list[Identity]:
    """Return the names that a provider knows a customer by."""
    return [Identity(customer.ref, key) for key in customer.keys]


def unlinked(_: Identity) -> None:
    """Return what made the link of an identity: there are no links yet."""


async def customer_assignments(
    customer: entities.Customer,
    asked: Asked,
    first: First = 50,
    after: After = strawberry.UNSET,
) -> context.Connection[entities.Assignment]:
    """List the assignments of a customer."""
    return await asked.context.reads.assignments_of(customer.ref, paging(asked, first, after))


async def customer_segments(
    customer: entities.Customer,
    asked: Asked,
    first: First = 50,
    after: After = strawberry.UNSET,
    only_active: OnlyActive = False,
) -> context.Connection[entities.Segment]:
    """List the segments of a customer, read whole only where the query shows more than a part."""
    now = asked.context.now
    return await asked.context.reads.segments_of(
        customer.ref,
        paging(asked, first, after),
        (lambda segment: segment.is_active(now)) if only_active else None,
        whole=not asked.selection.of_nodes <= TOLD_IN_PART,
    )


async def primary_segment(customer: entities.Customer, asked: Asked) -> entities.Segment | None:
    """Return the segment that wins by priority."""
    return await asked.context.reads.primary_segment(customer.ref)


# Assignments and memberships.


async def assignment_segments(
    assignments: Sequence[entities.Assignment], asked: Asked
) -> Answers[entities.Segment]:
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
    assignments: Sequence[entities.Assignment], asked: Asked
) -> Answers[entities.Customer]:
    """Return the customer of each."""
    refs = [Ref(each.ref.provider, each.ref.customer) for each in assignments]
    return await asked.context.loaders.customer.answers(refs)


def are_whole(assignments: Sequence[entities.Assignment]) -> bool:
    """Tell whether nothing was left out of any of these."""
    return True not in [each.is_partial for each in assignments]


def completed(of: str | Callable[[entities.Assignment], Any], description: str) -> Any:
    """Declare an attribute, or what is computed, that a list of assignments may have left out."""
    path, show = (of, attrgetter(of)) if isinstance(of, str) else ("", of)

    async def shown(assignments: Sequence[entities.Assignment], asked: Asked) -> Answers[Any]:
        found = await asked.context.loaders.complete(assignments)
        return [
            _known(show(own), each) if isinstance(each, GatewayError) else show(each)
            for own, each in zip(assignments, found, strict=True)
        ]

    return read_all(shown, description, told=Told(are_whole, path, show))


def _known(value: Any, error: GatewayError) -> Any:
    """Return what was told in part already; else why the rest could not be read."""
    return error if value is None or value is entities.AssignmentKind.UNKNOWN else value


def legal_entity(assignment: entities.Assignment) -> LegalEntity | None:
    """Return the legal entity that the customer is assigned through."""
    key = assignment.ref.legal_entity
    if key is None:
        return None
    ref = Ref(assignment.ref.provider, key)
    return LegalEntity(
        id=strawberry.ID(global_ids.of_ref(Kind.LEGAL_ENTITY, ref)),
        name=assignment.legal_entity_name,
        external_id=key,
    )
