"""Emporix's webhooks: the events of every service, and the webhook service itself."""

import hmac
import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.sandbox import emporix
from gateway.sandbox.emporix.webhooks import CATALOGUE, canonical
from tests.unit.sandbox.receiving import SECRET, Receiver, below

NOW = "2026-11-22T10:00:00.123Z"
SEGMENTS = "/customer-segment/sandbox/segments"
CONFIG = "/webhook/sandbox/config"
SUBSCRIPTIONS = "/webhook/sandbox/event-subscriptions"
ENTRY = "/configuration/http/eventsConfigurationEntry"
METADATA = {"createdAt": NOW, "modifiedAt": NOW, "version": 1}
CREATED = "customer-segment.segment-created"
URL = "http://receiver/own"


@pytest.fixture
def receiver(app: Starlette) -> Receiver:
    """Return a receiver of what is sent, which nothing is yet."""
    receiver = Receiver()
    receiver.connect(emporix.webhooks_of(app).sender)
    return receiver


@pytest.fixture
def of_all(app: Starlette, receiver: Receiver) -> Receiver:
    """Return the receiver of all events."""
    emporix.webhooks_of(app).add(below(""))
    return receiver


async def event(receiver: Receiver) -> tuple[str, Any]:
    """Return type and payload of the next webhook, which must be signed as documented."""
    received = await receiver.next()
    expected = hmac.digest(SECRET.encode(), canonical(received.json).encode(), "sha256")
    assert received.headers["emporix-event-signature"] == b64encode(expected).decode()
    assert received.headers["emporix-event-publish-time"] == NOW
    assert received.json.pop("tenant") == "sandbox"
    payload = received.json
    del payload["tenant"]
    return received.url.removeprefix("/"), payload


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"b":1,"a":{"d":[3,1],"c":"é"}}', '{"a":{"c":"é","d":[3,1]},"b":1}'),
        ('{"n":1.0,"big":1e21,"u":"\\u00e9\\/"}', '{"big":1e+21,"n":1,"u":"é/"}'),
        (
            "[-0.0,1e-7,0.000001,123456789012345678901,1.5,true,null]",
            "[0,1e-7,0.000001,123456789012345680000,1.5,true,null]",
        ),
    ],
)
def test_canonical(body: str, text: str) -> None:
    """It is what `JSON.stringify` writes, with sorted keys."""
    assert canonical(json.loads(body)) == text


async def test_segments(service: httpx.AsyncClient, of_all: Receiver) -> None:
    """Each change of a segment is one event; what changes nothing is none."""
    body = {"id": "s", "name": {"en": "S"}, "siteCode": "main", "mixins": {"m": {"f": 1.0}}}
    row = {"id": "s", "name": {"en": "S"}, "status": "INACTIVE", "siteCode": "main"}
    await service.post(SEGMENTS, json=body)
    assert await event(of_all) == (CREATED, row | {"metadata": METADATA})
    patch = [{"op": "replace", "path": "/status", "value": "ACTIVE"}]
    await service.patch(f"{SEGMENTS}/s", json=patch)
    changed = row | {
        "status": "ACTIVE",
        "previousStatus": "INACTIVE",
        "mixins": {"m": {"f": 1.0}},
        "metadata": METADATA | {"version": 2},
    }
    assert await event(of_all) == ("customer-segment.segment-updated", changed)
    for key in ("s", "s", "missing"):
        assert (await service.delete(f"{SEGMENTS}/{key}")).status_code == 204
    assert await event(of_all) == ("customer-segment.segment-deleted", {"id": "s"})
    assert of_all.is_empty


async def test_assignments(service: httpx.AsyncClient, app: Starlette, of_all: Receiver) -> None:
    """Customers, with or without a legal entity, and items; deletions are flat."""
    tenant = app.state.tenant
    rows = tenant.customers.find("", "")
    business = next(row["id"] for row in rows if tenant.legal_entities(row["id"]))
    entity, found = next(iter(tenant.legal_entities(business).items()))
    await service.post(SEGMENTS, json={"id": "s", "name": {"en": "S"}, "siteCode": "main"})
    assert (await event(of_all))[0] == CREATED
    customers, items = f"{SEGMENTS}/s/customers", f"{SEGMENTS}/s/items/PRODUCT"
    await service.put(f"{customers}/{business}/{entity}", json={})
    row = (await service.get(customers)).json()[0]
    created = "customer-segment.customer-assignment-created"
    assert row["legalEntity"] == {"id": entity, "name": found["name"]}
    assert await event(of_all) == (created, {"segmentId": "s", **row})
    await service.put(
        f"{customers}/bulk", json=[{"customerId": business, "legalEntityId": entity}]
    )
    updated = {"segmentId": "s", **row, "metadata": METADATA | {"version": 2}}
    assert await event(of_all) == ("customer-segment.customer-assignment-updated", updated)
    await service.request("DELETE", f"{customers}/bulk", json=[{"customerId": business}])
    await service.delete(f"{customers}/{business}/{entity}")
    gone = {"segmentId": "s", "customerId": business, "legalEntityId": entity}
    assert await event(of_all) == ("customer-segment.customer-assignment-deleted", gone)

    await service.put(f"{items}/p1001", json={})
    (row,) = (await service.get(f"{SEGMENTS}/s/items", headers={"Accept-Language": "*"})).json()
    assert await event(of_all) == ("customer-segment.item-assignment-created", row)
    await service.request("DELETE", f"{items}/bulk", json=["p1001", "p1001"])
    gone = {"segmentId": "s", "type": "PRODUCT", "itemId": "p1001"}
    assert await event(of_all) == ("customer-segment.item-assignment-deleted", gone)
    assert of_all.is_empty


