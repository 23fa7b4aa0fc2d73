"""Fields of segments and their items, and helpers for other types."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
import strawberry

from gateway import context
from gateway.context import Provider
from gateway.domain import entities, queries
from gateway.domain.json_depth import check_depth
from gateway.domain.lazy_rows import by_list, column, is_lazy
from gateway.domain.pages import DEFAULT_PAGE_SIZE
from gateway.domain.sizes import SizeInterval, SizePoint
from gateway.domain.texts import Texts, best_texts
from gateway.errors import BadInput, GatewayError, Malformed
from resolvers.field_permissions import Permission
from resolvers.inputs.filters import SegmentsWhere, given, segment_filter
from resolvers.inputs.paging import After, First, paging
from resolvers.lookahead import FieldInfo
from resolvers.value_types import (
    Count,
    CountPrecision,
    DateTime,
    ItemType,
    Localized,
    Range,
    RuleCondition,
    SegmentRule,
    localized,
)

T = TypeVar("T")

Language = Annotated[
    str | None,
    strawberry.argument(
        description="BCP 47 tag. Falls back to its base language, the provider's default, then "
        "any language. Default: the languages of Accept-Language."
    ),
]

OnlyActive = Annotated[
    bool | None, strawberry.argument(description="Only segments with `isActive`.")
]

OnlyType = Annotated[
    ItemType | None, strawberry.argument(name="type", description="Only items of this type.")
]

PARTIAL_SEGMENT_FIELDS = frozenset(
    {"__typename", "id", "provider", "externalId", "name", "names", "origin"}
)
"""The fields that a partial segment has."""

Results = Sequence[T | GatewayError | None]


def document(value: Any) -> Any:
    """Return a provider's own document. Raises `Malformed`: it is not decoded before."""
    if value.raw is None:
        return None
    if isinstance(value.raw, GatewayError):
        raise value.raw
    try:
        document = bytes(value.raw)
        check_depth(document)
        return msgspec.json.decode(document)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(value.ref.provider, "raw", detail=str(error)) from error


def _best(
    rows: Sequence[T],
    path: str,
    read: Callable[[Sequence[T]], Sequence[Texts]],
    info: FieldInfo,
    language: str | None,
) -> Sequence[str | None]:
    """Return the best text of each row, list by list: each has languages of its own."""
    languages = (language,) if language else info.context.languages
    if not is_lazy(rows):
        return best_texts(read(rows), languages)
    return by_list(rows, lambda part: best_texts(column(part, path, read), languages))


def _names(rows: Sequence[entities.Segment | entities.Item]) -> Sequence[Texts]:
    return [each.names for each in rows]


def _descriptions(segments: Sequence[entities.Segment]) -> Sequence[Texts]:
    return [each.descriptions for each in segments]


def names(value: entities.Segment | entities.Item) -> list[Localized]:
    """Return the name in every language."""
    return localized(value.names)


def check_filter(
    value: queries.SegmentFilter,
    info: FieldInfo,
    sort: queries.SortKey = queries.SortKey.PROVIDER,
) -> queries.SegmentFilter:
    """Return a filter. Raises `BadInput` for an unknown provider.

    Raises `Forbidden` if it or the order would reveal assignments to the caller.
    """
    context, permission = info.context, Permission.ASSIGNMENTS_READ
    context.check_keys(value.providers, "filter.providers")
    if value.native_of is not None:
        context.check_keys([value.native_of], "filter.native.provider")
    if value.customer is not None:
        context.require(permission, value.customer.provider, "filter.customerId")
    if sort is queries.SortKey.MEMBERS_COUNT:
        for key in context.providers:
            if value.providers is None or key in value.providers:
                context.require(permission, key, "sortKey: MEMBERS_COUNT")
    return value


async def provider_segments(
    value: Provider,
    info: FieldInfo,
    first: First = DEFAULT_PAGE_SIZE,
    after: After = strawberry.UNSET,
    where: SegmentsWhere = strawberry.UNSET,
) -> context.Connection[entities.Segment]:
    """List a provider's segments. Raises the error of the provider."""
    conditions = check_filter(segment_filter(where), info)
    is_included = conditions.providers is None or value.key in conditions.providers
    conditions = msgspec.structs.replace(conditions, providers=(value.key,) if is_included else ())
    page = await info.context.reads.segments(conditions, paging(info, first, after))
    if page.failure is not None:
        raise page.failure
    return page


