"""What the gateway told Instaleap, read through the schema: recorded, never said to be live."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.failures import FAILURES
from tests.e2e.serving import (
    Front,
    Providers,
    assignment_id,
    customer_id,
    segment_id,
    settings_with,
)
from tests.e2e.writes.asking import do, shoppers
from tests.e2e.writes.serving import serving
from tests.e2e.writes.shop import Shop
from tests.e2e.writes.test_replace_tags import REPLACE, entry, recorded

KEYS = sorted(shoppers(5))
GOLD = segment_id("instaleap", "membership:GOLD")


@pytest.fixture
async def tagged(front: Front) -> Front:
    """Return a gateway with five gold customers, two of them also new."""
    customers = [
        entry(key, "membership:GOLD", *(["affiliation:new"] if n < 2 else []))
        for n, key in enumerate(KEYS)
    ]
    await do(front, REPLACE, {"provider": "instaleap", "customers": customers})
    front.forget()
    return front


async def test_segments(tagged: Front) -> None:
    """The pairs in use are segments, with their members counted in the store."""
    data = await tagged.data("""{ provider(key: "instaleap") { segments { totalCount
      nodes { id externalId name membership status origin emitsMembershipEvents version
        customersCount { count precision } }
      sources { origin totalCount error { code } } } } }""")
    common = {
        "membership": "TAG",
        "status": "ACTIVE",
        "origin": "RECORDED",
        "emitsMembershipEvents": False,
        "version": None,
    }
    assert data["provider"]["segments"] == {
        "totalCount": 2,
        "nodes": [
            {
                **common,
                "id": segment_id("instaleap", "affiliation:new"),
                "externalId": "affiliation:new",
                "name": "new",
                "customersCount": {"count": 2, "precision": "EXACT"},
            },
            {
                **common,
                "id": GOLD,
                "externalId": "membership:GOLD",
                "name": "GOLD",
                "customersCount": {"count": 5, "precision": "EXACT"},
            },
        ],
        "sources": [{"origin": "RECORDED", "totalCount": 2, "error": None}],
    }
    assert tagged.calls == []


async def test_pages_of_members(tagged: Front) -> None:
    """Members are paged by document id: none twice, none lost, the total on every page."""
    query = """query($id: ID!, $after: String) { segment(id: $id) {
      assignments(first: 2, after: $after) { totalCount pageInfo { hasNextPage endCursor }
        nodes { id kind state origin legalEntity { id } customer { id } segment { id } } }
    } }"""
    after, seen, pages = None, [], 0
    while pages < 4:
        data = await tagged.data(query, {"id": GOLD, "after": after})
        connection = data["segment"]["assignments"]
        assert connection["totalCount"] == 5
        seen += connection["nodes"]
        after, pages = connection["pageInfo"]["endCursor"], pages + 1
        if not connection["pageInfo"]["hasNextPage"]:
            break
    assert pages == 3
    assert seen == [
        {
            "id": assignment_id("instaleap", "membership:GOLD", key),
            "kind": "MANUAL",
            "state": "CONFIRMED",
            "origin": "RECORDED",
            "legalEntity": None,
            "customer": {"id": customer_id("instaleap", key)},
            "segment": {"id": GOLD},
        }
        for key in KEYS
    ]
    assert tagged.calls == []


async def test_customers(tagged: Front) -> None:
    """Customers are those that were told of, each with the segments recorded."""
    data = await tagged.data("""{ customers(filter: {providers: ["instaleap"]}, first: 3) {
      totalCount sources { origin totalCount } nodes { id name email
        identities { provider { key } externalId key }
        segments { totalCount nodes { externalId origin } } } } }""")
    connection = data["customers"]
    assert connection["totalCount"] == 5
    assert connection["sources"] == [{"origin": "RECORDED", "totalCount": 5}]
    gold = {"externalId": "membership:GOLD", "origin": "RECORDED"}
    new = {"externalId": "affiliation:new", "origin": "RECORDED"}
    assert connection["nodes"] == [
        {
            "id": customer_id("instaleap", key),
            "name": None,
            "email": None,
            "identities": [
                {"provider": {"key": "instaleap"}, "externalId": key, "key": "document_id"}
            ],
            "segments": {"totalCount": 2, "nodes": [gold, new]}
            if n < 2
            else {"totalCount": 1, "nodes": [gold]},
        }
        for n, key in enumerate(KEYS[:3])
    ]
    assert tagged.calls == []


async def test_memberships_and_nodes(tagged: Front) -> None:
    """Membership tests and global ids answer from the store as well."""
    mine = assignment_id("instaleap", "affiliation:new", KEYS[0])
    data = await tagged.data(
        """query($customers: [ID!]!, $segments: [ID!]!, $ids: [ID!]!) {
          segmentMemberships(customerIds: $customers, segmentIds: $segments) { isMember }
          nodes(ids: $ids) { __typename id }
        }""",
        {
            "customers": [customer_id("instaleap", KEYS[0]), customer_id("instaleap", KEYS[4])],
            "segments": [segment_id("instaleap", "affiliation:new"), GOLD],
            "ids": [mine, GOLD, customer_id("instaleap", "nobody")],
        },
    )
    assert [row["isMember"] for row in data["segmentMemberships"]] == [True, True, False, True]
    assert data["nodes"] == [
        {"__typename": "Assignment", "id": mine},
        {"__typename": "Segment", "id": GOLD},
        None,
    ]
    assert tagged.calls == []


async def test_what_nobody_has_is_gone(tagged: Front) -> None:
    """A pair that nobody has any more is no segment; who has none is a customer still."""
    cleared = [{"externalId": key} for key in KEYS[:2]]
    await do(tagged, REPLACE, {"provider": "instaleap", "customers": cleared})
    data = await tagged.data(
        """query($gone: ID!, $gold: ID!, $who: ID!) {
          gone: segment(id: $gone) { id }
          gold: segment(id: $gold) { customersCount { count } }
          customer(id: $who) { segments { totalCount nodes { id } } } }""",
        {
            "gone": segment_id("instaleap", "affiliation:new"),
            "gold": GOLD,
            "who": customer_id("instaleap", KEYS[0]),
        },
    )
    assert data == {
        "gone": None,
        "gold": {"customersCount": {"count": 3}},
        "customer": {"segments": {"totalCount": 0, "nodes": []}},
    }


async def test_pending(front: Front) -> None:
    """While the provider is asked, what was and what will be stand there as PENDING."""
    shop, key = Shop(front.providers), KEYS[0]
    await do(front, REPLACE, {"provider": "instaleap", "customers": [entry(key, "a:old")]})
    shop.hold = asyncio.Event()
    shop.arrived.clear()
    given = {"provider": "instaleap", "customers": [entry(key, "a:new")]}
    writing = asyncio.ensure_future(do(front, REPLACE, given))
    await shop.arrived.wait()
    assert await recorded(front, key) == [("a:new", "PENDING"), ("a:old", "PENDING")]
    shop.hold.set()
    assert (await writing)["updatedCustomerIds"] == [key]
    assert await recorded(front, key) == [("a:new", "CONFIRMED")]


async def test_writers_of_one_customer(front: Front) -> None:
    """Replacements of one customer come one by one: the store is what the provider has."""
    shop, key = Shop(front.providers), KEYS[0]

    def given(n: int) -> Mapping[str, Any]:
        return {"provider": "instaleap", "customers": [entry(key, f"a:{n}")]}

    answers = await asyncio.gather(*(do(front, REPLACE, given(n)) for n in range(12)))
    assert [each["updatedCustomerIds"] for each in answers] == [[key]] * 12
    assert len(shop.batches) == 12
    [(last, state)] = await recorded(front, key) or []
    assert ([last], state) == (list(shop.has(key)), "CONFIRMED")


async def test_seen_in_the_same_document(front: Front) -> None:
    """A second replacement of a document is as good as one of another."""
    shop, key = Shop(front.providers), KEYS[0]
    data = await front.data(
        "mutation($a: CustomerSegmentsReplaceInput!, $b: CustomerSegmentsReplaceInput!) {"
        " a: customerSegmentsReplace(input: $a) { updatedCustomerIds }"
        " b: customerSegmentsReplace(input: $b) { updatedCustomerIds } }",
        {
            "a": {"provider": "instaleap", "customers": [entry(key, "a:1")]},
            "b": {"provider": "instaleap", "customers": [entry(key, "a:2")]},
        },
    )
    assert data == {"a": {"updatedCustomerIds": [key]}, "b": {"updatedCustomerIds": [key]}}
    assert shop.has(key) == ["a:2"]
    assert await recorded(front, key) == [("a:2", "CONFIRMED")]


async def test_a_client_that_hangs_up(front: Front) -> None:
    """A write whose caller is gone stays open in the store, and is never said to be done."""
    shop, key = Shop(front.providers), KEYS[0]
    shop.hold = asyncio.Event()
    given = {"provider": "instaleap", "customers": [entry(key, "a:new")]}
    writing = asyncio.ensure_future(do(front, REPLACE, given))
    await shop.arrived.wait()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert await recorded(front, key) == [("a:new", "PENDING")]
    shop.hold.set()  # or else the gateway waits for it when it stops


async def test_unconfirmed_until_it_is_repeated(providers: Providers, url: str) -> None:
    """What is in doubt says UNCONFIRMED to every reader, until a repetition settles it."""
    shop, key, failure = Shop(providers), KEYS[0], FAILURES["500"]
    async with serving(providers, url, settings_with()) as front:
        shop.instead = failure.server
        await do(front, REPLACE, {"provider": "instaleap", "customers": [entry(key, "a:new")]})
        data = await front.data(
            "query($id: ID!) { segment(id: $id) { customersCount { count }"
            " assignments { nodes { state origin } } } }",
            {"id": segment_id("instaleap", "a:new")},
        )
        assert data["segment"] == {
            "customersCount": {"count": 1},
            "assignments": {"nodes": [{"state": "UNCONFIRMED", "origin": "RECORDED"}]},
        }
        shop.instead = None
        await do(front, REPLACE, {"provider": "instaleap", "customers": [entry(key, "a:last")]})
        assert await recorded(front, key) == [("a:last", "CONFIRMED")]
