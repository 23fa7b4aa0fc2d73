"""Merge the lists of several providers into one, page by page, with one composite cursor.

The first page reads from every provider concurrently; a later one only from those whose rows can
be on it, one after the other. No row appears twice, and none is lost while nothing changes. A
provider that fails contributes nothing, is reported in the sources, and is called again for the
next page.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from gateway.domain.entities import Origin
from gateway.domain.lazy_rows import joined
from gateway.domain.pages import (
    MAX_CALLS_PER_PAGE,
    CompleteList,
    Page,
    PageRequest,
    complete_page,
    ref_of,
)
from gateway.errors import BadInput, GatewayError, LimitExceeded, Malformed
from gateway.providers.base.numbered_pages import number
from gateway.reads import cursor as cursors
from gateway.reads.cursor import START, Progress, State
from gateway.reads.source_rows import Source, countable, oldest, source_of

T = TypeVar("T")

FILTERED_PAGE = 250
"""The page size when the gateway filters the rows itself."""


class IncompletePage(Page[T], frozen=True, kw_only=True):
    """A page of a list some of whose rows could not be read."""

    error: GatewayError


class ListSource(msgspec.Struct, Generic[T], frozen=True):
    """One provider's part of a list."""

    provider: str
    page: Callable[[PageRequest], Awaitable[Page[T]]]
    holds: Callable[[T], bool] | None = None
    """The filter that the gateway applies to the provider's rows; None: there is none."""


def empty_list(provider: str) -> ListSource[Any]:
    """Return the list of a provider that cannot have such rows; it makes no call."""

    async def page(_: PageRequest) -> Page[Any]:
        return Page(rows=(), position_after=str, is_last=True, total=0, origin=None)

    return ListSource(provider, page)


def complete_list(
    provider: str, rows: Callable[[], Awaitable[Sequence[T]]], default: Origin = Origin.LIVE
) -> ListSource[T]:
    """Return a list that is read whole and paged here; `default` is its origin without rows."""

    async def read_page(request: PageRequest) -> Page[T]:
        start = number(request.position)
        all_rows = await rows()
        page = complete_page({ref_of(row): row for row in all_rows}.values())
        skipped = all_rows.skipped if isinstance(all_rows, CompleteList) else 0
        times = (getattr(row, "fetched_at", None) for row in page.rows)
        return Page(
            rows=page.rows[start : start + request.size],
            position_after=lambda i: str(start + i + 1),
            is_last=start + request.size >= len(page.rows),
            total=len(page.rows) + skipped,
            origin=oldest([getattr(row, "origin", default) for row in page.rows] or [default]),
            fetched_at=min((at for at in times if at is not None), default=None),
            skipped=skipped,
        )

    return ListSource(provider, read_page)


class Connection(Generic[T]):
    """One page of a list. Cursors and sources are computed on demand: few queries select them."""

    def __init__(  # noqa: PLR0913  # parts of one page, most by name
        self,
        rows: Sequence[T],
        cursor: Callable[[int], str],
        end_cursor: Callable[[], str | None],
        sources: Callable[[], Sequence[Source]],
        *,
        has_next: bool,
        has_previous: bool,
        total: int | None,
        failure: GatewayError | None = None,
    ) -> None:
        """Show these rows; `total` is None if any provider does not report it."""
        self.rows = rows
        self.cursor = cursor
        """`cursor(i)` is the cursor after row i."""
        self.has_next = has_next
        self.has_previous = has_previous
        self.total = total
        self.failure = failure
        """The error of the first provider that failed."""
        self._end_cursor = end_cursor
        self._sources = sources

    @cached_property
    def end_cursor(self) -> str | None:
        """The cursor after the page."""
        return self._end_cursor()

    @cached_property
    def sources(self) -> Sequence[Source]:
        """What each provider contributed."""
        return self._sources()


Identity: TypeAlias = str | Callable[[], str]
"""What identifies a list (`cursors.identity`), or computes it: only cursors need it."""


def digest(of: Identity) -> str:
    """Return the digest that cursors of the list contain."""
    return of if isinstance(of, str) else of()