def segment_names(
    segments: Sequence[entities.Segment], info: FieldInfo, language: Language = strawberry.UNSET
) -> Sequence[str]:
    """Return the name of each segment, or its external id if it has none."""
    best = _best(segments, "names", _names, info, language)
    if all(best):
        return best  # type: ignore[return-value]  # there is no None
    return [name or each.ref.key for name, each in zip(best, segments, strict=True)]


def segment_descriptions(
    segments: Sequence[entities.Segment], info: FieldInfo, language: Language = strawberry.UNSET
) -> Sequence[str | None]:
    """Return the description of each segment."""
    return _best(segments, "descriptions", _descriptions, info, language)


def descriptions(segment: entities.Segment) -> list[Localized]:
    """Return the description in every language."""
    return localized(segment.descriptions)


def is_active(segment: entities.Segment, info: FieldInfo) -> bool:
    """Return whether a segment is enabled and valid now."""
    return segment.is_active(info.context.now)


def validity(segment: entities.Segment) -> Range | None:
    """Return the period of validity; None if always valid."""
    if segment.valid_from is None and segment.valid_to is None:
        return None
    return Range(segment.valid_from, segment.valid_to)


def rule(segment: entities.Segment) -> SegmentRule | None:
    """Return a segment's rule with a flat list of its conditions."""
    rule = segment.rule
    if rule is None or not rule.is_readable:
        return None
    native = rule.native
    return SegmentRule(
        native=native,  # type: ignore[arg-type]  # any JSON is this scalar
        expression=None,
        conditions=[
            RuleCondition(
                path=each.path,
                field=each.field,
                operator=each.operator,
                values=list(each.values),
            )
            for each in rule.flatten(native)
        ],
    )


async def members(
    segments: Sequence[entities.Segment],
    info: FieldInfo,
    first: First = DEFAULT_PAGE_SIZE,
    after: After = strawberry.UNSET,
) -> Results[context.Connection[entities.Assignment]]:
    """List the assignments of each segment."""
    return await info.context.reads.members(segments, paging(info, first, after))


async def member_customers(
    segment: entities.Segment,
    info: FieldInfo,
    first: First = DEFAULT_PAGE_SIZE,
    after: After = strawberry.UNSET,
) -> context.Connection[entities.Customer]:
    """List the customers of a segment."""
    return await info.context.reads.member_customers(segment.ref, paging(info, first, after))


async def member_count(segment: entities.Segment, info: FieldInfo) -> Count:
    """Count the members of a segment."""
    count = await info.context.reads.member_count(segment.ref)
    precision = CountPrecision.EXACT if count.is_exact else CountPrecision.AT_LEAST
    return Count(count=count.number, precision=precision)


async def size_history(
    segment: entities.Segment,
    info: FieldInfo,
    start: Annotated[
        DateTime | None,
        strawberry.argument(
            name="from", description="The start; default: 48 hours or 90 days before `to`."
        ),
    ] = strawberry.UNSET,
    to: Annotated[
        DateTime | None, strawberry.argument(description="The end; default: now.")
    ] = strawberry.UNSET,
    interval: Annotated[
        SizeInterval | None, strawberry.argument(description="What one point stands for.")
    ] = SizeInterval.DAY,
) -> Sequence[SizePoint]:
    """Return the recorded sizes of a segment."""
    chosen = interval or SizeInterval.DAY
    end: datetime = given(to) or info.context.now
    periods = 48 if chosen is SizeInterval.HOUR else 90
    try:
        begin: datetime = given(start) or end - periods * chosen.length
    except OverflowError:
        raise BadInput("to is too early.") from None
    scope = info.context.scope
    return await info.context.reads.size_history(segment.ref, begin, end, chosen, scope.deadline)


def precision(point: SizePoint) -> CountPrecision:
    """Return the precision of a recorded size."""
    return CountPrecision.EXACT if point.is_exact else CountPrecision.AT_LEAST


async def items(
    segment: entities.Segment,
    info: FieldInfo,
    first: First = DEFAULT_PAGE_SIZE,
    after: After = strawberry.UNSET,
    kind: OnlyType = strawberry.UNSET,
) -> context.Connection[entities.Item]:
    """List the items of a segment."""
    page = paging(info, first, after)
    return await info.context.reads.items(segment.ref, kind or None, page)


def item_names(
    items: Sequence[entities.Item], info: FieldInfo, language: Language = strawberry.UNSET
) -> Sequence[str | None]:
    """Return the name of each item."""
    return _best(items, "names", _names, info, language)
