"""Links that somebody makes, takes back or decides about."""

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.identity.graph import pair_of
from gateway.sandbox.people import person
from resolvers import global_ids
from tests.e2e.persons.asking import (
    ANA,
    CHLOE,
    CRM,
    EMAIL,
    HIRO,
    IDS,
    at,
    customers,
    do,
    identity,
    link_id,
    linking,
    person_id,
)
from tests.e2e.serving import Front, customer_id

LINK = "id origin rule state createdBy note a { id } b { id }"
NONE: Mapping[str, Any] = {"rules": []}
PROPOSING: Mapping[str, Any] = {"rules": [{**CRM, "auto": False}]}


async def person_of(front: Front, one: Any, provider: str) -> list[dict[str, str]]:
    """Return the customers of the person of a customer."""
    data = await front.data(f'{{ person(id: "{at(one, provider)}") {IDS} }}')
    found: list[dict[str, str]] = data["person"]["customers"]
    return found


async def test_link_and_unlink(url: str) -> None:
    """Without rules, customers are one person when somebody says so, until they do not."""
    async with linking(url, NONE) as front:
        ids = [at(HIRO, "voucherify"), at(ANA, "emporix"), at(HIRO, "voucherify")]
        given = {"customerIds": ids, "note": "They say so."}
        linked = await do(
            front, "customersLink", given, f"person {{ id customers {{ id }} }} links {{ {LINK} }}"
        )
        together = [{"id": at(HIRO, "voucherify")}, {"id": at(ANA, "emporix")}]
        # Of two customers that were first seen at once, the one of the first key is older.
        oldest = person_id(ANA, "emporix")
        assert linked == {
            "person": {"id": oldest, "customers": together},
            "links": [
                {
                    "id": link_id(ANA, "emporix", HIRO, "voucherify"),
                    "origin": "EXPLICIT",
                    "rule": None,
                    "state": "ACTIVE",
                    "createdBy": "anonymous",
                    "note": "They say so.",
                    "a": {"id": at(ANA, "emporix")},
                    "b": {"id": at(HIRO, "voucherify")},
                }
            ],
            "userErrors": [],
        }
        again = await do(front, "customersLink", {"customerIds": ids}, f"links {{ {LINK} }}")
        assert again == {"links": linked["links"], "userErrors": []}
        assert await person_of(front, HIRO, "voucherify") == together
        data = await front.data(
            f'{{ node(id: "{linked["links"][0]["id"]}") {{ ... on IdentityLink {{ {LINK} }} }} }}'
        )
        assert data["node"] == linked["links"][0]

        link = {"linkId": linked["links"][0]["id"]}
        for _ in range(2):
            unlinked = await do(front, "customersUnlink", link, "people { id customers { id } }")
            assert unlinked == {
                "people": [
                    {"id": oldest, "customers": [{"id": at(ANA, "emporix")}]},
                    {
                        "id": person_id(HIRO, "voucherify"),
                        "customers": [{"id": at(HIRO, "voucherify")}],
                    },
                ],
                "userErrors": [],
            }
        data = await front.data(
            f'{{ node(id: "{link["linkId"]}") {{ ... on IdentityLink {{ origin state }} }} }}'
        )
        assert data["node"] == {"origin": "EXPLICIT", "state": "BLOCKED"}
        # The latest decision about a pair counts.
        await do(front, "customersLink", {"customerIds": ids})
        assert await person_of(front, HIRO, "voucherify") == together


async def test_an_unlink_is_never_undone_by_a_rule(front: Front) -> None:
    """Also when both are read again, and by another replica of the gateway."""
    data = await front.data(f"{{ person({identity(HIRO)}) {{ id }} }}")
    assert data["person"]["id"] == person_id(HIRO, "emporix")
    link = link_id(HIRO, "emporix", HIRO, "voucherify")
    await do(front, "customersUnlink", {"linkId": link})
    shown = f'{{ node(id: "{link}") {{ ... on IdentityLink {{ origin rule state }} }} }}'
    assert (await front.data(shown))["node"] == {
        "origin": "RULE",
        "rule": "crm",
        "state": "BLOCKED",
    }
    # The customer at Stuut stays with one of the two.
    for provider, others in (("voucherify", []), ("emporix", ["stuut"])):
        expected = customers(HIRO, *(["stuut"] if others else []), provider)
        assert await person_of(front, HIRO, provider) == expected
    data = await front.data(f"{{ person({identity(HIRO)}) {{ id }} }}")
    assert data["person"]["id"] == person_id(HIRO, "voucherify")


