"""`customerAttributesUpdate`: Voucherify's metadata and Emporix's mixins, merged."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.sandbox.people import person
from tests.e2e.failures import FAILURES, signed_in
from tests.e2e.known import HIRO, HIRO_AT
from tests.e2e.serving import Front, Providers, customer_id, settings_with
from tests.e2e.writes.asking import do, document, problem
from tests.e2e.writes.serving import serving

AT_VOUCHERIFY = {"customerId": customer_id("voucherify", HIRO_AT["voucherify"])}
AT_EMPORIX = {"customerId": customer_id("emporix", HIRO_AT["emporix"])}
BY_CRM = {"identity": {"provider": "voucherify", "externalId": HIRO.crm_id}}
KEY = f"/v1/customers/{HIRO_AT['voucherify']}"
NUMBER = f"/customer/sandbox/customers/{HIRO_AT['emporix']}"
SHOWN = "customer { id attributes }"
ATTRIBUTES = "query($id: ID!) { customer(id: $id) { attributes } }"


async def attributes(front: Front, who: Mapping[str, str]) -> Any:
    """Return a customer's attributes; calls count anew."""
    data = await front.data(ATTRIBUTES, {"id": who["customerId"]})
    front.forget()
    return data["customer"]["attributes"]


@pytest.mark.parametrize(
    ("patch", "changed"),
    [
        ({"newsletter": True}, {"newsletter": True}),
        ({"tier": "Gold"}, {"tier": "Gold"}),
        ({"tier": None}, {"tier": None}),
        ({"tier": None, "x": {"a": 1}}, {"tier": None, "x": {"a": 1}}),
        (
            {"x": {"a": 1, "b": None, "c": [None, {"d": None}]}},
            {"x": {"a": 1, "c": [None, {"d": None}]}},
        ),
        ({"x": []}, {"x": []}),
    ],
    ids=str,
)
async def test_metadata(
    front: Front, patch: Mapping[str, Any], changed: Mapping[str, Any]
) -> None:
    """Members are merged, null removes; it is read and written once, and the reply shown."""
    before = await attributes(front, AT_VOUCHERIFY)
    after = {**before, **changed}
    after = {name: value for name, value in after.items() if value is not None}

    payload = await do(
        front, "customerAttributesUpdate", {**AT_VOUCHERIFY, "attributes": patch}, SHOWN
    )

    assert payload == {
        "customer": {"id": AT_VOUCHERIFY["customerId"], "attributes": after},
        "userErrors": [],
    }
    assert front.calls == [f"GET {KEY}", f"PUT {KEY}"]
    assert await attributes(front, AT_VOUCHERIFY) == after


