"""Voucherify's webhooks: distributions report who enters and leaves a segment.

Facts: docs.voucherify.io, "Introduction to webhooks", "Distribution webhooks" and "Project
settings webhooks", read 2026-11-21.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from gateway.domain.change_log import (
    AssignmentObservation,
    ChangeKind,
    ChangeSource,
    Observation,
    ProviderObservation,
)
from gateway.domain.entities import AssignmentRef
from gateway.providers.base.webhooks import (
    EventTime,
    InvalidWebhook,
    WebhookAccountSettings,
    WebhookCustomers,
    WebhookEvent,
    WebhookRequest,
    WebhookTarget,
    checked_name,
    read_payload,
)
from gateway.providers.voucherify.model import CustomerModel, customers_of

SIGNATURE: Final = "x-voucherify-signature"

# Possessive, and a string may end with the body: linear in the length of any body.
_SPACE: Final = re.compile(rb'("(?:[^"\\]++|\\.)*+\\?"?)|[ \t\r\n]++', re.DOTALL)

_MEMBERSHIP: Final = {
    "customer.segment.entered": ChangeKind.ENTERED,
    "customer.segment.left": ChangeKind.LEFT,
}
DELETED: Final = "customer.deleted"
_CUSTOMER: Final = frozenset({"customer.created", "customer.updated", DELETED})


class _Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    created_at: EventTime


class _Envelope(msgspec.Struct, frozen=True):
    """The envelope's own `type` is a name that a user chose: the event's is the real one."""

    event: _Event
    data: msgspec.Raw


class _Identified(msgspec.Struct, frozen=True):
    id: str


class _Membership(msgspec.Struct, frozen=True):
    customer: _Identified
    segment: _Identified


class _Customer(msgspec.Struct, frozen=True):
    customer: CustomerModel


def signature(secret: str, body: bytes) -> str:
    """Return the signature of these bytes."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def compact(body: bytes) -> bytes:
    """Return JSON without insignificant whitespace; everything else stays byte by byte."""
    return _SPACE.sub(rb"\1", body)


class VoucherifyWebhooks:
    """The part of the adapter that receives webhooks."""

    key: str
    _settings: WebhookAccountSettings

    @property
    def has_webhook_secret(self) -> bool:
        """Whether webhooks are set up."""
        return bool(self._settings.webhook_secrets)

    def webhook_target(self, url: str, _event_type: str) -> WebhookTarget | None:
        """Return the URL, which is that of all types, and the project's secret."""
        return WebhookTarget(url, self._settings.webhook_secrets[0])

    def webhook_setup(self, url: str) -> Sequence[str]:
        """Return the steps in Voucherify's dashboard, which makes the secret itself."""
        return [
            "At Voucherify, for each segment to follow:",
            (
                '1. Create a distribution for "Customer entered segment" and one for'
                ' "Customer left segment".'
            ),
            f"2. Add a webhook with the default payload to each: {url}",
            "3. In the project settings, compare the webhook secret with webhook_secret.",
            (
                "Optional: a project webhook for customer.created, customer.updated and"
                f" customer.deleted: {url}"
            ),
            "A passive segment in a distribution becomes an auto-update segment for good.",
        ]

    def verify_webhook(self, request: WebhookRequest, _now: datetime) -> str | None:
        """Return `compact` or `raw`, the signed form of the body; None: not valid.

        The signature has no time: only the dedupe key protects against a replay.
        """
        if request.event_type is not None:
            return None
        given = request.headers.get(SIGNATURE, "").encode()
        for form, body in (("compact", compact(request.body)), ("raw", request.body)):
            for secret in self._settings.webhook_secrets:
                if hmac.compare_digest(signature(secret, body).encode(), given):
                    return form
        return None

    def webhook_event(self, request: WebhookRequest) -> WebhookEvent:
        """Read the envelope. Two distributions on one segment send one event twice."""
        event = read_payload(request.body, _Envelope).event
        self.webhook_observations(event.type, event.created_at, request.body)
        return WebhookEvent(
            type=checked_name(event.type, "event.type"),
            dedupe_key=checked_name(event.id, "event.id"),
            occurred_at=event.created_at,
        )

    def webhook_customers(self, event_type: str, body: bytes) -> WebhookCustomers:
        """Return the customer of an event, which the default payload has as a whole."""
        if event_type not in _CUSTOMER and event_type not in _MEMBERSHIP:
            return WebhookCustomers()
        try:
            data = read_payload(bytes(read_payload(body, _Envelope).data), _Customer)
        except InvalidWebhook:
            return WebhookCustomers()
        model = data.customer
        if event_type == DELETED:
            return WebhookCustomers(gone=(model.id,))
        if not any((model.source_id, model.email, model.phone, model.metadata)):
            return WebhookCustomers()  # a payload of only its id would remove what is known
        return WebhookCustomers(customers_of(self.key, (model,), (b"",)))

    def webhook_observations(
        self, event_type: str, occurred_at: datetime | None, body: bytes
    ) -> Sequence[Observation]:
        """Return who entered or left, or that a customer changed."""
        if event_type in _CUSTOMER:
            touched = ProviderObservation(
                provider=self.key, source=ChangeSource.WEBHOOK, occurred_at=occurred_at
            )
            return [touched]
        if event_type not in _MEMBERSHIP:
            return ()
        data = read_payload(bytes(read_payload(body, _Envelope).data), _Membership)
        entered_or_left = AssignmentObservation(
            ref=AssignmentRef(self.key, data.segment.id, data.customer.id),
            kind=_MEMBERSHIP[event_type],
            source=ChangeSource.WEBHOOK,
            occurred_at=occurred_at,
        )
        return [entered_or_left]
