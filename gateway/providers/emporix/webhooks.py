"""Emporix's webhooks, by its HTTP strategy or by Svix.

Facts: docs.emporix.io (webhook service and its events), the HMAC guide as quoted by the Emporix
SDK, docs.svix.com, read 2026-11-21. No delivery has been seen live.
"""

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec
from pydantic import SecretStr, field_validator

from gateway.domain.change_log import (
    AssignmentObservation,
    ChangeKind,
    ChangeSource,
    Observation,
    ProviderObservation,
    SegmentObservation,
)
from gateway.domain.entities import AssignmentRef, Ref
from gateway.providers.base.canonical_json import canonical
from gateway.providers.base.webhooks import (
    EventTime,
    InvalidWebhook,
    WebhookAccountSettings,
    WebhookEvent,
    WebhookRequest,
    WebhookTarget,
    checked_name,
    read_payload,
)

SIGNATURE: Final = "emporix-event-signature"
PUBLISH_TIME: Final = "emporix-event-publish-time"
SVIX_PREFIX: Final = "whsec_"
SVIX_TOLERANCE_S: Final = 300
_SECONDS: Final = re.compile(r"[0-9]{1,11}")


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    modified_at: EventTime | None = None
    version: int | None = None


class _Identified(msgspec.Struct, frozen=True):
    id: str