class Part(msgspec.Struct, Generic[T]):
    """One provider's part of a page."""

    list_source: ListSource[T]
    before: Progress
    was_read: bool = False
    rows: Sequence[T] = ()
    pages: list[tuple[Page[T], Sequence[int]]] = msgspec.field(default_factory=list)
    """The provider's pages, each with the indexes of the rows that are shown."""
    is_done: bool = False
    stopped_at: str | None = None
    """The position after all rows read, if reading stopped at `MAX_CALLS_PER_PAGE`."""
    last: Page[T] | None = None
    """The page read last, unless it has rows that did not fit."""
    total: int | None = None
    origin: Origin | None = None
    fetched_at: datetime | None = None
    error: GatewayError | None = None
    """Why nothing could be read."""
    gap: GatewayError | None = None
    """Why rows are missing among those read, or not in their order."""
    used: int = 0
    """The number of rows on the page."""
    skipped: int = 0
    """The number of rows omitted because their ids cannot be read."""

    async def try_read(self, size: int, *, with_total: bool) -> None:
        """Read up to `size` rows, and store an error in `error`."""
        try:
            await self.read(size, with_total=with_total)
        except GatewayError as error:
            if isinstance(error, BadInput) and self.before.position is not None:
                raise  # the first page was valid, so the cursor is not
            if isinstance(error, LimitExceeded):
                raise  # the request is too large, not the provider in trouble
            # Its frames refer to this part, which would wait for the garbage collector.
            self.error = error.with_traceback(None)

    async def read(self, size: int, *, with_total: bool) -> None:
        """Read up to `size` rows. Raises the provider's error."""
        self.was_read = True
        holds = self.list_source.holds
        lists: list[Sequence[T]] = []
        room = size
        seen: set[Any] = set()
        position = self.before.position
        for _ in range(MAX_CALLS_PER_PAGE):
            page_size = FILTERED_PAGE if holds else room
            page = await self.list_source.page(
                PageRequest(page_size, position, with_total and self.total is None)
            )
            self._note(page)
            if self.total is None:
                self.total = countable(page.total)
            shown = self._filter(page, seen)
            self.is_done = page.is_last and len(shown) <= room
            self.last = page if len(shown) <= room else None
            shown = shown[:room]
            is_whole = len(shown) == len(page.rows)
            lists.append(page.rows if is_whole else [page.rows[i] for i in shown])
            room -= len(shown)
            self.pages.append((page, shown))
            if self.is_done or not room:
                break
            if holds is None:
                seen |= page.refs
            if page.next_position in {None, position}:
                raise Malformed(
                    self.list_source.provider, "list", detail="the list does not advance"
                )
            position = page.next_position
        else:
            self.stopped_at = position
        self.rows = lists[0] if len(lists) == 1 else joined(lists)
        if self.total is None and self.is_done:
            self.total = self.before.shown + len(self.rows) + self.skipped

    def _filter(self, page: Page[T], seen: set[Any]) -> Sequence[int]:
        """Return the indexes of the matching rows that are not in `seen`, each row once.

        A provider may list a row twice, on one page or on two.
        """
        holds = self.list_source.holds
        if holds is None and page.is_distinct and (not seen or seen.isdisjoint(page.refs)):
            return range(len(page.rows))
        indexes = []
        for index, row in enumerate(page.rows):
            if (holds is None or holds(row)) and (ref := ref_of(row)) not in seen:
                seen.add(ref)  # whole pages are added if another page is read
                indexes.append(index)
        return indexes

    def _after(self, row: int) -> str:
        """Return the position in the provider's list after a row of this part."""
        for page, indexes in self.pages:
            if row < len(indexes):
                return page.position_after(indexes[row])
            row -= len(indexes)
        raise IndexError(row)

    def _note(self, page: Page[T]) -> None:
        """Record a page's age: a part is as old as its oldest page."""
        self.skipped += page.skipped
        if isinstance(page, IncompletePage):
            self.gap = page.error
        if self.origin is None:
            self.origin = page.origin
        elif page.origin is not None:
            self.origin = oldest((self.origin, page.origin))
        if page.fetched_at is not None:
            self.fetched_at = min(self.fetched_at or page.fetched_at, page.fetched_at)

    def progress(self, used: int) -> Progress:
        """Return how far the list has been shown after `used` rows of this part."""
        before = self.before
        if self.error is not None:
            return before._replace(state=State.FAILED)
        if not self.was_read:
            return before
        state, position = State.OPEN, self._after(used - 1) if used else before.position
        if used == len(self.rows):
            state = State.DONE if self.is_done else State.OPEN
            end = None if self.last is None else self.last.next_position
            position = self.stopped_at or end or position
            # Omitted rows count as shown.
            return Progress(position, before.shown + used + self.skipped, self.total, state)
        return Progress(position, before.shown + used, self.total, state)

    @property
    def has_more(self) -> bool:
        """Whether there are rows after those on the page, as far as is known."""
        if self.error is not None:
            return False
        if not self.was_read:
            return self.before.state is State.OPEN
        return self.used < len(self.rows) or not self.is_done

    @property
    def source(self) -> Source:
        """What the provider contributes to the page."""
        origin = self.origin if self.error is None and self.was_read else None
        error = self.error or self.gap
        return source_of(
            self.list_source.provider,
            origin,
            self.fetched_at,
            None if error else self.total,
            error,
            skipped=self.skipped,
        )


