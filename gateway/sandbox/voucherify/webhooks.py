"""Voucherify's webhooks: customers (project webhooks) and segments (distributions).

Facts: "Introduction to webhooks", "Distribution webhooks" and "Project settings webhooks" of
2026-08. Our decisions: each auto-update segment has a distribution for either direction; creating
such a segment, and deleting a customer, reports nobody as having entered or left.
"""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from gateway.sandbox.voucherify.project import Project
from gateway.sandbox.voucherify.records import (
    AUTO_UPDATE,
    Customer,
    Segment,
    customer_document,
    show_customer,
    stamp,
)
from gateway.sandbox.webhooks import Message, Policy, TargetOf, WebhookSender

CREATED, UPDATED, DELETED = "customer.created", "customer.updated", "customer.deleted"
ENTERED, LEFT = "customer.segment.entered", "customer.segment.left"
NAMES = {ENTERED: "Segment entered", LEFT: "Segment left"}
"""The names that somebody gave to the distributions' webhooks: the envelope's `type`."""

MINUTE_S, DAY_S = 60, 86_400
# Counted from the first attempt: 1, 2, 4 … 1024 minutes, and a day.
_RETRY_AT_S = (0, *(MINUTE_S * 2**n for n in range(11)), DAY_S)
POLICY = Policy(
    retry_after_s=[at - before for before, at in pairwise(_RETRY_AT_S)],
    timeout_s=10,
)


class _Source(NamedTuple):
    """A project webhook, or the webhook of a distribution."""

    event_type: str
    segment: str | None
    """None: of the project."""
    target: TargetOf


class CustomerWebhooks:
    """The webhooks of one project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._targets: list[TargetOf] = []
        self._ids: dict[_Source, str] = {}
        self._disabled: set[_Source] = set()
        self.sender = WebhookSender(POLICY)

    def add(self, target: TargetOf) -> None:
        """Report every kind of event, also to this target."""
        self._targets.append(target)

    def segments_of(self, customer: Customer) -> dict[str, Segment]:
        """Return the auto-update segments a customer is in, by id; none if nobody is told."""
        if not self._targets:
            return {}
        segments = self._project.segments_of(customer)
        return {each.id: each for each in segments if each.type == AUTO_UPDATE}

    def report(
        self, customer: Customer, event_type: str | None, before: dict[str, Segment]
    ) -> None:
        """Report what was done to a customer, and the segments entered and left since `before`.

        `event_type` None: the change itself is not reported, as of an update by a bulk call.
        """
        if not self._targets:
            return
        if event_type is not None:
            self._emit(event_type, customer, None)
        after = self.segments_of(customer)
        for key in sorted(after.keys() - before.keys()):
            self._emit(ENTERED, customer, after[key])
        for key in sorted(before.keys() - after.keys()):
            self._emit(LEFT, customer, before[key])

    def report_deleted(self, customer: Customer) -> None:
        """Report that a customer was deleted; the example has a mark at its `source_id`."""
        document = customer_document(customer)
        if "source_id" in document:
            document["source_id"] += f"_deleted{stamp(self._project.now())}"
        self._send(DELETED, customer.id, {"customer": document}, None)

    def _emit(self, event_type: str, customer: Customer, segment: Segment | None) -> None:
        data: dict[str, Any] = {"customer": show_customer(customer)}
        if segment is not None:
            data["segment"] = {"id": segment.id, "name": segment.name, "object": "segment"}
        self._send(event_type, customer.id, data, segment)

    def _send(
        self, event_type: str, entity_id: str, data: dict[str, Any], segment: Segment | None
    ) -> None:
        now = self._project.now()
        event = {
            "id": self._project.hex_id("evcus_"),
            "type": event_type,
            "created_at": stamp(now),
            "entity_id": entity_id,
            "group_id": self._project.hex_id("v-"),
            "event_source": {"channel": "API"},
        }
        for target in self._targets:
            source = (
                _Source(event_type, segment.id, target) if segment else _Source("", None, target)
            )
            if source not in self._disabled:
                self._send_to(source, event, data, now)

    def _send_to(
        self, source: _Source, event: dict[str, Any], data: dict[str, Any], now: datetime
    ) -> None:
        event_type = event["type"]
        to = source.target(event_type)
        if to is None:
            return
        kind, prefix = ("distribution", "distr_") if source.segment else ("webhook", "wh_")
        if source not in self._ids:
            self._ids[source] = self._project.fresh_id(prefix)
        envelope = {
            "id": self._project.hex_id("whs_"),
            "project_id": "proj_sandbox",
            "created_at": stamp(now),
            "type": NAMES.get(event_type, event_type),
            "data": data,
            "source": {"id": self._ids[source], "object": kind, "target_url": to.url},
            "event": event,
        }
        self.sender.send(signed(to.url, to.secret, envelope), self._disabler(source))

    def _disabler(self, source: _Source) -> Callable[[], None]:
        """Return what disables a project webhook, or pauses a distribution."""
        return lambda: self._disabled.add(source)


def signed(url: str, secret: str, envelope: dict[str, Any]) -> Message:
    """Return a webhook, signed without the whitespace that it is sent with."""
    compact = msgspec.json.encode(envelope)
    signature = hmac.new(secret.encode(), compact, hashlib.sha256).hexdigest()
    body = msgspec.json.format(compact, indent=2)
    return Message(url, {"x-voucherify-signature": signature}, body)
