"""Send webhooks as the providers do, and read what they changed."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from gateway.providers.base.canonical_json import canonical
from gateway.providers.emporix import webhooks as emporix
from gateway.providers.voucherify import webhooks as voucherify
from tests.e2e.serving import Front
from tests.four_kinds import CREDENTIALS

NEW, OLD = "the-new-secret", "the-old-secret"
START = datetime(2026, 11, 22, 9, tzinfo=UTC)
TENANT = CREDENTIALS["emporix"]["tenant"]
DEADLINE_S = 30
CHANGES = """{ changes(first: 250) { nodes {
  source kind occurredAt provider { key }
  ... on AssignmentChange { segmentId customerId } ... on SegmentChange { segmentId } } } }"""
CHANGE_PAGE = """query($after: String) { changes(first: 250, after: $after) {
  nodes { source kind occurredAt
    ... on AssignmentChange { segmentId customerId } ... on SegmentChange { segmentId } }
  pageInfo { endCursor hasNextPage } } }"""
WEBHOOKS = """{ provider(key: "%s") { webhooks {
  state lastReceivedAt lastRejectedAt lastRejection receivedLast24h } } }"""


def at(minute: int) -> str:
    """Return the time of an event."""
    moment = START + timedelta(minutes=minute)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def membership(event_id: str, kind: str, segment: str, customer: str, minute: int = 0) -> bytes:
    """Return Voucherify's envelope: `kind` is `entered` or `left`."""
    return json.dumps(
        {
            "id": f"whs_{event_id}",
            "type": "my distribution",
            "data": {"customer": {"id": customer}, "segment": {"id": segment}},
            "event": {
                "id": event_id,
                "type": f"customer.segment.{kind}",
                "created_at": at(minute),
            },
        }
    ).encode()


async def send_voucherify(
    client: httpx.AsyncClient, body: bytes, secret: str = NEW
) -> httpx.Response:
    """Send a webhook of Voucherify."""
    signature = voucherify.signature(secret, voucherify.compact(body))
    headers = {"x-voucherify-signature": signature, "content-type": "application/json"}
    return await client.post("/webhooks/voucherify", content=body, headers=headers)


async def send_emporix(
    client: httpx.AsyncClient,
    name: str,
    payload: Mapping[str, Any],
    *,
    minute: int = 0,
    secret: str = NEW,
) -> httpx.Response:
    """Send a webhook of Emporix."""
    event_type = f"customer-segment.{name}"
    body = json.dumps({"tenant": TENANT, **payload}, indent=1).encode()
    key = emporix.secret_for(secret, event_type)
    headers = {
        "emporix-event-signature": emporix.signature(key, canonical(body)),
        "emporix-event-publish-time": at(minute),
    }
    return await client.post(f"/webhooks/emporix/{event_type}", content=body, headers=headers)


async def changes(front: Front, count: int) -> Sequence[Mapping[str, Any]]:
    """Return all changes, once there are this many."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            nodes: Sequence[Mapping[str, Any]] = (await front.data(CHANGES))["changes"]["nodes"]
            if len(nodes) >= count:
                return nodes
            await asyncio.sleep(0.02)


async def webhooks(front: Front, provider: str = "voucherify") -> Mapping[str, Any]:
    """Return the state of a provider's webhooks."""
    data = await front.data(WEBHOOKS % provider)
    status: Mapping[str, Any] = data["provider"]["webhooks"]
    return status
