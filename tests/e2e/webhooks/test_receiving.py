"""Webhooks through the front door: what is refused, what is stored, what it comes to."""

import random
from codecs import BOM_UTF8
from datetime import timedelta
from typing import Any

import pytest

from gateway.store.errors import StoreFailed, StoreState
from gateway.store.webhooks import WebhookInbox
from tests.e2e.serving import Front, customer_id, segment_id
from tests.e2e.webhooks.sending import (
    NEW,
    OLD,
    at,
    changes,
    membership,
    send_emporix,
    send_voucherify,
    webhooks,
)
from tests.sizes import size

UNSIGNED = "The signature is missing or wrong."
GOLDEN, MEMBER = "golden", "90000000"
METADATA = {"modifiedAt": at(5), "version": 3}
UNUSED = {
    "lastReceivedAt": None,
    "lastRejectedAt": None,
    "lastRejection": None,
    "receivedLast24h": 0,
}


def entered(minute: int, customer: str = "c", kind: str = "ENTERED") -> dict[str, Any]:
    """Return the change that a webhook of Voucherify becomes."""
    return {
        "source": "WEBHOOK",
        "kind": kind,
        "occurredAt": at(minute),
        "provider": {"key": "voucherify"},
        "segmentId": segment_id("voucherify", "seg_x"),
        "customerId": customer_id("voucherify", customer),
    }


async def test_state(front: Front) -> None:
    """A provider's state follows its webhooks; a repeat is no second one, whatever its body."""
    assert await webhooks(front, "instaleap") == {"state": "UNCONFIGURED", **UNUSED}
    assert await webhooks(front) == {"state": "HEALTHY", **UNUSED}
    first = membership("evt_1", "entered", "seg_x", "c", 1)
    assert (await send_voucherify(front.client, first)).status_code == 204
    again = membership("evt_1", "left", "seg_x", "c", 2)
    assert (await send_voucherify(front.client, again, OLD)).status_code == 204
    assert await changes(front, 1) == [entered(1)]
    state = await webhooks(front)
    assert state["state"] == "HEALTHY"
    assert state["receivedLast24h"] == 1
    assert state["lastReceivedAt"] is not None

    refused = await send_voucherify(front.client, first, "forged")
    assert (refused.status_code, refused.json()) == (401, {"error": UNSIGNED})
    for _ in range(5):
        assert (await send_voucherify(front.client, first, "forged")).status_code == 401
    state = await webhooks(front)
    assert (state["state"], state["lastRejection"]) == ("HEALTHY", UNSIGNED)


