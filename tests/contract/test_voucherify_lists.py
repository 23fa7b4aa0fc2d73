"""Voucherify's lists read to their ends: what single samples of them cannot show."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import EVERY_CUSTOMER, EVERY_SEGMENT
from gateway.errors import Malformed
from gateway.providers.base.decoding import iso
from gateway.providers.base.exchange import Call, Exchange, Reply
from gateway.providers.voucherify.adapter import Voucherify
from tests.contract.sample import adapter

START = datetime(2024, 1, 1, tzinfo=UTC)

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
        older = [row for row in rows if row["created_at"] < bound]
        return {"data": older[: int(query["limit"])], "total": len(older)}

    return answer


def customers(rows: Sequence[dict[str, Any]]) -> Answer:
    """Answer like the list of customers."""

    def answer(call: Call) -> Any:
        query = dict(call.query)
        limit, page = int(query["limit"]), int(query.get("page", "1"))
        assert 1 <= page <= 99
        assert 1 <= limit <= 100
        older = [row for row in rows if row["created_at"] < query.get("starting_after", "9")]
        return {"customers": older[(page - 1) * limit : page * limit], "total": len(rows)}

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


def test_segments_that_no_page_can_step_over_are_an_error() -> None:
    """More segments of one millisecond than a page has rows end the list loudly."""
    voucherify = account()
    with pytest.raises(Malformed) as raised:
        walked(
            lambda page: voucherify.segments(EVERY_SEGMENT, page), segments(made([0] * 101)), 250
        )
    assert raised.value.detail == "does not advance"


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
