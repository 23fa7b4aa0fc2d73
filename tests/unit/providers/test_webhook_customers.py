"""Customers in Voucherify's events: what they are now, and that they are gone."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from gateway.domain.entities import Customer, CustomerKey, Ref
from gateway.providers.base.webhooks import WebhookCustomers
from tests.unit.providers.test_webhooks import voucherify

ZOE: Mapping[str, Any] = {
    "id": "cust_1",
    "source_id": "crm-1",
    "name": "Zoe",
    "email": "zoe@example.com",
    "phone": "+49 1",
    "metadata": {"card": "7"},
    "created_at": "2026-11-01T00:00:00.000Z",
}
READ = Customer(
    ref=Ref("promo", "cust_1"),
    keys=(CustomerKey("id", "cust_1"), CustomerKey("source_id", "crm-1")),
    name="Zoe",
    email="zoe@example.com",
    phone="+49 1",
    attributes={"card": "7"},
)
NOBODY = WebhookCustomers()
SEGMENT = {"id": "seg_1", "name": "Gold"}


def body(data: Any) -> bytes:
    """Return an event with these data."""
    event = {"id": "evt_1", "type": "x", "created_at": "2026-11-22T10:00:00.000Z"}
    return json.dumps({"id": "whs_1", "event": event, "data": data}).encode()


@pytest.mark.parametrize(
    ("event", "data", "expected"),
    [
        ("customer.created", {"customer": ZOE}, WebhookCustomers([READ])),
        ("customer.updated", {"customer": ZOE}, WebhookCustomers([READ])),
        (
            "customer.segment.entered",
            {"customer": ZOE, "segment": SEGMENT},
            WebhookCustomers([READ]),
        ),
        ("customer.segment.left", {"customer": ZOE, "segment": SEGMENT}, WebhookCustomers([READ])),
        ("customer.deleted", {"customer": ZOE}, WebhookCustomers(gone=("cust_1",))),
        ("customer.deleted", {"customer": {"id": "cust_1"}}, WebhookCustomers(gone=("cust_1",))),
        # A payload that has only ids would remove the values that are known.
        ("customer.updated", {"customer": {"id": "cust_1"}}, NOBODY),
        ("customer.segment.entered", {"customer": {"id": "cust_1"}, "segment": SEGMENT}, NOBODY),
        ("customer.updated", {"customer": {**ZOE, "email": 7}}, NOBODY),
        ("customer.updated", {}, NOBODY),
        ("customer.updated", None, NOBODY),
        ("voucher.created", {"customer": ZOE}, NOBODY),
    ],
    ids=lambda each: each if isinstance(each, str) else None,
)
def test_customers(event: str, data: Any, expected: WebhookCustomers) -> None:
    """Whole customers are recorded; incomplete ones, and those of other events, are left out."""
    found = voucherify().webhook_customers(event, body(data))
    known = [msgspec.structs.replace(each, raw=None) for each in found.known]
    assert found._replace(known=known) == expected._replace(known=list(expected.known))
