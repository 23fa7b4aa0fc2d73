"""Who sees one provider only learns nothing of links to others; `own:read` is never widened."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.persons.asking import (
    ANA,
    CHLOE,
    HIRO,
    at,
    customers,
    do,
    identity,
    link_id,
    linking,
    person_id,
    read_everyone,
)
from tests.e2e.persons.test_people import LINKS, PEOPLE
from tests.e2e.serving import Front
from tests.security.callers import ask, signed
from tests.unit.store.test_plans import executed

READS = ("segments:read", "assignments:read", "customers:read")
ONE = signed(*(f"{each}@voucherify" for each in READS), "identity:write@voucherify")
OWN = signed("own:read", voucherify=HIRO.crm_id)
EVERYWHERE = signed("own:read", voucherify=HIRO.crm_id, emporix=str(ANA.emporix_id))

QUERIES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "person": (
        f"""{{ person({identity(HIRO)}) {{
            id customers {{ id name }} links {{ id }}
            segments {{ totalCount nodes {{ name }} sources {{ provider {{ key }} }} }}
            assignments {{ totalCount nodes {{ id }} pageInfo {{ endCursor }} }}
            sources {{ provider {{ key }} origin totalCount }}
        }} }}""",
        {},
    ),
    "person by email": (f'{{ person(email: "{HIRO.email}") {{ id customers {{ id }} }} }}', {}),
    "customers": (
        "{ customers(first: 100) { totalCount nodes { id person { id customers { id } } } } }",
        {},
    ),
    "people": (PEOPLE, {}),
    "people by email": (PEOPLE, {"filter": {"email": HIRO.email}}),
    "links": (LINKS, {}),
    "links of a customer": (LINKS, {"filter": {"customerId": at(HIRO, "voucherify")}}),
    "links of a hidden customer": (LINKS, {"filter": {"customerId": at(HIRO, "emporix")}}),
    "nodes": (
        f"""{{ nodes(ids: ["{at(HIRO, "emporix")}", "{person_id(HIRO, "emporix")}",
            "{person_id(HIRO, "voucherify")}",
            "{link_id(HIRO, "emporix", HIRO, "voucherify")}"]) {{ id }} }}""",
        {},
    ),
    "node": (f'{{ node(id: "{link_id(HIRO, "emporix", HIRO, "stuut")}") {{ id }} }}', {}),
    "proposed links": (LINKS, {"filter": {"states": ["PROPOSED"]}}),
    "blocked links": (LINKS, {"filter": {"states": ["BLOCKED"]}}),
    "leave": (
        """mutation($ids: [ID!]) { customersUnlink(input: { customerIds: $ids }) {
            people { id customers { id } } userErrors { code }
        } }""",
        {"ids": [at(HIRO, "voucherify")]},
    ),
    # In the other world, others keep the two apart by way of customers out of sight.
    "link": (
        """mutation($ids: [ID!]!) { customersLink(input: { customerIds: $ids }) {
            person { id customers { id } } links { id } userErrors { code }
        } }""",
        {"ids": [at(HIRO, "voucherify"), at(ANA, "voucherify")]},
    ),
    "people afterwards": (PEOPLE, {}),
}


async def seen(front: Front, caller: str) -> Mapping[str, Any]:
    """Return what a caller is answered to each query, and what it cost, called and executed."""
    found: dict[str, Any] = {}
    for name, (query, variables) in QUERIES.items():
        front.forget()
        with executed() as statements:
            reply = await front.client.post(
                "/graphql",
                json={"query": query, "variables": variables},
                headers={"authorization": caller},
            )
        body = reply.json()
        cost = {k: v for k, v in body["extensions"]["cost"].items() if k != "remaining"}
        texts = sorted(text for text, _ in statements)  # some are executed concurrently
        found[name] = (body.get("data"), body.get("errors"), cost, front.counts, texts)
    return found


async def test_links_out_of_sight(url: str, other_url: str) -> None:
    """Answers, cursors, errors, costs, calls and statements are those without the others."""
    async with linking(url) as front:
        await read_everyone(front, ONE)
        alone = await seen(front, ONE)
    assert alone["people"][0]["people"]["nodes"] == []
    assert alone["nodes"][0]["nodes"][:2] == [None, None]
    assert alone["nodes"][0]["nodes"][3] is None
    assert alone["node"][0] == {"node": None}
    async with linking(other_url) as front:
        await read_everyone(front)
        # Links of every sort to what this caller does not see, and between such customers.
        for field, ids in (
            ("customersLink", [at(HIRO, "voucherify"), at(ANA, "emporix")]),
            ("customersUnlink", [at(ANA, "voucherify"), at(HIRO, "stuut")]),
            ("customersLink", [at(CHLOE, "emporix"), at(HIRO, "stuut")]),
        ):
            assert await do(front, field, {"customerIds": ids}) == {"userErrors": []}
        found = await seen(front, ONE)
    for name, expected in alone.items():
        assert found[name] == expected, name


async def test_a_link_by_way_of_a_hidden_customer(url: str) -> None:
    """Two customers in sight that only a hidden one connects are two persons."""
    async with linking(url, {"rules": []}) as front:
        for one in (HIRO, ANA):
            await do(
                front,
                "customersLink",
                {"customerIds": [at(HIRO, "emporix"), at(one, "voucherify")]},
            )
        text = f"""{{
            a: person({identity(HIRO)}) {{ customers {{ id }} }}
            b: person({identity(ANA)}) {{ customers {{ id }} }}
        }}"""
        whole = await front.data(text)
        assert len(whole["a"]["customers"]) == 3
        assert whole["a"] == whole["b"]
        assert (await ask(front, ONE, text))["data"] == {
            "a": {"customers": customers(HIRO, "voucherify")},
            "b": {"customers": customers(ANA, "voucherify")},
        }


@pytest.mark.parametrize(
    ("field", "given", "error"),
    [
        (
            "customersLink",
            {"customerIds": [at(HIRO, "voucherify"), at(HIRO, "emporix")]},
            ("customerIds.1", "NOT_FOUND"),
        ),
        (
            "customersUnlink",
            {"linkId": link_id(HIRO, "voucherify", HIRO, "emporix")},
            ("linkId", "NOT_FOUND"),
        ),
        (
            "identityLinkDecide",
            {"linkId": link_id(HIRO, "voucherify", HIRO, "emporix"), "accept": True},
            ("linkId", "NOT_FOUND"),
        ),
    ],
    ids=str,
)
async def test_mutations_out_of_sight(
    front: Front, field: str, given: Mapping[str, Any], error: tuple[str, str]
) -> None:
    """A customer or link that the caller may not see does not exist, and nothing is decided."""
    await front.data(f"{{ person({identity(HIRO)}) {{ id }} }}")
    kind = f"{field[0].upper()}{field[1:]}Input"
    text = f"mutation($i: {kind}!) {{ m: {field}(input: $i) {{ userErrors {{ field code }} }} }}"
    body = await ask(front, ONE, text, {"i": given})
    assert body["data"]["m"]["userErrors"] == [{"field": error[0].split("."), "code": error[1]}]
    data = await front.data(f"{{ person({identity(HIRO)}) {{ customers {{ id }} }} }}")
    assert data["person"]["customers"] == customers(HIRO, "stuut", "voucherify", "emporix")


async def test_who_decided_is_shown_to_those_who_may(url: str) -> None:
    """`createdBy` needs `identity:write` at both ends."""
    async with linking(url, {"rules": []}) as front:
        ends = {"customerIds": [at(HIRO, "voucherify"), at(HIRO, "emporix")]}
        await do(front, "customersLink", ends)
        link = link_id(HIRO, "voucherify", HIRO, "emporix")
        text = f'{{ node(id: "{link}") {{ ... on IdentityLink {{ createdBy }} }} }}'
        for scopes, shown in (
            (("customers:read",), None),
            (("customers:read", "identity:write@emporix"), None),
            (("customers:read", "identity:write"), "anonymous"),
            (("admin",), "anonymous"),
        ):
            body = await ask(front, signed(*scopes), text)
            assert body["data"] == {"node": {"createdBy": shown}}, scopes


async def test_own_read_is_never_widened(front: Front) -> None:
    """A person is the customers that the token names, whatever links say."""
    await read_everyone(front)
    text = f"""{{ person({identity(HIRO)}) {{
        id customers {{ id }} segments {{ nodes {{ name }} }}
        sources {{ provider {{ key }} totalCount }}
    }} }}"""
    body = await ask(front, OWN, text)
    assert body["data"]["person"]["customers"] == customers(HIRO, "voucherify")
    assert body["data"]["person"]["id"] == person_id(HIRO, "voucherify")
    assert body["data"]["person"]["sources"] == [
        {"provider": {"key": "voucherify"}, "totalCount": 1}
    ]
    assert front.counts.keys() == {"voucherify"}
    body = await ask(front, EVERYWHERE, text)
    assert body["data"]["person"]["customers"] == [
        {"id": at(HIRO, "voucherify")},
        {"id": at(ANA, "emporix")},
    ]
    for other in (identity(ANA), f'email: "{ANA.email}"', f'id: "{at(ANA, "voucherify")}"'):
        body = await ask(front, OWN, f"{{ person({other}) {{ id }} }}")
        assert body["data"] == {"person": None}
    mine = f'{{ person(email: "{HIRO.email}") {{ id }} }}'
    assert (await ask(front, OWN, mine))["data"] == {
        "person": {"id": person_id(HIRO, "voucherify")}
    }
    for refused in (
        f"{{ person({identity(HIRO)}) {{ links {{ id }} }} }}",
        "{ people { nodes { id } } }",
        "{ identityLinks { nodes { id } } }",
    ):
        body = await ask(front, OWN, refused)
        assert "data" not in body
        assert [each["extensions"]["code"] for each in body["errors"]] == ["FORBIDDEN"]
    link = link_id(HIRO, "voucherify", HIRO, "emporix")
    assert (await ask(front, OWN, f'{{ node(id: "{link}") {{ id }} }}'))["data"] == {"node": None}