class _Payload(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    tenant: str


class _Segment(_Payload, frozen=True, rename="camel", kw_only=True):
    id: str
    name: Any
    metadata: _Metadata


class _SegmentDeleted(_Payload, frozen=True, rename="camel", kw_only=True):
    id: str
    metadata: None = None
    """A payload with metadata is one of the others."""


class _Assignment(_Payload, frozen=True, rename="camel", kw_only=True):
    segment_id: str
    customer: _Identified
    legal_entity: _Identified | None = None
    metadata: _Metadata


class _AssignmentDeleted(_Payload, frozen=True, rename="camel", kw_only=True):
    segment_id: str
    customer_id: str
    legal_entity_id: str | None = None


class _Item(_Payload, frozen=True, rename="camel", kw_only=True):
    segment_id: str
    item: _Identified
    metadata: _Metadata


class _ItemDeleted(_Payload, frozen=True, rename="camel", kw_only=True):
    segment_id: str
    item_id: str


class _Group(_Payload, frozen=True, rename="camel", kw_only=True):
    segment_id: str


class _Customer(_Payload, frozen=True, rename="camel", kw_only=True):
    customer_number: str


class _Type(NamedTuple):
    """An event type: its payload, and what it means."""

    form: type[_Payload]
    kind: ChangeKind | None = None
    """None: it only drops caches, or means nothing."""


CREATED, UPDATED, DELETED = ChangeKind.CREATED, ChangeKind.UPDATED, ChangeKind.DELETED
_OURS: Final = "customer-segment."
EVENT_TYPES: Final[Mapping[str, _Type]] = {
    f"{_OURS}segment-created": _Type(_Segment, CREATED),
    f"{_OURS}segment-updated": _Type(_Segment, UPDATED),
    f"{_OURS}segment-deleted": _Type(_SegmentDeleted, DELETED),
    f"{_OURS}customer-assignment-created": _Type(_Assignment, ChangeKind.ENTERED),
    f"{_OURS}customer-assignment-updated": _Type(_Assignment, UPDATED),
    f"{_OURS}customer-assignment-deleted": _Type(_AssignmentDeleted, ChangeKind.LEFT),
    f"{_OURS}item-assignment-created": _Type(_Item, UPDATED),
    f"{_OURS}item-assignment-updated": _Type(_Item, UPDATED),
    f"{_OURS}item-assignment-deleted": _Type(_ItemDeleted, UPDATED),
    f"{_OURS}segment-group-assignment-created": _Type(_Group),
    f"{_OURS}segment-group-assignment-updated": _Type(_Group),
    f"{_OURS}segment-group-assignment-deleted": _Type(_Group),
    "customer.created": _Type(_Customer),
    "customer.updated": _Type(_Customer),
    "customer.deleted": _Type(_Customer),
}


def secret_for(secret: str, event_type: str) -> str:
    """Return the `secretKey` of one event type: HKDF-SHA256 (RFC 5869), one block, as hex.

    Neither the body nor its signature names the type, so that a secret of its own binds it.
    """
    extracted = hmac.digest(bytes(hashlib.sha256().digest_size), secret.encode(), "sha256")
    return hmac.digest(extracted, event_type.encode() + b"\x01", "sha256").hex()


def signature(secret: str, body: bytes) -> str:
    """Return the signature of these bytes under a `secretKey`."""
    return b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()


def svix_key(secret: str) -> bytes:
    """Return the key of a `whsec_` secret. Raises `ValueError`."""
    try:
        return b64decode(secret.removeprefix(SVIX_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("is not base64 behind whsec_") from error


def svix_signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """Return one signature of a Svix message, with its version."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{b64encode(hmac.digest(svix_key(secret), signed, 'sha256')).decode()}"


class EmporixWebhookSettings(WebhookAccountSettings):
    """The account settings that webhooks need."""

    tenant: str

    @field_validator("webhook_secret", "webhook_secret_old")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and value.get_secret_value().startswith(SVIX_PREFIX):
            svix_key(value.get_secret_value())
        return value


class EmporixWebhooks:
    """The part of the adapter that receives webhooks."""

    key: str
    _settings: EmporixWebhookSettings

    @property
    def has_webhook_secret(self) -> bool:
        """Whether webhooks are set up."""
        return bool(self._settings.webhook_secrets)

    @property
    def _is_svix(self) -> bool:
        secrets = self._settings.webhook_secrets
        return bool(secrets) and secrets[0].startswith(SVIX_PREFIX)

    def webhook_target(self, url: str, event_type: str) -> WebhookTarget | None:
        """Return the URL and the `secretKey` of one type; None: Svix has the targets."""
        if self._is_svix or event_type not in EVENT_TYPES:
            return None
        secret = secret_for(self._settings.webhook_secrets[0], event_type)
        return WebhookTarget(f"{url}/{event_type}", secret)

    def verify_webhook(self, request: WebhookRequest, now: datetime) -> str | None:
        """Return `svix`, or of HTTP `canonical` or `raw`, the signed form; None: not valid."""
        event_type = request.event_type
        if event_type is None or event_type not in EVENT_TYPES:
            return None
        if self._is_svix:
            return "svix" if self._is_svix_signed(request, now) else None
        given = request.headers.get(SIGNATURE, "").encode()
        for form, write in _FORMS.items():
            try:
                body = write(request.body)
            except ValueError:
                continue
            for secret in self._settings.webhook_secrets:
                expected = signature(secret_for(secret, event_type), body)
                if hmac.compare_digest(expected.encode(), given):
                    return form
        return None

    def _is_svix_signed(self, request: WebhookRequest, now: datetime) -> bool:
        message_id, timestamp, given = (
            request.headers.get(f"svix-{name}", "") for name in ("id", "timestamp", "signature")
        )
        sent_at = _seconds(timestamp)
        if sent_at is None or abs(now.timestamp() - sent_at) > SVIX_TOLERANCE_S:
            return False
        expected = [
            svix_signature(secret, message_id, timestamp, request.body).encode()
            for secret in self._settings.webhook_secrets
            if secret.startswith(SVIX_PREFIX)
        ]
        return any(
            hmac.compare_digest(each, candidate.encode())
            for candidate in given.split(" ")
            for each in expected
        )

    def webhook_event(self, request: WebhookRequest) -> WebhookEvent:
        """Read the payload of the type that the URL names. Raises `InvalidWebhook`."""
        event_type = request.event_type or ""
        payload = self._payload(event_type, request.body)
        if self._is_svix:
            dedupe_key = checked_name(request.headers["svix-id"], "svix-id")
            sent_at: datetime | None = datetime.fromtimestamp(
                int(request.headers["svix-timestamp"]), tz=UTC
            )
        else:
            published = request.headers.get(PUBLISH_TIME, "")
            dedupe_key = _digest(event_type, request.body, published)
            sent_at = _time(published)
        metadata = getattr(payload, "metadata", None)
        modified_at = None if metadata is None else metadata.modified_at
        return WebhookEvent(
            type=event_type,
            dedupe_key=dedupe_key,
            occurred_at=modified_at or sent_at,
            needs_confirmation=isinstance(payload, _SegmentDeleted | _AssignmentDeleted),
        )

    def webhook_observations(
        self, event_type: str, occurred_at: datetime | None, body: bytes
    ) -> Sequence[Observation]:
        """Return the assignment or segment that changed, or that a customer did."""
        payload = self._payload(event_type, body)
        kind = EVENT_TYPES[event_type].kind
        if isinstance(payload, _Customer):
            touched = ProviderObservation(
                provider=self.key, source=ChangeSource.WEBHOOK, occurred_at=occurred_at
            )
            return [touched]
        if kind is not None and isinstance(payload, _Assignment | _AssignmentDeleted):
            return [self._assignment_change(payload, kind, occurred_at)]
        if kind is not None and isinstance(
            payload, _Segment | _SegmentDeleted | _Item | _ItemDeleted
        ):
            return [self._segment_change(payload, kind, occurred_at)]
        return ()

    def _assignment_change(
        self, payload: _Assignment | _AssignmentDeleted, kind: ChangeKind, at: datetime | None
    ) -> AssignmentObservation:
        if isinstance(payload, _Assignment):
            entity = None if payload.legal_entity is None else payload.legal_entity.id
            customer, version = payload.customer.id, payload.metadata.version
        else:
            customer, entity, version = payload.customer_id, payload.legal_entity_id, None
        return AssignmentObservation(
            ref=AssignmentRef(self.key, payload.segment_id, customer, entity),
            kind=kind,
            source=ChangeSource.WEBHOOK,
            occurred_at=at,
            version=version,
        )

    def _segment_change(
        self,
        payload: _Segment | _SegmentDeleted | _Item | _ItemDeleted,
        kind: ChangeKind,
        at: datetime | None,
    ) -> SegmentObservation:
        # An item assignment's version is not its segment's.
        version = payload.metadata.version if isinstance(payload, _Segment) else None
        key = payload.segment_id if isinstance(payload, _Item | _ItemDeleted) else payload.id
        return SegmentObservation(
            ref=Ref(self.key, key),
            kind=kind,
            source=ChangeSource.WEBHOOK,
            occurred_at=at,
            version=version,
        )

    def _payload(self, event_type: str, body: bytes) -> _Payload:
        payload = read_payload(body, EVENT_TYPES[event_type].form)
        if payload.tenant != self._settings.tenant:
            raise InvalidWebhook("This is a webhook of another tenant.")
        return payload


def _as_it_is(body: bytes) -> bytes:
    return body


_FORMS: Final[Mapping[str, Callable[[bytes], bytes]]] = {"canonical": canonical, "raw": _as_it_is}


def _digest(event_type: str, body: bytes, published: str) -> str:
    with suppress(ValueError):  # a body without a canonical form was signed as it is
        body = canonical(body)
    parts = (event_type.encode(), body, published.encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _seconds(text: str) -> int | None:
    return int(text) if _SECONDS.fullmatch(text) else None


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
