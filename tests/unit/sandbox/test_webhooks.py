"""Webhooks of the sandbox: how they are delivered, and those of Voucherify."""

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.sandbox import voucherify as module
from gateway.sandbox.people import person
from gateway.sandbox.voucherify.webhooks import signed
from gateway.sandbox.webhooks import LATENCY_S, Message, Policy, WebhookSender
from tests.unit.sandbox.receiving import SECRET, Receiver, below

NOW = "2026-11-22T10:00:00.123Z"
MESSAGE = Message("http://receiver/x", {"x-signature": "s"}, b"{}")
MINUTES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 24 * 60]
"""When Voucherify repeats a webhook, counted from the first attempt."""


async def test_repeated_until_accepted() -> None:
    """A refused webhook is sent again, unchanged, by the policy; an accepted one is not."""
    receiver = Receiver(refuses=2)
    sender = WebhookSender(Policy((0, 5, 300), 1))
    receiver.connect(sender)
    sender.send(MESSAGE)
    received = await receiver.next()
    assert (received.url, received.body) == ("/x", b"{}")
    assert received.headers["x-signature"] == "s"
    assert received.headers["content-type"] == "application/json"
    await sender.close()
    assert (receiver.attempts, receiver.waits) == (3, [LATENCY_S, 0, 5])


async def test_given_up() -> None:
    """After the last attempt it is given up; also if nobody listens at the address."""
    receiver = Receiver(refuses=100)
    sender = WebhookSender(Policy((1, 2), 1))
    receiver.connect(sender)
    given_up: list[int] = []
    for url in ("http://receiver/x", "http://[::1"):
        sender.send(MESSAGE._replace(url=url), lambda: given_up.append(receiver.attempts))
    await receiver.until(lambda: len(given_up) == 2)
    await sender.close()
    assert receiver.attempts == 3
    assert receiver.is_empty


@pytest.fixture
def receiver(voucherify_app: Starlette) -> Receiver:
    """Return the receiver of Voucherify's webhooks."""
    receiver = Receiver()
    hooks = module.webhooks_of(voucherify_app)
    receiver.connect(hooks.sender)
    hooks.add(below("/hooks"))
    return receiver


async def event(receiver: Receiver) -> tuple[str, Any]:
    """Return the type and the data of the next webhook, whose envelope must be as documented."""
    received = await receiver.next()
    envelope = received.json
    event = envelope["event"]
    segment = envelope["data"].get("segment")
    kind, prefix = ("webhook", "wh_") if segment is None else ("distribution", "distr_")
    names = {
        "customer.segment.entered": "Segment entered",
        "customer.segment.left": "Segment left",
    }
    assert envelope == {
        "id": envelope["id"],
        "project_id": "proj_sandbox",
        "created_at": NOW,
        "type": names.get(event["type"], event["type"]),
        "data": envelope["data"],
        "source": {
            "id": envelope["source"]["id"],
            "object": kind,
            "target_url": f"http://receiver{received.url}",
        },
        "event": {
            "id": event["id"],
            "type": event["type"],
            "created_at": NOW,
            "entity_id": envelope["data"]["customer"]["id"],
            "group_id": event["group_id"],
            "event_source": {"channel": "API"},
        },
    }
    assert received.url == f"/hooks/{event['type']}"
    ids = (envelope["id"], envelope["source"]["id"], event["id"], event["group_id"])
    assert [each.partition("_")[0] for each in ids[:3]] == ["whs", prefix[:-1], "evcus"]
    return event["type"], envelope["data"]


def test_signature() -> None:
    """It is that of the documents' vectors: of the JSON without insignificant whitespace."""
    message = signed("http://x", SECRET, {"a": 1})
    assert message.headers == {
        "x-voucherify-signature": (
            "a17d2ac229d1ebbb5f10e839c7985c4818e5986eab297f7e5979196d4d7d3ed2"
        )
    }
    assert message.body == b'{\n  "a": 1\n}'
    message = signed("http://x", SECRET, {'a"b': 1})
    assert message.headers == {
        "x-voucherify-signature": (
            "f7cf97814a03146abedb9793f56e1dec34f618f82d10395310d053f749483ffb"
        )
    }


