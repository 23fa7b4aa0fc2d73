"""Invalid cursors and page sizes are refused without a call."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec
import pytest

from tests.e2e.serving import Front, segment_id

FORGED = "The cursor was not made by this gateway."
ANOTHER = "The cursor belongs to another list, filter or order."

PAGE = """
query Page(
  $first: Int, $after: String, $filter: SegmentFilter,
  $sortKey: SegmentSortKey, $reverse: Boolean
) {
  segments(
    first: $first, after: $after, filter: $filter, sortKey: $sortKey, reverse: $reverse
  ) {
    pageInfo { endCursor }
    sources { error { code } }
  }
}
"""


def refused(message: str) -> dict[str, Any]:
    """Return the answer to a page that cannot be."""
    return {
        "data": None,
        "errors": [
            {
                "message": message,
                "locations": [{"line": 6, "column": 3}],
                "path": ["segments"],
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ],
    }


def parts(cursor: str) -> Any:
    """Return what a cursor holds."""
    return msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))


def forged(stored: Any) -> str:
    """Return the cursor that holds this."""
    return urlsafe_b64encode(msgspec.json.encode(stored)).rstrip(b"=").decode()


async def end_cursor(front: Front, **given: Any) -> str:
    """Return the cursor behind a page, and forget the calls it took."""
    shown = await front.data(PAGE, given)
    front.forget()
    cursor: str = shown["segments"]["pageInfo"]["endCursor"]
    return cursor


@pytest.mark.parametrize("first", [0, -1, 251, -(2**31), 2**31 - 1])
async def test_first_out_of_range(front: Front, first: int) -> None:
    """A page has from 1 to 250 rows."""
    answer = await front.ask(PAGE, {"first": first})

    assert answer == refused(f"first is {first}; it must be from 1 to 250.")
    assert front.calls == []


@pytest.mark.parametrize(
    "cursor",
    [
        " ",
        "x",
        "ünïcödé",
        "====",
        "WyJhIl0",
        forged([]),
        forged({"of": "x", "parts": {}}),
        forged(["x", {"stuut": ["0"]}]),
        forged(["x", {"stuut": ["0", 0, 0, 7]}]),
        "A" * 8193,
        "W" * 8000,
    ],
    ids=lambda cursor: f"{cursor[-16:]} of {len(cursor)}",
)
async def test_what_is_no_cursor(front: Front, cursor: str) -> None:
    """Any text that was not made here is refused."""
    assert await front.ask(PAGE, {"after": cursor}) == refused(FORGED)
    assert front.calls == []


@pytest.mark.parametrize(
    "given",
    [
        {"filter": {"status": "ACTIVE"}},
        {"filter": {"providers": ["stuut", "emporix"]}},
        {"sortKey": "NAME"},
        {"reverse": True},
        {"sortKey": "PRIORITY", "reverse": True},
    ],
    ids=str,
)
async def test_cursor_of_another_question(front: Front, given: dict[str, Any]) -> None:
    """A cursor serves the filter and order it was made for, in both directions."""
    plain, other = await end_cursor(front, first=3), await end_cursor(front, first=3, **given)

    assert await front.ask(PAGE, {"after": plain, **given}) == refused(ANOTHER)
    assert await front.ask(PAGE, {"after": other}) == refused(ANOTHER)
    assert front.calls == []


async def test_cursor_of_another_size(front: Front) -> None:
    """The size of a page may change on the way."""
    cursor = await end_cursor(front, first=3)

    query = "query($a: String) { segments(first: 2, after: $a) { nodes { name } } }"
    assert await front.data(query, {"a": cursor}) == {
        "segments": {"nodes": [{"name": "Food wholesale"}, {"name": "Latin America"}]}
    }


async def test_cursor_of_another_list(front: Front) -> None:
    """A cursor of segments is none of customers."""
    cursor = await end_cursor(front, first=3)

    answer = await front.ask(
        "query($after: String) { customers(after: $after) { nodes { id } } }", {"after": cursor}
    )

    assert [(error["message"], error["path"]) for error in answer["errors"]] == [
        (ANOTHER, ["customers"])
    ]
    assert front.calls == []


async def test_cursor_of_another_segment(front: Front) -> None:
    """A cursor into one segment's customers is refused by another segment, there alone."""
    query = """query($id: ID!, $after: String) {
      segment(id: $id) { name customers(first: 2, after: $after) { pageInfo { endCursor } } }
    }"""
    golden, silver = segment_id("emporix", "golden"), segment_id("emporix", "vip-2026")
    shown = await front.data(query, {"id": golden})
    cursor = shown["segment"]["customers"]["pageInfo"]["endCursor"]

    assert await front.ask(query, {"id": silver, "after": cursor}) == {
        "data": {"segment": {"name": "VIP 2026", "customers": None}},
        "errors": [
            {
                "message": ANOTHER,
                "locations": [{"line": 2, "column": 31}],
                "path": ["segment", "customers"],
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ],
    }


@pytest.mark.parametrize(
    ("key", "progress"),
    [
        ("stuut", [None, -1, None, 0]),
        ("stuut", ["3", 2**31, None, 0]),
        ("stuut", ["3", 3, 2**31, 0]),
        ("stuut", ["3", 3, -1, 0]),
        ("stuut", ["-3", 3, None, 0]),
        ("stuut", ["٣", 3, None, 0]),
        ("stuut", ["1" * 10, 3, None, 0]),
        ("voucherify", ["3", 3, None, 0]),
        ("voucherify", ['[99999999999999999,["x"]]', 3, None, 0]),
        ("voucherify", ["[[[[", 3, None, 0]),
        ("emporix", ['[1,["x"]]', 3, None, 0]),
    ],
    ids=str,
)
async def test_tampered_cursor(front: Front, key: str, progress: list[Any]) -> None:
    """A cursor with another position inside is refused as any that was not made here."""
    given = {"first": 3, "filter": {"providers": [key]}}
    of, _ = parts(await end_cursor(front, **given))

    answer = await front.ask(PAGE, {**given, "after": forged([of, {key: progress}])})

    assert answer == refused(FORGED)
    assert front.calls == []
