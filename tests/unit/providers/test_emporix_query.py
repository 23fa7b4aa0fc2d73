from datetime import UTC, datetime

import pytest

from gateway.domain.entities import Membership, Status
from gateway.domain.queries import SegmentQuery
from gateway.providers.emporix.query import (
    MAX_IDS,
    MAX_URL_LENGTH,
    ListFilter,
    fits_url,
    id_batches,
    is_expressible,
    one_of,
    segment_filter,
)

SAYABLE = [
    "628cd20c6e8b2432b6346ca6",
    "13869000",
    "a_b-c.d",
    "a~b",
    "a=b",
    "nullable",
    "Größe",
    "john.doe+tag@example.com",
    "x/y?z&w#v%20",
    "o'neil@x.example",
]
UNSAYABLE = [
    "",
    " ",
    "a b",
    "a,b",
    "(a",
    "a)",
    '"a"',
    "'a'",
    "'",
    "a`b",
    "a:b",
    "a\\b",
    "a\tb",
    "a\nb",
    "a\n",
    "a\x00",
    "a\x7f",
    "a\u00a0b",
    "~a",
    ">a",
    "<a",
    "=a",
    "!a",
    "null",
    "NULL",
    "exists",
    "missing",
    "and",
    "AND",
    "OR",
    "true",
    "False",
]


@pytest.mark.parametrize("value", SAYABLE, ids=ascii)
def test_most_values_can_be_said(value: str) -> None:
    """What has no meaning of its own in `q` stands there as it is."""
    assert is_expressible(value)


@pytest.mark.parametrize("value", UNSAYABLE, ids=ascii)
def test_what_means_something_in_q_cannot_be_said(value: str) -> None:
    """There is no escaping, so such a value never gets into a `q`, alone or in a list."""
    assert not is_expressible(value)
    assert id_batches([value]) == [[value]]
    assert id_batches(["a", value, "b"]) == [["a", "b"], [value]]
    list_filter = segment_filter(SegmentQuery(site_code=value))
    assert list_filter == ListFilter(None, is_whole=False)


def moment(microsecond: int) -> datetime:
    """Return a time with that fraction of a second."""
    return datetime(2026, 1, 2, 3, 4, 5, microsecond, tzinfo=UTC)


FILTERS = {
    "everything": (SegmentQuery(), None, True),
    "active": (SegmentQuery(status=Status.ACTIVE), "status:ACTIVE", True),
    "inactive": (SegmentQuery(status=Status.INACTIVE), "status:INACTIVE", True),
    "unknown": (SegmentQuery(status=Status.UNKNOWN), None, False),
    "site": (SegmentQuery(site_code="main"), "siteCode:main", True),
    "name": (SegmentQuery(name_contains="gold"), None, False),
    "manual": (SegmentQuery(membership=frozenset({Membership.MANUAL})), None, True),
    "rules": (SegmentQuery(membership=frozenset({Membership.RULE})), None, False),
    "after": (
        SegmentQuery(created_after=moment(0)),
        'metadata.createdAt:>"2026-01-02T03:04:05.000Z"',
        True,
    ),
    "before": (
        SegmentQuery(created_before=moment(6000)),
        'metadata.createdAt:<"2026-01-02T03:04:05.006Z"',
        True,
    ),
    "between, finer than a millisecond": (
        SegmentQuery(created_after=moment(6789), created_before=moment(7001)),
        'metadata.createdAt:(>"2026-01-02T03:04:05.006Z" AND <="2026-01-02T03:04:05.007Z")',
        True,
    ),
    "native": (SegmentQuery(native="name.en:Gold"), "name.en:Gold", True),
    "native and more": (
        SegmentQuery(native="name.en:Gold", status=Status.ACTIVE),
        "name.en:Gold",
        False,
    ),
    "several": (
        SegmentQuery(name_contains="g", status=Status.ACTIVE, site_code="main"),
        "status:ACTIVE siteCode:main",
        False,
    ),
}


@pytest.mark.parametrize(("query", "q", "is_whole"), FILTERS.values(), ids=FILTERS)
def test_as_much_as_q_is_expressible_is_asked_for(
    query: SegmentQuery, q: str | None, *, is_whole: bool
) -> None:
    """Emporix filters by what `q` can express; anything else makes the filter partial."""
    assert segment_filter(query) == ListFilter(q, is_whole)


def test_ids_are_asked_for_a_hundred_at_once() -> None:
    """Every id is in one group, in the order given, and no group has more than a hundred."""
    ids = [f"id{number}" for number in range(250)]
    groups = id_batches(ids)
    assert [len(group) for group in groups] == [100, 100, 50]
    assert [key for group in groups for key in group] == ids
    assert MAX_IDS == 100


@pytest.mark.parametrize("letter", ["x", "ü", "漢", "/"])
def test_long_ids_are_cut_to_what_a_url_may_hold(letter: str) -> None:
    """No group of several is longer than a URL allows, percent-encoded; none is lost."""
    ids = [letter * 500 + str(number) for number in range(40)]
    groups = id_batches(ids)
    assert [key for group in groups for key in group] == ids
    assert all(fits_url(one_of("id", group)) for group in groups)


def test_an_id_longer_than_a_url_is_alone() -> None:
    """An id that fits nowhere does not spoil the others."""
    endless = "x" * (MAX_URL_LENGTH + 1)
    assert id_batches(["a", endless, "b"]) == [["a"], [endless], ["b"]]


def test_nothing_is_asked_for_no_ids() -> None:
    """No ids, no calls."""
    assert id_batches([]) == []
