"""Lists of made-up providers: numbers in order, behind any paging a provider may have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.domain.pages import Page, PageRequest
from gateway.errors import Broken
from gateway.reads.merged_list import ListSource


class Row(NamedTuple):
    """One row: its provider, and its index in that list."""

    provider: str
    place: int


@dataclass
class FakeList:
    """A provider's list of `length` rows, at most `largest` on a page."""

    provider: str
    length: int
    largest: int = 1000
    sees_its_end: bool = True
    """False: a full page is never the last, as without a total."""
    fails_at: frozenset[int] = frozenset()
    """The calls that fail, counted from 0."""
    total: int | None = None
    holds: Callable[[Row], bool] | None = None
    requests: list[PageRequest] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        """What the list shows in the end."""
        rows = [Row(self.provider, place) for place in range(self.length)]
        return [row for row in rows if self.holds is None or self.holds(row)]

    @property
    def listing(self) -> ListSource[Row]:
        """The list as the gateway is given it."""
        return ListSource(self.provider, self.page, self.holds)

    async def page(self, request: PageRequest) -> Page[Row]:
        """Answer one call, or fail it."""
        self.requests.append(request)
        if len(self.requests) - 1 in self.fails_at:
            raise Broken(self.provider, "list", status=500)
        start = int((request.position or "at 0").removeprefix("at "))
        size = min(request.size, self.largest)
        places = range(self.length)[start : start + size]
        is_short = len(places) < size
        return Page(
            rows=[Row(self.provider, place) for place in places],
            position_after=lambda i: f"at {places[i] + 1}",
            is_last=start + size >= self.length if self.sees_its_end else is_short,
            total=self.total if request.with_total else None,
        )


def listings(lists: Sequence[FakeList]) -> list[ListSource[Row]]:
    """Return the lists as the gateway is given them."""
    return [each.listing for each in lists]


def every_row(lists: Sequence[FakeList]) -> list[Row]:
    """Return what all lists show in the end, one after the other."""
    return [row for each in lists for row in each.rows]
