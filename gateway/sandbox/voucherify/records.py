"""Voucherify's customers and segments: their stored fields and their JSON."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from gateway.sandbox.voucherify import activity
from gateway.sandbox.voucherify.filters import Getter, Predicate

STATIC, PASSIVE, AUTO_UPDATE = "static", "passive", "auto-update"
DYNAMIC = (AUTO_UPDATE, PASSIVE)


@dataclass(slots=True, eq=False)
class Customer:
    """One customer; `n` is the person of the cast whose activity it shows, None without any."""

    id: str
    created_at: datetime
    source_id: str | None = None
    n: int | None = None
    name: str | None = None
    description: str | None = None
    email: str | None = None
    phone: str | None = None
    birthday: date | None = None
    birthdate: date | None = None
    address: dict[str, str] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    updated_at: datetime | None = None
    shown: msgspec.Raw | None = None
    """The customer as JSON, until it changes."""


@dataclass(slots=True, eq=False)
class Segment:
    """One segment: `members` (customer ids) of a static one, `holds` of a filter's."""

    id: str
    name: str
    type: str
    created_at: datetime
    filter: dict[str, Any] | None = None
    holds: Predicate[Customer] | None = None
    members: set[str] = field(default_factory=set)


def milliseconds(moment: datetime) -> datetime:
    """Cut a moment to what the API shows, in UTC; comparing what was shown is then exact."""
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def stamp(moment: datetime) -> str:
    """Return an aware moment as the API prints it: UTC, milliseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def show_customer(customer: Customer) -> msgspec.Raw:
    """Return a customer as JSON. Absent are what was never given, and updated_at before that."""
    if customer.shown is None:
        customer.shown = msgspec.Raw(msgspec.json.encode(customer_document(customer)))
    return customer.shown


def customer_document(customer: Customer) -> dict[str, Any]:
    """Return a customer as `show_customer` encodes it."""
    n = customer.n
    body: dict[str, Any] = {"id": customer.id}
    for key in ("source_id", "name", "description", "email", "phone", "birthday", "birthdate"):
        if (value := getattr(customer, key)) is not None:
            body[key] = value
    summary, referrals = activity.summary(n), activity.referrals(n)
    if "last_order_date" in summary["orders"]:
        summary["orders"]["last_order_date"] = stamp(summary["orders"]["last_order_date"])
    for referral in referrals["campaigns"]:
        referral["date"] = stamp(referral["date"])
    body |= {
        "address": customer.address,
        "summary": summary,
        "loyalty": activity.loyalty(n),
        "referrals": referrals,
        "metadata": customer.metadata,
        "system_metadata": {},
        "created_at": stamp(customer.created_at),
    }
    if customer.updated_at is not None:
        body["updated_at"] = stamp(customer.updated_at)
    return body | {"object": "customer"}


def show_segment(segment: Segment) -> dict[str, Any]:
    """Return a segment as create and get show it; lists add a null updated_at.

    `initial_sync_status` stands in the examples only: the vendor removed it (6 Nov 2025).
    """
    return {
        "id": segment.id,
        "name": segment.name,
        "created_at": stamp(segment.created_at),
        "type": segment.type,
        "filter": segment.filter,
        "object": "segment",
    }


def customer_field(name: str) -> Getter[Customer] | None:
    """Return the reader of a field that a segment's filter may name; None for no such field.

    The fields are those of the vendor's customer export filter and of its segment examples.
    """
    if name in PLAIN_FIELDS:
        return PLAIN_FIELDS[name]
    root, _, rest = name.partition(".")
    return NESTED_FIELDS[root](rest) if rest and root in NESTED_FIELDS else None


def segment_field(name: str) -> Getter[Segment] | None:
    """Return the reader of a field that the list of segments can be filtered by."""
    return SEGMENT_FIELDS.get(name)


def _in_address(key: str) -> Getter[Customer]:
    return lambda customer: (customer.address or {}).get(key)


def _in_metadata(key: str) -> Getter[Customer]:
    return lambda customer: customer.metadata.get(key)


def _in_activity(read: Callable[[int | None], Any]) -> Callable[[str], Getter[Customer]]:
    return lambda path: lambda customer: _walk(read(customer.n), path)


def _in_campaigns(path: str) -> Getter[Customer]:
    """Read `campaigns.<name>.points`; the name may hold spaces and dots."""
    name, _, key = path.removeprefix("campaigns.").rpartition(".")
    return lambda customer: activity.loyalty(customer.n)["campaigns"].get(name, {}).get(key)


def _in_tiers(path: str) -> Getter[Customer]:
    """Read `campaigns.<name>`: the id of the customer's tier in that campaign."""
    name = path.removeprefix("campaigns.")
    return lambda customer: (
        activity.loyalty(customer.n)["campaigns"].get(name, {}).get("loyalty_tier")
    )


def _of_events(path: str) -> Getter[Customer]:
    """Read `<event>.count`: nobody ever sent an event here."""
    count = 0 if path.endswith(".count") else None
    return lambda _: count


def _walk(document: object, path: str) -> Any:
    for key in path.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document


PLAIN_FIELDS: dict[str, Getter[Customer]] = {
    "created_at": lambda customer: customer.created_at,
    "updated_at": lambda customer: customer.updated_at,
    "source_id": lambda customer: customer.source_id,
    "name": lambda customer: customer.name,
    "email": lambda customer: customer.email,
    "phone": lambda customer: customer.phone,
    "city": _in_address("city"),
    "birthdate": lambda customer: customer.birthdate,
    "birthday": lambda customer: customer.birthday or customer.birthdate,
}
NESTED_FIELDS: dict[str, Callable[[str], Getter[Customer]]] = {
    "address": _in_address,
    "metadata": _in_metadata,
    "summary": _in_activity(activity.summary),
    "loyalty": _in_activity(activity.loyalty),
    "loyalty_points": _in_campaigns,
    "loyalty_tier": _in_tiers,
    "events": _of_events,
    "publications": lambda _: lambda _customer: None,
    "system_metadata": lambda _: lambda _customer: None,
}
SEGMENT_FIELDS: dict[str, Getter[Segment]] = {
    "id": lambda segment: segment.id,
    "name": lambda segment: segment.name,
    "type": lambda segment: segment.type,
    "created_at": lambda segment: segment.created_at,
}