async def test_failing(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider whose newest three webhooks were refused is failing, until one is accepted."""
    monkeypatch.setattr("gateway.http.webhook_endpoint.REFUSALS_APART_S", 0)
    monkeypatch.setattr("gateway.store.webhooks.REFUSALS_APART", timedelta(0))
    reshaped = b'{"customer": "c"}'
    for number in range(3):
        assert (await webhooks(front))["state"] == "HEALTHY", number
        refused = await send_voucherify(front.client, reshaped)
        assert refused.status_code == 400
    reason = "This is not the documented default payload: Object missing required field `event`."
    assert refused.json() == {"error": reason}
    state = await webhooks(front)
    assert (state["state"], state["lastRejection"]) == ("FAILING", reason)
    await send_voucherify(front.client, membership("evt_1", "entered", "seg_x", "c", 1))
    assert (await webhooks(front))["state"] == "HEALTHY"


async def test_refusals(front: Front) -> None:
    """Size, encoding, signature and payload are checked in this order; GET is not allowed.

    OPTIONS succeeds, whoever asks for whatever: Emporix requires it of a URL that it sends to.
    """
    path, large = "/webhooks/voucherify", b"x" * (1024 * 1024 + 1)
    zipped = {"content-encoding": "gzip"}
    assert (await front.client.get(path)).status_code == 405
    for each in (path, f"{path}/x", "/webhooks/nobody"):
        answer = await front.client.options(each)
        assert (answer.status_code, answer.headers["allow"]) == (204, "OPTIONS, POST")
    assert (await front.client.post(path, content=large, headers=zipped)).status_code == 413
    assert (await front.client.post(path, content=b"{", headers=zipped)).status_code == 415
    unknown = (
        "/webhooks/nobody",
        "/webhooks/stuut",
        "/webhooks/voucherify/customer.segment.entered",
        "/webhooks/emporix",
        "/webhooks/emporix/customer-segment.unknown",
    )
    for each in (path, *unknown):
        answer = await front.client.post(each, content=b"{")
        assert (answer.status_code, answer.json()) == (401, {"error": UNSIGNED}), each
    answer = await front.client.post(path, content=b"{", headers={"host": "evil.example"})
    assert answer.status_code == 421


async def test_byte_order_mark(front: Front) -> None:
    """It is signed like the rest of the body, and ignored (RFC 8259, 8.1)."""
    body = BOM_UTF8 + membership("evt_1", "entered", "seg_x", "c", 1)
    assert (await send_voucherify(front.client, body)).status_code == 204
    assert await changes(front, 1) == [entered(1)]


async def test_store_fails(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be stored is not acknowledged: the provider repeats it."""

    async def fail(*_: object) -> bool:
        raise StoreFailed(StoreState.DOWN, "test")

    body = membership("evt_1", "entered", "seg_x", "c", 1)
    with monkeypatch.context() as patch:
        patch.setattr(WebhookInbox, "accept", fail)
        assert (await send_voucherify(front.client, body)).status_code == 503
    assert (await send_voucherify(front.client, body)).status_code == 204
    assert await changes(front, 1) == [entered(1)]


async def test_emporix(front: Front) -> None:
    """Segments and assignments; a deletion only once the provider does not have it any more."""
    still_in = {"segmentId": GOLDEN, "customerId": MEMBER}
    gone = {"segmentId": GOLDEN, "customerId": "99999999"}
    client = front.client
    sent = [
        await send_emporix(client, "customer-assignment-deleted", still_in, minute=1),
        await send_emporix(client, "segment-deleted", {"id": GOLDEN}, minute=2),
        await send_emporix(client, "customer-assignment-deleted", gone, minute=3, secret=OLD),
        await send_emporix(client, "segment-deleted", {"id": "no-such-segment"}, minute=4),
    ]
    nodes = await changes(front, 2)
    created = {"id": "fresh", "name": {"en": "Fresh"}, "metadata": METADATA}
    sent += [
        await send_emporix(client, "segment-created", created, minute=9),
        await send_emporix(client, "segment-updated", created, minute=9),
    ]
    nodes = await changes(front, 3)
    assert [each.status_code for each in sent] == [204] * 6
    assert [(each["kind"], each["segmentId"], each["occurredAt"]) for each in nodes] == [
        ("LEFT", segment_id("emporix", GOLDEN), at(3)),
        ("DELETED", segment_id("emporix", "no-such-segment"), at(4)),
        ("CREATED", segment_id("emporix", "fresh"), at(5)),
    ]
    assert (await webhooks(front, "emporix"))["receivedLast24h"] == 6


async def test_items(front: Front) -> None:
    """Items update their segment; their versions are not compared with those of the segment."""
    segment = {"id": "fresh", "name": {"en": "Fresh"}, "metadata": METADATA}
    item = {"segmentId": "fresh", "item": {"id": "p1001", "type": "PRODUCT"}}
    newer = {"modifiedAt": at(6), "version": 1}
    for name, payload, minute in (
        ("segment-created", segment, 5),
        ("item-assignment-created", {**item, "metadata": newer}, 6),
        ("item-assignment-updated", {**item, "metadata": {**newer, "modifiedAt": at(4)}}, 7),
        ("item-assignment-deleted", {"segmentId": "fresh", "itemId": "p1001"}, 8),
        ("item-assignment-deleted", {"segmentId": "fresh", "itemId": "p1001"}, 8),
        ("segment-updated", {**segment, "metadata": {"modifiedAt": at(9), "version": 4}}, 9),
    ):
        answer = await send_emporix(front.client, name, payload, minute=minute)
        assert answer.status_code == 204, answer.text
    nodes = await changes(front, 4)
    assert [(each["kind"], each["segmentId"], each["occurredAt"]) for each in nodes] == [
        (kind, segment_id("emporix", "fresh"), at(minute))
        for kind, minute in (("CREATED", 5), ("UPDATED", 6), ("UPDATED", 8), ("UPDATED", 9))
    ]


async def test_any_order(front: Front) -> None:
    """Out of order, repeated and forged: each accepted event has its effect exactly once."""
    chance = random.Random(7)  # noqa: S311  # no secret
    count = size("WEBHOOKS", 80, 5000)
    events = [
        (number, f"c{number % 9}", "entered" if number // 9 % 2 else "left")
        for number in range(count)
    ]
    arriving = [*events, *chance.choices(events, k=count // 3)]
    chance.shuffle(arriving)
    newest: dict[str, int] = {}
    known: dict[str, str] = {}
    expected = []
    for minute, customer, kind in arriving:
        body = membership(f"evt_{minute}", kind, "seg_x", customer, minute)
        if chance.random() < 0.2:
            forged = await send_voucherify(front.client, body, "forged")
            assert forged.status_code == 401
        answer = await send_voucherify(front.client, body, chance.choice([NEW, OLD]))
        assert answer.status_code == 204
        if minute <= newest.get(customer, -1):
            continue
        newest[customer] = minute
        if known.get(customer) != kind:
            known[customer] = kind
            expected.append(entered(minute, customer, kind.upper()))
    nodes = await changes(front, min(len(expected), 250))
    assert nodes == expected[:250]
    assert (await webhooks(front))["receivedLast24h"] == count
