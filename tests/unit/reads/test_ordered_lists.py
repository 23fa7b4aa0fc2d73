"""Lists in one order over all providers: by rank, ties in the order of the lists."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.entities import Ref
from gateway.errors import BadInput, Broken
from gateway.reads import ordered_list
from gateway.reads.cursor import Progress, write
from gateway.reads.merged_list import Connection, ListSource, complete_list, merge
from gateway.reads.ordered_list import Order, reversed_page, sorted_page
from tests.unit.reads.listings import FakeList, Row, every_row, listings

steady = settings(max_examples=60)


class Ranked(NamedTuple):
    """A row with a value to rank it by, which may be missing."""

    name: str
    value: int | None


ranks = st.lists(st.none() | st.integers(0, 4), max_size=12)


def ranked(provider: str, values: Sequence[int | None]) -> list[Ranked]:
    """Return a provider's rows, one for each value."""
    return [Ranked(f"{provider}{place:02}", value) for place, value in enumerate(values)]


def ref_of_ranked(row: Ranked) -> Ref:
    """Return whose a row is, and its id."""
    return Ref(row.name[0], row.name)


def ref_of_row(row: Row) -> Ref:
    """Return whose a row is, and its id."""
    return Ref(row.provider, str(row.place))


def settled(provider: str, rows: Sequence[Ranked]) -> ListSource[Ranked]:
    """Return a list of these rows."""

    async def read() -> Sequence[Ranked]:
        return rows

    return complete_list(provider, read)


def by_value(*, reverse: bool) -> Order[Ranked]:
    """Return the order by value."""
    return Order(lambda row: row.value, int, reverse, ref_of_ranked)


