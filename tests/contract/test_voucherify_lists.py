"""Voucherify's lists read to their ends: what single samples of them cannot show."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import EVERY_CUSTOMER, EVERY_SEGMENT, SegmentQuery
from gateway.errors import BadInput, Malformed
from gateway.providers.base.decoding import iso
from gateway.providers.base.exchange import Call, Exchange, Reply
from gateway.providers.voucherify.adapter import Voucherify
from tests.contract.sample import adapter

EXCLUDED = "filters[id][conditions][$not_in]"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2024, 1, 1, tzinfo=UTC)
MAX_CALLS = 1_000

Answer = Callable[[Call], Any]


def account() -> Voucherify:
    """Return the adapter of the samples."""
    result = adapter("voucherify")
    assert isinstance(result, Voucherify)
    return result


def made(age_ms: Sequence[int]) -> list[dict[str, Any]]:
    """Return rows that are both segments and customers, newest first."""
    return [
        {"id": f"x_{i}", "name": "x", "type": "static", "created_at": iso(START - _ms(age))}
        for i, age in enumerate(sorted(age_ms))
    ]


def _ms(age: int) -> timedelta:
    return timedelta(milliseconds=age)


def segments(rows: Sequence[dict[str, Any]]) -> Answer:
    """Answer like the list of segments."""

    def answer(call: Call) -> Any:
        query = dict(call.query)
        bound = query.get("filters[created_at][conditions][$before]", "9")
        excluded = [text for name, text in call.query if name.startswith(EXCLUDED)]
        older = [row for row in rows if row["created_at"] < bound and row["id"] not in excluded]
        return {"data": older[: int(query["limit"])], "total": len(older)}

    return answer


def customers(rows: Sequence[dict[str, Any]]) -> Answer:
    """Answer like the list of customers."""

    def answer(call: Call) -> Any:
        query = dict(call.query)
        limit, page = int(query["limit"]), int(query.get("page", "1"))
        assert 1 <= page <= 99
        assert 1 <= limit <= 100
        bound = min(query.get("starting_after", "9"), query.get("created_at[before]", "9"))
        other_bound = query.get("created_at[after]", "")
        chosen = [row for row in rows if other_bound < row["created_at"] < bound]
        return {"customers": chosen[(page - 1) * limit : page * limit], "total": len(rows)}

    return answer


def walked(
    ask: Callable[[PageRequest], Exchange[Page[Any]]], answer: Answer, size: int
) -> tuple[list[str], int]:
    """Read a list to its end; return the keys of its rows, and the calls."""
    keys: list[str] = []
    position: str | None = None
    calls = 0
    while True:
        exchange = ask(PageRequest(size, position))
        page = exchange.read(Reply(200, {}, msgspec.json.encode(answer(exchange.call))))
        calls += 1
        assert calls <= MAX_CALLS, "the list does not end"
        keys += [row.ref.key for row in page.rows]
        if page.is_last:
            return keys, calls
        position = page.next_position


@given(ages=st.lists(st.integers(0, 30), max_size=60), size=st.integers(1, 20))
def test_segments_are_each_shown_once(ages: list[int], size: int) -> None:
    """However many segments share a millisecond, each page goes on where the last one ended."""
    rows = made(ages)
    voucherify = account()
    keys, calls = walked(
        lambda page: voucherify.segments(EVERY_SEGMENT, page), segments(rows), size
    )
    assert keys == [row["id"] for row in rows]
    assert calls == max(1, -(-len(rows) // size))


@pytest.mark.parametrize(("size", "calls"), [(250, 4), (60, 6), (1, 302)])
def test_segments_of_one_millisecond_are_each_shown_once(size: int, calls: int) -> None:
    """More segments of one millisecond than a page has rows are read on without those shown."""
    rows = made([0, *[1] * 300, 2])
    voucherify = account()
    result = walked(lambda page: voucherify.segments(EVERY_SEGMENT, page), segments(rows), size)
    assert result == ([row["id"] for row in rows], calls)


def test_more_segments_of_one_millisecond_than_a_url_can_exclude_are_an_error() -> None:
    """Neither is a cursor with all of their ids short enough for the gateway to read."""
    voucherify = account()
    with pytest.raises(Malformed) as raised:
        walked(
            lambda page: voucherify.segments(EVERY_SEGMENT, page), segments(made([0] * 602)), 250
        )
    assert raised.value.detail == "too many rows of one moment"


def test_a_filter_by_ids_is_kept_when_shown_segments_are_excluded() -> None:
    """The caller's own `$not_in`, a list or one id, is sent with the ids that were shown."""
    rows = made([0] * 120)
    voucherify = account()
    for own in (["x_7"], "x_7"):
        native = msgspec.json.encode({"id": {"conditions": {"$not_in": own}}}).decode()
        query = SegmentQuery(native=native)
        keys, _ = walked(partial(voucherify.segments, query), segments(rows), 250)
        assert keys == [row["id"] for row in rows if row["id"] != "x_7"]


