"""Emporix's webhooks by the HTTP strategy: what is subscribed to, and where it is sent.

Facts: the webhook service's OpenAPI file, its tutorial and the published events of 2026-08-21, and
the HMAC guide as quoted by the Emporix SDK. Our decisions: an event type without an entry of its
own goes to the general `destinationUrl`; retries, whose times are not documented, are those of
Svix; deleting a segment or a customer does not report the assignments that end with it. Filters,
the Svix strategies and the limit of 5,000 events a month are not simulated.
"""

import hmac
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2s
from itertools import count
from typing import Any

import msgspec

from gateway.sandbox.webhooks import Message, Policy, TargetOf, WebhookSender

POLICY = Policy(
    retry_after_s=(0, 5, 300, 1_800, 7_200, 18_000, 36_000, 36_000),
    timeout_s=15,
)
HTTP = "http"
"""The code of the HTTP strategy's configuration."""

SEGMENT = "customer-segment.segment-"
CUSTOMER_ASSIGNMENT = "customer-segment.customer-assignment-"
ITEM_ASSIGNMENT = "customer-segment.item-assignment-"
CUSTOMER = "customer."
CREATED, UPDATED, DELETED = "created", "updated", "deleted"
CATALOGUE = tuple(
    f"{subject}{change}"
    for subject in (CUSTOMER_ASSIGNMENT, ITEM_ASSIGNMENT, SEGMENT, CUSTOMER)
    for change in (CREATED, DELETED, UPDATED)
)
"""The event types of the simulated services."""

EXPONENT_FROM, DECIMAL_FROM = 1e21, 1e-6
"""`JSON.stringify` writes numbers from the one on, and below the other, with an exponent."""


@dataclass(slots=True)
class Subscription:
    """Whether an event type is subscribed to, and without which fields."""

    created_at: str
    modified_at: str
    version: int = 1
    is_active: bool = True
    excluded: tuple[str, ...] = ()


@dataclass(slots=True)
class Config:
    """The configuration of one strategy: its settings, and the entries of event types by id."""

    code: str
    active: bool
    settings: dict[str, Any] = field(default_factory=dict)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)


class TenantWebhooks:
    """The webhooks of one tenant."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self._ids = count()
        self.sender = WebhookSender(POLICY)
        self.subscriptions: dict[str, Subscription] = {}
        self.configs: dict[str, Config] = {}

    def add(self, target: TargetOf) -> None:
        """Report every kind of event, also to this target."""
        config = self.configs.setdefault(HTTP, Config(HTTP, active=True))
        for event_type in CATALOGUE:
            if (to := target(event_type)) is not None:
                self.subscriptions.setdefault(event_type, Subscription("", ""))
                config.entries[self.new_id()] = {
                    "eventType": event_type,
                    "destinationUrl": to.url,
                    "secretKey": to.secret,
                }

    def new_id(self) -> str:
        """Return an id that looks like those of entries."""
        text = blake2s(f"entry {next(self._ids)}".encode(), digest_size=16).hexdigest()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def emit(self, event_type: str, payload: Mapping[str, Any], at: str) -> None:
        """Report an event of this moment."""
        subscription = self.subscriptions.get(event_type)
        config = next((each for each in self.configs.values() if each.active), None)
        if subscription is None or not subscription.is_active:
            return
        if config is None or config.code != HTTP:
            return
        event = {**payload, "tenant": self._tenant}
        entries = [each for each in config.entries.values() if each["eventType"] == event_type]
        for entry in entries or [{}]:
            excluded = entry.get("excludedFields")
            excluded = subscription.excluded if excluded is None else excluded
            shown = {name: part for name, part in event.items() if name not in excluded}
            target = config.settings | entry
            if target.get("destinationUrl") and target.get("active", True):
                self.sender.send(_message(target, shown, at))


def _message(target: Mapping[str, Any], event: Mapping[str, Any], at: str) -> Message:
    headers = {name: each["value"] for name, each in target.get("headers", {}).items()}
    headers["emporix-event-publish-time"] = at
    if (secret := target.get("secretKey")) is not None:
        digest = hmac.digest(secret.encode(), canonical(event).encode(), "sha256")
        headers["emporix-event-signature"] = b64encode(digest).decode()
    return Message(target["destinationUrl"], headers, msgspec.json.encode(event))


def canonical(value: Any) -> str:
    """Return JSON as `JSON.stringify` writes it, with sorted keys: what the signature is of."""
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in keys) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(float(value))
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    if value == 0 or DECIMAL_FROM <= abs(value) < EXPONENT_FROM:
        text = format(Decimal(repr(value)), "f").removesuffix(".0")
        return "0" if text == "-0" else text
    digits, _, exponent = repr(value).partition("e")
    return f"{digits}e{int(exponent):+d}"
