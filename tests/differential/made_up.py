"""A made-up schema over made-up values: everything that can go wrong does, depending on the value.

Its fields are declared as those of the gateway are (`field_declarations`). A `Thing` is a number;
what its fields do follows from it, so that both executors meet the same trouble.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

import strawberry
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig

from gateway.errors import BadInput, GatewayError
from resolvers.field_declarations import (
    Shortcut,
    View,
    attribute,
    computed,
    computed_all,
    read,
    read_all,
)
from resolvers.lookahead import FieldInfo
from resolvers.value_types import DATE_TIME, DateTime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CALLS: list[int] = []
"""For how many `many` was called, each time."""

SHOWN: list[int] = []
"""The homes whose address was got."""


@strawberry.enum
class Colour(Enum):
    """An enum whose values are not its names."""

    RED = 1
    BLUE = 2


@strawberry.enum
class Size(Enum):
    """An enum that shows another name than Python's."""

    SMALL = strawberry.enum_value("s", name="LITTLE")
    LARGE = strawberry.enum_value("l")


class Thing(NamedTuple):
    """A value; `trouble` of 0 is a world without errors, 100 one of nothing else."""

    number: int
    trouble: int = 0

    def goes_wrong(self, salt: int) -> int:
        """Return 0, or a number for the kind of trouble that one of its fields is in."""
        mixed = (self.number * 2654435761 + salt * 40503) % 1000003
        return mixed % 7 + 1 if mixed % 100 < self.trouble else 0

    def next(self, salt: int) -> "Thing":
        """Return another thing."""
        return Thing((self.number * 31 + salt) % 1009, self.trouble)

    def wrong(self, salt: int, value: Any) -> Any:
        """Return the value, or what stands there in trouble; or raise."""
        kind = self.goes_wrong(salt)
        if kind == 1:
            raise BadInput(f"trouble with {self.number}")
        if kind == 2:
            raise ZeroDivisionError
        if kind in {3, 4}:
            return None
        if kind == 5:
            return BadInput(f"an error for {self.number}")
        if kind == 6 and not isinstance(value, (Thing, list)):
            return object()
        return value

    @property
    def text(self) -> Any:
        """A field."""
        return self.wrong(1, f"thing {self.number}")

    @property
    def sure(self) -> Any:
        """A field."""
        return self.wrong(2, f"surely {self.number}")

    @property
    def whole(self) -> Any:
        """A field."""
        return self.wrong(3, self.number if self.number % 5 else 2**40)

    @property
    def part(self) -> Any:
        """A field."""
        return self.wrong(4, self.number / 3)

    @property
    def holds(self) -> Any:
        """A field."""
        return self.wrong(5, self.number % 2 == 0)

    @property
    def colour(self) -> Any:
        """A field."""
        return self.wrong(6, Colour(self.number % 2 + 1))

    @property
    def size(self) -> Any:
        """A field."""
        return self.wrong(7, Size.SMALL if self.number % 2 else Size.LARGE)

    @property
    def when(self) -> Any:
        """A field; all alike in whole seconds, or with parts of one in all or some."""
        parts = {0: 0, 1: 500_000, 2: self.number % 2 * 250_000, 3: self.number % 1000}
        return self.wrong(24, EPOCH + timedelta(0, self.number, parts[self.trouble % 4]))

    @property
    def texts(self) -> Any:
        """A field."""
        return self.wrong(8, [self.next(i).wrong(9, f"t{i}") for i in range(self.number % 4)])

    @property
    def lists(self) -> Any:
        """A field."""
        return self.wrong(
            10,
            [
                self.next(i).wrong(11, [self.next(j) for j in range(self.number % 3)])
                for i in range(self.number % 4)
            ],
        )

    @property
    def own(self) -> Any:
        """A field."""
        return self.wrong(12, self.next(12))

    @property
    def must(self) -> Any:
        """A field."""
        return self.wrong(13, self.next(13))

    @property
    def all_must(self) -> Any:
        """A field."""
        return self.wrong(14, [self.next(i).wrong(15, self.next(i)) for i in range(3)])


