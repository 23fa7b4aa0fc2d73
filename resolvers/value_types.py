"""Scalars, enums, and small object types that refer to no node."""

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
from gateway.domain.sizes import SizeInterval
from gateway.domain.texts import Texts
from resolvers.error_codes import ErrorCode
from resolvers.field_permissions import OPEN
from resolvers.schema_directives import NULL_ONLY_ON_ERROR
from resolvers.times import show_time, show_times

__all__ = [
    "AssignmentKind",
    "AssignmentState",
    "DataOrigin",
    "ItemType",
    "MembershipKind",
    "SegmentSortKey",
    "SegmentStatus",
    "SizeInterval",
]

ALL_AT_ONCE: Mapping[Any, Callable[[Sequence[Any]], Sequence[Any]]] = {show_time: show_times}
"""Serializers of one value, mapped to those of many values, in order; None stays None.

It raises if any value is not of the scalar's type.
"""


def _read_time(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise GraphQLError("A DateTime is a string like 2026-01-31T09:30:00Z.") from None


def _read_time_literal(node: ValueNode, _: Mapping[str, Any] | None = None) -> datetime:
    """Parse a literal; an error has its location in the document."""
    try:
        return _read_time(node.value if isinstance(node, StringValueNode) else None)
    except GraphQLError as error:
        raise GraphQLError(error.message, node) from None


DateTime = NewType("DateTime", datetime)
DATE_TIME = strawberry.scalar(
    name="DateTime",
    description="A point in time: ISO 8601 in UTC, with milliseconds: `2026-01-31T09:30:00.000Z`. "
    "On input, any offset is accepted; without an offset, UTC is assumed.",
    serialize=show_time,
    parse_value=_read_time,
    parse_literal=_read_time_literal,
)


def describe(enum: EnumMeta, name: str, description: str, values: Mapping[str, str]) -> None:
    """Add an enum of the domain to the schema, with a description for each value."""
    schema_enum = strawberry.enum(enum, name=name, description=description)
    for value in schema_enum.__strawberry_definition__.values:  # type: ignore[attr-defined]  # Strawberry adds it
        value.description = values[value.name]


describe(
    MembershipKind,
    "MembershipKind",
    "How a segment gets its members.",
    {
        "MANUAL": "A list maintained by hand, or fixed at creation.",
        "RULE": "Computed by the provider from a rule.",
        "TAG": "A (type, value) pair that customers are tagged with.",
        "UNKNOWN": "The provider reports a value that this gateway does not know.",
    },
)
describe(
    SegmentStatus,
    "SegmentStatus",
    "Whether a segment is enabled.",
    {
        "ACTIVE": "Enabled; also every segment of a provider without such a status.",
        "INACTIVE": "Disabled.",
        "UNKNOWN": "The provider reports a value that this gateway does not know.",
    },
)
describe(
    DataOrigin,
    "DataOrigin",
    "Where data comes from.",
    {
        "LIVE": "The provider, during this request.",
        "CACHED": "A recent reply of the provider, from the cache.",
        "STALE": "An expired reply, served because the provider fails now.",
        "RECORDED": "The gateway's own store: what it wrote to the provider.",
    },
)
describe(
    AssignmentKind,
    "AssignmentKind",
    "How an assignment came about.",
    {
        "MANUAL": "The customer was assigned explicitly.",
        "AUTOMATIC": "The customer was assigned by a rule.",
        "UNKNOWN": "The provider does not report it.",
    },
)
describe(
    AssignmentState,
    "AssignmentState",
    "Whether the provider has confirmed an assignment.",
    {
        "CONFIRMED": "The provider has confirmed it.",
        "PENDING": "It is being sent to the provider.",
        "UNCONFIRMED": "It was sent; the outcome is unknown.",
    },
)
describe(
    ItemType,
    "ItemType",
    "The type of an item of a segment.",
    {
        "PRODUCT": "A product.",
        "CATEGORY": "A category of products.",
        "UNKNOWN": "The provider reports a value that this gateway does not know.",
    },
)
describe(
    SizeInterval,
    "SizeInterval",
    "What one point of a history stands for.",
    {"HOUR": "One hour of UTC.", "DAY": "One day of UTC."},
)
describe(
    SegmentSortKey,
    "SegmentSortKey",
    "The order of a list of segments. Segments without the value come last in both directions.",
    {
        "PROVIDER": "Providers in configuration order, each in its own order. The cheapest.",
        "NAME": "By name in the caller's language, ignoring case.",
        "CREATED_AT": "By creation time.",
        "UPDATED_AT": "By time of the last update.",
        "PRIORITY": "By priority, the winning segment first.",
        "MEMBERS_COUNT": "By number of members, the smallest first; costs a call per segment, for "
        "up to `limits.counted_segments` segments. Needs `assignments:read`.",
    },
)


@strawberry.enum(description="The health of a provider, judged by its latest calls.")
class HealthStatus(Enum):
    """See the description."""

    UP = strawberry.enum_value("UP", description="The latest calls succeeded.")
    DEGRADED = strawberry.enum_value("DEGRADED", description="Some of the latest calls failed.")
    DOWN = strawberry.enum_value("DOWN", description="Most of the latest calls failed.")
    UNKNOWN = strawberry.enum_value("UNKNOWN", description="No calls have been made yet.")


@strawberry.enum(description="The state of a provider's circuit breaker.")
class CircuitState(Enum):
    """See the description."""

    CLOSED = strawberry.enum_value("CLOSED", description="Calls are sent.")
    OPEN = strawberry.enum_value("OPEN", description="Calls fail immediately; nothing is sent.")
    HALF_OPEN = strawberry.enum_value(
        "HALF_OPEN", description="Single calls probe whether the provider has recovered."
    )


@strawberry.enum(description="The precision of a count.")
class CountPrecision(Enum):
    """See the description."""

    EXACT = strawberry.enum_value("EXACT", description="The exact number.")
    AT_LEAST = strawberry.enum_value("AT_LEAST", description="A lower bound.")


@strawberry.type(description="One text in one language.")
class LocalizedText:
    """See the description."""

    requirement = OPEN

    language: str = strawberry.field(
        description="BCP 47 tag; `und` if the provider does not support languages."
    )
    text: str = strawberry.field(description="The text.")


class Localized(msgspec.Struct, frozen=True, gc=False):
    """The value of a `LocalizedText`, whose own constructor takes ten times as long."""

    language: str
    text: str


def localized(texts: Texts) -> list[Localized]:
    """Return a text in all languages, in the provider's order."""
    return list(starmap(Localized, texts.by_language.items()))


@strawberry.type(description="A period of time; a missing bound is open.")
class DateTimeRange:
    """See the description."""

    requirement = OPEN

    from_: DateTime | None = strawberry.field(name="from", description="The start, inclusive.")
    to: DateTime | None = strawberry.field(description="The end, inclusive.")


class Range(msgspec.Struct, frozen=True, gc=False):
    """The value of a `DateTimeRange`, for the same reason."""

    from_: datetime | None
    to: datetime | None


@strawberry.type(description="A count and its precision.")
class Count:
    """See the description."""

    requirement = OPEN

    count: int = strawberry.field(description="The number.")
    precision: CountPrecision = strawberry.field(description="Whether the number is exact.")


@strawberry.type(description="One condition of a rule.")
class RuleCondition:
    """See the description."""

    requirement = OPEN

    path: str = strawberry.field(
        description="Its location in `native`: a JSON Pointer (RFC 6901)."
    )
    field: str = strawberry.field(
        description="The field that is compared, as the provider names it."
    )
    operator: str = strawberry.field(description="The operator, as the provider names it.")
    values: list[JSON | None] = strawberry.field(description="The values it is compared with.")


@strawberry.type(description="The rule that decides which customers belong to a segment.")
class SegmentRule:
    """See the description."""

    requirement = OPEN

    native: JSON = strawberry.field(description="The rule in the provider's own format.")
    expression: str | None = strawberry.field(
        description="Reserved for a rule language common to all providers; null for now."
    )
    conditions: list[RuleCondition] = strawberry.field(
        description="The conditions in `native` as a flat list; `path` shows how they combine."
    )


@strawberry.type(description="An operation, and whether a provider supports it.")
class Capability:
    """See the description."""

    requirement = OPEN

    operation: str = strawberry.field(description="For example `SEGMENT_LIST`.")
    supported: bool = strawberry.field(
        description="If false, the operation is refused before anything is sent."
    )
    note: str | None = strawberry.field(description="A limitation or peculiarity.")


@strawberry.type(description="A legal entity of a business customer.")
class LegalEntity:
    """See the description."""

    requirement = OPEN

    id: strawberry.ID = strawberry.field(
        description="Opaque, stable, and unique across providers: a value for `legalEntityId`. "
        "`node` does not accept it."
    )
    name: str | None = strawberry.field(description="Its name.")
    external_id: str = strawberry.field(
        description="The provider's own id, unchanged: a value for `legalEntityId`, too."
    )


@strawberry.type(
    description="The health of a provider, judged by the newest calls of all processes together."
)
class ProviderHealth:
    """See the description."""

    requirement = OPEN

    status: HealthStatus = strawberry.field(description="The overall status.")
    circuit: CircuitState = strawberry.field(
        description="The state of the circuit breaker: the worst among the processes."
    )
    latency_ms_p50: float | None = strawberry.field(
        name="latencyMsP50",
        description="Median latency of the calls in milliseconds, rounded to 0.1.",
    )
    latency_ms_p95: float | None = strawberry.field(
        name="latencyMsP95",
        description="95th percentile of the latency in milliseconds, rounded to 0.1.",
    )
    last_success_at: DateTime | None = strawberry.field(
        description="The time of the last successful call."
    )
    last_error: str | None = strawberry.field(
        description="The error code of the last failed call."
    )


@strawberry.type(description="The error of a provider that failed.")
class SourceError:
    """See the description."""

    requirement = OPEN

    code: ErrorCode = strawberry.field(
        description="The same code as in `errors[].extensions.code`."
    )
    message: str = strawberry.field(description="A human-readable message.")
    retryable: bool = strawberry.field(
        description="Whether repeating the request later may succeed."
    )
    retry_after_ms: int | None = strawberry.field(
        description="How many milliseconds to wait before a retry, if the provider says so."
    )
    upstream_status: int | None = strawberry.field(
        description="The HTTP status of the provider's reply."
    )
    request_id: str | None = strawberry.field(
        description="The id to search for in the server's log.",
        directives=[NULL_ONLY_ON_ERROR],
    )


@strawberry.type(description="The position of a page in its list.")
class PageInfo:
    """See the description."""

    requirement = OPEN

    has_next_page: bool = strawberry.field(description="Whether more rows follow.")
    has_previous_page: bool = strawberry.field(description="Whether rows precede this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first row.")
    end_cursor: str | None = strawberry.field(
        description="Pass this as `after` to get the next page."
    )