async def test_customers(voucherify: httpx.AsyncClient, receiver: Receiver) -> None:
    """Creating, updating and deleting are reported, each with the customer as it is then."""
    created = (await voucherify.post("/v1/customers", json={"source_id": "s-1"})).json()
    path = f"/v1/customers/{created['id']}"
    assert await event(receiver) == ("customer.created", {"customer": created})
    bought = await event(receiver)  # nothing, which is what one of the segments is of
    assert (bought[0], bought[1]["segment"]["name"]) == (
        "customer.segment.entered",
        "Never bought",
    )
    updated = (await voucherify.put(path, json={"name": "Ann"})).json()
    assert await event(receiver) == ("customer.updated", {"customer": updated})
    assert (await voucherify.delete(path)).status_code == 204
    gone = {**updated, "source_id": f"s-1_deleted{NOW}"}
    assert await event(receiver) == ("customer.deleted", {"customer": gone})
    assert receiver.is_empty


async def test_segments(voucherify: httpx.AsyncClient, receiver: Receiver) -> None:
    """Who enters or leaves an auto-update segment is reported, a passive segment's members not.

    An update by a bulk call is not reported itself.
    """
    one = person(1)  # not a multiple of three: no newsletter
    path = f"/v1/customers/{one.voucherify_id}"
    for newsletter, kind in ((True, "entered"), (False, "left")):
        body = [{"source_id": one.crm_id, "metadata": {"newsletter": newsletter, "tier": "Gold"}}]
        answer = await voucherify.post("/v1/customers/bulk/async", json=body)
        assert answer.status_code == 202
        customer = (await voucherify.get(path)).json()
        event_type, data = await event(receiver)
        assert event_type == f"customer.segment.{kind}"
        assert data["customer"] == customer
        assert (
            data["segment"].items() >= {"name": "Newsletter readers", "object": "segment"}.items()
        )
        assert len(data["segment"]) == 3
    assert receiver.is_empty


async def test_every_target(
    voucherify: httpx.AsyncClient, voucherify_app: Starlette, receiver: Receiver
) -> None:
    """Two targets get one event in two send-outs, from two sources."""
    module.webhooks_of(voucherify_app).add(below("/others"))
    path = f"/v1/customers/{person(1).voucherify_id}"
    await voucherify.put(path, json={"name": "Ann"})
    one, two = await receiver.next(), await receiver.next()
    assert {one.url, two.url} == {"/hooks/customer.updated", "/others/customer.updated"}
    assert one.json["event"] == two.json["event"]
    assert one.json["id"] != two.json["id"]
    assert one.json["source"]["id"] != two.json["source"]["id"]


async def test_disabled(
    voucherify: httpx.AsyncClient, voucherify_app: Starlette, receiver: Receiver
) -> None:
    """It is repeated for a day; a webhook that fails all the time is then disabled."""
    receiver.refuses = 13
    path = f"/v1/customers/{person(1).voucherify_id}"
    await voucherify.put(path, json={"name": "Ann"})
    await receiver.until(lambda: receiver.attempts == 13)
    assert receiver.waits[0] == LATENCY_S
    assert [sum(receiver.waits[1 : n + 2]) / 60 for n in range(12)] == MINUTES
    sender = module.webhooks_of(voucherify_app).sender
    await receiver.until(lambda: not sender.pending)
    await voucherify.put(path, json={"name": "Bea"})
    await voucherify.post("/v1/customers", json={"metadata": {"newsletter": True}})
    types = {(await event(receiver))[0] for _ in range(2)}
    assert types == {"customer.segment.entered"}  # distributions are other webhooks
    assert receiver.is_empty


async def test_nobody_listens(voucherify: httpx.AsyncClient, voucherify_app: Starlette) -> None:
    """Without targets nothing is sent."""
    receiver = Receiver()
    receiver.connect(module.webhooks_of(voucherify_app).sender)
    await voucherify.post("/v1/customers", json={"source_id": "s-1"})
    assert (receiver.attempts, receiver.waits) == (0, [])