class Home:
    """A value that is compared by identity, and stands for many things."""

    def __init__(self, number: int) -> None:
        """Have a number."""
        self.number = number

    @property
    def address(self) -> Any:
        """A field; it fails in one of the homes."""
        SHOWN.append(self.number)
        if self.number == 3:
            raise BadInput("trouble at home")
        return f"home {self.number}"

    @property
    def first(self) -> Thing:
        """A field."""
        return Thing(self.number)


HOMES = [Home(number) for number in range(4)]


def homes(things: Sequence[Thing]) -> Sequence[Any]:
    """Return where each lives: in a good home where there is no trouble."""
    return [HOMES[thing.number % (4 if thing.trouble else 3)] for thing in things]


class Other(NamedTuple):
    """The value of another type."""

    number: int
    trouble: int = 0


def times(thing: Thing, info: FieldInfo, by: int = 2) -> Any:  # noqa: ARG001  # the form of such a function
    """Return something that takes an argument."""
    return thing.wrong(16, thing.number * by % 100_000)


def mentioned(thing: Thing, info: FieldInfo) -> str:
    """Return what is selected beside."""
    return f"{thing.number}: {sorted(info.selection.names())}"


async def read_one(thing: Thing, info: FieldInfo, step: int = 1) -> Any:  # noqa: ARG001  # the form of such a function
    """Read one thing, after a while."""
    for _ in range((thing.number + step) % 3):
        await asyncio.sleep(0)
    result = thing.wrong(17, thing.next(step))
    if isinstance(result, Exception):
        raise result
    return result


async def read_surely(thing: Thing, info: FieldInfo) -> Any:  # noqa: ARG001  # the form of such a function
    """Read what may not be missing."""
    await asyncio.sleep(0)
    result = thing.wrong(18, thing.next(18))
    if isinstance(result, Exception):
        raise result
    return result


async def next_of(things: Sequence[Thing], info: FieldInfo) -> Sequence[Any]:  # noqa: ARG001  # the form of such a function
    """Read for many at once; an error stands in its place."""
    CALLS.append(len(things))
    await asyncio.sleep(0)
    return [_settled(thing, 19) for thing in things]


async def surely_next_of(things: Sequence[Thing], info: FieldInfo) -> Sequence[Any]:  # noqa: ARG001  # the form of such a function
    """Read for many at once what may not be missing."""
    await asyncio.sleep(0)
    return [_settled(thing, 20) for thing in things]


async def labelled(
    things: Sequence[Thing],
    info: FieldInfo,  # noqa: ARG001  # as above
    prefix: str | None = "p",
) -> Sequence[Any]:
    """Read scalars for many at once."""
    return [
        result
        if isinstance(result := _settled(thing, 21), Exception) or result is None
        else f"{prefix}{result.number}"
        for thing in things
    ]


async def mixed(thing: Thing, info: FieldInfo) -> Sequence[Any]:  # noqa: ARG001  # the form of such a function
    """Read a list of several types, with errors in the middle."""
    await asyncio.sleep(0)
    return [
        Other(each.number, thing.trouble) if each.number % 2 else each.wrong(22, each)
        for each in map(thing.next, range(4))
    ]


def are_calm(things: Sequence[Thing]) -> bool:
    """Tell whether things know what they say."""
    return all(thing.goes_wrong(25) < 5 for thing in things)


def saying(thing: Thing) -> Any:
    """Return what a thing says."""
    return thing.whole if thing.goes_wrong(3) > 4 else thing.number


async def said_by(things: Sequence[Thing], info: FieldInfo) -> Sequence[Any]:  # noqa: ARG001  # the form of such a function
    """Read what things say."""
    CALLS.append(len(things))
    await asyncio.sleep(0)
    return [saying(thing) for thing in things]


async def seen_at(things: Sequence[Thing], info: FieldInfo) -> Sequence[Any]:  # noqa: ARG001  # the form of such a function
    """Read times for many at once."""
    return [_settled_time(thing) for thing in things]


def _settled_time(thing: Thing) -> Any:
    try:
        return thing.when
    except (GatewayError, ZeroDivisionError) as error:
        return error


