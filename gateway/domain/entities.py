"""What the gateway speaks of: segments, customers, assignments. Frozen values, no I/O.

Times are aware and in UTC. Empty is empty, unknown is None or UNKNOWN; nothing is guessed.

A list makes thousands of these: structs cost a sixth of named tuples, and the garbage collector
need not look at them, for none leads back to itself (`gc=False`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum, StrEnum
from functools import cached_property, lru_cache
from typing import Any, Generic, NamedTuple, SupportsBytes, TypeVar, final

import msgspec

T = TypeVar("T")

UNDETERMINED = "und"
"""BCP 47 for "not determined": what texts of providers without languages are filed under."""


@final
class Ref(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One thing at one provider: the provider's key and the provider's own id of the thing."""

    provider: str
    key: str


class AssignmentRef(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The link of one customer to one segment, in B2B through one legal entity."""

    provider: str
    segment: str
    customer: str
    legal_entity: str | None = None


class Membership(StrEnum):
    """How a segment gets its members. It has an order, so that a set of it has one spelling."""

    MANUAL = "MANUAL"
    RULE = "RULE"
    TAG = "TAG"
    UNKNOWN = "UNKNOWN"


class Status(Enum):
    """Whether a segment is switched on. A provider without a switch has only ACTIVE segments."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    UNKNOWN = "UNKNOWN"


class Origin(Enum):
    """Where a fact comes from: the provider now, a copy of it, or the gateway's own record."""

    LIVE = "LIVE"
    CACHED = "CACHED"
    STALE = "STALE"
    RECORDED = "RECORDED"


class AssignmentKind(Enum):
    """Who made an assignment: a person, or a rule."""

    MANUAL = "MANUAL"
    AUTOMATIC = "AUTOMATIC"
    UNKNOWN = "UNKNOWN"


class AssignmentState(Enum):
    """How sure it is: UNCONFIRMED was sent, and its outcome is unknown."""

    CONFIRMED = "CONFIRMED"
    PENDING = "PENDING"
    UNCONFIRMED = "UNCONFIRMED"


class ItemKind(Enum):
    """What an item of a segment is."""

    PRODUCT = "PRODUCT"
    CATEGORY = "CATEGORY"
    UNKNOWN = "UNKNOWN"


class Texts(msgspec.Struct, frozen=True, gc=False):
    """One text in several languages: language tag (BCP 47) to text, and the provider's default."""

    by_language: Mapping[str, str]
    default: str = UNDETERMINED

    def best(self, languages: Sequence[str]) -> str | None:
        """Return the text in the first language there is: asked, its base, default, any."""
        texts = self.by_language
        if len(texts) > 1:
            for tag in _preferred(tuple(languages), tuple(texts)) if languages else ():
                if texts[tag]:
                    return texts[tag]
            if found := texts.get(self.default):
                return found
        return next(iter(texts.values()), None)


def best_texts(of: Iterable[Texts], languages: Sequence[str]) -> list[str | None]:
    """Return the `best` of each: a list shows thousands, most alone or in the first language."""
    wanted = languages[0] if languages else None
    found: list[str | None] = []
    for each in of:
        texts = each.by_language
        if len(texts) == 1:
            (text,) = texts.values()
            found.append(text)
        else:
            found.append(texts.get(wanted or each.default) or each.best(languages))
    return found


@lru_cache(maxsize=256)  # the rows of a list mostly have the same languages
def _preferred(languages: tuple[str, ...], known: tuple[str, ...]) -> Sequence[str]:
    """Return those of the known tags that are wanted, best first.

    The case of a tag does not matter (RFC 5646, 2.1.1), but where two differ in nothing else.
    """
    told = {tag.lower(): tag for tag in reversed(known)}
    wanted = [tag for each in languages for tag in (each, each.partition("-")[0])]
    return [tag if tag in known else told[tag.lower()] for tag in wanted if tag.lower() in told]


NO_TEXTS = Texts({})


def plain(text: str | None) -> Texts:
    """Return a text of a provider that knows no languages."""
    return Texts({UNDETERMINED: text}) if text is not None else NO_TEXTS


class Condition(msgspec.Struct, frozen=True, gc=False):
    """One test of a rule: `path` is a JSON Pointer (RFC 6901) into the provider's own document."""

    path: str
    field: str
    operator: str
    values: tuple[Any, ...]


class Rule(msgspec.Struct, frozen=True, gc=False):
    """What decides who belongs: the provider's own document, and how to read it as conditions."""

    native: Mapping[str, Any]
    flatten: Callable[[Mapping[str, Any]], Sequence[Condition]]


class Segment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A group of customers at one provider."""

    ref: Ref
    names: Texts
    descriptions: Texts = NO_TEXTS
    membership: Membership
    emits_membership_events: bool = False
    status: Status = Status.ACTIVE
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    site_code: str | None = None
    priority: int | None = None
    rule: Rule | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: int | None = None
    attributes: Mapping[str, Any] | None = None
    raw: SupportsBytes | None = None
    origin: Origin = Origin.LIVE
    fetched_at: datetime | None = None
    """When the provider told it; None: just now."""
    is_partial: bool = False
    """Only `ref` and `names` were told; whoever needs more reads the segment itself."""

    def is_active(self, now: datetime) -> bool:
        """Tell whether the segment is switched on and valid at this moment, both ends included."""
        return (
            self.status is Status.ACTIVE
            and (self.valid_from is None or self.valid_from <= now)
            and (self.valid_to is None or now <= self.valid_to)
        )


class CustomerKey(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One name that a provider knows a customer by: `kind` is the provider's word for it."""

    kind: str
    value: str


class Customer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A person or company at one provider. `ref` has the canonical one of the `keys`."""

    ref: Ref
    keys: tuple[CustomerKey, ...]
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    attributes: Mapping[str, Any] | None = None
    raw: SupportsBytes | None = None
    origin: Origin = Origin.LIVE
    fetched_at: datetime | None = None
    """When the provider told it; None: just now."""


class Assignment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The link between one customer and one segment, as far as the provider told it."""

    ref: AssignmentRef
    legal_entity_name: str | None = None
    kind: AssignmentKind = AssignmentKind.UNKNOWN
    state: AssignmentState = AssignmentState.CONFIRMED
    origin: Origin = Origin.LIVE
    fetched_at: datetime | None = None
    """When the provider told it; None: just now."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: int | None = None
    segment: Segment | None = None
    """The segment, when the same answer told it."""
    customer: Customer | None = None
    """The whole customer, when the same answer told it."""
    is_partial: bool = False
    """Only that the link exists was told, not how or when it came about."""


class Item(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A product or category that belongs to a segment."""

    key: str
    kind: ItemKind
    code: str | None = None
    names: Texts = NO_TEXTS
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def ref(self) -> tuple[ItemKind, str]:
        """What tells it from the segment's other items."""
        return self.kind, self.key


class Limit(NamedTuple):
    """A documented bound of a provider; `maximum` in things of the name."""

    name: str
    maximum: int


class SegmentQuery(msgspec.Struct, frozen=True):
    """What listed segments must be like: all given parts must hold.

    `name_contains` ignores case and looks at every language. `native` is the provider's own query
    language. The two times are exclusive.
    """

    name_contains: str | None = None
    membership: frozenset[Membership] | None = None
    status: Status | None = None
    site_code: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    native: str | None = None

    def holds(self, segment: Segment) -> bool:
        """Tell whether a segment has all parts but `native`, which only the provider can judge."""
        if self.membership is not None and segment.membership not in self.membership:
            return False
        if self.status is not None and segment.status is not self.status:
            return False
        if self.site_code is not None and segment.site_code != self.site_code:
            return False
        if self.name_contains is not None:
            wanted = self.name_contains.casefold()
            if not any(wanted in text.casefold() for text in segment.names.by_language.values()):
                return False
        created = segment.created_at
        if self.created_after is not None and (created is None or created <= self.created_after):
            return False
        return self.created_before is None or (
            created is not None and created < self.created_before
        )

    @property
    def is_local(self) -> bool:
        """True when some part can be judged by `holds`."""
        return any(getattr(self, name) is not None for name in self.__struct_fields__[:-1])


EVERY_SEGMENT = SegmentQuery()


class SegmentFilter(msgspec.Struct, frozen=True):
    """Which segments of which providers a list shows: all given parts must hold."""

    query: SegmentQuery = EVERY_SEGMENT
    providers: tuple[str, ...] | None = None
    refs: tuple[Ref, ...] | None = None
    customer: Ref | None = None
    native_of: str | None = None
    """The provider whose language `query.native` is in."""


class SortKey(Enum):
    """By what listed segments are ranked; PROVIDER is each provider's own order."""

    PROVIDER = "PROVIDER"
    NAME = "NAME"
    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"
    PRIORITY = "PRIORITY"


class CustomerQuery(msgspec.Struct, frozen=True):
    """What listed customers must be like; the email is compared whole."""

    email: str | None = None


EVERY_CUSTOMER = CustomerQuery()


class CustomerFilter(msgspec.Struct, frozen=True):
    """Which customers of which providers a list shows: all given parts must hold."""

    query: CustomerQuery = EVERY_CUSTOMER
    providers: tuple[str, ...] | None = None
    key: str | None = None
    """Any key that the provider knows the customer by."""
    segment: Ref | None = None


class PageRequest(NamedTuple):
    """What is asked of a list: at most `size` rows from `position` on (None: from the start)."""

    size: int
    position: str | None = None
    with_total: bool = False


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True, dict=True):
    """A stretch of a provider's list, in the provider's order.

    It may be shorter than asked though more follows; `is_last` alone says that nothing does.
    `position_after(i)` is where the list goes on behind row i, in the adapter's own notation.
    `total` counts the whole list as the provider tells it, None when it does not.
    """

    rows: Sequence[T]
    position_after: Callable[[int], str]
    is_last: bool
    total: int | None = None
    origin: Origin | None = Origin.LIVE
    """None when nobody was asked."""
    fetched_at: datetime | None = None
    """When the provider told it; None: just now."""
    end: str | None = None
    """Where the list goes on behind the page, unless that is behind its last row."""

    @cached_property
    def refs(self) -> frozenset[Any]:
        """What tells its rows apart; fewer than rows where one stands there twice."""
        return frozenset(_refs(self.rows))

    @cached_property
    def is_distinct(self) -> bool:
        """Whether none of its rows stands there twice."""
        return len(_refs(self.rows)) == len(self.rows)

    @property
    def goes_on_at(self) -> str | None:
        """Where the list goes on behind this page; None where nothing tells."""
        if self.end is not None:
            return self.end
        return self.position_after(len(self.rows) - 1) if self.rows else None


def ref_of(row: Any) -> Any:
    """Return what tells a row from the others of its list."""
    return getattr(row, "ref", row)


def _refs(rows: Iterable[Any]) -> set[Any]:
    try:
        return {row.ref for row in rows}  # all but a few have one; a call for each is dear
    except AttributeError:
        return set(map(ref_of, rows))


def whole(rows: Iterable[T]) -> Page[T]:
    """Return a list that is known to its end as one page; positions are counts of rows."""
    kept = tuple(rows)
    return Page(rows=kept, position_after=lambda i: str(i + 1), is_last=True, total=len(kept))
