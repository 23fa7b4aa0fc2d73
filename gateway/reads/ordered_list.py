"""Lists in an order of the gateway's own, over all providers.

Every provider's list is read to its end for every page. A cursor remembers where it stands by what
the row before it was, not by how many came before: rows that are made or deleted between two pages
are neither shown twice nor make others be missed.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from gateway.domain.entities import Ref
from gateway.errors import BadInput
from gateway.reads import cursor as cursors
from gateway.reads.cursor import START, Progress
from gateway.reads.merged_list import Connection, Identity, ListSource, Part, digest

T = TypeVar("T")

LONGEST_ORDERED = 20_000
"""Rows of one provider that are ranked at most."""

REMEMBERED = 3
"""Rows that a cursor names, where only their place in a provider's list ranks them."""

LONGEST_VALUE = 500
"""Characters of a text that rank a row: a cursor holds them."""

FORGED = "The cursor was not made by this gateway."


class Order(NamedTuple, Generic[T]):
    """By what rows are ranked; rows without a value come last in both directions."""

    by: Callable[[T], Any]
    """Returns a text, a whole number or None."""
    kind: type[str] | type[int]
    reverse: bool
    ref: Callable[[T], Ref]
    """Names a row: of equal values the first provider's come first, then the lesser id."""


class _Place(NamedTuple):
    """Where a row stands in an order."""

    value: Any
    provider: int
    key: str


async def ordered(
    listings: Sequence[ListSource[T]],
    first: int,
    after: str | None,
    *,
    of: Identity,
    order: Order[T],
) -> Connection[T]:
    """Return the next `first` rows of all lists in one order; a list too long is refused."""
    providers = {each.provider: place for place, each in enumerate(listings)}
    behind = None if after is None else _read_place(after, of, order, providers)
    parts = await _whole(listings)
    places: list[tuple[_Place, T]] = []
    for part in parts:
        for row in part.rows:
            value, ref = order.by(row), order.ref(row)
            value = value[:LONGEST_VALUE] if isinstance(value, str) else value
            places.append((_Place(value, providers[ref.provider], ref.key), row))
    places.sort(key=lambda each: each[0][1:])
    ranked = [each for each in places if each[0].value is not None]
    ranked.sort(key=lambda each: each[0].value, reverse=order.reverse)
    ranked += [each for each in places if each[0].value is None]
    start = 0
    if behind is not None:
        start = sum(not _is_behind(place, behind, reverse=order.reverse) for place, _ in ranked)

    def cursor(row: int) -> Progress:
        place = ranked[start + row][0]
        provider = listings[place.provider].provider
        return Progress(msgspec.json.encode((place.value, provider, place.key)).decode())

    rows = [row for _, row in ranked]
    return _page(parts, rows, start, first, after, of, cursor)


async def backwards(
    listings: Sequence[ListSource[T]],
    first: int,
    after: str | None,
    *,
    of: Identity,
    ref: Callable[[T], Ref],
) -> Connection[T]:
    """Return the next `first` rows of all lists one after the other, from their end.

    A provider's order is its own: nothing but a row's neighbours tells where it stood. A cursor
    names some, for the case that the last one is deleted.
    """
    progress = None if after is None else _progress(after, of)
    named = () if progress is None else _decoded(progress, tuple[tuple[str, str], ...])
    parts = await _whole(listings)
    rows = [row for part in reversed(parts) for row in reversed(part.rows)]
    places = {ref(row): place for place, row in enumerate(rows)}
    start = 0
    if progress is not None:
        known = [places[Ref(*each)] for each in named if Ref(*each) in places]
        # If all of them are gone, that many fewer rows stand in front.
        gone = max(progress.shown - len(named), 0)
        start = max(known) + 1 if known else min(gone, len(rows))

    def cursor(row: int) -> Progress:
        end = start + row + 1
        refs = [ref(each) for each in rows[max(end - REMEMBERED, 0) : end]]
        named = [(each.provider, each.key) for each in refs]
        return Progress(msgspec.json.encode(named).decode(), end)

    return _page(parts, rows, start, first, after, of, cursor)


async def _whole(listings: Sequence[ListSource[T]]) -> Sequence[Part[T]]:
    """Read all lists to their ends. A provider that fails contributes nothing."""
    parts = [Part(listing, START) for listing in listings]
    await asyncio.gather(*(part.ask(LONGEST_ORDERED, with_total=False) for part in parts))
    for part in parts:
        if part.error is None and not part.is_done:
            raise BadInput(
                f"Provider {part.listing.provider!r} has too many rows to be sorted here; "
                "use the order PROVIDER, or a filter."
            )
    return parts


def _page(  # noqa: PLR0913, PLR0917  # what both orders have in common
    parts: Sequence[Part[T]],
    rows: Sequence[T],
    start: int,
    first: int,
    after: str | None,
    of: Identity,
    progress: Callable[[int], Progress],
) -> Connection[T]:
    shown = rows[start : start + first]

    def cursor(row: int) -> str:
        return cursors.write(digest(of), {"": progress(row)})

    sources = [part.source for part in parts]
    failed = [part.error for part in parts if part.error]
    return Connection(
        shown,
        cursor,
        lambda: cursor(len(shown) - 1) if shown else after,
        lambda: sources,
        has_next=start + len(shown) < len(rows),
        has_previous=after is not None,
        total=None if failed else len(rows),
        failure=failed[0] if failed else None,
    )


def _is_behind(place: _Place, other: _Place, *, reverse: bool) -> bool:
    """Tell whether a place comes after another one."""
    if place.value == other.value:
        return place[1:] > other[1:]
    if place.value is None or other.value is None:
        return place.value is None
    is_greater: bool = place.value > other.value
    return is_greater is not reverse


def _read_place(after: str, of: Identity, order: Order[T], providers: Mapping[str, int]) -> _Place:
    """Return the place that a cursor of this order remembers. Raises `BadInput`."""
    progress = _progress(after, of)
    value, provider, key = _decoded(progress, tuple[str | int | None, str, str])
    if (value is not None and type(value) is not order.kind) or provider not in providers:
        raise BadInput(FORGED)
    return _Place(value, providers[provider], key)


def _progress(after: str, of: Identity) -> Progress:
    progress = cursors.read(digest(of), after).get("")
    if progress is None:
        raise BadInput(FORGED)
    return progress


def _decoded(progress: Progress, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(progress.position or "", type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadInput(FORGED) from error
