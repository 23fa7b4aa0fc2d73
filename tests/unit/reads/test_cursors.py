"""Cursors: what was written is read; anything else is a caller's mistake and nothing worse."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.entities import Membership
from gateway.domain.queries import SegmentFilter, SegmentQuery
from gateway.errors import BadInput
from gateway.reads.cursor import MAX_LENGTH, START, Progress, State, identity, read, write
from gateway.reads.merged_list import merge
from tests.unit.reads.listings import FakeList, listings

counts = st.integers(0, 2**31 - 1)
progress = st.builds(
    Progress, st.none() | st.text(max_size=20), counts, st.none() | counts, st.sampled_from(State)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


def packed(value: Any) -> str:
    """Return any JSON in the clothes of a cursor."""
    return urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()


@given(parts=st.dictionaries(st.text(max_size=8), progress, max_size=4))
def test_what_was_written_is_read(parts: dict[str, Progress]) -> None:
    """A cursor contains every started part; it consists of URL-safe characters."""
    cursor = write("list", parts)
    assert read("list", cursor) == {k: part for k, part in parts.items() if part != START}
    assert cursor.replace("-", "").replace("_", "").isalnum()
    with pytest.raises(BadInput, match=r"^The cursor belongs to another list, filter or order\.$"):
        read("another list", cursor)


def tolerated(cursor: str) -> None:
    """Read a cursor that may be anything."""
    try:
        parts = read("list", cursor)
    except BadInput:
        return
    for part in parts.values():
        assert part.shown >= 0
        assert isinstance(part.state, State)


@given(cursor=st.text(max_size=60))
def test_any_text_is_refused_or_read(cursor: str) -> None:
    """Whatever text is given, no error but the caller's comes of it."""
    tolerated(cursor)


@given(value=json_values)
def test_any_json_is_refused_or_read(value: Any) -> None:
    """So it is with JSON that was not written here, also beside the right name of the list."""
    tolerated(packed(value))
    tolerated(packed(["list", value]))
    tolerated(packed(["list", {"a": value}]))


@given(at=st.integers(0, 200), put=st.characters())
def test_a_cursor_with_one_character_changed_is_refused_or_read(at: int, put: str) -> None:
    """A slip of the hand is no fault of the server."""
    cursor = write("list", {"a": Progress("at 5", 5, 9), "b": Progress(None, 0, 3, State.DONE)})
    at %= len(cursor)
    tolerated(cursor[:at] + put + cursor[at + 1 :])


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param("", id="empty"),
        pytest.param("!", id="not base64"),
        pytest.param("é", id="not ASCII"),
        pytest.param(packed([]), id="nothing in it"),
        pytest.param(packed(["list", {}, 1]), id="too much in it"),
        pytest.param(packed(["list", {"a": [None, -1, None, 0]}]), id="less than no rows"),
        pytest.param(packed(["list", {"a": [None, 2**31, None, 0]}]), id="more rows than Int"),
        pytest.param(packed(["list", {"a": [None, 0, -1, 0]}]), id="a total below zero"),
        pytest.param(packed(["list", {"a": [None, 0, 2**31, 0]}]), id="a total above Int"),
        pytest.param(packed(["list", {"a": [None, 0, None, 9]}]), id="a state that is none"),
        pytest.param(packed(["list", {"a": [5, 0, None, 0]}]), id="a position that is no text"),
        pytest.param(packed(["list", {"a": ["x" * MAX_LENGTH, 0, None, 0]}]), id="too long"),
        pytest.param(urlsafe_b64encode(b"[" * 6000).decode(), id="too deep"),
    ],
)
def test_what_no_cursor_can_say_is_refused(forged: str) -> None:
    """Every invalid cursor has the same message, which reveals nothing of the input."""
    with pytest.raises(BadInput, match=r"^The cursor was not made by this gateway\.$"):
        read("list", forged)


async def test_nobody_is_asked_for_a_forged_cursor() -> None:
    """A cursor is judged before any provider is called."""
    a = FakeList("a", 5)
    with pytest.raises(BadInput):
        await merge(listings([a]), 5, "forged", of="list")
    assert a.requests == []


def test_equal_questions_have_equal_identities() -> None:
    """The order of a set does not matter, every part of a filter does."""
    moment = datetime(2026, 1, 2, tzinfo=UTC)

    def of(**parts: Any) -> str:
        return identity("segments", ["a"], SegmentFilter(SegmentQuery(**parts)))

    both = frozenset({Membership.RULE, Membership.MANUAL})
    again = frozenset({Membership.MANUAL, Membership.RULE})
    assert of(membership=both) == of(membership=again)
    lists: list[dict[str, Any]] = [
        {},
        {"name_contains": "x"},
        {"native": "x"},
        {"site_code": "x"},
        {"membership": both},
        {"membership": frozenset({Membership.RULE})},
        {"created_after": moment},
        {"created_before": moment},
    ]
    assert len({of(**parts) for parts in lists}) == len(lists)
    assert identity("a", "b") != identity("ab")