@pytest.mark.parametrize(
    ("count", "calls"), [(0, 1), (1, 1), (9_899, 99), (9_900, 99), (9_901, 101), (10_250, 104)]
)
def test_customers_are_each_shown_once(count: int, calls: int) -> None:
    """A list that goes on behind the last page is read on by age, without loss or repetition."""
    rows = made([age // 3 for age in range(count)])
    voucherify = account()
    result = walked(lambda page: voucherify.customers(EVERY_CUSTOMER, page), customers(rows), 250)
    assert result == ([row["id"] for row in rows], calls)


@pytest.mark.parametrize("size", [1, 7, 33, 64])
def test_customers_are_each_shown_once_whatever_the_page(size: int) -> None:
    """Page sizes that do not divide the last page step over it, too."""
    rows = made([age // 3 for age in range(10_000)])
    voucherify = account()
    start = "9700"

    def ask(page: PageRequest) -> Exchange[Page[Any]]:
        return voucherify.customers(EVERY_CUSTOMER, page._replace(position=page.position or start))

    keys, _ = walked(ask, customers(rows), size)
    assert keys == [row["id"] for row in rows[9_700:]]


@pytest.mark.parametrize(
    ("first", "count", "calls"),
    [
        (9_000, 101, 94),  # ends before the last page
        (9_850, 49, 103),
        (9_850, 150, 107),  # begins on the last page
        (9_750, 300, 107),  # begins before it
        (5_000, 5_500, 159),
        (9_900, 2_000, 125),  # begins after it
        (10_080, 250, 111),
    ],
)
def test_customers_of_one_millisecond_are_each_shown_once(
    first: int, count: int, calls: int
) -> None:
    """An import of customers is read to its end, wherever in the list it is."""
    ages = [*range(first), *[first] * count, *range(first + 1, first + 201)]
    rows = made(ages)
    voucherify = account()
    result = walked(lambda page: voucherify.customers(EVERY_CUSTOMER, page), customers(rows), 250)
    assert result == ([row["id"] for row in rows], calls)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_customers_of_one_millisecond_are_shown_once_whatever_the_page(size: int) -> None:
    """Pages smaller than the provider's go on where they ended."""
    rows = made([0] * 9_700 + [1] * 410 + [2] * 5)
    voucherify = account()

    def ask(page: PageRequest) -> Exchange[Page[Any]]:
        return voucherify.customers(
            EVERY_CUSTOMER, page._replace(position=page.position or "9800")
        )

    keys, _ = walked(ask, customers(rows), size)
    assert keys == [row["id"] for row in rows[9_800:]]


def test_a_bound_that_includes_its_own_time_shows_nothing_twice() -> None:
    """Whether `created_at[before]` includes its time is not documented."""
    rows = made([*range(9_790), *[9_790] * 120, *[9_791] * 300, *[9_792] * 120])
    voucherify = account()

    def answer(call: Call) -> Any:
        query = {
            name: iso(datetime.fromisoformat(text) + _ms(1 if "before" in name else -1))
            if name.startswith("created_at")
            else text
            for name, text in call.query
        }
        return customers(rows)(Call(call.method, call.path, tuple(query.items())))

    keys, _ = walked(lambda page: voucherify.customers(EVERY_CUSTOMER, page), answer, 250)
    assert keys == [row["id"] for row in rows]


def test_a_last_page_of_rows_without_ids_is_left_out() -> None:
    """It has no row from whose time the list could continue."""
    rows = made(range(9_950))
    for row in rows[9_800:9_900]:
        del row["id"]
    exchange = account().customers(EVERY_CUSTOMER, PageRequest(100, "9800"))
    reply = Reply(200, {}, msgspec.json.encode(customers(rows)(exchange.call)))
    page = exchange.read(reply)
    assert (list(page.rows), page.skipped, page.is_last) == ([], 100, False)
    assert page.next_position is not None


def test_more_customers_of_one_millisecond_than_pages_reach_are_an_error() -> None:
    """99 pages of 100 rows are documented."""
    voucherify = account()
    rows = made([0] * 9_900 + [1] * 9_901)
    with pytest.raises(Malformed) as raised:
        walked(lambda page: voucherify.customers(EVERY_CUSTOMER, page), customers(rows), 250)
    assert raised.value.detail == "too many rows of one moment"


def test_a_total_of_more_than_the_moment_does_not_repeat_an_empty_page() -> None:
    """Whether the total of a filtered list is its own is not documented."""
    rows = made([0] * 100 + [1] * 20)
    shown = [row["id"] for row in rows[:60]]
    position = msgspec.json.encode([(START - EPOCH) // _ms(1), shown]).decode()
    voucherify = account()

    def ask(page: PageRequest) -> Exchange[Page[Any]]:
        return voucherify.customers(
            EVERY_CUSTOMER, page._replace(position=page.position or position)
        )

    result = walked(ask, lambda call: customers(rows)(call) | {"total": 5_000}, 250)
    assert result == ([row["id"] for row in rows[60:]], 4)


def test_many_rows_without_a_time_are_an_error() -> None:
    """They are on no page of a moment, and must not be listed again after it."""
    rows = made(range(9_900)) + [{"id": f"untimed_{i}"} for i in range(150)]
    voucherify = account()

    def answer(call: Call) -> Any:
        query = dict(call.query)
        bounded = [{"created_at": iso(START - _ms(20_000)), **row} for row in rows]
        if "page" in query and "created_at[before]" not in query:
            return customers(bounded)(call)
        old = iso(START - _ms(9_899))
        listed = customers([row for row in bounded if row["created_at"] > old])(call)
        if "starting_after" in query:
            listed = {"customers": rows[9_900:][: int(query["limit"])]}
        return listed

    with pytest.raises(Malformed) as raised:
        walked(lambda page: voucherify.customers(EVERY_CUSTOMER, page), answer, 60)
    assert raised.value.detail == "does not advance"


@pytest.mark.parametrize(
    "text",
    ["100@[0]", "100>[0,[]]", "100[0,[]]", "x@[0,[]]", "1@2@[0,[]]", "@[0,[]]", "1@[0,[]]x"],
)
def test_positions_that_were_not_made_here_are_refused(text: str) -> None:
    """A cursor comes from the caller."""
    with pytest.raises(BadInput):
        account().customers(EVERY_CUSTOMER, PageRequest(10, text))