@pytest.mark.parametrize(
    ("patch", "after"),
    [
        ({"loyalty": {"tier": "Gold"}}, {"loyalty": {"tier": "Gold", "crmId": HIRO.crm_id}}),
        ({"loyalty": {"crmId": None}}, {"loyalty": {"tier": "Silver"}}),
        (
            {"loyalty": {"x": {"y": [1]}, "tier": None}},
            {"loyalty": {"x": {"y": [1]}, "crmId": HIRO.crm_id}},
        ),
        ({"loyalty": None}, {}),
    ],
    ids=str,
)
async def test_mixins(front: Front, patch: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Emporix does not return the customer: they are read once more, and shown as they are."""
    payload = await do(
        front, "customerAttributesUpdate", {**AT_EMPORIX, "attributes": patch}, SHOWN
    )

    assert payload == {
        "customer": {"id": AT_EMPORIX["customerId"], "attributes": after},
        "userErrors": [],
    }
    read = f"GET {NUMBER}?expand=mixin:*"
    assert front.calls == [read, f"PATCH {NUMBER}", read]


async def test_the_schemas_stay(front: Front) -> None:
    """A mixin that was removed can be set again: its schema is still there."""
    for patch, after in (
        ({"loyalty": None}, {}),
        ({"loyalty": {"tier": "A"}}, {"loyalty": {"tier": "A"}}),
    ):
        given = {**AT_EMPORIX, "attributes": patch}
        payload = await do(front, "customerAttributesUpdate", given, SHOWN)
        assert payload["customer"]["attributes"] == after


@pytest.mark.parametrize("who", [AT_VOUCHERIFY, AT_EMPORIX], ids=["voucherify", "emporix"])
async def test_nothing_to_change(front: Front, who: Mapping[str, str]) -> None:
    """If the attributes stay the same nothing is written; 1 is not the same as true."""
    before = await attributes(front, who)
    for patch in ({}, before, {"none": None}):
        front.forget()
        payload = await do(
            front, "customerAttributesUpdate", {**who, "attributes": patch}, "__typename"
        )
        assert payload["userErrors"] == []
        assert [call.partition(" ")[0] for call in front.calls] == ["GET"]


async def test_similar_values(front: Front) -> None:
    """Other JSON is a change, also where Python takes the values for equal."""
    for value in (1, True, 1.0, "1"):
        front.forget()
        given = {**AT_VOUCHERIFY, "attributes": {"one": value}}
        payload = await do(front, "customerAttributesUpdate", given, SHOWN)
        assert repr(payload["customer"]["attributes"]["one"]) == repr(value)
        assert front.counts == {"voucherify": 2}


async def test_by_another_key(front: Front) -> None:
    """An identity may be any key by which the provider knows the customer."""
    given = {**BY_CRM, "attributes": {"a": 1}}

    payload = await do(front, "customerAttributesUpdate", given, "customer { id }")

    assert payload == {"customer": {"id": AT_VOUCHERIFY["customerId"]}, "userErrors": []}
    assert front.calls == [f"GET /v1/customers/{HIRO.crm_id}", f"PUT {KEY}"]


PATCH = {"attributes": {"a": 1}}
REFUSED: Mapping[str, tuple[Mapping[str, Any], list[Any], int]] = {
    "nobody": (PATCH, [problem(None, "REQUIRED", None)], 0),
    "both": ({**BY_CRM, **AT_VOUCHERIFY, **PATCH}, [problem(None, "REQUIRED", None)], 0),
    "a bad id": ({"customerId": "x", **PATCH}, [problem("customerId", "INVALID", None)], 0),
    "an empty key": (
        {"identity": {"provider": "voucherify", "externalId": ""}, **PATCH},
        [problem("identity.externalId", "INVALID", None)],
        0,
    ),
    "no such provider": (
        {"identity": {"provider": "nowhere", "externalId": "x"}, **PATCH},
        [problem("identity", "INVALID", None)],
        0,
    ),
    "no object": (
        {**AT_VOUCHERIFY, "attributes": [1]},
        [problem("attributes", "INVALID", None)],
        0,
    ),
    "a text": ({**AT_EMPORIX, "attributes": "x"}, [problem("attributes", "INVALID", None)], 0),
    "all at once": (
        {"identity": {"provider": "stuut", "externalId": "x"}, "attributes": 1},
        [problem("identity", "UNSUPPORTED", "stuut"), problem("attributes", "INVALID", None)],
        0,
    ),
    "unknown at Voucherify": (
        {"identity": {"provider": "voucherify", "externalId": "crm-none"}, **PATCH},
        [problem("identity", "NOT_FOUND", "voucherify")],
        1,
    ),
    "unknown at Emporix": (
        {"customerId": customer_id("emporix", "none"), **PATCH},
        [problem("customerId", "NOT_FOUND", "emporix")],
        1,
    ),
    "mixins without a schema": (
        {**AT_EMPORIX, "attributes": {"loyalty": {"tier": "A"}, "b": {}, "c": 1}},
        [
            problem("attributes.b", "INVALID", "emporix"),
            problem("attributes.c", "INVALID", "emporix"),
        ],
        1,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_mistakes(front: Front, case: str) -> None:
    """Nothing is written; a customer who does not exist is not created."""
    given, errors, calls = REFUSED[case]

    payload = await do(front, "customerAttributesUpdate", given)

    assert payload == {"customer": None, "userErrors": errors}
    assert len(front.calls) == calls
    assert all(call.startswith("GET ") for call in front.calls)


async def test_an_unknown_customer_stays_unknown(front: Front) -> None:
    """Also at Voucherify, where a customer can be created by any write but this one."""
    given = {"identity": {"provider": "voucherify", "externalId": "crm-none"}, **PATCH}
    await do(front, "customerAttributesUpdate", given)
    query = "query($of: CustomerIdentityInput) { customer(identity: $of) { id } }"

    assert await front.data(query, {"of": given["identity"]}) == {"customer": None}


async def test_a_customer_who_is_deleted_meanwhile(front: Front, providers: Providers) -> None:
    """The provider's 404 for the write is the same user error as for the read."""
    real = providers.real("voucherify")

    async def deleted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "PUT":
            await real(scope, receive, send)
            return
        body = {"code": 404, "key": "not_found", "message": "Resource not found"}
        await JSONResponse(body, 404)(scope, receive, send)

    providers.instead["voucherify"] = deleted

    payload = await do(front, "customerAttributesUpdate", {**AT_VOUCHERIFY, **PATCH})

    error = problem("customerId", "NOT_FOUND", "voucherify")
    assert payload == {"customer": None, "userErrors": [error]}


@pytest.mark.parametrize("key", ["voucherify", "emporix"])
async def test_a_read_that_fails(front: Front, providers: Providers, key: str) -> None:
    """Nothing is written, and the mutation may be repeated."""
    providers.instead[key] = signed_in(FAILURES["500"].server, providers.real(key))
    who = AT_VOUCHERIFY if key == "voucherify" else AT_EMPORIX

    answer = await front.ask(
        "mutation($in: CustomerAttributesUpdateInput!) {"
        " customerAttributesUpdate(input: $in) { userErrors { code } } }",
        {"in": {**who, **PATCH}},
    )

    assert answer["data"] == {"customerAttributesUpdate": None}
    (error,) = answer["errors"]
    assert (error["extensions"]["code"], error["extensions"]["retryable"]) == (
        "PROVIDER_BROKEN",
        True,
    )
    assert [kind for kind, _ in providers.headers] == [key]


@pytest.mark.parametrize("acts", [True, False])
async def test_an_outcome_that_is_unknown(
    front: Front, providers: Providers, *, acts: bool
) -> None:
    """It may be repeated: merging twice is the same. Only its idempotency key is used up."""
    real = providers.real("voucherify")

    async def lost(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "PUT":
            await real(scope, receive, send)
            return
        if acts:
            await real(scope, receive, lambda _: asyncio.sleep(0))
        raise httpx.ReadError("lost")

    given = {**AT_VOUCHERIFY, "attributes": {"tier": "Gold", "lang": None}}
    query = document("customerAttributesUpdate", selection="__typename")
    before = await attributes(front, AT_VOUCHERIFY)
    providers.instead["voucherify"] = lost
    answer = await front.ask(query, {"m0": {**given, "idempotencyKey": "k"}})
    again = await do(front, "customerAttributesUpdate", {**given, "idempotencyKey": "k"})
    providers.instead.clear()
    now = await attributes(front, AT_VOUCHERIFY)
    repeated = await do(front, "customerAttributesUpdate", given, SHOWN)

    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "PROVIDER_UNREACHABLE"
    assert error["extensions"]["retryable"] is True
    unknown = problem("idempotencyKey", "PROVIDER_FAILED", None)
    assert again == {"customer": None, "userErrors": [unknown]}
    after = {**{k: v for k, v in before.items() if k != "lang"}, "tier": "Gold"}
    assert now == (after if acts else before)
    assert repeated["customer"]["attributes"] == after


async def test_a_key_stays_free(front: Front, providers: Providers) -> None:
    """If the customer cannot be read, nothing was sent, and the same key may be used again."""
    given = {**AT_EMPORIX, "attributes": {"loyalty": {"tier": "A"}}, "idempotencyKey": "k"}
    real = providers.real("emporix")
    providers.instead["emporix"] = signed_in(FAILURES["503"].server, real)
    query = document("customerAttributesUpdate", selection="__typename")
    assert (await front.ask(query, {"m0": given}))["data"] == {"m0": None}
    providers.instead.clear()

    payload = await do(front, "customerAttributesUpdate", given, SHOWN)

    assert payload["customer"]["attributes"]["loyalty"]["tier"] == "A"


async def test_a_customer_who_cannot_be_read_back(front: Front, providers: Providers) -> None:
    """The write succeeded, so only the payload's customer fails."""
    real = providers.real("emporix")
    written = False

    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal written
        if written:
            await PlainTextResponse("down", 500)(scope, receive, send)
            return
        written = scope["method"] == "PATCH"
        await real(scope, receive, send)

    providers.instead["emporix"] = half

    answer = await front.ask(
        "mutation($in: CustomerAttributesUpdateInput!) { customerAttributesUpdate(input: $in)"
        " { customer { name } userErrors { code } } }",
        {"in": {**AT_EMPORIX, "attributes": {"loyalty": {"tier": "A"}}}},
    )

    assert answer["data"] == {"customerAttributesUpdate": {"customer": None, "userErrors": []}}
    assert [error["path"] for error in answer["errors"]] == [
        ["customerAttributesUpdate", "customer"]
    ]
    providers.instead.clear()
    assert (await attributes(front, AT_EMPORIX))["loyalty"]["tier"] == "A"


CACHING = settings_with(cache_ttl_s=3600)
PATIENCE_S = 30
SEGMENTS = "query($id: ID!) { customer(id: $id) { segments { nodes { name } } } }"
LEVEL = "customer { segments { nodes { name } } }"


async def test_segments_are_read_anew(providers: Providers, url: str) -> None:
    """After the write, cached segments of the customer are read again, here and elsewhere."""
    who = {"id": AT_VOUCHERIFY["customerId"]}
    async with (
        serving(providers, url, CACHING) as front,
        serving(providers, url, CACHING) as other,
    ):
        for each in (front, other):
            await each.data(SEGMENTS, who)
        front.forget()
        before = await front.data(SEGMENTS, who)
        assert front.calls == []  # cached

        patch = {**AT_VOUCHERIFY, "attributes": {"tier": "Gold"}}
        payload = await do(front, "customerAttributesUpdate", patch, LEVEL)

        now = [node["name"] for node in payload["customer"]["segments"]["nodes"]]
        then = [node["name"] for node in before["customer"]["segments"]["nodes"]]
        assert "Silver members" in then
        assert "Silver members" not in now
        assert "Gold members" in now
        elsewhere = before
        async with asyncio.timeout(PATIENCE_S):
            while elsewhere == before:  # the other one follows the change log
                elsewhere = await other.data(SEGMENTS, who)
                await asyncio.sleep(0.01)
        assert [node["name"] for node in elsewhere["customer"]["segments"]["nodes"]] == now


async def test_a_change_of_somebody_else_stays(providers: Providers, url: str) -> None:
    """The customer is read past the cache, so what others wrote is not undone."""
    async with serving(providers, url, CACHING) as front, serving(providers, url) as other:
        await attributes(front, AT_VOUCHERIFY)  # cached from here on
        given = {**AT_VOUCHERIFY, "attributes": {"theirs": 1}}
        await do(other, "customerAttributesUpdate", given, "__typename")
        given = {**AT_VOUCHERIFY, "attributes": {"ours": 2}}
        payload = await do(front, "customerAttributesUpdate", given, SHOWN)

    shown = payload["customer"]["attributes"]
    assert (shown["theirs"], shown["ours"]) == (1, 2)


@pytest.mark.parametrize("who", [AT_VOUCHERIFY, BY_CRM, AT_EMPORIX], ids=["id", "key", "emporix"])
async def test_at_the_same_time(front: Front, who: Mapping[str, Any]) -> None:
    """Changes of one process wait for each other, and none undoes another."""
    names = [f"n{n}" for n in range(5)]
    patches: list[Mapping[str, Any]] = [{name: 1} for name in names]
    if who is AT_EMPORIX:
        patches = [{"loyalty": patch} for patch in patches]

    done = await asyncio.gather(
        *(
            do(front, "customerAttributesUpdate", {**who, "attributes": patch}, "__typename")
            for patch in patches
        )
    )

    writes = [call for call in front.calls if not call.startswith("GET ")]
    reads = [call for call in front.calls if call.startswith("GET ")]
    assert [each["userErrors"] for each in done] == [[]] * 5
    # Each that had to wait reads once more.
    assert (len(writes), len(reads)) == (5, 5 + 4)
    last = AT_EMPORIX if who is AT_EMPORIX else AT_VOUCHERIFY
    after = await attributes(front, last)
    assert set(names) <= (after["loyalty"] if who is AT_EMPORIX else after).keys()


async def test_the_stored_result_has_no_personal_data(providers: Providers, url: str) -> None:
    """With a key the result is stored; the customer in it is read when it is shown."""
    given = {**AT_EMPORIX, "attributes": {"loyalty": {"tier": "Z"}}, "idempotencyKey": "k"}
    async with serving(providers, url) as front:
        await do(front, "customerAttributesUpdate", given, SHOWN)
        front.forget()
        again = await do(front, "customerAttributesUpdate", given, SHOWN)
        assert again["customer"]["attributes"]["loyalty"]["tier"] == "Z"
        assert front.calls == [f"GET {NUMBER}?expand=mixin:*"]
    stored = await asyncio.to_thread(Path(url.removeprefix("sqlite:///")).read_bytes)
    assert HIRO_AT["emporix"].encode() in stored
    assert not any(text.encode() in stored for text in (HIRO.email, HIRO.family, HIRO.phone))


def test_hiro_is_who_is_meant() -> None:
    """The customer of these tests is Silver."""
    assert (person(1), person(1).tier) == (HIRO, "Silver")
