"""Heron's webhooks: who enters and leaves an audience. Facts: README.md."""

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
)
from gateway.domain.entities import AssignmentRef
from gateway.providers.base.webhooks import (
    EventTime,
    WebhookAccountSettings,
    WebhookEvent,
    WebhookRequest,
    WebhookTarget,
    checked_name,
    read_payload,
)

SIGNATURE: Final = "x-heron-signature"
TOLERANCE_S: Final = 300
_SIGNED: Final = re.compile(r"t=(\d{1,11}),v1=([0-9a-f]{64})", re.ASCII)
_KINDS: Final = {"audience.entered": ChangeKind.ENTERED, "audience.left": ChangeKind.LEFT}


class _Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    at: EventTime
    audience: str
    member: str


class HeronWebhooks:
    """The part of the adapter that receives webhooks."""

    key: str
    _settings: WebhookAccountSettings

    @property
    def has_webhook_secret(self) -> bool:
        """Whether webhooks are set up."""
        return bool(self._settings.webhook_secrets)

    def webhook_target(self, url: str, event_type: str) -> WebhookTarget | None:
        """Return the URL, which is that of all types, and the secret."""
        return (
            WebhookTarget(url, self._settings.webhook_secrets[0]) if event_type in _KINDS else None
        )

    def webhook_setup(self, url: str) -> Sequence[str]:
        """Return the steps in Heron's settings."""
        return [f"At Heron, add a webhook for audiences with the secret webhook_secret: {url}"]

    def verify_webhook(self, request: WebhookRequest, now: datetime) -> str | None:
        """Accept the signature of time and body if it is at most five minutes old."""
        match = _SIGNED.fullmatch(request.headers.get(SIGNATURE, ""))
        if match is None or request.event_type is not None:
            return None
        sent_at, given = match.groups()
        if abs(now.timestamp() - int(sent_at)) > TOLERANCE_S:
            return None
        signed = sent_at.encode() + b"." + request.body
        for secret in self._settings.webhook_secrets:
            expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
            if hmac.compare_digest(expected, given):
                return "v1"
        return None

    def webhook_event(self, request: WebhookRequest) -> WebhookEvent:
        """Read what identifies the event."""
        event = read_payload(request.body, _Event)
        kind, key = checked_name(event.type, "type"), checked_name(event.id, "id")
        return WebhookEvent(type=kind, dedupe_key=key, occurred_at=event.at)

    def webhook_observations(
        self, event_type: str, occurred_at: datetime | None, body: bytes
    ) -> Sequence[Observation]:
        """Return who entered or left."""
        if event_type not in _KINDS:
            return ()
        event = read_payload(body, _Event)
        observation = AssignmentObservation(
            ref=AssignmentRef(self.key, event.audience, event.member),
            kind=_KINDS[event_type],
            source=ChangeSource.WEBHOOK,
            occurred_at=occurred_at,
        )
        return [observation]
