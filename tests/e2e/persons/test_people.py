"""`people` and `identityLinks`: whole pages, in their orders, from the index."""

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.sandbox.people import Person, person
from tests.e2e.failures import answering
from tests.e2e.known import APP_BETA, SILVER_MEMBERS
from tests.e2e.persons.asking import (
    ANA,
    CHLOE,
    CRM,
    EMAIL,
    HIRO,
    at,
    customers,
    do,
    identity,
    link_id,
    linking,
    person_id,
    read_everyone,
    source,
)
from tests.e2e.serving import Front, segment_id

SILVER, BETA = segment_id("voucherify", SILVER_MEMBERS), segment_id("voucherify", APP_BETA)
CIRCLE = "Silver circle"
PEOPLE = """query($first: Int = 250, $after: String, $filter: PersonFilter) {
    people(first: $first, after: $after, filter: $filter) {
        totalCount
        nodes { id customers { id } }
        pageInfo { hasNextPage endCursor }
        sources { provider { key } origin totalCount error { code } }
    }
}"""
LINKS = """query($first: Int = 250, $after: String, $filter: IdentityLinkFilter) {
    identityLinks(first: $first, after: $after, filter: $filter) {
        totalCount
        nodes { id state rule createdAt }
        pageInfo { hasNextPage endCursor }
    }
}"""
EVERYONE = [person(n) for n in range(300)]
LINKED = ("stuut", "voucherify", "emporix")


def known_at(one: Person) -> list[str]:
    """Return the providers whose customers the `crm` rule links."""
    return [each for each in LINKED if getattr(one, f"{each}_id")]


async def pages(front: Front, query: str, field: str, first: int, **given: Any) -> list[Any]:
    """Return all nodes of a list, page by page; every page but the last is full."""
    found: list[Any] = []
    after = None
    while True:
        variables = {"first": first, "after": after, **given}
        page = (await front.data(query, variables))[field]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        assert len(page["nodes"]) == first
        after = page["pageInfo"]["endCursor"]


async def test_everyone_who_is_linked(front: Front) -> None:
    """Persons of two or more customers, oldest first, without a call."""
    assert (await front.data(PEOPLE))["people"] == {
        "totalCount": 0,
        "nodes": [],
        "pageInfo": {"hasNextPage": False, "endCursor": None},
        "sources": [
            {"provider": {"key": key}, "origin": "RECORDED", "totalCount": None, "error": None}
            for key in ("stuut", "voucherify", "instaleap", "emporix")
        ],
    }
    await read_everyone(front)
    linked = [one for one in EVERYONE if len(known_at(one)) > 1]
    whole = (await front.data(PEOPLE))["people"]
    shown = await pages(front, PEOPLE, "people", 40)
    assert front.calls == []
    assert whole["nodes"] == shown[:250]
    assert whole["totalCount"] == (len(linked) if len(linked) <= 250 else None)
    assert sorted(shown, key=lambda each: str(each["id"])) == sorted(
        (
            {
                # All of one read were first seen together, ordered by provider and key.
                "id": next(
                    each["id"]
                    for each in shown
                    if each["customers"] == customers(one, *known_at(one))
                ),
                "customers": customers(one, *known_at(one)),
            }
            for one in linked
        ),
        key=lambda each: str(each["id"]),
    )


async def members(front: Front, segment: str) -> set[str]:
    """Return the global ids of a segment's members."""
    data = await front.data(
        f'{{ segment(id: "{segment}") {{ customers(first: 250) {{ nodes {{ id }} }} }} }}'
    )
    return {each["id"] for each in data["segment"]["customers"]["nodes"]}


async def circle(front: Front) -> str:
    """Return the id of a segment at Emporix."""
    data = await front.data(
        """{ segments(filter: { providers: ["emporix"], nameContains: "silver circle" }) {
            nodes { id } } }"""
    )
    (node,) = data["segments"]["nodes"]
    found: str = node["id"]
    return found


