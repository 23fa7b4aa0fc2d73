"""Customers by name and by phone number, where the provider can search for them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.sandbox.people import people
from tests.e2e.failures import FAILURES, signed_in
from tests.e2e.known import HIRO, HIRO_AT, SILVER_MEMBERS
from tests.e2e.serving import Front, customer_id, names, segment_id
from tests.e2e.test_customers import LIST, source

OTHERS = ("stuut", "voucherify", "instaleap")
UNSUPPORTED = [source(key, None, "UNSUPPORTED") for key in OTHERS]
EVERYBODY = [each for each in people(300) if each.emporix_id]
B2B = segment_id("emporix", "b2b-partners")
SILVER = segment_id("voucherify", SILVER_MEMBERS)
HIRO_HERE = customer_id("emporix", HIRO_AT["emporix"])


def expected(text: str) -> list[str]:
    """Return the names with this text, in the order of the lists that are read."""
    text = text.casefold()
    by_list = (
        [each.name for each in EVERYBODY if " " in text and text in each.name.casefold()],
        [each.name for each in EVERYBODY if text in each.given.casefold()],
        [
            each.name
            for each in EVERYBODY
            if text in each.family.casefold() and text not in each.given.casefold()
        ],
    )
    return [name for part in by_list for name in part]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("ana", 2),
        ("ANA", 2),
        ("García", 2),
        ("GARCÍA", 2),
        ("björn", 2),
        ("n", 2),
        ("zzz", 2),
        ("a Al", 3),
        ("  Hiro   Lindqvist ", 3),
        ("Hiro J. Lindqvist", 4),
        ("o'", 2),
    ],
)
async def test_by_name(front: Front, text: str, calls: int) -> None:
    """Whatever its case; first in first names, then in last names, each customer once."""
    result = expected(" ".join(text.split()))

    shown = (await front.data(LIST, {"filter": {"nameContains": text}}))["customers"]

    assert names(shown) == result
    assert len({node["id"] for node in shown["nodes"]}) == len(result)
    assert shown["sources"] == [*UNSUPPORTED, source("emporix", len(result))]
    assert shown["totalCount"] is None
    assert front.counts == {"emporix": calls}


@pytest.mark.parametrize("text", ["", "  ", None])
async def test_no_name(front: Front, text: str | None) -> None:
    """No text is no condition."""
    given = {"filter": {"providers": ["emporix"], "nameContains": text}, "first": 1}

    assert (await front.data(LIST, given))["customers"]["totalCount"] == 200


@pytest.mark.parametrize("first", [1, 2, 5, 13, 18, 19, 250])
async def test_pages_by_name(front: Front, first: int) -> None:
    """Pages cross from first names to last names without a gap or a duplicate."""
    result: list[str] = []
    given: dict[str, Any] = {"filter": {"nameContains": "ana"}, "first": first}
    while True:
        page = (await front.data(LIST, given))["customers"]
        result += names(page)
        if not page["pageInfo"]["hasNextPage"]:
            break
        assert len(page["nodes"]) == first
        given["after"] = page["pageInfo"]["endCursor"]

    assert result == expected("ana")
    assert len(result) == 19


@pytest.mark.parametrize(
    ("wanted", "result", "counts"),
    [
        ({"phone": HIRO.phone}, [HIRO.name], {"emporix": 1}),
        ({"phone": HIRO.phone.replace(" ", "-")}, [], {"emporix": 1}),
        ({"phone": HIRO.phone.replace(" ", "")}, [], {"emporix": 1}),
        ({"phone": HIRO.phone[:-1]}, [], {"emporix": 1}),
        ({"phone": HIRO.phone, "nameContains": "hiro"}, [HIRO.name], {"emporix": 2}),
        ({"phone": HIRO.phone, "nameContains": "ana"}, [], {"emporix": 2}),
        ({"email": HIRO.email, "nameContains": "LIND"}, [HIRO.name], {"emporix": 2}),
        ({"email": HIRO.email, "phone": "+1"}, [], {"emporix": 1}),
        ({"externalId": HIRO_AT["emporix"], "nameContains": "hiro"}, [HIRO.name], {"emporix": 1}),
        ({"externalId": HIRO_AT["emporix"], "phone": "+1"}, [], {"emporix": 1}),
        ({"inAll": [B2B], "phone": HIRO.phone}, [HIRO.name], {"emporix": 2}),
        ({"inNone": [B2B], "phone": HIRO.phone}, [], {"emporix": 2}),
        # Members are filtered here: all of them, and their customers.
        ({"segmentId": B2B, "nameContains": "hiro l"}, [HIRO.name], {"emporix": 3}),
        ({"segmentId": B2B, "phone": HIRO.phone}, [HIRO.name], {"emporix": 3}),
        ({"inAny": [B2B], "nameContains": "HIRO L"}, [HIRO.name], {"emporix": 2}),
    ],
    ids=str,
)
async def test_with_other_conditions(
    front: Front, wanted: Mapping[str, Any], result: Sequence[str], counts: Mapping[str, int]
) -> None:
    """All conditions hold."""
    given = {"filter": {**wanted, "providers": ["emporix"]}}

    shown = (await front.data(LIST, given))["customers"]

    assert names(shown) == list(result)
    assert shown["sources"] == [source("emporix", len(result))]
    assert front.counts == counts


async def test_nobody_selects_those_to_be_left_out(front: Front) -> None:
    """`inNone` selects nobody: with a search that the provider lacks, nothing is left to read."""
    wanted = {"inNone": [SILVER], "phone": HIRO.phone}

    shown = (await front.data(LIST, {"filter": wanted}))["customers"]

    assert shown["nodes"] == []
    assert shown["sources"] == [source("voucherify", None, "UNSUPPORTED")]
    assert front.calls == []


async def test_by_phone_elsewhere(front: Front) -> None:
    """Where it cannot be searched for, the source says so, and nothing is sent."""
    shown = (await front.data(LIST, {"filter": {"phone": HIRO.phone}}))["customers"]

    assert [node["id"] for node in shown["nodes"]] == [HIRO_HERE]
    assert shown["sources"] == [*UNSUPPORTED, source("emporix", 1)]
    assert front.counts == {"emporix": 1}


@pytest.mark.parametrize(
    ("wanted", "total"),
    [
        ({"inAll": [SILVER], "nameContains": "hiro l"}, 1),
        ({"inAll": [SILVER], "phone": HIRO.phone}, 1),
        ({"inAny": [SILVER], "email": HIRO.email, "nameContains": "hiro"}, 1),
        ({"segmentId": SILVER, "phone": HIRO.phone}, 1),
        ({"segmentId": SILVER, "phone": "+1"}, 0),
    ],
    ids=str,
)
async def test_among_members(front: Front, wanted: Mapping[str, Any], total: int) -> None:
    """Members of a segment are filtered here, also at a provider that cannot search."""
    shown = (await front.data(LIST, {"filter": wanted}))["customers"]

    assert names(shown) == [HIRO.name] * total
    assert shown["totalCount"] == total
    assert shown["sources"] == [source("voucherify", total)]
    assert front.counts == {"voucherify": 1}


@pytest.mark.parametrize(
    "wanted",
    [
        {"nameContains": "?!"},
        {"nameContains": "one two three four five"},
        {"phone": "( )"},
    ],
    ids=str,
)
async def test_what_cannot_be_searched_for(front: Front, wanted: Mapping[str, Any]) -> None:
    """A text that Emporix's `q` cannot express fails Emporix alone, and is not sent."""
    shown = (await front.data(LIST, {"filter": wanted}))["customers"]

    assert shown["sources"] == [*UNSUPPORTED, source("emporix", None, "BAD_USER_INPUT")]
    assert front.calls == []


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"phone": ""}, "filter.phone is empty."),
        (
            {"inNone": [B2B], "nameContains": "a"},
            (
                "filter.inNone alone selects nobody: add inAll, inAny, segmentId, externalId, "
                "email or phone."
            ),
        ),
    ],
    ids=str,
)
async def test_refused_filter(front: Front, wanted: Mapping[str, Any], message: str) -> None:
    """An empty number, and a name as the only selection of the others, are refused."""
    answer = await front.ask(LIST, {"filter": wanted})

    assert [(e["message"], e["extensions"]) for e in answer["errors"]] == [
        (message, {"code": "BAD_USER_INPUT"})
    ]
    assert front.calls == []


async def test_a_failure(front: Front) -> None:
    """Emporix's failure is reported in its source."""
    real = front.providers.real("emporix")
    front.providers.instead["emporix"] = signed_in(FAILURES["500"].server, real)

    shown = (await front.data(LIST, {"filter": {"nameContains": "ana"}}))["customers"]

    assert shown["nodes"] == []
    assert shown["sources"] == [*UNSUPPORTED, source("emporix", None, "PROVIDER_BROKEN")]


async def test_a_cursor_of_another_search(front: Front) -> None:
    """It is refused as that of any other list."""
    page = (await front.data(LIST, {"filter": {"nameContains": "ana"}, "first": 1}))["customers"]
    after = page["pageInfo"]["endCursor"]

    answer = await front.ask(LIST, {"filter": {"nameContains": "bea"}, "after": after})

    assert answer["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