async def test_customers(service: httpx.AsyncClient, of_all: Receiver) -> None:
    """A deletion names number and address alone."""
    customers = "/customer/sandbox/customers"
    await service.put(f"{customers}/c-1", json={"contactEmail": "a@b.example"})
    found = (await service.get(f"{customers}/c-1")).json()
    shown = {
        name: part
        for name, part in found.items()
        if name not in {"businessModel", "metadataCreatedAt"}
    }
    assert await event(of_all) == ("customer.created", shown)
    await service.patch(f"{customers}/c-1", json={"firstName": "Ann"})
    event_type, payload = await event(of_all)
    assert (event_type, payload["firstName"]) == ("customer.updated", "Ann")
    await service.delete(f"{customers}/c-1")
    gone = {"customerNumber": "c-1", "email": "a@b.example"}
    assert await event(of_all) == ("customer.deleted", gone)


async def subscribe(service: httpx.AsyncClient, *items: Any) -> Sequence[Any]:
    """Change subscriptions, and return the results."""
    answer = await service.patch(SUBSCRIPTIONS, json=items)
    assert answer.status_code == 207
    results: Sequence[Any] = answer.json()
    return results


async def create_segments(service: httpx.AsyncClient, *keys: str) -> None:
    """Cause an event each."""
    for key in keys:
        body = {"id": key, "name": {"en": key}, "siteCode": "main"}
        assert (await service.post(SEGMENTS, json=body)).status_code == 201


async def test_configured(service: httpx.AsyncClient, receiver: Receiver) -> None:
    """What is subscribed to goes to the entries of its type; without any, to the general URL."""
    await create_segments(service, "nobody-listens")
    assert (await service.get(CONFIG)).json() == []
    assert (await service.get(f"{CONFIG}/http")).status_code == 404
    general = {"destinationUrl": "http://receiver/general", "secretKey": SECRET}
    made = {"code": "http", "provider": "HTTP", "active": True, "configuration": general}
    created = await service.post(CONFIG, json=made)
    assert (created.status_code, created.json()) == (201, {"code": "http"})
    assert (await service.post(CONFIG, json=made)).status_code == 409
    await create_segments(service, "not-subscribed")
    ok = {"eventType": CREATED, "code": 200, "status": "OK"}
    assert await subscribe(service, {"eventType": CREATED, "action": "SUBSCRIBE"}) == [ok]
    await create_segments(service, "general")
    assert (await event(receiver))[0] == "general"

    entry = {
        "name": "Ours",
        "eventType": CREATED.upper(),
        "destinationUrl": URL,
        "secretKey": "another",
        "headers": {"x-key": {"value": "k"}},
        "excludedFields": ["metadata", "siteCode"],
    }
    patch = [{"op": "UPSERT", "path": ENTRY, "value": entry}]
    assert (await service.patch(f"{CONFIG}/http", json=patch)).status_code == 204
    config = (await service.get(f"{CONFIG}/http")).json()
    (shown,) = config["configuration"].pop("eventsConfiguration")
    entry_id = shown.pop("id")
    del entry["secretKey"]
    assert shown == {**entry, "eventType": CREATED, "secretKeyExists": True, "active": True}
    assert config == {
        "code": "http",
        "provider": "HTTP",
        "active": True,
        "configuration": {"destinationUrl": general["destinationUrl"], "secretKeyExists": True},
    }
    await create_segments(service, "own")
    received = await receiver.next()
    assert (received.url, received.headers["x-key"]) == ("/own", "k")
    assert received.json == {
        "id": "own",
        "name": {"en": "own"},
        "status": "INACTIVE",
        "tenant": "sandbox",
    }

    off = [{"op": "UPSERT", "path": f"{ENTRY}/{entry_id}/active", "value": False}]
    assert (await service.patch(f"{CONFIG}/http", json=off)).status_code == 204
    await create_segments(service, "switched-off")
    gone = [{"op": "REMOVE", "path": f"{ENTRY}/{entry_id}"}]
    assert (await service.patch(f"{CONFIG}/http", json=gone)).status_code == 204
    await create_segments(service, "general-again")
    assert (await receiver.next()).json["id"] == "general-again"

    svix = {"code": "svix", "provider": "SVIX", "active": True, "configuration": {"apiKey": "k"}}
    assert (await service.post(CONFIG, json=svix)).status_code == 201
    assert [each["active"] for each in (await service.get(CONFIG)).json()] == [False, True]
    await create_segments(service, "silenced")
    assert receiver.is_empty


