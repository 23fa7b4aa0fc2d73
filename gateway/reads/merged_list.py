"""Merge the lists of several providers into one, page by page, with one composite cursor.

The first page asks every provider at once; a later one asks only those whose rows can stand on it,
one after the other. No row appears twice, none is lost while nothing changes. A provider that
fails contributes nothing, is named in the sources, and is asked again by the next page.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, TypeAlias, TypeVar

from gateway.domain.entities import Origin
from gateway.domain.pages import MOST_CALLS, Page, PageRequest, Walked, ref_of, whole
from gateway.errors import BadInput, GatewayError, Malformed
from gateway.providers.base.numbered_pages import number
from gateway.reads import cursor as cursors
from gateway.reads.cursor import START, Progress, State
from gateway.reads.source_rows import Source, countable, oldest, source_of

T = TypeVar("T")

FILTERED_PAGE = 250
"""Rows asked for at a time when the gateway itself sifts them."""


@dataclass(frozen=True, slots=True)
class ListSource(Generic[T]):
    """One provider's part of a list."""

    provider: str
    page: Callable[[PageRequest], Awaitable[Page[T]]]
    holds: Callable[[T], bool] | None = None
    """What the gateway must still sift out of the provider's rows."""


def empty_list(provider: str) -> ListSource[Any]:
    """Return the list of a provider that cannot have such rows: it need not be asked."""

    async def page(_: PageRequest) -> Page[Any]:
        return Page(rows=(), position_after=str, is_last=True, total=0, origin=None)

    return ListSource(provider, page)


def settled_list(
    provider: str, rows: Callable[[], Awaitable[Sequence[T]]], of_none: Origin = Origin.LIVE
) -> ListSource[T]:
    """Return a list that is read as a whole and paged here; `of_none`: where no rows are from."""

    async def page(request: PageRequest) -> Page[T]:
        start = number(request.position)
        read = await rows()
        found = whole({ref_of(row): row for row in read}.values())
        skipped = read.skipped if isinstance(read, Walked) else 0
        told_at = (getattr(row, "fetched_at", None) for row in found.rows)
        return Page(
            rows=found.rows[start : start + request.size],
            position_after=lambda i: str(start + i + 1),
            is_last=start + request.size >= len(found.rows),
            total=len(found.rows) + skipped,
            origin=oldest([getattr(row, "origin", of_none) for row in found.rows] or [of_none]),
            fetched_at=min((at for at in told_at if at is not None), default=None),
            skipped=skipped,
        )

    return ListSource(provider, page)


class Connection(Generic[T]):
    """One page of a list; what few queries show of it is made when asked for."""

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
        """Show these rows; `total` is None when any provider in scope cannot tell."""
        self.rows = rows
        self.cursor = cursor
        """`cursor(i)` is where the list goes on behind row i."""
        self.has_next = has_next
        self.has_previous = has_previous
        self.total = total
        self.failure = failure
        """What the first provider that failed did so with."""
        self._end_cursor = end_cursor
        self._sources = sources

    @cached_property
    def end_cursor(self) -> str | None:
        """Where the list goes on behind the page."""
        return self._end_cursor()

    @cached_property
    def sources(self) -> Sequence[Source]:
        """What each provider in scope contributed."""
        return self._sources()


Identity: TypeAlias = str | Callable[[], str]
"""What identifies a list (`cursors.identity`), or makes it: only cursors need it."""


def digest(of: Identity) -> str:
    """Return what a cursor of the list begins with."""
    return of if isinstance(of, str) else of()


