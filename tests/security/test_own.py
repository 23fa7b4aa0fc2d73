"""A shop's end customer: their own active assignments and segments, and nothing beside them."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from gateway.asgi import connect
from gateway.auth.permissions import OPEN, Caller, Permission
from gateway.context import RequestContext, Scope
from gateway.domain.entities import Ref
from gateway.sandbox.people import person
from resolvers.execution.document import Document
from tests.e2e.failures import answering
from tests.e2e.known import DACH_STRATEGIC, HIRO_AT, NEVER_BOUGHT, SILVER_MEMBERS
from tests.e2e.serving import (
    Front,
    Providers,
    assignment_id,
    customer_id,
    names,
    only_read,
    segment_id,
    settings_with,
)
from tests.e2e.writes.asking import document, shoppers
from tests.security.callers import ask, guarded, signed

WAYS = ["plan", "graphql-core"]


@pytest.fixture(params=WAYS)
async def front(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Front]:
    """Return the front door of a gateway that believes, with either executor."""
    if request.param == "graphql-core":
        monkeypatch.setattr(Document, "plan", lambda *_: None)
    async with guarded() as front:
        yield front


HIRO = signed("own:read", **HIRO_AT)
ANA = {"stuut": "ptn_none", "voucherify": person(0).voucherify_id or "", "emporix": "90000000"}
"""Somebody else, whom Stuut does not know."""
OF_CUSTOMER = """query($id: ID!) { customer(id: $id) {
  id name identities { externalId }
  segments { totalCount nodes { name isActive } sources { provider { key } totalCount } }
  assignments { totalCount nodes { id segment { name } customer { name } } }
  primarySegment { name }
} }"""


class Place(NamedTuple):
    """What one provider has of Hiro and of somebody else."""

    own: str
    other: str
    ours: str
    """A segment that Hiro is in."""
    others: str
    """One that Hiro is not in."""
    calls: Sequence[str]
    """What is asked for whatever the own view shows."""
    entity: str | None = None
    """The legal entity that Hiro is in it through."""


V = f"/v1/customers/{HIRO_AT['voucherify']}"
ENTITY = "4f9032fb22fc0be510d27be9"
PLACES: Mapping[str, Place] = {
    "stuut": Place(
        HIRO_AT["stuut"],
        person(5).stuut_id or "",
        DACH_STRATEGIC,
        "seg_none",
        [
            "GET /v1/partners?page=0&limit=200",
            f"GET /v2/customer-segments/partners/{HIRO_AT['stuut']}",
        ],
    ),
    "voucherify": Place(
        HIRO_AT["voucherify"],
        ANA["voucherify"],
        SILVER_MEMBERS,
        NEVER_BOUGHT,
        [f"GET {V}", f"GET {V}/segments"],
    ),
    "emporix": Place(
        HIRO_AT["emporix"],
        ANA["emporix"],
        "b2b-partners",
        "golden",
        [
            f"GET /customer/sandbox/customers/{HIRO_AT['emporix']}?expand=mixin:*",
            (
                "GET /customer-segment/sandbox/segments"
                f"?customerId={HIRO_AT['emporix']}&pageNumber=1&pageSize=200"
            ),
        ],
        ENTITY,
    ),
}


async def answer(
    front: Front, caller: str, query: str, **variables: Any
) -> tuple[Any, Sequence[str]]:
    """Return the answer to a caller, and the calls that it took."""
    front.forget()
    return await ask(front, caller, query, variables), front.calls


@pytest.mark.parametrize("provider", PLACES)
async def test_customer(front: Front, provider: str) -> None:
    """One's own record by any of its keys; everybody else's is as one that never was."""
    place = PLACES[provider]
    own, _ = await answer(front, HIRO, OF_CUSTOMER, id=customer_id(provider, place.own))
    expected, _ = await answer(
        front, signed("admin"), OF_CUSTOMER, id=customer_id(provider, place.own)
    )
    assert own == expected
    assert own["data"]["customer"]["segments"]["totalCount"] > 0

    query = "query($of: CustomerIdentityInput!) { customer(identity: $of) { id } }"
    for each in own["data"]["customer"]["identities"]:
        identity = {"provider": provider, "externalId": each["externalId"]}
        body, calls = await answer(front, HIRO, query, of=identity)
        assert body == {"data": {"customer": {"id": customer_id(provider, place.own)}}}
        assert calls == place.calls[:1]
    for key in (place.other, "none"):
        body, calls = await answer(front, HIRO, OF_CUSTOMER, id=customer_id(provider, key))
        assert (body, calls) == ({"data": {"customer": None}}, place.calls[:1])


@pytest.mark.parametrize("provider", PLACES)
async def test_segment(front: Front, provider: str) -> None:
    """The segments one is in; all others are as such that never were."""
    place = PLACES[provider]
    query = "query($id: ID!) { segment(id: $id) { id provider { key } isActive } }"
    own = segment_id(provider, place.ours)
    body, calls = await answer(front, HIRO, query, id=own)
    shown = {"id": own, "provider": {"key": provider}, "isActive": True}
    assert body == {"data": {"segment": shown}}
    assert calls[:2] == place.calls
    for key in (place.others, "none"):
        body, calls = await answer(front, HIRO, query, id=segment_id(provider, key))
        assert (body, calls) == ({"data": {"segment": None}}, place.calls)


@pytest.mark.parametrize("provider", PLACES)
async def test_nodes(front: Front, provider: str) -> None:
    """By global ids one finds the same: one's own, and null for all else."""
    place = PLACES[provider]
    mine = [
        customer_id(provider, place.own),
        segment_id(provider, place.ours),
        assignment_id(provider, place.ours, place.own, place.entity),
    ]
    others = [
        customer_id(provider, place.other),
        segment_id(provider, place.others),
        assignment_id(provider, place.others, place.other),
        assignment_id(provider, place.ours, place.other),
        assignment_id(provider, place.others, place.own),
    ]
    missing = [
        customer_id(provider, "none"),
        segment_id(provider, "none"),
        assignment_id(provider, "none", "none"),
        assignment_id(provider, place.ours, "none"),
        assignment_id(provider, "none", place.own),
    ]
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
    body, _ = await answer(front, HIRO, query, ids=mine)
    kinds = ("Customer", "Segment", "Assignment")
    assert body["data"]["nodes"] == [
        {"__typename": kind, "id": key} for kind, key in zip(kinds, mine, strict=True)
    ]
    for ids in (others, missing):
        body, calls = await answer(front, HIRO, query, ids=ids)
        assert (body, calls) == ({"data": {"nodes": [None] * 5}}, place.calls)


