"""Scalars, enums and the small types that lead nowhere else."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum, EnumMeta
from itertools import starmap
from typing import Any, NewType

import msgspec
import strawberry
from graphql import GraphQLError, StringValueNode, ValueNode
from strawberry.scalars import JSON

from gateway.domain.entities import AssignmentKind, AssignmentState
from gateway.domain.entities import ItemKind as ItemType
from gateway.domain.entities import Membership as MembershipKind
from gateway.domain.entities import Origin as DataOrigin
from gateway.domain.entities import Status as SegmentStatus
from gateway.domain.queries import SortKey as SegmentSortKey
from gateway.domain.texts import Texts
from resolvers.error_codes import ErrorCode
from resolvers.field_permissions import OPEN

__all__ = [
    "AssignmentKind",
    "AssignmentState",
    "DataOrigin",
    "ItemType",
    "MembershipKind",
    "SegmentSortKey",
    "SegmentStatus",
]


_encode = msgspec.json.Encoder().encode


def _show_time(moment: datetime) -> str:
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    # msgspec writes "2026-01-31T09:30:00Z", with microseconds if there are any, in a tenth of the
    # time of `isoformat`; ours always has milliseconds.
    text = _encode(moment).decode()[1:-2]
    return f"{text}.000Z" if len(text) == len(_WHOLE) else f"{text[:23]}Z"


_WHOLE = "2026-01-31T09:30:00"


def _show_times(moments: Sequence[datetime | None]) -> Sequence[str | None]:
    """Do as `_show_time` for each; None stays. Half of its time."""
    kinds = {*map(type, moments)}
    if kinds == {datetime}:
        told = _encode(moments).decode()
        if told.count("Z") == len(moments):  # all are in UTC
            whole = len(_WHOLE)
            if len(told) == len(moments) * len(f'"{_WHOLE}Z",') + 1:
                return told[2:-2].replace("Z", ".000Z").split('","')
            texts = told[2:-3].split('Z","')
            return [f"{text}.000Z" if len(text) == whole else f"{text[:23]}Z" for text in texts]
    elif kinds == {datetime, type(None)}:
        shown = iter(_show_times([moment for moment in moments if moment is not None]))
        return [None if moment is None else next(shown) for moment in moments]
    return [None if moment is None else _show_time(moment) for moment in moments]


ALL_AT_ONCE: Mapping[Any, Callable[[Sequence[Any]], Sequence[Any]]] = {_show_time: _show_times}
"""What serializes one value of a scalar, to what does so for many, in order; None is None.

