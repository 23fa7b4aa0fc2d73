"""The providers, loaders and single lists that all reads build on."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple, TypeVar

from gateway.domain.entities import Origin, Ref
from gateway.domain.pages import MAX_PAGE_SIZE, CompleteList, Page, PageRequest
from gateway.errors import BadInput
from gateway.limits.settings import LimitSettings
from gateway.loaders.request_loaders import RequestLoaders
from gateway.reads import cursor as cursors
from gateway.reads.cursor import Progress, State
from gateway.reads.merged_list import (
    Connection,
    Identity,
    ListSource,
    complete_list,
    single_list,
)
from gateway.reads.source_rows import Source, countable, source_of
from gateway.store.sizes import SegmentSizes
from gateway.store.snapshots import Snapshots
from gateway.upstream.provider import Provider

T = TypeVar("T")


class Paging(NamedTuple):
    """The paging arguments of a connection."""

    first: int
    after: str | None = None
    with_total: bool = False


class RequestReads:
    """The providers and loaders that the reads of one request use."""

    def __init__(  # noqa: PLR0913  # the last two by name
        self,
        providers: Mapping[str, Provider],
        loaders: RequestLoaders,
        languages: Sequence[str],
        limits: LimitSettings,
        *,
        sizes: SegmentSizes | None = None,
        snapshots: Snapshots | None = None,
    ) -> None:
        """Read from these providers, in this order, through the request's loaders.

        `sizes` records the totals that are read; `snapshots` are those of watched segments.
        """
        self._providers = providers
        self._loaders = loaders
        self._languages = languages
        self._limits = limits
        self._sizes = sizes
        self._snapshots = snapshots

    def _note_size(
        self, ref: Ref, count: int | None, origin: Origin | None, *, is_exact: bool = True
    ) -> None:
        """Record a segment's number of customers for its history, unless it is unknown or old.

        One from the response cache was recorded when it was read, and may have changed since.
        """
        count, is_new = countable(count), origin in {Origin.LIVE, Origin.RECORDED}
        if self._sizes is not None and count is not None and is_new:
            self._sizes.note(ref, count, is_exact=is_exact)

    def _select(self, *filters: Sequence[str] | None) -> Sequence[Provider]:
        """Return the providers whose keys are in all of these lists, in configuration order.

        None does not filter.
        """
        key_sets = [set(keys) for keys in filters if keys is not None]
        return [
            provider
            for key, provider in self._providers.items()
            if all(key in keys for keys in key_sets)
        ]

    def _lists_of(
        self, refs: Sequence[Ref], rows: Callable[[Ref], Awaitable[CompleteList[T]]]
    ) -> Sequence[ListSource[T]]:
        """Return a list for each provider of these customers, with the rows of all of them."""

        async def rows_of(customers: Sequence[Ref]) -> CompleteList[T]:
            if len(customers) == 1:
                return await rows(customers[0])
            parts = await asyncio.gather(*map(rows, customers))
            every = CompleteList[T](chain.from_iterable(parts))
            every.skipped = sum(part.skipped for part in parts)
            return every

        at: dict[str, list[Ref]] = {}
        for ref in refs:
            at.setdefault(ref.provider, []).append(ref)
        return [
            complete_list(key, partial(rows_of, customers), self._providers[key].origin)
            for key, customers in at.items()
        ]

    async def _page_of(
        self,
        provider: Provider,
        page: Callable[[PageRequest], Awaitable[Page[T]]],
        paging: Paging,
        of: Identity,
    ) -> Connection[T]:
        """Return a page of one provider's list. Raises its error."""
        source = ListSource(provider.key, page)
        return await single_list(
            source, paging.first, paging.after, of=of, with_total=paging.with_total
        )


def first_page(
    provider: str, page: Page[T], size: int, of: Callable[[], str]
) -> Connection[T] | None:
    """Return the first `size` rows of a list if its provider's first page is exactly these.

    Equal to `single_list` at a quarter of its cost: operations may read hundreds of lists.
    """
    rows, is_last = page.rows, page.is_last
    if not page.is_distinct or len(rows) > size or not (is_last or len(rows) == size):
        return None
    total = page.total
    if total is None and is_last:
        total = len(rows) + page.skipped
    total = countable(total)

    def cursor(row: int) -> str:
        shown = row + 1
        state = State.DONE if is_last and shown == len(rows) else State.OPEN
        progress = Progress(page.position_after(row), shown, total, state)
        return cursors.write(of(), {provider: progress})

    def sources() -> "Sequence[Source]":  # quoted: else evaluated for each list
        return [source_of(provider, page.origin, page.fetched_at, total, skipped=page.skipped)]

    return Connection(
        rows,
        cursor,
        lambda: cursor(len(rows) - 1) if rows else None,
        sources,
        has_next=not is_last,
        has_previous=False,
        total=total,
    )


def check_paging(paging: Paging) -> None:
    """Raise `BadInput` when `first` is out of range."""
    if not 1 <= paging.first <= MAX_PAGE_SIZE:
        raise BadInput(f"first is {paging.first}; it must be from 1 to {MAX_PAGE_SIZE}.")