def _settled(thing: Thing, salt: int) -> Any:
    try:
        result = thing.wrong(salt, thing.next(salt))
    except (GatewayError, ZeroDivisionError) as error:
        return error
    return result if isinstance(result, (Thing, Exception)) else None


@strawberry.interface
class Numbered(View):
    """What has a number."""

    value: strawberry.Private[Any]

    number: int = attribute("number", "")

    @classmethod
    def of(cls, value: Any) -> Any:
        """Show a value."""
        if cls is not Numbered:
            return cls(value=value)
        known = {Thing: ThingView, Other: OtherView}
        return known[type(value)](value=value)


@strawberry.type(name="Home")
class HomeView(View):
    """What stands for many things."""

    value: strawberry.Private[Home]

    number: int = attribute("number", "")
    address: str | None = attribute("address", "")
    first: "ThingView | None" = attribute("first", "")


@strawberry.type(name="Thing")
class ThingView(Numbered):
    """Every kind of field."""

    value: strawberry.Private[Thing]

    text: str | None = attribute("text", "")
    sure: str = attribute("sure", "")
    whole: int | None = attribute("whole", "")
    part: float | None = attribute("part", "")
    holds: bool | None = attribute("holds", "")
    colour: Colour | None = attribute("colour", "")
    size: Size = attribute("size", "")
    texts: list[str | None] | None = attribute("texts", "")
    sure_texts: list[str] | None = attribute("texts", "")
    lists: "list[list[ThingView] | None] | None" = attribute("lists", "")
    own: "ThingView | None" = attribute("own", "")
    must: "ThingView" = attribute("must", "")
    all_must: list["ThingView"] = attribute("all_must", "")
    some: "list[ThingView | None] | None" = attribute("all_must", "")
    doubled: int | None = computed(times, "")
    selected: str = computed(mentioned, "")
    at: DateTime | None = attribute("when", "")
    surely_at: DateTime = attribute("when", "")
    none_at: DateTime | None = computed(lambda _: None, "")
    seen: DateTime | None = read_all(seen_at, "")
    surely_seen: DateTime = read_all(seen_at, "")
    json: JSON | None = computed(lambda thing: {"n": [thing.number, None]}, "")
    home: HomeView = computed_all(homes, "")
    said: int | None = read_all(said_by, "", shortcut=Shortcut(are_calm, "", saying))
    surely_said: int = read_all(said_by, "", shortcut=Shortcut(are_calm, "", saying))
    one: "ThingView | None" = read(read_one, "")
    must_read: "ThingView" = read(read_surely, "")
    many: "ThingView | None" = read_all(next_of, "")
    many_must: "ThingView" = read_all(surely_next_of, "")
    labels: str | None = read_all(labelled, "")
    sure_labels: str = read_all(labelled, "")
    nodes: list[Numbered | None] | None = read(mixed, "")
    sure_nodes: list[Numbered] | None = read(mixed, "")


@strawberry.type(name="Other")
class OtherView(Numbered):
    """Another type of the interface."""

    value: strawberry.Private[Other]

    other: int | None = computed(lambda other: other.number, "")


def start(_: None, info: FieldInfo, number: int = 1, trouble: int = 0) -> Thing:  # noqa: ARG001  # the form of such a function
    """Return where to begin."""
    return Thing(number, trouble)


async def begin(_: None, info: FieldInfo, number: int = 1, trouble: int = 0) -> list[Thing]:  # noqa: ARG001  # the form of such a function
    """Return several to begin with."""
    await asyncio.sleep(0)
    return [Thing(number + i, trouble) for i in range(number % 4)]


async def begin_surely(_: None, info: FieldInfo, number: int = 1, trouble: int = 0) -> Any:  # noqa: ARG001  # the form of such a function
    """Return where to begin, or fail."""
    return _settled(Thing(number, trouble), 23)


@strawberry.type
class Query:
    """The root."""

    thing: ThingView | None = computed(start, "")
    things: list[ThingView] | None = read(begin, "")
    sure: ThingView = read(begin_surely, "")


SCHEMA = strawberry.Schema(
    query=Query,
    types=[ThingView, OtherView],
    config=StrawberryConfig(scalar_map={DateTime: DATE_TIME}),
)