async def test_subscriptions(service: httpx.AsyncClient, receiver: Receiver) -> None:
    """Each item stands alone; a change needs the newest version; fields can be left out."""
    listed = (await service.get(SUBSCRIPTIONS)).json()
    assert [each["event"]["type"] for each in listed] == list(CATALOGUE)
    none = {"metadata": {}, "subscription": "NONE", "excludedFields": []}
    assert [each | {"event": 0} for each in listed] == [none | {"event": 0}] * len(CATALOGUE)
    wanted = {"eventType": CREATED, "action": "SUBSCRIBE", "fieldsToUnsubscribe": ["name"]}
    codes = [each["code"] for each in await subscribe(service, wanted, {"eventType": "x.y"})]
    assert codes == [200, 404]
    metadata = {"metadata": {"version": 1}}
    again = [wanted, wanted | {"metadata": {"version": 2}}, wanted | metadata]
    assert [each["code"] for each in await subscribe(service, *again)] == [409, 409, 200]
    found = [each for each in (await service.get(SUBSCRIPTIONS)).json() if each["metadata"]]
    assert found == [
        {
            "event": {"type": CREATED, "eventSchema": {}},
            "metadata": METADATA | {"version": 2},
            "subscription": "SUBSCRIBED",
            "excludedFields": ["name"],
        }
    ]
    made = {
        "code": "http",
        "provider": "HTTP",
        "active": True,
        "configuration": {"destinationUrl": URL},
    }
    await service.post(CONFIG, json=made)
    await create_segments(service, "s")
    received = await receiver.next()
    assert "name" not in received.json
    assert "emporix-event-signature" not in received.headers
    left = {"eventType": CREATED, "action": "UNSUBSCRIBE", "metadata": {"version": 2}}
    assert [each["code"] for each in await subscribe(service, left)] == [200]
    await create_segments(service, "t")
    assert receiver.is_empty


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (
            {"op": "UPSERT", "path": ENTRY, "value": {"id": "x", "eventType": CREATED}},
            "id: must not",
        ),
        ({"op": "UPSERT", "path": ENTRY, "value": {"eventType": "x.y"}}, "eventType: no such"),
        ({"op": "REMOVE", "path": ENTRY}, f"{ENTRY}: REMOVE is not possible"),
        ({"op": "UPSERT", "path": f"{ENTRY}/none/active", "value": True}, "none: no such entry"),
        ({"op": "UPSERT", "path": "/else", "value": 1}, "/else: UPSERT is not possible"),
        (
            {"op": "UPSERT", "path": "/configuration/http/destinationUrl", "value": 1},
            "destinationUrl: ",
        ),
        (
            {
                "op": "UPSERT",
                "path": ENTRY,
                "value": {"eventType": CREATED, "destinationUrl": URL},
            },
            "destinationUrl: The resource specified by the URL is not accessible.",
        ),
    ],
)
async def test_refused(
    service: httpx.AsyncClient, receiver: Receiver, change: Any, detail: str
) -> None:
    """What is refused changes nothing, also of what stands before it."""
    made = {"code": "http", "provider": "HTTP", "configuration": {}}
    assert (await service.post(CONFIG, json=made)).status_code == 201
    receiver.accepts_options = False
    before = (await service.get(CONFIG)).json()
    active = {"op": "UPSERT", "path": "/active", "value": True}
    answer = await service.patch(f"{CONFIG}/http", json=[active, change])
    assert answer.status_code == 400
    body = answer.json()
    (said,) = body.pop("details")
    assert said.startswith(detail)
    assert body == {
        "code": 400,
        "status": "Bad Request",
        "message": "There is a validation error. Please check the details.",
    }
    assert (await service.get(CONFIG)).json() == before


async def test_needs_scopes(anonymous: httpx.AsyncClient, app: Starlette) -> None:
    """Reading and managing need their own scopes."""
    scopes = ["customersegment.segment_manage", "webhook.subscription_read"]
    token = app.state.tokens.issue(scopes)
    anonymous.headers["authorization"] = f"Bearer {token}"
    assert (await anonymous.get(CONFIG)).status_code == 200
    refused = await anonymous.post(CONFIG, json={})
    assert (refused.status_code, refused.json()["code"]) == (403, 403)