async def test_in_segments_of_several_providers(front: Front) -> None:
    """A person is in a segment if any customer is, at whichever provider."""
    await read_everyone(front)
    gold = await circle(front)
    silver, ring = await members(front, SILVER), await members(front, gold)

    def ids(one: Person) -> set[str]:
        return {at(one, provider) for provider in known_at(one)}

    def expected(holds: Any) -> set[frozenset[str]]:
        return {frozenset(ids(one)) for one in EVERYONE if ids(one) and holds(ids(one))}

    beta = await members(front, BETA)
    front.forget()
    cases: list[tuple[Mapping[str, Any], Any]] = [
        ({"inAll": [SILVER, gold]}, lambda of: of & silver and of & ring),
        ({"inAny": [SILVER, gold]}, lambda of: of & silver or of & ring),
        ({"inAll": [SILVER], "inNone": [gold]}, lambda of: of & silver and not of & ring),
        ({"inAny": [gold], "inNone": [BETA]}, lambda of: of & ring and not of & beta),
    ]
    for given, holds in cases:
        shown = (await front.data(PEOPLE, {"filter": given}))["people"]
        found = [frozenset(each["id"] for each in one["customers"]) for one in shown["nodes"]]
        assert len(set(found)) == len(found) == shown["totalCount"]
        assert set(found) == expected(holds), given
        paged = await pages(front, PEOPLE, "people", 7, filter=given)
        assert paged == shown["nodes"]
    both = {"inAll": [SILVER], "email": HIRO.email}
    shown = (await front.data(PEOPLE, {"filter": both}))["people"]
    assert [each["customers"] for each in shown["nodes"]] == [customers(HIRO, *LINKED)]


async def test_persons_of_one_count_where_segments_select(url: str) -> None:
    """Also those that were never read before: their keys come with the members."""
    async with linking(url) as front:
        shown = (await front.data(PEOPLE, {"filter": {"inAll": [BETA]}}))["people"]
        front.forget()
        beta = await members(front, BETA)
        assert {one["customers"][0]["id"] for one in shown["nodes"]} == beta
        assert all(len(one["customers"]) == 1 for one in shown["nodes"])


async def test_a_segment_that_cannot_be_read(front: Front) -> None:
    """Of `inAll` and `inNone` it leaves nobody, of `inAny` it costs its own people only."""
    gold = await circle(front)
    front.providers.instead["emporix"] = answering(500, b"")
    for given, is_empty in (
        ({"inAll": [SILVER, gold]}, True),
        ({"inAll": [SILVER], "inNone": [gold]}, True),
        ({"inAny": [SILVER, gold]}, False),
    ):
        shown = (await front.data(PEOPLE, {"filter": given}))["people"]
        assert (shown["nodes"] == []) is is_empty
        assert shown["totalCount"] is None
        assert shown["sources"][3] == {
            "provider": {"key": "emporix"},
            "origin": None,
            "totalCount": None,
            "error": {"code": "PROVIDER_BROKEN"},
        }


async def test_by_email(url: str) -> None:
    """All persons with an address, each once; providers that search by address are asked."""
    async with linking(url, {"rules": []}) as front:
        shown = (await front.data(PEOPLE, {"filter": {"email": HIRO.email}}))["people"]
        assert [each["customers"] for each in shown["nodes"]] == [
            customers(HIRO, "emporix"),
            customers(HIRO, "voucherify"),
        ]
        assert front.counts == {"voucherify": 1, "emporix": 1}
        assert [each["origin"] for each in shown["sources"]] == [
            "RECORDED",
            "LIVE",
            "RECORDED",
            "LIVE",
        ]
        await do(
            front, "customersLink", {"customerIds": [at(HIRO, "emporix"), at(HIRO, "voucherify")]}
        )
        shown = (await front.data(PEOPLE, {"filter": {"email": HIRO.email}}))["people"]
        assert [each["customers"] for each in shown["nodes"]] == [
            customers(HIRO, "voucherify", "emporix")
        ]


@pytest.mark.parametrize(
    ("query", "given", "message"),
    [
        (
            PEOPLE,
            {"filter": {"inNone": [SILVER]}},
            "filter.inNone alone selects nobody: add inAll, inAny or email.",
        ),
        (PEOPLE, {"filter": {"email": " "}}, "filter.email is blank."),
        (PEOPLE, {"filter": {"inAll": ["x"]}}, "filter.inAll[0] is not an id of this gateway."),
        (PEOPLE, {"first": 0}, "first is 0; it must be from 1 to 250."),
        (PEOPLE, {"after": "x"}, "The cursor was not made by this gateway."),
        (LINKS, {"first": 251}, "first is 251; it must be from 1 to 250."),
        (LINKS, {"after": "x"}, "The cursor was not made by this gateway."),
        (
            LINKS,
            {"filter": {"customerId": SILVER}},
            "filter.customerId is not the id of a customer.",
        ),
    ],
    ids=str,
)
async def test_refused(front: Front, query: str, given: Mapping[str, Any], message: str) -> None:
    """What cannot be listed is null and an error, and nothing is sent."""
    answer = await front.ask(query, given)
    assert list(answer["data"].values()) == [None]
    assert [(each["message"], each["extensions"]["code"]) for each in answer["errors"]] == [
        (message, "BAD_USER_INPUT")
    ]
    assert front.calls == []