NAMES = "query($id: ID!) { customer(id: $id) { segments { nodes { name } } } }"


async def test_what_always_is_active_need_not_be_read(front: Front) -> None:
    """Voucherify tells of a customer's segments the names alone, and cannot switch one off."""
    place = PLACES["voucherify"]
    body, calls = await answer(front, HIRO, NAMES, id=customer_id("voucherify", place.own))
    assert len(names(body["data"]["customer"]["segments"])) == 4
    assert calls == place.calls


# One of Emporix's customers is in three segments, one of which is active now.

ACTIVE, EXPIRED = "fabea88164445c119f04e439", "9bc5e507eac0e91ac5dffe26"
BUYER = "90000444"
SHOPPER = signed("own:read", emporix=BUYER)


async def test_only_active_assignments(front: Front) -> None:
    """Of what has ended or is switched off nothing is told: not in lists, counts or by its id."""
    listed, _ = await answer(front, signed("admin"), OF_CUSTOMER, id=customer_id("emporix", BUYER))
    every = listed["data"]["customer"]["segments"]
    assert [each["isActive"] for each in every["nodes"]] == [False, False, True]
    assert every["totalCount"] == 3

    body, _ = await answer(front, SHOPPER, OF_CUSTOMER, id=customer_id("emporix", BUYER))
    shown = body["data"]["customer"]
    assert shown["segments"] == {
        "totalCount": 1,
        "nodes": [{"name": "Latin America", "isActive": True}],
        "sources": [{"provider": {"key": "emporix"}, "totalCount": 1}],
    }
    assert shown["assignments"]["totalCount"] == 1
    assert [each["id"] for each in shown["assignments"]["nodes"]] == [
        assignment_id("emporix", ACTIVE, BUYER)
    ]
    inactive = [each["id"] for each in listed["data"]["customer"]["assignments"]["nodes"][:2]]
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    ids = [segment_id("emporix", EXPIRED), *inactive]
    body, calls = await answer(front, SHOPPER, query, ids=ids)
    assert body == {"data": {"nodes": [None] * 3}}
    assert (body, calls) == await answer(
        front, SHOPPER, query, ids=[segment_id("emporix", "x")] * 3
    )


