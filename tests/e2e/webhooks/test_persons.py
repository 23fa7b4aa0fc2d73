"""Customers in webhooks: rules link them before the webhook is answered, without a call."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from gateway.identity.settings import IdentitySettings
from gateway.sandbox.people import person
from gateway.settings.tables import Settings
from tests.e2e.serving import Front, Providers, customer_id
from tests.e2e.webhooks.sending import at, send_voucherify
from tests.e2e.writes.serving import serving

MAIL = {"name": "mail", "keys": ["voucherify:email", "emporix:email"], "normalize": "email"}
HIRO = person(1)
AT_EMPORIX = customer_id("emporix", str(HIRO.emporix_id))
AT_VOUCHERIFY = customer_id("voucherify", "cust_new")
PEOPLE = "{ people { nodes { customers { id } } } }"


@pytest.fixture
async def front(providers: Providers, sqlite_url: str, settings: Settings) -> AsyncIterator[Front]:
    """Return the front door of a gateway whose rule links by address, and has read one."""
    identity = IdentitySettings.model_validate({"rules": [MAIL]})
    changed = settings.model_copy(update={"identity": identity})
    async with serving(providers, sqlite_url, changed) as found:
        await found.data(f'{{ customer(id: "{AT_EMPORIX}") {{ name }} }}')
        found.forget()
        yield found


async def send(front: Front, number: int, kind: str, customer: Mapping[str, Any]) -> None:
    """Send an event about a customer."""
    event = {"id": f"evt_{number}", "type": kind, "created_at": at(number)}
    body = {"id": f"whs_{number}", "type": "x", "data": {"customer": customer}, "event": event}
    reply = await send_voucherify(front.client, json.dumps(body).encode())
    assert reply.status_code == 204


async def people(front: Front) -> list[set[str]]:
    """Return the persons of several customers, which are read from the store alone."""
    nodes = (await front.data(PEOPLE))["people"]["nodes"]
    assert front.counts.keys() <= {"voucherify"}  # what the event makes the gateway read again
    return [{each["id"] for each in node["customers"]} for node in nodes]


async def test_customers_of_webhooks(front: Front) -> None:
    """A link comes with the value, goes with it, and with the customer."""
    linked = [{AT_EMPORIX, AT_VOUCHERIFY}]
    assert await people(front) == []
    await send(front, 1, "customer.created", {"id": "cust_new", "email": HIRO.email.upper()})
    assert await people(front) == linked
    await send(front, 2, "customer.updated", {"id": "cust_new"})  # not a whole customer
    assert await people(front) == linked
    await send(front, 3, "customer.updated", {"id": "cust_new", "email": "other@example.com"})
    assert await people(front) == []
    await send(front, 4, "customer.updated", {"id": "cust_new", "email": HIRO.email})
    assert await people(front) == linked
    await send(front, 5, "customer.deleted", {"id": "cust_new"})
    assert await people(front) == []
    await send(front, 5, "customer.created", {"id": "cust_new", "email": HIRO.email})  # repeated
    assert await people(front) == []
