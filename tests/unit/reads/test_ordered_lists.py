"""Lists in one order over all providers: by rank, ties in the order of the lists."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import BadInput, Broken
from gateway.reads import merged_list
from gateway.reads.merged_list import Connection, Listing, Order, merged, ordered, settled_list
from tests.unit.reads.listings import FakeList, Row, every_row, listings

steady = settings(deadline=None, max_examples=60)


class Ranked(NamedTuple):
    """A row with a value to rank it by, which may be missing."""

    name: str
    value: int | None


ranks = st.lists(st.none() | st.integers(0, 4), max_size=12)


def ranked(provider: str, values: Sequence[int | None]) -> list[Ranked]:
    """Return a provider's rows, one for each value."""
    return [Ranked(f"{provider}{place}", value) for place, value in enumerate(values)]


def settled(provider: str, rows: Sequence[Ranked]) -> Listing[Ranked]:
    """Return a list of these rows."""

    async def read() -> Sequence[Ranked]:
        return rows

    return settled_list(provider, read)


@steady
@given(a=ranks, b=ranks, first=st.integers(1, 9), reverse=st.booleans())
async def test_a_walk_shows_each_row_once_by_rank(
    a: list[int | None], b: list[int | None], first: int, *, reverse: bool
) -> None:
    """Values rank both ways, equal ones in list order; rows without one come last both ways."""
    rows = ranked("a", a) + ranked("b", b)
    sign = -1 if reverse else 1
    expected = sorted(
        rows, key=lambda row: (row.value is None, sign * (row.value or 0))
    )  # stable: ties stay in the order of the lists
    order = Order[Ranked](lambda row: row.value, reverse)
    seen: list[Ranked] = []
    cursors: list[str] = []
    after, has_next = None, True
    while has_next:
        page = await ordered(
            [settled("a", ranked("a", a)), settled("b", ranked("b", b))],
            first,
            after,
            of="x",
            order=order,
        )
        assert page.has_previous == (after is not None)
        assert (page.total, [source.total for source in page.sources]) == (
            len(rows),
            [len(a), len(b)],
        )
        seen += page.rows
        cursors += [page.cursor(place) for place in range(len(page.rows))]
        assert page.has_next == (len(seen) < len(rows))
        after, has_next = page.end_cursor, page.has_next
    assert seen == expected
    for place, cursor in enumerate(cursors):
        rest = await ordered(
            [settled("a", ranked("a", a)), settled("b", ranked("b", b))],
            99,
            cursor,
            of="x",
            order=order,
        )
        assert list(rest.rows) == expected[place + 1 :]


async def by_place(lists_: Sequence[FakeList], first: int = 9) -> Connection[Row]:
    """Return the first page by place, the highest first."""
    order = Order[Row](lambda row: row.place, reverse=True)
    return await ordered(listings(lists_), first, None, of="x", order=order)


async def test_a_failing_provider_costs_its_own_rows_and_the_total() -> None:
    """The others are ranked; the failed one stands in the sources."""
    page = await by_place([FakeList("a", 2), FakeList("b", 2, fails_at=frozenset({0}))])
    assert page.rows == [Row("a", 1), Row("a", 0)]
    assert (page.total, page.has_next) == (None, False)
    assert [type(source.error) for source in page.sources] == [type(None), Broken]


async def test_a_list_too_long_to_rank_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row more than is ranked at most: an error that says what to do, not a wrong order."""
    monkeypatch.setattr(merged_list, "LONGEST_ORDERED", 5)
    assert len((await by_place([FakeList("a", 5, largest=2)])).rows) == 5
    with pytest.raises(BadInput) as refused:
        await by_place([FakeList("a", 6, largest=2)])
    assert str(refused.value) == (
        "Provider 'a' has too many rows to be sorted here; use the order PROVIDER, or a filter."
    )


async def test_a_cursor_behind_the_end_shows_nothing() -> None:
    """A list that has become shorter ends; its old cursor stays the end."""
    page = await by_place([FakeList("a", 5)], first=4)
    rest = await ordered(
        listings([FakeList("a", 2)]),
        4,
        page.end_cursor,
        of="x",
        order=Order[Row](lambda row: row.place, reverse=True),
    )
    assert (rest.rows, rest.has_next, rest.end_cursor) == ([], False, page.end_cursor)


async def test_a_cursor_of_the_other_order_is_refused() -> None:
    """The order is part of what a cursor belongs to."""
    lists_ = [FakeList("a", 5)]
    page = await merged(listings(lists_), 2, None, of="in order of providers")
    assert every_row(lists_)[:2] == page.rows
    with pytest.raises(BadInput):
        await ordered(
            listings(lists_),
            2,
            page.end_cursor,
            of="by place",
            order=Order[Row](lambda row: row.place, reverse=False),
        )
