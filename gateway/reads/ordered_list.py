"""Lists of all providers, sorted by the gateway.

Every page reads every provider's list to its end. A cursor identifies the row before it, not a
number of rows: rows created or deleted between two pages cause no duplicates and no gaps.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from gateway.domain.entities import Ref
from gateway.errors import BadInput
from gateway.reads import cursor as cursors
from gateway.reads.cursor import START, Progress
from gateway.reads.merged_list import Connection, Identity, ListSource, Part, digest

T = TypeVar("T")

MAX_SORTED_ROWS = 20_000
"""The largest number of rows of one provider that are sorted."""

CURSOR_ROWS = 3
"""The number of rows in a cursor when only their position in a list orders them."""

MAX_VALUE_LENGTH = 500
"""The number of characters of a text that are compared: a cursor contains them."""

INVALID_CURSOR = "The cursor was not made by this gateway."


class Order(NamedTuple, Generic[T]):
    """An order of rows; rows without a value come last in both directions."""

    by: Callable[[T], Any]
    """Returns a text, an integer or None."""
    kind: type[str] | type[int]
    reverse: bool
    ref: Callable[[T], Ref]
    """Identifies a row: equal values are ordered by provider, then by id."""
    prepare: Callable[[Sequence[Part[T]]], Awaitable[None]] | None = None
    """Reads what `by` needs, when all rows are known."""


class _SortKey(NamedTuple):
    """What orders a row."""

    value: Any
    provider: int
    key: str


async def sorted_page(
    sources: Sequence[ListSource[T]],
    first: int,
    after: str | None,
    *,
    of: Identity,
    order: Order[T],
) -> Connection[T]:
    """Return the next `first` rows of all lists in one order.

    Raises `BadInput` if one of the lists is too long.
    """
    providers = {each.provider: index for index, each in enumerate(sources)}
    last = None if after is None else _read_sort_key(after, of, order, providers)
    parts = await _read_all(sources)
    if order.prepare is not None:
        await order.prepare(parts)
    keyed: list[tuple[_SortKey, T]] = []
    for part in parts:
        for row in part.rows:
            value, ref = order.by(row), order.ref(row)
            value = value[:MAX_VALUE_LENGTH] if isinstance(value, str) else value
            keyed.append((_SortKey(value, providers[ref.provider], ref.key), row))
    keyed.sort(key=lambda each: each[0][1:])
    ranked = [each for each in keyed if each[0].value is not None]
    ranked.sort(key=lambda each: each[0].value, reverse=order.reverse)
    ranked += [each for each in keyed if each[0].value is None]
    start = 0
    if last is not None:
        start = sum(not _is_after(key, last, reverse=order.reverse) for key, _ in ranked)

    def cursor(row: int) -> Progress:
        key = ranked[start + row][0]
        provider = sources[key.provider].provider
        return Progress(msgspec.json.encode((key.value, provider, key.key)).decode())

    rows = [row for _, row in ranked]
    return _page(parts, rows, start, first, after, of, cursor)


async def reversed_page(
    sources: Sequence[ListSource[T]],
    first: int,
    after: str | None,
    *,
    of: Identity,
    ref: Callable[[T], Ref],
) -> Connection[T]:
    """Return the next `first` rows of all lists one after the other, from their end.

    In a provider's own order only its neighbours identify a row's position. A cursor contains
    several rows, in case the last one is deleted.
    """
    progress = None if after is None else _progress(after, of)
    last_refs = () if progress is None else _decoded(progress, tuple[tuple[str, str], ...])
    parts = await _read_all(sources)
    rows = [row for part in reversed(parts) for row in reversed(part.rows)]
    indexes = {ref(row): index for index, row in enumerate(rows)}
    start = 0
    if progress is not None:
        remaining = [indexes[Ref(*each)] for each in last_refs if Ref(*each) in indexes]
        # If all of them were deleted, that many fewer rows come before.
        before = max(progress.shown - len(last_refs), 0)
        start = max(remaining) + 1 if remaining else min(before, len(rows))

    def cursor(row: int) -> Progress:
        end = start + row + 1
        refs = [ref(each) for each in rows[max(end - CURSOR_ROWS, 0) : end]]
        pairs = [(each.provider, each.key) for each in refs]
        return Progress(msgspec.json.encode(pairs).decode(), end)

    return _page(parts, rows, start, first, after, of, cursor)


async def _read_all(sources: Sequence[ListSource[T]]) -> Sequence[Part[T]]:
    """Read all lists to their ends. A provider that fails contributes nothing."""
    parts = [Part(source, START) for source in sources]
    await asyncio.gather(*(part.try_read(MAX_SORTED_ROWS, with_total=False) for part in parts))
    for part in parts:
        if part.error is None and not part.is_done:
            raise BadInput(
                f"Provider {part.list_source.provider!r} has too many rows to be sorted here; "
                "use the order PROVIDER, or a filter."
            )
    return parts


def _page(  # noqa: PLR0913, PLR0917  # the parts of both orders
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


def _is_after(key: _SortKey, other: _SortKey, *, reverse: bool) -> bool:
    """Return whether a row with this key comes after one with the other."""
    if key.value == other.value:
        return key[1:] > other[1:]
    if key.value is None or other.value is None:
        return key.value is None
    is_greater: bool = key.value > other.value
    return is_greater is not reverse


def _read_sort_key(
    after: str, of: Identity, order: Order[T], providers: Mapping[str, int]
) -> _SortKey:
    """Return the sort key in a cursor of this order. Raises `BadInput`."""
    progress = _progress(after, of)
    value, provider, key = _decoded(progress, tuple[str | int | None, str, str])
    if (value is not None and type(value) is not order.kind) or provider not in providers:
        raise BadInput(INVALID_CURSOR)
    return _SortKey(value, providers[provider], key)


def _progress(after: str, of: Identity) -> Progress:
    progress = cursors.read(digest(of), after).get("")
    if progress is None:
        raise BadInput(INVALID_CURSOR)
    return progress


def _decoded(progress: Progress, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(progress.position or "", type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadInput(INVALID_CURSOR) from error