async def merge(
    sources: Sequence[ListSource[T]],
    first: int,
    after: str | None,
    *,
    of: Identity,
    with_total: bool = False,
) -> Connection[T]:
    """Return the next `first` rows: the first list's, then the second's, and so on.

    `after` is a cursor of the same list.
    """
    parts = _parts(sources, after, of)
    if after is None and len(parts) > 1:
        await asyncio.gather(*(part.try_read(first, with_total=with_total) for part in parts))
    room = first
    for part in parts:
        if not room:
            break
        if not part.was_read and part.before.state is not State.DONE:
            await part.try_read(room, with_total=with_total)
        part.used = min(room, len(part.rows))
        room -= part.used
    return _page(parts, after, of)


async def single_list(
    source: ListSource[T],
    first: int,
    after: str | None,
    *,
    of: Identity,
    with_total: bool = False,
) -> Connection[T]:
    """Return the next `first` rows of one list. Raises its provider's error."""
    (part,) = parts = _parts([source], after, of)
    if part.before.state is not State.DONE:
        await part.read(first, with_total=with_total)
    part.used = len(part.rows)
    return _page(parts, after, of)


def _parts(sources: Sequence[ListSource[T]], after: str | None, of: Identity) -> Sequence[Part[T]]:
    progress: Mapping[str, Progress] = {} if after is None else cursors.read(digest(of), after)
    befores = [progress.get(source.provider, START) for source in sources]
    return [
        Part(source, before, total=before.total)
        for source, before in zip(sources, befores, strict=True)
    ]


def _page(parts: Sequence[Part[T]], after: str | None, of: Identity) -> Connection[T]:
    """Return the page of the rows that the parts use."""
    rows = joined([part.rows[: part.used] for part in parts])

    def cursor(row: int) -> str:
        shown, left = {}, row + 1
        for part in parts:
            used = min(part.used, left)
            shown[part.list_source.provider] = part.progress(used)
            left -= used
        return cursors.write(digest(of), shown)

    def end_cursor() -> "str | None":  # quoted: else evaluated for each page
        is_stopped = any(part.stopped_at for part in parts)
        return cursor(len(rows) - 1) if rows or is_stopped else after

    totals = [None if part.error or part.gap else part.total for part in parts]
    failed = [part.error for part in parts if part.error]
    return Connection(
        rows,
        cursor,
        end_cursor,
        lambda: [part.source for part in parts],
        has_next=any([part.has_more for part in parts]),  # noqa: C419  # half its time for few
        has_previous=after is not None,
        total=None if None in totals else countable(sum(total or 0 for total in totals)),
        failure=failed[0] if failed else None,
    )