async def test_pages_of_what_is_active(front: Front) -> None:
    """Pages and cursors go over the active ones alone."""
    buyer, query = (
        "90000333",
        """query($id: ID!, $after: String) { customer(id: $id) {
          segments(first: 2, after: $after) {
            totalCount nodes { name } pageInfo { hasNextPage endCursor } } } }""",
    )
    who, own = signed("own:read", emporix=buyer), customer_id("emporix", buyer)
    first = (await ask(front, who, query, {"id": own}))["data"]["customer"]["segments"]
    assert first["totalCount"] == 3
    assert first["pageInfo"]["hasNextPage"] is True
    after = first["pageInfo"]["endCursor"]
    second = await ask(front, who, query, {"id": own, "after": after})
    page = second["data"]["customer"]["segments"]
    assert [*names(first), *names(page)] == ["B2B partners", "Silver circle", "Latin America"]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (3, False)


async def test_legal_entities(front: Front) -> None:
    """In B2B one finds the assignments through each of one's own legal entities."""
    entity = ENTITY
    query = (
        "query($id: ID!) { node(id: $id) { id ... on Assignment { legalEntity { externalId } } } }"
    )
    own = assignment_id("emporix", "b2b-partners", HIRO_AT["emporix"], entity)
    body = await ask(front, HIRO, query, {"id": own})
    assert body["data"]["node"] == {"id": own, "legalEntity": {"externalId": entity}}
    other = assignment_id("emporix", "b2b-partners", "90000333", "d8f21080b6394b8cf059c8ee")
    assert await ask(front, HIRO, query, {"id": other}) == {"data": {"node": None}}


async def test_a_customer_of_one_provider(front: Front) -> None:
    """Where the token names no customer there is no provider."""
    query = """query($id: ID!) { providers { key } provider(key: "stuut") { key }
      customer(id: $id) { name } }"""
    body, calls = await answer(front, SHOPPER, query, id=customer_id("stuut", PLACES["stuut"].own))
    assert body == {
        "data": {"providers": [{"key": "emporix"}], "provider": None, "customer": None}
    }
    assert calls == []


async def test_own_read_at_some_providers(front: Front) -> None:
    """The scope may be narrowed like any other."""
    who = HIRO.replace("own:read", "own:read@voucherify")
    assert await ask(front, who, "{ providers { key } }") == {
        "data": {"providers": [{"key": "voucherify"}]}
    }


async def test_a_customer_whom_the_provider_does_not_know(front: Front) -> None:
    """They have nothing; nobody's things are theirs."""
    place, nobody = PLACES["voucherify"], signed("own:read", voucherify="nobody")
    for key in ("nobody", place.own):
        body, calls = await answer(front, nobody, OF_CUSTOMER, id=customer_id("voucherify", key))
        assert (body, calls) == ({"data": {"customer": None}}, ["GET /v1/customers/nobody"])
    query = "query($id: ID!) { segment(id: $id) { name } }"
    body, calls = await answer(front, nobody, query, id=segment_id("voucherify", place.ours))
    assert (body, calls) == ({"data": {"segment": None}}, ["GET /v1/customers/nobody"])


async def test_full_rights_come_first(front: Front) -> None:
    """Who may read all customers of a provider sees all of them there."""
    who = f"{HIRO} customers:read@emporix"
    query = "query($id: ID!) { customer(id: $id) { name } }"
    body = await ask(front, who, query, {"id": customer_id("emporix", "90000000")})
    assert body == {"data": {"customer": {"name": "Ana Almeida"}}}
    body = await ask(front, who, NAMES, {"id": customer_id("emporix", "90000000")})
    assert body == {"data": {"customer": None}}