async def test_one_customer_leaves_its_person(front: Front) -> None:
    """It is kept apart from each other one, which stay together."""
    await front.data(f"{{ person({identity(HIRO)}) {{ id }} }}")
    left = await do(
        front, "customersUnlink", {"customerIds": [at(HIRO, "stuut")]}, f"people {IDS}"
    )
    assert left["people"] == [
        {"customers": customers(HIRO, "stuut")},
        {"customers": customers(HIRO, "voucherify", "emporix")},
    ]
    left = await do(
        front, "customersUnlink", {"customerIds": [at(HIRO, "stuut")]}, f"people {IDS}"
    )
    assert left == {"people": [{"customers": customers(HIRO, "stuut")}], "userErrors": []}


async def test_several_are_kept_apart_from_each_other(front: Front) -> None:
    """Each pair is blocked, also one that had no link."""
    await front.data(f"{{ person({identity(HIRO)}) {{ id }} }}")
    ids = [at(HIRO, "voucherify"), at(HIRO, "emporix"), at(ANA, "emporix")]
    apart = await do(front, "customersUnlink", {"customerIds": ids}, f"people {IDS}")
    people = [[each["id"] for each in person["customers"]] for person in apart["people"]]
    assert sorted(map(len, people)) == [1, 1, 2]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        pair = pair_of(*(global_ids.customer(ids[i]) for i in (one, other)))
        data = await front.data(
            f'{{ node(id: "{global_ids.of_pair(pair)}") {{ ... on IdentityLink {{ state }} }} }}'
        )
        assert data["node"] == {"state": "BLOCKED"}


async def test_proposals(url: str) -> None:
    """A proposing rule links nobody until its link is accepted; a rejected one stays rejected."""
    async with linking(url, PROPOSING) as front:
        for one in (HIRO, ANA):
            for provider in ("voucherify", "emporix"):
                assert await person_of(front, one, provider) == customers(one, provider)
        hiro, ana = (link_id(one, "emporix", one, "voucherify") for one in (HIRO, ANA))
        decided = await do(
            front, "identityLinkDecide", {"linkId": hiro, "accept": True}, f"link {{ {LINK} }}"
        )
        assert decided == {
            "link": {
                "id": hiro,
                "origin": "EXPLICIT",
                "rule": None,
                "state": "ACTIVE",
                "createdBy": "anonymous",
                "note": None,
                "a": {"id": at(HIRO, "emporix")},
                "b": {"id": at(HIRO, "voucherify")},
            },
            "userErrors": [],
        }
        assert await person_of(front, HIRO, "emporix") == customers(HIRO, "voucherify", "emporix")
        state = "link { origin rule state }"
        rejected = {
            "link": {"origin": "RULE", "rule": "crm", "state": "BLOCKED"},
            "userErrors": [],
        }
        for _ in range(2):
            given = {"linkId": ana, "accept": False}
            assert await do(front, "identityLinkDecide", given, state) == rejected
        assert await person_of(front, ANA, "emporix") == customers(ANA, "emporix")
        for given, errors in (
            ({"linkId": hiro, "accept": True}, []),
            ({"linkId": hiro, "accept": False}, [("accept", "INVALID")]),
            ({"linkId": ana, "accept": True}, [("accept", "INVALID")]),
            (
                {"linkId": link_id(ANA, "emporix", HIRO, "emporix"), "accept": True},
                [("linkId", "NOT_FOUND")],
            ),
            ({"linkId": at(ANA, "emporix"), "accept": True}, [("linkId", "INVALID")]),
        ):
            payload = await do(front, "identityLinkDecide", given, "link { id }")
            assert payload["userErrors"] == errors
            assert (payload["link"] is None) is bool(errors)


NOBODY = customer_id("emporix", "none")
ELSEWHERE = customer_id("gone", "1")


