"""The same idempotency key: the first result again, and no provider asked again."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from gateway.store.database import Database
from gateway.store.database_url import database_url
from gateway.store.tables import KEYS
from tests.e2e.failures import FAILURES
from tests.e2e.known import APP_BETA, DACH_STRATEGIC
from tests.e2e.serving import Front, Providers, segment_id, settings_with
from tests.e2e.writes.asking import buyers, do, document, problem, shoppers
from tests.e2e.writes.inputs import EMPTY
from tests.e2e.writes.serving import serving
from tests.e2e.writes.shop import Shop

KEY = "order 66 / ü"
BUYER = {"identity": {"provider": "emporix", "externalId": buyers(1)[0]}}
STAFF = segment_id("emporix", "staff")
ROW = {"externalId": "a", "name": "A", "siteCode": "main"}
ITEM = {"externalId": "p1001", "type": "PRODUCT"}
INPUTS: Mapping[str, Mapping[str, Any]] = {
    "segmentCreate": {"provider": "emporix", **ROW},
    "segmentUpdate": {"id": STAFF, "name": "Crew"},
    "segmentUpsert": {"provider": "emporix", **ROW},
    "segmentDelete": {"id": segment_id("voucherify", APP_BETA)},
    "segmentBulkCreate": {"provider": "emporix", "segments": [ROW, {"name": "Bad"}]},
    "segmentBulkUpsert": {"provider": "emporix", "segments": [ROW, {"name": "Bad"}]},
    "segmentBulkDelete": {"ids": [STAFF, segment_id("voucherify", APP_BETA), "x"]},
    "segmentsReorder": {"provider": "stuut", "ids": [segment_id("stuut", DACH_STRATEGIC)]},
    "assignmentCreate": {"segmentId": STAFF, **BUYER},
    "assignmentDelete": {"segmentId": STAFF, **BUYER},
    "assignmentBulkCreate": {"segmentId": STAFF, "assignments": [BUYER, {}]},
    "assignmentBulkDelete": {"segmentId": STAFF, "assignments": [BUYER, {}]},
    "customerSegmentsReplace": {
        "provider": "instaleap",
        "customers": [
            {"externalId": shoppers(1)[0], "segments": [{"type": "a", "value": "b"}]},
            {"externalId": "nobody"},
        ],
    },
    "customerAttributesUpdate": {**BUYER, "attributes": {"loyalty": {"tier": "Platinum"}}},
    "segmentItemsBulkAssign": {"segmentId": STAFF, "items": [ITEM]},
    "segmentItemsBulkUnassign": {"segmentId": STAFF, "items": [ITEM]},
}
SHOWN = {
    # What is shown beyond the receipt is read when it is shown, as at any other time.
    "assignmentCreate": "assignment { id kind state version createdAt }",
    "customerAttributesUpdate": "__typename",
    "assignmentBulkCreate": "results { index outcome assignment { id } } succeeded failed",
}


def given(field: str, key: str = KEY) -> dict[str, Any]:
    """Return the input of a mutation with its key."""
    return {**INPUTS[field], "idempotencyKey": key}


@pytest.mark.parametrize("field", INPUTS)
async def test_again_and_after_a_restart(providers: Providers, url: str, field: str) -> None:
    """The first result is answered again, also by another process, and nothing is sent."""
    async with serving(providers, url) as front:
        first = await do(front, field, given(field), SHOWN.get(field, ""))
        assert front.calls != []
        front.forget()
        assert await do(front, field, given(field), SHOWN.get(field, "")) == first
        assert front.calls == []
    async with serving(providers, url) as front:
        assert await do(front, field, given(field), SHOWN.get(field, "")) == first
        assert front.calls == []


async def test_a_result_of_another_version(providers: Providers, url: str) -> None:
    """A result that cannot be read, after a rollback, is an error of the key; nothing is sent."""
    field = "segmentUpsert"
    async with serving(providers, url) as front:
        await do(front, field, given(field))
        front.forget()
        database = Database(database_url(url, {}))
        async with database.writing() as connection:
            await connection.execute(update(KEYS).values(answer=b'1{"errors": "none"}'))
        await database.close()
        with capture_logs() as lines:
            payload = await do(front, field, given(field))
        wrong = problem("idempotencyKey", "PROVIDER_FAILED", None)
        assert payload == {**EMPTY[field], "userErrors": [wrong]}
        assert front.calls == []
    assert [each for each in lines if each["log_level"] == "warning"] == [
        {
            "event": "a stored result cannot be read",
            "log_level": "warning",
            "form": "SegmentReceipt",
            "cause": "Expected `array`, got `str` - at `$.errors`",
        }
    ]


@pytest.mark.parametrize("field", INPUTS)
async def test_another_input(front: Front, field: str) -> None:
    """A key that stands for another input is refused, and nothing is sent."""
    await do(front, "segmentsReorder", {"provider": "stuut", "ids": [], "idempotencyKey": KEY})
    front.forget()
    payload = await do(front, field, given(field))
    reused = problem("idempotencyKey", "IDEMPOTENCY_KEY_REUSED", None)
    assert payload == {**EMPTY[field], "userErrors": [reused]}
    assert front.calls == []


async def test_other_words_for_the_same_input(front: Front) -> None:
    """Where and in which order the input is written does not matter; a changed value does."""
    first = await do(front, "segmentUpsert", given("segmentUpsert"))
    assert first["created"] is True
    written = (
        'mutation { m0: segmentUpsert(input: {siteCode: "main", name: "A", externalId: "a",'
        f' idempotencyKey: "{KEY}", provider: "emporix"}}) {{ created }} }}'
    )
    front.forget()
    assert await front.data(written) == {"m0": {"created": True}}
    assert front.calls == []
    other = {**given("segmentUpsert"), "status": None}
    payload = await do(front, "segmentUpsert", other, "created")
    assert payload["userErrors"] == []  # a null is as good as nothing, where nothing is cleared
    changed = {**given("segmentUpsert"), "name": "B"}
    payload = await do(front, "segmentUpsert", changed, "created")
    assert [error["code"] for error in payload["userErrors"]] == ["IDEMPOTENCY_KEY_REUSED"]


async def test_user_errors_are_a_result(front: Front) -> None:
    """A refusal is answered again as well."""
    taken = {
        "provider": "stuut",
        "name": "Key accounts",
        "priority": 1,
        "idempotencyKey": KEY,
    }
    for calls in (1, 0):
        front.forget()
        payload = await do(front, "segmentCreate", taken)
        problems = [problem("name", "TAKEN", "stuut")]
        assert payload == {"segment": None, "userErrors": problems}
        assert len(front.calls) == calls


@pytest.mark.parametrize("apps", [1, 2], ids=["one process", "two processes"])
async def test_at_once(providers: Providers, url: str, apps: int) -> None:
    """Of requests that arrive at once one is carried out, and all get its result."""
    async with serving(providers, url) as front, serving(providers, url) as second:
        shop = Shop(providers)
        shop.hold = asyncio.Event()
        fronts = (front, front if apps == 1 else second)
        requests = [
            asyncio.ensure_future(
                do(fronts[n % 2], "customerSegmentsReplace", given("customerSegmentsReplace"))
            )
            for n in range(6)
        ]
        await shop.arrived.wait()
        shop.hold.set()
        payloads = await asyncio.gather(*requests)
        assert payloads == [payloads[0]] * 6
        assert payloads[0]["updatedCustomerIds"] == [shoppers(1)[0]]
        assert len(shop.batches) == 1


async def test_twice_in_one_document(front: Front) -> None:
    """Twice in one document is once."""
    field = "segmentsReorder"
    variables = {"m0": given(field), "m1": given(field)}
    data = await front.data(document(field, field), variables)
    assert data["m0"] == data["m1"]
    assert front.calls == ["POST /v2/customer-segments/reorder"]


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_length(front: Front, key: str) -> None:
    """A key has 1 to 255 characters."""
    field = "segmentsReorder"
    payload = await do(front, field, given(field, key))
    wrong = problem("idempotencyKey", "INVALID", None)
    assert payload == {"segments": None, "userErrors": [wrong]}
    assert front.calls == []


@pytest.mark.parametrize("key", ["x", "ü" * 255, "null\0", "𝄞"])
async def test_any_text(front: Front, key: str) -> None:
    """Any text of that length is a key of its own."""
    field = "segmentsReorder"
    payload = await do(front, field, given(field, key))
    assert payload["userErrors"] == []
    assert await do(front, field, given(field, key)) == payload
    assert len(front.calls) == 1


@pytest.mark.parametrize("way", ["silent", "broken connection", "500", "null"])
async def test_outcome_unknown(providers: Providers, url: str, way: str) -> None:
    """Where the outcome of the first request is not known, the key says so and sends nothing."""
    failure = FAILURES[way]
    segment = {"provider": "stuut", "name": "A", "priority": 1, "idempotencyKey": KEY}
    async with serving(providers, url, settings_with(timeout_s=failure.timeout_s)) as front:
        providers.instead["stuut"] = failure.server
        answer = await front.ask(document("segmentCreate"), {"m0": segment})
        assert answer["data"] == {"m0": None}
        assert [error["extensions"]["code"] for error in answer["errors"]] == [failure.code]
    providers.instead.clear()
    async with serving(providers, url) as front:
        payload = await do(front, "segmentCreate", segment)
        unknown = problem("idempotencyKey", "PROVIDER_FAILED", None)
        assert payload == {"segment": None, "userErrors": [unknown]}
        assert front.calls == []


@pytest.mark.parametrize("way", ["unreachable", "401", "429"])
async def test_certainly_not_done(providers: Providers, url: str, way: str) -> None:
    """Where the provider cannot have acted, the key is free again and may be tried again."""
    segment = {"provider": "stuut", "name": "A", "priority": 1, "idempotencyKey": KEY}
    async with serving(providers, url) as front:
        providers.instead["stuut"] = FAILURES[way].server
        answer = await front.ask(document("segmentCreate"), {"m0": segment})
        assert answer["data"] == {"m0": None}
    providers.instead.clear()
    async with serving(providers, url) as front:
        payload = await do(front, "segmentCreate", segment, "segment { name }")
        assert payload == {"segment": {"name": "A"}, "userErrors": []}
        assert front.calls == ["POST /v2/customer-segments"]