async def test_what_was_told_along_is_not_shown_later() -> None:
    """The answer that names one's segments tells of inactive ones: they are forgotten at once."""
    providers = {each.key: each for each in await connect(settings_with(), only_read())}
    caller = Caller("shopper", {Permission.OWN_READ: None}, {"emporix": BUYER})
    context = RequestContext(providers, Scope("request", math.inf, caller), (), datetime.now(UTC))
    context.admit(OPEN)
    assert list(context.providers) == ["emporix"]
    rows = await context.loaders.assignments_of.load(Ref("emporix", BUYER))
    assert [row.ref.segment for row in rows or ()] == [ACTIVE]
    asked_for = [Ref("emporix", key) for key in (ACTIVE, EXPIRED)]
    active, expired = await context.loaders.segment.load_many(asked_for)
    assert active is not None
    assert (active.ref, expired) == (asked_for[0], None)
    await asyncio.gather(*(each.close() for each in providers.values()))


# Failures, and whatever is shared.


@pytest.mark.parametrize("provider", PLACES)
async def test_a_provider_that_fails(provider: str) -> None:
    """It fails alike for one's own, for another's and for what never was."""
    place = PLACES[provider]
    async with guarded() as front:
        front.providers.instead[provider] = answering(503, b"")
        bodies = []
        for key in (place.own, place.other, "none"):
            body = await ask(front, HIRO, OF_CUSTOMER, {"id": customer_id(provider, key)})
            assert body["errors"][0]["extensions"].pop("requestId")
            bodies.append(body)
        assert bodies[0] == bodies[1] == bodies[2]
        assert bodies[0]["errors"][0]["extensions"]["code"] == "PROVIDER_BROKEN"


async def test_assignments_that_cannot_be_read() -> None:
    """A list that fails shows none, and says so in its sources alone."""
    async with guarded() as front:
        real = front.providers.real("emporix")

        async def half(scope: Any, receive: Any, send: Any) -> None:
            is_list = scope["path"].endswith("/segments")
            await (answering(503, b"") if is_list else real)(scope, receive, send)

        front.providers.instead["emporix"] = half
        body = await ask(front, SHOPPER, NAMES, {"id": customer_id("emporix", BUYER)})
        assert body == {"data": {"customer": {"segments": {"nodes": []}}}}


@pytest.mark.parametrize("ttl_s", [0, 60])
async def test_nothing_is_shared_but_what_providers_say(ttl_s: float) -> None:
    """Whoever asks at the same time, or while an answer is kept, gets their own view of it."""
    settings = settings_with()
    server = settings.server.model_copy(update={"cache_ttl_s": ttl_s})
    buyers = ("90000000", "90000333", BUYER, HIRO_AT["emporix"])
    asking = [
        (signed("own:read", emporix=one), NAMES, {"id": customer_id("emporix", other)})
        for one in buyers
        for other in buyers
    ] + [(signed("admin"), NAMES, {"id": customer_id("emporix", one)}) for one in buyers]
    async with guarded(settings=settings.model_copy(update={"server": server})) as front:
        alone = [await ask(front, *each) for each in asking]
        together = await asyncio.gather(*(ask(front, *each) for each in asking))
        assert json.dumps(together) == json.dumps(alone)
        is_own = [each["data"]["customer"] is not None for each in alone[:16]]
        assert is_own == [one == other for one in buyers for other in buyers]
        assert len(names(alone[10]["data"]["customer"]["segments"])) == 1
        assert len(names(alone[18]["data"]["customer"]["segments"])) == 3


async def test_what_is_recorded_of_instaleap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a provider that cannot be read, the gateway's own record is shown alike."""
    own, other = shoppers(2)
    pairs = [{"type": "tier", "value": "GOLD"}]
    given = {
        "provider": "instaleap",
        "customers": [
            {"externalId": own, "segments": pairs},
            {"externalId": other, "segments": [*pairs, {"type": "tier", "value": "STAFF"}]},
        ],
    }
    me = signed("own:read", instaleap=own)
    async with guarded(Providers()) as front:
        await front.data(document("customerSegmentsReplace"), {"m0": given})
        front.forget()
        listed = await ask(front, signed("admin"), NAMES, {"id": customer_id("instaleap", other)})
        theirs = names(listed["data"]["customer"]["segments"])
        for way in WAYS:
            if way == "graphql-core":
                monkeypatch.setattr(Document, "plan", lambda *_: None)
            body = await ask(front, me, NAMES, {"id": customer_id("instaleap", own)})
            assert names(body["data"]["customer"]["segments"]) == theirs[:1]
            for key in (other, "none"):
                body = await ask(front, me, NAMES, {"id": customer_id("instaleap", key)})
                assert body == {"data": {"customer": None}}
        assert front.calls == []