@dataclass(slots=True)
class Part(Generic[T]):
    """One provider's part of a page that is being made."""

    listing: ListSource[T]
    before: Progress
    is_asked: bool = False
    rows: Sequence[T] = ()
    stretches: list[tuple[Page[T], Sequence[int]]] = field(default_factory=list)
    """The pages that the rows are of, with their places there."""
    is_done: bool = False
    stopped_at: str | None = None
    """Where it was left when it had cost enough: behind its rows and what was sifted out."""
    end: str | None = None
    """Where its list goes on behind all that was read, rows that were left out included."""
    total: int | None = None
    origin: Origin | None = None
    fetched_at: datetime | None = None
    error: GatewayError | None = None
    used: int = 0
    """How many of the rows stand on the page."""
    skipped: int = 0
    """Rows that are left out, since their ids cannot be read."""

    async def ask(self, wanted: int, *, with_total: bool) -> None:
        """Read up to `wanted` rows; a failure is kept."""
        try:
            await self.read(wanted, with_total=with_total)
        except GatewayError as error:
            if isinstance(error, BadInput) and self.before.position is not None:
                raise  # its first page was no bad question: the cursor is
            # Its frames lead back to this part, which would wait for the garbage collector.
            self.error = error.with_traceback(None)

    async def read(self, wanted: int, *, with_total: bool) -> None:
        """Read up to `wanted` rows; a failure is raised."""
        self.is_asked = True
        holds = self.listing.holds
        rows: list[T] = []
        seen: set[Any] = set()
        position = self.before.position
        for _ in range(MOST_CALLS):
            size = FILTERED_PAGE if holds else wanted - len(rows)
            page = await self.listing.page(
                PageRequest(size, position, with_total and self.total is None)
            )
            self._note(page)
            if self.total is None:
                self.total = countable(page.total)
            kept = self._kept(page, seen)
            room = wanted - len(rows)
            self.is_done = page.is_last and len(kept) <= room
            self.end = page.goes_on_at if len(kept) <= room else None
            kept = kept[:room]
            is_whole = len(kept) == len(page.rows)
            rows += page.rows if is_whole else [page.rows[i] for i in kept]
            self.stretches.append((page, kept))
            if self.is_done or len(rows) == wanted:
                break
            if page.goes_on_at in {None, position}:
                raise Malformed(self.listing.provider, "list", detail="the list does not advance")
            position = page.goes_on_at
        else:
            self.stopped_at = position
        self.rows = rows
        if self.total is None and self.is_done:
            self.total = self.before.shown + len(rows) + self.skipped

    def _kept(self, page: Page[T], seen: set[Any]) -> Sequence[int]:
        """Return the places of the rows that are wanted, each once, and add them to `seen`.

        A provider may show a row twice, on one page or on two.
        """
        holds = self.listing.holds
        if holds is None and len(page.refs) == len(page.rows) and seen.isdisjoint(page.refs):
            seen |= page.refs
            return range(len(page.rows))
        kept = []
        for place, row in enumerate(page.rows):
            if (holds is None or holds(row)) and (ref := ref_of(row)) not in seen:
                seen.add(ref)
                kept.append(place)
        return kept

    def _after(self, row: int) -> str:
        """Return where the provider's list goes on behind a row of this part."""
        for page, kept in self.stretches:
            if row < len(kept):
                return page.position_after(kept[row])
            row -= len(kept)
        raise IndexError(row)

    def _note(self, page: Page[T]) -> None:
        """Take in how old a page is: a part is as old as its oldest."""
        self.skipped += page.skipped
        if self.origin is None:
            self.origin = page.origin
        elif page.origin is not None:
            self.origin = oldest((self.origin, page.origin))
        if page.fetched_at is not None:
            self.fetched_at = min(self.fetched_at or page.fetched_at, page.fetched_at)

    def progress(self, used: int) -> Progress:
        """Return how far the list has been shown once `used` rows of this part were."""
        before = self.before
        if self.error is not None:
            return before._replace(state=State.FAILED)
        if not self.is_asked:
            return before
        state, position = State.OPEN, self._after(used - 1) if used else before.position
        if used == len(self.rows):
            state = State.DONE if self.is_done else State.OPEN
            position = self.stopped_at or self.end or position
            # What was left out was passed, too.
            return Progress(position, before.shown + used + self.skipped, self.total, state)
        return Progress(position, before.shown + used, self.total, state)

    @property
    def has_more(self) -> bool:
        """True when rows are known, or promised, to stand behind those used."""
        if self.error is not None:
            return False
        if not self.is_asked:
            return self.before.state is State.OPEN
        return self.used < len(self.rows) or not self.is_done

    @property
    def source(self) -> Source:
        """What it contributes to the page."""
        told = self.origin if self.error is None and self.is_asked else None
        total = None if self.error else self.total
        return source_of(
            self.listing.provider, told, self.fetched_at, total, self.error, skipped=self.skipped
        )


async def merge(
    listings: Sequence[ListSource[T]],
    first: int,
    after: str | None,
    *,
    of: Identity,
    with_total: bool = False,
) -> Connection[T]:
    """Return the next `first` rows: the first list's, then the second's, and so on.

    `after` is a cursor of the same list.
    """
    parts = _parts(listings, after, of)
    if after is None and len(parts) > 1:
        await asyncio.gather(*(part.ask(first, with_total=with_total) for part in parts))
    room = first
    for part in parts:
        if not room:
            break
        if not part.is_asked and part.before.state is not State.DONE:
            await part.ask(room, with_total=with_total)
        part.used = min(room, len(part.rows))
        room -= part.used
    return _page(parts, after, of)


async def single_list(
    listing: ListSource[T],
    first: int,
    after: str | None,
    *,
    of: Identity,
    with_total: bool = False,
) -> Connection[T]:
    """Return the next `first` rows of one list; what its provider fails with is raised."""
    (part,) = parts = _parts([listing], after, of)
    if part.before.state is not State.DONE:
        await part.read(first, with_total=with_total)
    part.used = len(part.rows)
    return _page(parts, after, of)


def _parts(
    listings: Sequence[ListSource[T]], after: str | None, of: Identity
) -> Sequence[Part[T]]:
    known: Mapping[str, Progress] = {} if after is None else cursors.read(digest(of), after)
    befores = [known.get(listing.provider, START) for listing in listings]
    return [
        Part(listing, before, total=before.total)
        for listing, before in zip(listings, befores, strict=True)
    ]


def _page(parts: Sequence[Part[T]], after: str | None, of: Identity) -> Connection[T]:
    """Return the page of those rows of the parts that are used."""
    rows = [row for part in parts for row in part.rows[: part.used]]

    def behind(row: int) -> str:
        shown, left = {}, row + 1
        for part in parts:
            used = min(part.used, left)
            shown[part.listing.provider] = part.progress(used)
            left -= used
        return cursors.write(digest(of), shown)

    def end_cursor() -> str | None:
        is_stopped = any(part.stopped_at for part in parts)
        return behind(len(rows) - 1) if rows or is_stopped else after

    totals = [None if part.error else part.total for part in parts]
    failed = [part.error for part in parts if part.error]
    return Connection(
        rows,
        behind,
        end_cursor,
        lambda: [part.source for part in parts],
        has_next=any([part.has_more for part in parts]),  # noqa: C419  # half its time for few
        has_previous=after is not None,
        total=None if None in totals else countable(sum(total or 0 for total in totals)),
        failure=failed[0] if failed else None,
    )