It raises if any value of them is none of the scalar.
"""


def _read_time(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise GraphQLError("A DateTime is a text like 2026-01-31T09:30:00Z.") from None


def _read_time_literal(node: ValueNode, _: Mapping[str, Any] | None = None) -> datetime:
    """Read a time that is written out in a document; an error says where it stands."""
    try:
        return _read_time(node.value if isinstance(node, StringValueNode) else None)
    except GraphQLError as error:
        raise GraphQLError(error.message, node) from None


DateTime = NewType("DateTime", datetime)
DATE_TIME = strawberry.scalar(
    name="DateTime",
    description="A moment: ISO 8601, UTC, with milliseconds, as `2026-01-31T09:30:00.000Z`. "
    "On input any offset is read; without one it is UTC.",
    serialize=_show_time,
    parse_value=_read_time,
    parse_literal=_read_time_literal,
)


def describe(enum: EnumMeta, name: str, description: str, values: Mapping[str, str]) -> None:
    """Make an enum of the domain one of the schema, with a description for each value."""
    made = strawberry.enum(enum, name=name, description=description)
    for value in made.__strawberry_definition__.values:  # type: ignore[attr-defined]  # Strawberry adds it
        value.description = values[value.name]


describe(
    MembershipKind,
    "MembershipKind",
    "How a segment gets its members.",
    {
        "MANUAL": "A list kept by hand or fixed at creation.",
        "RULE": "Computed by the provider from a rule.",
        "TAG": "A (type, value) pair that customers carry.",
        "UNKNOWN": "The provider says something that this gateway does not know.",
    },
)
describe(
    SegmentStatus,
    "SegmentStatus",
    "Whether a segment is switched on.",
    {
        "ACTIVE": "Switched on; also every segment of a provider that has no such switch.",
        "INACTIVE": "Switched off.",
        "UNKNOWN": "The provider says something that this gateway does not know.",
    },
)
describe(
    DataOrigin,
    "DataOrigin",
    "Where a fact comes from.",
    {
        "LIVE": "The provider, now.",
        "CACHED": "A recent answer of the provider.",
        "STALE": "An older answer of the provider, which fails now.",
        "RECORDED": "The gateway's own record of what it told the provider.",
    },
)
describe(
    AssignmentKind,
    "AssignmentKind",
    "Who made an assignment.",
    {
        "MANUAL": "Somebody assigned the customer.",
        "AUTOMATIC": "A rule did.",
        "UNKNOWN": "The provider does not tell.",
    },
)
describe(
    AssignmentState,
    "AssignmentState",
    "How sure an assignment is.",
    {
        "CONFIRMED": "The provider has it.",
        "PENDING": "It is being sent.",
        "UNCONFIRMED": "It was sent, and the outcome is unknown.",
    },
)
describe(
    ItemType,
    "ItemType",
    "What an item of a segment is.",
    {
        "PRODUCT": "A product.",
        "CATEGORY": "A category of products.",
        "UNKNOWN": "The provider says something that this gateway does not know.",
    },
)
describe(
    SegmentSortKey,
    "SegmentSortKey",
    "The order of listed segments. Segments without the value come last in both directions.",
    {
        "PROVIDER": "Providers as configured, in each the provider's own order. The cheapest.",
        "NAME": "By name in the caller's language, ignoring case.",
        "CREATED_AT": "By time of creation.",
        "UPDATED_AT": "By time of the last change.",
        "PRIORITY": "By priority; the winning one first.",
    },
)


@strawberry.enum(description="What the newest calls say of a provider.")
class HealthStatus(Enum):
    """See the description."""

    UP = strawberry.enum_value("UP", description="The newest calls went well.")
    DEGRADED = strawberry.enum_value("DEGRADED", description="Some of the newest calls failed.")
    DOWN = strawberry.enum_value("DOWN", description="Most of the newest calls failed.")
    UNKNOWN = strawberry.enum_value("UNKNOWN", description="No call was made yet.")


@strawberry.enum(description="Whether calls to a provider are let through.")
class CircuitState(Enum):
    """See the description."""

    CLOSED = strawberry.enum_value("CLOSED", description="Calls go through.")
    OPEN = strawberry.enum_value("OPEN", description="Calls fail at once: the provider rests.")
    HALF_OPEN = strawberry.enum_value("HALF_OPEN", description="Single calls try it again.")


@strawberry.enum(description="How exact a count is.")
class CountPrecision(Enum):
    """See the description."""

    EXACT = strawberry.enum_value("EXACT", description="As the provider counts.")
    AT_LEAST = strawberry.enum_value("AT_LEAST", description="There may be more.")


@strawberry.type(description="One text in one language.")
class LocalizedText:
    """See the description."""

    requirement = OPEN

    language: str = strawberry.field(
        description="BCP 47; `und` where the provider knows no languages."
    )
    text: str = strawberry.field(description="The text.")


class Localized(msgspec.Struct, frozen=True, gc=False):
    """What a `LocalizedText` shows: making one of those takes ten times as long."""

    language: str
    text: str


def localized(texts: Texts) -> list[Localized]:
    """Return a text in all its languages, in the provider's order."""
    return list(starmap(Localized, texts.by_language.items()))


