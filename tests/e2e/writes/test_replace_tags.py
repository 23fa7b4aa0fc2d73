"""Replacing at Instaleap, which tells only whom it updated."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.failures import FAILURES, answering
from tests.e2e.serving import Front, Providers, segment_id, settings_with
from tests.e2e.writes.asking import do, problem, shoppers
from tests.e2e.writes.serving import serving
from tests.e2e.writes.shop import Shop

ONE, TWO, THREE = shoppers(3)
REPLACE = "customerSegmentsReplace"


@pytest.fixture
def shop(front: Front) -> Shop:
    """Return Instaleap's server."""
    return Shop(front.providers)


def entry(key: str, *tags: str) -> dict[str, Any]:
    """Return a customer of the input with these `type:value` pairs."""
    pairs = [tag.partition(":")[::2] for tag in tags]
    return {"externalId": key, "segments": [{"type": t, "value": v} for t, v in pairs]}


def row(index: int, key: str, outcome: str, *errors: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row of the payload."""
    return {"index": index, "externalId": key, "outcome": outcome, "userErrors": list(errors)}


async def recorded(front: Front, key: str) -> list[tuple[str, str]] | None:
    """Return the external ids and states of what is shown of a customer."""
    data = await front.data(
        "query($who: CustomerIdentityInput!) { customer(identity: $who) {"
        " assignments { nodes { state segment { externalId } } } } }",
        {"who": {"provider": "instaleap", "externalId": key}},
    )
    if data["customer"] is None:
        return None
    nodes = data["customer"]["assignments"]["nodes"]
    return [(node["segment"]["externalId"], node["state"]) for node in nodes]


async def test_whole_replacement(front: Front, shop: Shop) -> None:
    """Pairs replace what was there; null, none and nothing given clear; ids are pairs as well."""
    given = {
        "provider": "instaleap",
        "customers": [
            entry(ONE, "membership:GOLD", "affiliation:new customer"),
            {"externalId": TWO, "segments": None},
            {"externalId": THREE, "segmentIds": [segment_id("instaleap", "a%20b:c%3Ad")]},
            {"externalId": shoppers(4)[3]},
            {"externalId": shoppers(5)[4], "segmentIds": []},
        ],
    }
    payload = await do(front, REPLACE, given)
    keys = shoppers(5)
    assert payload == {
        "updatedCustomerIds": keys,
        "results": [row(n, key, "UPDATED") for n, key in enumerate(keys)],
        "userErrors": [],
    }
    assert [len(batch) for batch in shop.batches] == [5]
    assert sorted(shop.has(ONE)) == ["affiliation:new customer", "membership:GOLD"]
    assert shop.has(THREE) == ["a b:c:d"]
    assert [shop.has(key) for key in (TWO, keys[3], keys[4])] == [[], [], []]
    assert await recorded(front, ONE) == [
        ("membership:GOLD", "CONFIRMED"),
        ("affiliation:new%20customer", "CONFIRMED"),
    ]
    assert await recorded(front, THREE) == [("a%20b:c%3Ad", "CONFIRMED")]
    assert await recorded(front, TWO) == []

    again = {"provider": "instaleap", "customers": [entry(ONE, "membership:SILVER")]}
    await do(front, REPLACE, again)
    assert shop.has(ONE) == ["membership:SILVER"]
    assert await recorded(front, ONE) == [("membership:SILVER", "CONFIRMED")]


async def test_duplicates(front: Front, shop: Shop) -> None:
    """Of several entries for one customer the first counts; a pair is sent once."""
    given = {
        "provider": "instaleap",
        "customers": [
            entry(ONE, "a:1", "a:1", "a:2", "a:1"),
            entry(ONE, "b:1"),
            entry(TWO, "a:1"),
            {"externalId": ONE, "segments": None},
        ],
    }
    payload = await do(front, REPLACE, given)
    assert payload == {
        "updatedCustomerIds": [ONE, TWO],
        "results": [
            row(0, ONE, "UPDATED"),
            row(1, ONE, "DISCARDED_DUPLICATE"),
            row(2, TWO, "UPDATED"),
            row(3, ONE, "DISCARDED_DUPLICATE"),
        ],
        "userErrors": [],
    }
    [batch] = shop.batches
    assert sorted(customer["document_id"] for customer in batch) == sorted([ONE, TWO])
    assert sorted(shop.has(ONE)) == ["a:1", "a:2"]


@pytest.mark.usefixtures("shop")
async def test_silence(front: Front) -> None:
    """Whoever the answer leaves out was not updated, and nothing is recorded of them."""
    given = {
        "provider": "instaleap",
        "customers": [entry("nobody", "a:1"), entry(ONE, "a:1"), entry("no one", "a:1")],
    }
    payload = await do(front, REPLACE, given)
    assert payload == {
        "updatedCustomerIds": [ONE],
        "results": [
            row(
                0,
                "nobody",
                "NOT_UPDATED",
                problem("customers.0.externalId", "NOT_FOUND", "instaleap"),
            ),
            row(1, ONE, "UPDATED"),
            row(
                2,
                "no one",
                "NOT_UPDATED",
                problem("customers.2.externalId", "NOT_FOUND", "instaleap"),
            ),
        ],
        "userErrors": [],
    }
    assert await recorded(front, "nobody") is None
    assert await recorded(front, ONE) == [("a:1", "CONFIRMED")]


async def test_checked_first(front: Front, shop: Shop) -> None:
    """Entries that cannot be sent stand with their mistakes beside those that are."""
    wrong = [
        {"externalId": "", "segments": []},
        {**entry(ONE, "a:1"), "segmentIds": []},
        {"externalId": TWO, "segmentIds": ["x", segment_id("emporix", "golden")]},
        {"externalId": THREE, "segmentIds": [segment_id("instaleap", "no pair")]},
        entry("null\0", "a:1"),
        entry(shoppers(4)[3], "a:" + "x" * 3000),
    ]
    good = entry(ONE, "a:2")
    payload = await do(front, REPLACE, {"provider": "instaleap", "customers": [*wrong, good]})
    at = "customers"
    errors = [
        [problem(f"{at}.0.externalId", "REQUIRED", "instaleap")],
        [problem(f"{at}.1.segmentIds", "INVALID", None)],
        [
            problem(f"{at}.2.segmentIds.0", "INVALID", None),
            problem(f"{at}.2.segmentIds.0", "INVALID", "instaleap"),
        ],
        [problem(f"{at}.3.segmentIds", "INVALID", "instaleap")],
        [problem(f"{at}.4", "INVALID", "instaleap")],
        [problem(f"{at}.5", "INVALID", "instaleap")],
    ]
    assert payload == {
        "updatedCustomerIds": [ONE],
        "results": [
            *(
                row(n, str(each["externalId"]), "NOT_UPDATED", *errors[n])
                for n, each in enumerate(wrong)
            ),
            row(6, ONE, "UPDATED"),
        ],
        "userErrors": [],
    }
    assert [len(batch) for batch in shop.batches] == [1]
    assert await recorded(front, TWO) is None


async def test_batches(front: Front, shop: Shop) -> None:
    """Long lists are sent in batches of a hundred; every row has its place."""
    known, rows = set(shoppers(150)), []
    for n in range(250):
        key = shoppers(150)[n // 2] if n % 2 and n < 240 else f"unknown {n}"
        rows.append(entry(key, f"a:{n % 3}"))
    payload = await do(front, REPLACE, {"provider": "instaleap", "customers": rows})
    assert sorted(len(batch) for batch in shop.batches) == [50, 100, 100]
    expected = ["UPDATED" if each["externalId"] in known else "NOT_UPDATED" for each in rows]
    assert [each["outcome"] for each in payload["results"]] == expected
    assert [each["index"] for each in payload["results"]] == list(range(250))
    updated = [each["externalId"] for each in rows if each["externalId"] in known]
    assert payload["updatedCustomerIds"] == updated


NOT_DONE = {"unreachable", "401", "403", "429", "400", "422"}


@pytest.mark.parametrize(
    "way",
    [*sorted(NOT_DONE), "silent", "timeout", "broken connection", "500", "503", "HTML", "null"],
)
async def test_outage(providers: Providers, url: str, way: str) -> None:
    """A failure stands in the rows, and the store says what is known: nothing new, or doubt."""
    failure = FAILURES[way]
    async with serving(providers, url, settings_with(timeout_s=2)) as front:
        shop = Shop(providers)
        before = {"provider": "instaleap", "customers": [entry(ONE, "a:old")]}
        await do(front, REPLACE, before)
    async with serving(providers, url, settings_with(timeout_s=failure.timeout_s)) as front:
        shop.instead, shop.acts = failure.server, way not in NOT_DONE
        given = {"provider": "instaleap", "customers": [entry(ONE, "a:new"), entry(TWO, "a:new")]}
        payload = await do(front, REPLACE, given)
        is_refused = failure.code == "PROVIDER_REFUSED"
        code = "PROVIDER_REFUSED" if is_refused else "PROVIDER_FAILED"
        outcome = "NOT_UPDATED" if way in NOT_DONE else "UNKNOWN"
        assert payload == {
            "updatedCustomerIds": [],
            "results": [
                row(n, key, outcome, problem(f"customers.{n}", code, "instaleap"))
                for n, key in enumerate((ONE, TWO))
            ],
            "userErrors": [],
        }
        assert len(shop.batches) == 2
        if way in NOT_DONE:
            assert shop.has(ONE) == ["a:old"]
            assert await recorded(front, ONE) == [("a:old", "CONFIRMED")]
            assert await recorded(front, TWO) is None
        else:
            assert await recorded(front, ONE) == [
                ("a:new", "UNCONFIRMED"),
                ("a:old", "UNCONFIRMED"),
            ]
            assert await recorded(front, TWO) == [("a:new", "UNCONFIRMED")]
    shop.instead = None
    async with serving(providers, url) as front:
        # At start what is in doubt is sent again.
        now = "a:old" if way in NOT_DONE else "a:new"
        async with asyncio.timeout(30):
            while await recorded(front, ONE) != [(now, "CONFIRMED")]:
                pass
        assert shop.has(ONE) == [now]
        assert len(shop.batches) == (2 if way in NOT_DONE else 3)


async def test_a_failing_batch_spoils_no_other(front: Front, shop: Shop) -> None:
    """Rows of the batch that failed are unknown; all others are as the provider says."""
    real = shop.__call__
    failing = answering(500, b"")

    async def second_fails(scope: Any, receive: Any, send: Any) -> None:
        number = len(shop.batches)
        shop.instead = failing if number == 1 else None
        shop.acts = False
        await real(scope, receive, send)

    front.providers.instead["instaleap"] = second_fails
    rows = [entry(key, "a:1") for key in shoppers(150)] + [
        entry(f"u{n}", "a:1") for n in range(100)
    ]
    payload = await do(front, REPLACE, {"provider": "instaleap", "customers": rows})
    outcomes = [each["outcome"] for each in payload["results"]]
    # They are under way at once, so that any of them may be the second to arrive.
    assert sorted(map(len, shop.batches)) == [50, 100, 100]
    unknown = {str(row["document_id"]) for row in shop.batches[1]}
    assert outcomes.count("UNKNOWN") == len(unknown)
    for each in payload["results"]:
        if each["externalId"] in unknown:
            assert each["outcome"] == "UNKNOWN"
        else:
            is_known = not each["externalId"].startswith("u")
            assert each["outcome"] == ("UPDATED" if is_known else "NOT_UPDATED")


@pytest.mark.parametrize("entry_of_answer", [b"null", b'""', b"{}", b"[1]", b"true"], ids=str)
async def test_an_entry_that_cannot_be_read(
    front: Front, shop: Shop, entry_of_answer: bytes
) -> None:
    """Whoever the answer may mean is UNKNOWN, and is sent again; the others are as it says."""
    body = b'{"updatedCustomers": ["%s", %s]}' % (ONE.encode(), entry_of_answer)
    shop.instead = answering(200, body)
    given = {"provider": "instaleap", "customers": [entry(ONE, "a:b"), entry(TWO, "a:b")]}
    payload = await do(front, REPLACE, given)
    failure = problem("customers.1", "PROVIDER_FAILED", "instaleap")
    assert payload["results"] == [row(0, ONE, "UPDATED"), row(1, TWO, "UNKNOWN", failure)]
    assert await recorded(front, ONE) == [("a:b", "CONFIRMED")]
    assert await recorded(front, TWO) == [("a:b", "UNCONFIRMED")]