@steady
@given(a=ranks, b=ranks, first=st.integers(1, 9), reverse=st.booleans())
async def test_a_walk_shows_each_row_once_by_rank(
    a: list[int | None], b: list[int | None], first: int, *, reverse: bool
) -> None:
    """Values rank both ways, equal ones by list and id; rows without one come last both ways."""
    rows = ranked("a", a) + ranked("b", b)
    sign = -1 if reverse else 1
    expected = sorted(
        rows, key=lambda row: (row.value is None, sign * (row.value or 0))
    )  # stable: ties stay in the order of the lists and ids
    order = by_value(reverse=reverse)
    seen: list[Ranked] = []
    cursors: list[str] = []
    after, has_next = None, True
    while has_next:
        page = await sorted_page(
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
        rest = await sorted_page(
            [settled("a", ranked("a", a)), settled("b", ranked("b", b))],
            99,
            cursor,
            of="x",
            order=order,
        )
        assert list(rest.rows) == expected[place + 1 :]


class Walk:
    """A walk through the pages of two lists that change meanwhile."""

    def __init__(self, rows: Sequence[Ranked], page: Callable[..., Any]) -> None:
        """Start with these rows; `page(listings, after)` shows the next ones."""
        self.rows = list(rows)
        self.page = page
        self.always = set(rows)
        """The rows that were there all the time."""
        self.seen: list[Ranked] = []
        self.after: str | None = None

    async def step(self) -> bool:
        """Show one page; return whether there are more."""
        lists_ = [
            settled(key, [row for row in self.rows if row.name[0] == key]) for key in ("a", "b")
        ]
        shown = await self.page(lists_, self.after)
        self.seen += shown.rows
        self.after = shown.end_cursor
        return bool(shown.has_next)

    def change(self, data: st.DataObject) -> None:
        """Delete up to two rows, shown or not, and make new ones, anywhere."""
        for _ in range(data.draw(st.integers(0, min(2, len(self.rows))))):
            gone = self.rows.pop(data.draw(st.integers(0, len(self.rows) - 1)))
            self.always.discard(gone)
        for _ in range(data.draw(st.integers(0, 2))):
            provider = data.draw(st.sampled_from("ab"))
            place = data.draw(st.integers(0, len(self.rows)))
            name = f"{provider}{data.draw(st.integers(0, 99)):02}{uuid4().hex}"
            value = data.draw(st.none() | st.integers(0, 4))
            self.rows.insert(place, Ranked(name, value))

    def check(self) -> None:
        """Nothing was shown twice; what was always there was shown."""
        assert len(set(self.seen)) == len(self.seen)
        assert self.always <= set(self.seen)


@steady
@given(a=ranks, b=ranks, first=st.integers(1, 4), reverse=st.booleans(), data=st.data())
async def test_rows_made_and_deleted_between_pages(
    a: list[int | None], b: list[int | None], first: int, data: st.DataObject, *, reverse: bool
) -> None:
    """A row made in front is not shown twice, and a deleted one makes no other be missed."""
    order = by_value(reverse=reverse)
    rows = [*ranked("a", a), *ranked("b", b)]
    walk = Walk(rows, lambda lists_, after: sorted_page(lists_, first, after, of="x", order=order))
    for _ in range(50):
        if not await walk.step():
            break
        walk.change(data)
    else:  # new rows kept coming: an end that does not
        return
    walk.check()


@steady
@given(a=ranks, b=ranks, first=st.integers(1, 4), data=st.data())
async def test_rows_made_and_deleted_between_pages_backwards(
    a: list[int | None], b: list[int | None], first: int, data: st.DataObject
) -> None:
    """In the opposite of the providers' own order likewise: the cursor names several rows."""
    rows = [*ranked("a", a), *ranked("b", b)]
    walk = Walk(
        rows, lambda lists_, after: reversed_page(lists_, first, after, of="x", ref=ref_of_ranked)
    )
    for _ in range(50):
        if not await walk.step():
            break
        walk.change(data)
    else:
        return
    walk.check()


async def test_backwards_when_all_remembered_rows_are_gone() -> None:
    """Then the list goes on by how many were shown before those."""
    rows = ranked("a", range(9))
    page = await reversed_page([settled("a", rows)], 4, None, of="x", ref=ref_of_ranked)
    left = [*rows[:5], rows[8]]
    rest = await reversed_page([settled("a", left)], 9, page.end_cursor, of="x", ref=ref_of_ranked)

    assert [row.name for row in page.rows] == ["a08", "a07", "a06", "a05"]
    assert [row.name for row in rest.rows] == ["a04", "a03", "a02", "a01", "a00"]


@pytest.mark.parametrize(
    "position",
    [None, "x", "[]", '["1","a","a01"]', '[1,"c","c01"]', '[1.5,"a","a01"]', '[true,"a","a01"]'],
)
async def test_a_forged_place_is_refused(position: str | None) -> None:
    """A value of another kind could not be compared: the cursor is refused."""
    cursor = write("x", {"": Progress(position, 1)})
    with pytest.raises(BadInput) as refused:
        await sorted_page([settled("a", [])], 4, cursor, of="x", order=by_value(reverse=False))
    assert str(refused.value) == "The cursor was not made by this gateway."
    with pytest.raises(BadInput):
        await sorted_page(
            [settled("a", [])], 4, write("x", {}), of="x", order=by_value(reverse=False)
        )


async def test_long_texts_rank_by_their_beginning() -> None:
    """A cursor holds a text only so far; rows that are equal so far rank by their ids."""
    names = {"a00": "x" * 5000 + "b", "a01": "x" * 5000 + "a", "a02": "y" * 9000}
    order = Order[Ranked](lambda row: names[row.name], str, reverse=False, ref=ref_of_ranked)
    lists_ = [settled("a", ranked("a", [0, 0, 0]))]
    first = await sorted_page(lists_, 1, None, of="x", order=order)
    rest = await sorted_page(lists_, 9, first.end_cursor, of="x", order=order)

    assert [row.name for row in [*first.rows, *rest.rows]] == ["a00", "a01", "a02"]
    assert len(first.end_cursor or "") < 1000


async def by_place(lists_: Sequence[FakeList], first: int = 9) -> Connection[Row]:
    """Return the first page by place, the highest first."""
    order = Order[Row](lambda row: row.place, int, reverse=True, ref=ref_of_row)
    return await sorted_page(listings(lists_), first, None, of="x", order=order)


async def test_a_failing_provider_costs_its_own_rows_and_the_total() -> None:
    """The others are ranked; the failed one stands in the sources."""
    page = await by_place([FakeList("a", 2), FakeList("b", 2, fails_at=frozenset({0}))])
    assert page.rows == [Row("a", 1), Row("a", 0)]
    assert (page.total, page.has_next) == (None, False)
    assert [type(source.error) for source in page.sources] == [type(None), Broken]


async def test_a_list_too_long_to_rank_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row more than is ranked at most: an error that says what to do, not a wrong order."""
    monkeypatch.setattr(ordered_list, "MAX_SORTED_ROWS", 5)
    assert len((await by_place([FakeList("a", 5, largest=2)])).rows) == 5
    with pytest.raises(BadInput) as refused:
        await by_place([FakeList("a", 6, largest=2)])
    assert str(refused.value) == (
        "Provider 'a' has too many rows to be sorted here; use the order PROVIDER, or a filter."
    )


async def test_a_cursor_behind_the_end_shows_nothing() -> None:
    """A list that has lost all rows behind a cursor ends; the cursor stays the end."""
    order = Order[Row](lambda row: row.place, int, reverse=False, ref=ref_of_row)
    page = await sorted_page(listings([FakeList("a", 5)]), 4, None, of="x", order=order)
    rest = await sorted_page(listings([FakeList("a", 2)]), 4, page.end_cursor, of="x", order=order)

    assert (rest.rows, rest.has_next, rest.end_cursor) == ([], False, page.end_cursor)


async def test_a_cursor_of_the_other_order_is_refused() -> None:
    """The order is part of what a cursor belongs to."""
    lists_ = [FakeList("a", 5)]
    page = await merge(listings(lists_), 2, None, of="in order of providers")
    assert every_row(lists_)[:2] == page.rows
    with pytest.raises(BadInput):
        await sorted_page(
            listings(lists_),
            2,
            page.end_cursor,
            of="by place",
            order=Order[Row](lambda row: row.place, int, reverse=False, ref=ref_of_row),
        )