@strawberry.type(description="A stretch of time; an end that is missing is open.")
class DateTimeRange:
    """See the description."""

    requirement = OPEN

    from_: DateTime | None = strawberry.field(name="from", description="Its first moment.")
    to: DateTime | None = strawberry.field(description="Its last moment.")


class Range(msgspec.Struct, frozen=True, gc=False):
    """What a `DateTimeRange` shows, likewise."""

    from_: datetime | None
    to: datetime | None


@strawberry.type(description="A count, and how exact it is.")
class Count:
    """See the description."""

    requirement = OPEN

    count: int = strawberry.field(description="The number.")
    precision: CountPrecision = strawberry.field(description="How exact it is.")


@strawberry.type(description="One test of a rule.")
class RuleCondition:
    """See the description."""

    requirement = OPEN

    path: str = strawberry.field(
        description="Where it stands in `native`: a JSON Pointer (RFC 6901)."
    )
    field: str = strawberry.field(description="What is looked at, in the provider's words.")
    operator: str = strawberry.field(description="How it is compared, in the provider's words.")
    values: list[JSON | None] = strawberry.field(description="What it is compared with.")


@strawberry.type(description="What decides who belongs to a segment.")
class SegmentRule:
    """See the description."""

    requirement = OPEN

    native: JSON = strawberry.field(description="The provider's own document.")
    expression: str | None = strawberry.field(
        description="The rule in one language for all providers; null until there is one."
    )
    conditions: list[RuleCondition] = strawberry.field(
        description="The tests of `native`, one by one; `path` tells how they combine."
    )


@strawberry.type(description="What a provider can do.")
class Capability:
    """See the description."""

    requirement = OPEN

    operation: str = strawberry.field(description="For example `SEGMENT_LIST`.")
    supported: bool = strawberry.field(
        description="False: asking for it is refused before anything is sent."
    )
    note: str | None = strawberry.field(description="What to know of it.")


@strawberry.type(description="A legal entity of a business customer.")
class LegalEntity:
    """See the description."""

    requirement = OPEN

    id: strawberry.ID = strawberry.field(
        description="Opaque, stable, unique over all providers. Not a node: `node` knows none."
    )
    name: str | None = strawberry.field(description="Its name.")
    external_id: str = strawberry.field(
        description="The provider's own id, unchanged: what `legalEntityId` takes."
    )


@strawberry.type(description="How a provider is doing, judged by the newest calls of this server.")
class ProviderHealth:
    """See the description."""

    requirement = OPEN

    status: HealthStatus = strawberry.field(description="The verdict.")
    circuit: CircuitState = strawberry.field(description="Whether calls are let through.")
    latency_ms_p50: float | None = strawberry.field(
        name="latencyMsP50",
        description="Half of the calls took at most this many milliseconds; rounded to 0.1.",
    )
    latency_ms_p95: float | None = strawberry.field(
        name="latencyMsP95",
        description="95 % of the calls took at most this many milliseconds; rounded to 0.1.",
    )
    last_success_at: DateTime | None = strawberry.field(description="When a call last went well.")
    last_error: str | None = strawberry.field(description="The code of the last failure.")


@strawberry.type(description="What a provider failed with.")
class SourceError:
    """See the description."""

    requirement = OPEN

    code: ErrorCode = strawberry.field(description="As in `errors[].extensions.code`.")
    message: str = strawberry.field(description="One sentence for people.")
    retryable: bool = strawberry.field(description="Asking again may help.")
    retry_after_ms: int | None = strawberry.field(
        description="Milliseconds after which the provider wants to be asked again, if it said."
    )
    upstream_status: int | None = strawberry.field(description="The provider's HTTP status.")
    request_id: str | None = strawberry.field(description="Look for this in the server's log.")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """See the description."""

    requirement = OPEN

    has_next_page: bool = strawberry.field(description="More rows follow.")
    has_previous_page: bool = strawberry.field(description="The page is not the first.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first row.")
    end_cursor: str | None = strawberry.field(
        description="Give this as `after` to get the next page."
    )