@pytest.mark.parametrize(
    ("field", "given", "errors"),
    [
        ("customersLink", {"customerIds": []}, [("customerIds", "INVALID")]),
        (
            "customersLink",
            {"customerIds": [at(HIRO, "emporix")] * 2},
            [("customerIds", "INVALID")],
        ),
        (
            "customersLink",
            {"customerIds": [at(HIRO, "emporix"), "x", NOBODY]},
            [("customerIds.1", "INVALID")],
        ),
        (
            "customersLink",
            {"customerIds": [NOBODY, at(HIRO, "emporix"), ELSEWHERE]},
            [("customerIds.0", "NOT_FOUND"), ("customerIds.2", "NOT_FOUND")],
        ),
        (
            "customersLink",
            {
                "customerIds": [
                    at(person(n), "voucherify") for n in (0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12)
                ]
            },
            [("customerIds", "LIMIT_EXCEEDED")],
        ),
        ("customersUnlink", {}, [("", "INVALID")]),
        ("customersUnlink", {"customerIds": []}, [("", "INVALID")]),
        (
            "customersUnlink",
            {"customerIds": [at(HIRO, "emporix")], "linkId": "x"},
            [("", "INVALID")],
        ),
        ("customersUnlink", {"linkId": "x"}, [("linkId", "INVALID")]),
        (
            "customersUnlink",
            {"linkId": link_id(ANA, "emporix", HIRO, "emporix")},
            [("linkId", "NOT_FOUND")],
        ),
        ("customersUnlink", {"customerIds": [NOBODY]}, [("customerIds.0", "NOT_FOUND")]),
    ],
    ids=str,
)
async def test_refused(
    front: Front, field: str, given: Mapping[str, Any], errors: list[tuple[str, str]]
) -> None:
    """Mistakes are user errors, and nothing is linked."""
    payload = await do(front, field, given)
    assert payload == {"userErrors": errors}


async def test_sizes(front: Front) -> None:
    """A note and the customers of one mutation are limited, and both reported at once."""
    many = {"customerIds": [at(HIRO, "emporix")] * 101, "note": "é" * 1001}
    for field in ("customersLink", "customersUnlink"):
        assert await do(front, field, many) == {
            "userErrors": [("customerIds", "LIMIT_EXCEEDED"), ("note", "LIMIT_EXCEEDED")]
        }
    link = {"linkId": link_id(ANA, "emporix", HIRO, "emporix")}
    assert await do(front, "customersUnlink", {**link, "note": "é" * 1001}) == {
        "userErrors": [("note", "LIMIT_EXCEEDED")]
    }
    assert await do(front, "customersUnlink", {**link, "note": "é" * 1000}) == {
        "userErrors": [("linkId", "NOT_FOUND")]
    }


async def test_links_that_would_bring_blocked_customers_together(url: str) -> None:
    """Refused as a whole, unless the blocked pair itself is linked."""
    async with linking(url, NONE) as front:
        a, b, c = at(HIRO, "voucherify"), at(HIRO, "emporix"), at(ANA, "emporix")
        await do(front, "customersUnlink", {"customerIds": [a, b]})
        await do(front, "customersLink", {"customerIds": [b, c]})
        for ids in ([a, c], [c, a, b]):
            refused = await do(
                front, "customersLink", {"customerIds": ids}, "person { id } links { id }"
            )
            assert refused == {
                "person": None,
                "links": [],
                "userErrors": [("customerIds", "INVALID")],
            }
        assert await person_of(front, HIRO, "voucherify") == [{"id": a}]
        linked = await do(front, "customersLink", {"customerIds": [a, b]}, f"person {IDS}")
        assert {each["id"] for each in linked["person"]["customers"]} == {a, b, c}


async def test_idempotency_keys(url: str) -> None:
    """Repeating a key decides nothing again, and shows the persons as they are now."""
    async with linking(url, NONE) as front:
        ids = [at(HIRO, "voucherify"), at(HIRO, "emporix")]
        link = {"customerIds": ids, "idempotencyKey": "k"}
        for _ in range(2):
            linked = await do(front, "customersLink", link, f"person {IDS}")
            assert len(linked["person"]["customers"]) == 2
        await do(front, "customersUnlink", {"customerIds": ids})
        again = await do(front, "customersLink", link, f"person {IDS}")
        assert again == {"person": {"customers": [{"id": ids[0]}]}, "userErrors": []}
        other = await do(front, "customersLink", {**link, "customerIds": ids[::-1]})
        assert other["userErrors"] == [("idempotencyKey", "IDEMPOTENCY_KEY_REUSED")]


async def test_a_wrong_decision(url: str) -> None:
    """Links of rules that it displaced are there again when it is taken back."""
    shared = {"rules": [CRM, {**EMAIL, "auto": True}]}
    async with linking(url, shared) as front:
        wrong = await do(
            front,
            "customersLink",
            {"customerIds": [at(CHLOE, "voucherify"), at(ANA, "emporix")]},
            f"person {IDS}",
        )
        # Ana's own customers: the explicit link comes first, the rules may not add a second one.
        assert wrong["person"]["customers"] == [
            {"id": at(CHLOE, "voucherify")},
            {"id": at(ANA, "emporix")},
        ]
        await do(
            front,
            "customersUnlink",
            {"customerIds": [at(CHLOE, "voucherify"), at(ANA, "emporix")]},
        )
        for one in (ANA, CHLOE):
            data = await front.data(f"{{ person({identity(one)}) {IDS} }}")
            assert data["person"]["customers"] == customers(one, "voucherify", "emporix")
