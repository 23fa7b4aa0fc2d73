"""What a provider itself refuses: a user error of a stable code, at the field it is about."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.e2e.failures import answering
from tests.e2e.known import APP_BETA, HIRO_AT
from tests.e2e.serving import Front, Providers, customer_id, segment_id
from tests.e2e.writes.asking import EMPORIX, buyers, do, document, problem
from tests.e2e.writes.inputs import EMPTY, given_for

BUYER = buyers(1)[0]
GOLDEN = segment_id("emporix", "golden")
CROWDED = {"junction": "and", "name": {"conditions": {"$is": ["X"]}}}

Case = tuple[str, Mapping[str, Any], Sequence[Mapping[str, Any]], list[str]]

BY_THE_SANDBOX: Mapping[str, Case] = {
    "Stuut, name taken (409)": (
        "segmentCreate",
        {"provider": "stuut", "name": "key ACCOUNTS", "priority": 1},
        [problem("name", "TAKEN", "stuut")],
        ["POST /v2/customer-segments"],
    ),
    "Stuut, name in a language taken (409)": (
        "segmentCreate",
        {
            "provider": "stuut",
            "names": [{"language": "en", "text": "Key accounts"}],
            "priority": 1,
        },
        [problem("names", "TAKEN", "stuut")],
        ["POST /v2/customer-segments"],
    ),
    "Stuut, conditions (422)": (
        "segmentCreate",
        {
            "provider": "stuut",
            "name": "A",
            "priority": 1,
            "rule": {"native": {"address": {"country": {"in": "DE"}}}},
        },
        [problem("rule", "INVALID", "stuut")],
        ["POST /v2/customer-segments"],
    ),
    "Stuut, order of what is not there (404)": (
        "segmentsReorder",
        {"provider": "stuut", "ids": [segment_id("stuut", "seg_none")]},
        [problem("ids", "NOT_FOUND", "stuut")],
        ["POST /v2/customer-segments/reorder"],
    ),
    "Voucherify, name taken (409)": (
        "segmentCreate",
        {
            "provider": "voucherify",
            "name": "App beta testers",
            "customerExternalIds": [HIRO_AT["voucherify"]],
        },
        [problem("name", "TAKEN", "voucherify")],
        [f"GET /v1/customers/{HIRO_AT['voucherify']}", "POST /v1/segments"],
    ),
    "Voucherify, filter (400)": (
        "segmentCreate",
        {"provider": "voucherify", "name": "A", "rule": {"native": {"name": 7}}},
        [problem("rule", "INVALID", "voucherify")],
        ["POST /v1/segments"],
    ),
    "Voucherify, deletion of what is not there (404)": (
        "segmentDelete",
        {"id": segment_id("voucherify", "seg_none")},
        [problem("id", "NOT_FOUND", "voucherify")],
        ["DELETE /v1/segments/seg_none"],
    ),
    "Emporix, id taken (409)": (
        "segmentCreate",
        {"provider": "emporix", "externalId": "golden", "name": "A", "siteCode": "main"},
        [problem("externalId", "TAKEN", "emporix")],
        [f"POST {EMPORIX}"],
    ),
    "Emporix, a language that the shop does not have (400)": (
        "segmentCreate",
        {
            "provider": "emporix",
            "names": [{"language": "fi", "text": "A"}],
            "siteCode": "main",
        },
        [problem("names", "INVALID", "emporix")],
        [f"POST {EMPORIX}"],
    ),
    "Emporix, a language of an update (400)": (
        "segmentUpdate",
        {"id": GOLDEN, "descriptions": [{"language": "fi", "text": "A"}]},
        [problem("descriptions", "INVALID", "emporix")],
        [f"GET {EMPORIX}/golden", f"PATCH {EMPORIX}/golden"],
    ),
    "Emporix, a language of a whole document (400)": (
        "segmentUpsert",
        {
            "provider": "emporix",
            "externalId": "golden",
            "names": [{"language": "fi", "text": "A"}],
            "siteCode": "main",
        },
        [problem("names", "INVALID", "emporix")],
        [f"PUT {EMPORIX}/golden"],
    ),
    "Emporix, deletion of what is in use (400)": (
        "segmentDelete",
        {"id": GOLDEN},
        [problem("id", "SEGMENT_IN_USE", "emporix")],
        [f"DELETE {EMPORIX}/golden"],
    ),
    "Emporix, a customer that is not there (400)": (
        "assignmentCreate",
        {"segmentId": GOLDEN, "customerId": customer_id("emporix", "nobody")},
        [problem("customerId", "INVALID", "emporix")],
        [f"GET {EMPORIX}/golden/customers/nobody", f"PUT {EMPORIX}/golden/customers/nobody"],
    ),
    "Emporix, a key that is no customer's (400)": (
        "assignmentCreate",
        {"segmentId": GOLDEN, "identity": {"provider": "emporix", "externalId": "nobody"}},
        [problem("identity.externalId", "INVALID", "emporix")],
        [f"GET {EMPORIX}/golden/customers/nobody", f"PUT {EMPORIX}/golden/customers/nobody"],
    ),
    "Emporix, a segment that is not there (400)": (
        "assignmentCreate",
        {
            "segmentId": segment_id("emporix", "none"),
            "identity": {"provider": "emporix", "externalId": BUYER},
        },
        [problem("segmentId", "INVALID", "emporix")],
        [f"GET {EMPORIX}/none/customers/{BUYER}", f"PUT {EMPORIX}/none/customers/{BUYER}"],
    ),
    "Emporix, a legal entity that is another's (400)": (
        "assignmentCreate",
        {
            "segmentId": GOLDEN,
            "identity": {"provider": "emporix", "externalId": BUYER},
            "legalEntityId": "another",
        },
        [problem("legalEntityId", "INVALID", "emporix")],
        [
            f"GET {EMPORIX}/golden/customers/{BUYER}/another",
            f"PUT {EMPORIX}/golden/customers/{BUYER}/another",
        ],
    ),
}


@pytest.mark.parametrize("case", BY_THE_SANDBOX)
async def test_refused(front: Front, case: str) -> None:
    """A documented refusal has its code, and the part of the input that the provider names."""
    field, given, problems, calls = BY_THE_SANDBOX[case]
    payload = await do(front, field, given)
    assert payload == {**EMPTY[field], "userErrors": problems}
    assert front.calls == calls


async def test_hundred_dynamic_segments(front: Front) -> None:
    """The 101st dynamic segment is the provider's to refuse; a fixed one is still made."""
    for n in range(88):
        given = {"provider": "voucherify", "name": f"D{n}", "rule": {"native": CROWDED}}
        payload = await do(front, "segmentCreate", given)
        assert payload["userErrors"] == []
    given = {"provider": "voucherify", "name": "Too many", "rule": {"native": CROWDED}}
    payload = await do(front, "segmentCreate", given)
    refused = problem(None, "PROVIDER_REFUSED", "voucherify")
    assert payload == {"segment": None, "userErrors": [refused]}
    fixed = {
        "provider": "voucherify",
        "name": "Fixed",
        "customerExternalIds": [HIRO_AT["voucherify"]],
    }
    payload = await do(front, "segmentCreate", fixed, "segment { name }")
    assert payload == {"segment": {"name": "Fixed"}, "userErrors": []}