async def test_links(front: Front) -> None:
    """All links in all states, newest first, each pair once; whole pages, and filtered."""
    await read_everyone(front)
    apart = {"customerIds": [at(HIRO, "voucherify"), at(ANA, "emporix")]}
    await do(front, "customersUnlink", apart)
    await do(
        front, "customersLink", {"customerIds": [at(CHLOE, "voucherify"), at(ANA, "voucherify")]}
    )
    front.forget()
    whole = await pages(front, LINKS, "identityLinks", 250)
    expected = {
        link_id(one, a, one, b)
        for one in EVERYONE
        for i, a in enumerate(known_at(one))
        for b in known_at(one)[i + 1 :]
    }
    newest = [
        {"id": link_id(ANA, "voucherify", CHLOE, "voucherify"), "state": "ACTIVE", "rule": None},
        {"id": link_id(ANA, "emporix", HIRO, "voucherify"), "state": "BLOCKED", "rule": None},
    ]
    assert [{k: each[k] for k in ("id", "state", "rule")} for each in whole[:2]] == newest
    assert {each["id"] for each in whole[2:]} == expected
    assert len(whole) == len(expected) + 2
    times = [each["createdAt"] for each in whole]
    assert times == sorted(times, reverse=True)
    assert await pages(front, LINKS, "identityLinks", 33) == whole
    # Ana's and Chloé's own links: both may not come into one person by a rule.
    proposed = [each for each in whole if each["state"] == "PROPOSED"]
    for states, shown in (
        (["PROPOSED"], proposed),
        (["BLOCKED"], whole[1:2]),
        (["ACTIVE", "BLOCKED"], [each for each in whole if each["state"] != "PROPOSED"]),
    ):
        assert await pages(front, LINKS, "identityLinks", 250, filter={"states": states}) == shown
    for given, shown in (
        ({"rule": "crm"}, whole[2:]),
        ({"rule": "none"}, []),
        (
            {"customerId": at(HIRO, "stuut")},
            [
                each
                for each in whole
                if each["id"]
                in {link_id(HIRO, "stuut", HIRO, b) for b in ("voucherify", "emporix")}
            ],
        ),
    ):
        assert await pages(front, LINKS, "identityLinks", 250, filter=given) == shown
    assert front.calls == []


async def test_proposals_of_a_customer(url: str) -> None:
    """A customer's links have those that somebody has to decide about."""
    async with linking(url, {"rules": [{**CRM, "auto": False}, EMAIL]}) as front:
        await front.data(f"{{ person({identity(HIRO)}) {{ id }} }}")
        data = await front.data(LINKS, {"filter": {"customerId": at(HIRO, "voucherify")}})
        assert {
            (each["id"], each["state"], each["rule"]) for each in data["identityLinks"]["nodes"]
        } == {
            (link_id(HIRO, "voucherify", HIRO, other), "PROPOSED", "crm")
            for other in ("stuut", "emporix")
        }
        assert (await front.data(PEOPLE))["people"]["nodes"] == []


async def test_ids_of_persons_that_become_one_and_part(url: str) -> None:
    """The older id is shown, the other still leads there; after a split each shows its own."""
    async with linking(url, {"rules": []}) as front:
        ids = [person_id(one, "voucherify") for one in (HIRO, ANA)]
        ends = [at(one, "voucherify") for one in (HIRO, ANA)]
        for each in ids:
            await front.data(f'{{ person(id: "{each}") {{ id }} }}')

        async def shown() -> list[str]:
            text = f'{{ nodes(ids: ["{ids[0]}", "{ids[1]}"]) {{ id }} }}'
            return [each["id"] for each in (await front.data(text))["nodes"]]

        assert await shown() == ids
        await do(front, "customersLink", {"customerIds": ends[::-1]})
        assert await shown() == [ids[0], ids[0]]
        await do(front, "customersUnlink", {"customerIds": ends})
        assert await shown() == ids
        assert source("emporix", None, 0)["error"] is None