SINGLE = {
    "segmentCreate": ("stuut", "voucherify", "emporix"),
    "segmentUpsert": ("emporix",),
    "segmentDelete": ("voucherify", "emporix"),
    "segmentsReorder": ("stuut",),
    "assignmentCreate": ("emporix",),
    "assignmentDelete": ("emporix",),
}
"""Mutations of one thing, and the providers that have them."""
SOUND: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("segmentCreate", "stuut"): {"provider": "stuut", "name": "A", "priority": 1},
    ("segmentCreate", "voucherify"): {
        "provider": "voucherify",
        "name": "A",
        "rule": {"native": CROWDED},
    },
    ("segmentCreate", "emporix"): {"provider": "emporix", "name": "A", "siteCode": "main"},
}


def sound(field: str, provider: str) -> Mapping[str, Any]:
    """Return an input that passes all checks."""
    return SOUND.get((field, provider)) or given_for(field, provider)


ANY = [(field, each) for field, listed in SINGLE.items() for each in listed]


@pytest.mark.parametrize(("field", "provider"), ANY)
async def test_refused_for_no_known_reason(
    front: Front, providers: Providers, field: str, provider: str
) -> None:
    """A refusal that says nothing we know is a user error all the same, with our own words."""
    for status in (418, 400, 409, 413, 422):
        providers.instead[provider] = answering(status, b'{"message": "Go away, secret-7f3a."}')
        front.forget()
        request = {"query": document(field), "variables": {"m0": sound(field, provider)}}
        reply = await front.client.post("/graphql", json=request)
        body = reply.json()
        assert "errors" not in body
        [error] = body["data"]["m0"].pop("userErrors")
        assert body["data"]["m0"] == EMPTY[field]
        by_status = {
            ("segmentCreate", "stuut", 409): ("TAKEN", "name"),
            ("segmentCreate", "emporix", 409): ("TAKEN", "externalId"),
            ("segmentUpsert", "emporix", 409): ("VERSION_CONFLICT", "version"),
            ("segmentDelete", "emporix", 400): ("SEGMENT_IN_USE", "id"),
        }
        code, named = by_status.get((field, provider, status), ("PROVIDER_REFUSED", None))
        assert error == problem(named, code, provider)
        assert "secret-7f3a" not in reply.text
        # An assignment is read first; the same refusal leaves it to the write.
        calls = 2 if field == "assignmentCreate" else 1
        assert [kind for kind, _ in providers.headers] == [provider] * calls


async def test_a_refusal_spoils_no_other(front: Front) -> None:
    """In one document the mutations before and after a refused one are done."""
    taken = {"provider": "stuut", "name": "Key accounts", "priority": 1}
    data = await front.data(
        document("segmentCreate", "segmentCreate", "segmentDelete", selection="__typename"),
        {
            "m0": {"provider": "stuut", "name": "First", "priority": 1},
            "m1": taken,
            "m2": {"id": segment_id("voucherify", APP_BETA)},
        },
    )
    assert [data[each]["userErrors"] for each in ("m0", "m1", "m2")] == [
        [],
        [problem("name", "TAKEN", "stuut")],
        [],
    ]
    assert front.calls == [
        "POST /v2/customer-segments",
        "POST /v2/customer-segments",
        f"DELETE /v1/segments/{APP_BETA}",
    ]
