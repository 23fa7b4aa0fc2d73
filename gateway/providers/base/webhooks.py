"""What an adapter offers whose provider sends webhooks. Pure: nothing is stored or sent here."""

import re
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple, Protocol, TypeVar, runtime_checkable

import msgspec
from pydantic import Field, SecretStr, ValidationInfo, field_validator

from gateway.domain.change_log import Observation
from gateway.domain.entities import Customer
from gateway.providers.base.exchange import Exchange
from gateway.providers.base.settings import AccountSettings

T = TypeVar("T")

MAX_NAME: Final = 255
"""The longest dedupe key or event type, in characters."""

_NAME: Final = re.compile(rf"[!-~]{{1,{MAX_NAME}}}")

EventTime = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time in a payload, always with its offset from UTC."""


class WebhookAccountSettings(AccountSettings):
    """The settings of an account whose provider sends webhooks."""

    webhook_secret: Annotated[SecretStr, Field(min_length=1)] | None = None
    """None: webhooks are refused."""
    webhook_secret_old: Annotated[SecretStr, Field(min_length=1)] | None = None
    """The secret before, while it is being rotated."""

    @field_validator("webhook_secret_old")
    @classmethod
    def _follows_a_secret(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None and info.data.get("webhook_secret", value) is None:
            raise ValueError("needs webhook_secret: without it all webhooks are refused")
        return value

    @property
    def webhook_secrets(self) -> Sequence[str]:
        """Every accepted secret, the current one first; empty without a current one."""
        if self.webhook_secret is None:
            return ()
        secrets = (self.webhook_secret, self.webhook_secret_old)
        return [each.get_secret_value() for each in secrets if each is not None]


class InvalidWebhook(Exception):
    """The body is not the documented default payload. The message holds nothing of the body."""


class WebhookRequest(NamedTuple):
    """A webhook as it was received."""

    event_type: str | None
    """From the URL; None without one."""
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes


class WebhookTarget(NamedTuple):
    """Where a provider sends events of one type."""

    url: str
    secret: str


class WebhookEvent(NamedTuple):
    """What identifies and orders one webhook."""

    type: str
    dedupe_key: str
    """Equal for every delivery of the same event."""
    occurred_at: datetime | None
    """The provider's time of the event."""
    needs_confirmation: bool = False
    """The payload alone does not prove the event: one live read has to confirm it."""


@runtime_checkable
class ReceivesWebhooks(Protocol):
    """The provider sends signed webhooks."""

    @property
    def has_webhook_secret(self) -> bool:
        """Whether webhooks are set up; without a secret none is accepted."""

    def verify_webhook(self, request: WebhookRequest, now: datetime) -> str | None:
        """Return which form of the body the signature is of; None: it is not valid.

        Also None for an event type in the URL that the provider does not have.
        """

    def webhook_event(self, request: WebhookRequest) -> WebhookEvent:
        """Read a verified webhook. Raises `InvalidWebhook`."""

    def webhook_observations(
        self, event_type: str, occurred_at: datetime | None, body: bytes
    ) -> Sequence[Observation]:
        """Return what an event says; nothing for one that does not concern segments.

        Raises `InvalidWebhook`.
        """

    def webhook_target(self, url: str, event_type: str) -> WebhookTarget | None:
        """Return where events of a type are sent, below this URL, and what signs them.

        None if that cannot be said: the provider's own settings decide.
        """

    def webhook_setup(self, url: str) -> Sequence[str]:
        """Return, for the operator, what to set up at the provider for this URL, with secrets."""


class CannotSetUp(Exception):
    """What is set up at the provider would be disturbed. The message says what to do."""


class WebhookChanges(NamedTuple):
    """What sets up webhooks at a provider."""

    summary: Sequence[str]
    """A line for each change; empty: everything is set up."""
    exchanges: Sequence[Exchange[None]]
    """In this order; each may be repeated from the start after a failure."""
    afterwards: Sequence[str]
    """What the operator should know or do then."""


@runtime_checkable
class SetsUpWebhooks(ReceivesWebhooks, Protocol):
    """The provider has an API to set up webhooks."""

    def webhook_state(self) -> Sequence[Exchange[Any]]:
        """Read what is set up: several replies, for `webhook_changes`."""

    def webhook_changes(self, url: str, state: Sequence[Any]) -> WebhookChanges:
        """Return what is missing for this URL; nothing is replaced. Raises `CannotSetUp`."""


class WebhookCustomers(NamedTuple):
    """The customers that an event has, as they are at the provider, and those that are gone."""

    known: Sequence[Customer] = ()
    gone: Sequence[str] = ()
    """Their keys."""


@runtime_checkable
class SendsCustomers(Protocol):
    """Its webhooks contain whole customers."""

    def webhook_customers(self, event_type: str, body: bytes) -> WebhookCustomers:
        """Return the customers in a verified event; one that is incomplete is left out."""


def read_payload(body: bytes, form: type[T]) -> T:
    """Decode a payload. Raises `InvalidWebhook`."""
    try:
        return msgspec.json.decode(body.removeprefix(BOM_UTF8), type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # msgspec's messages have paths and types, never values.
        reason = str(error) if isinstance(error, msgspec.ValidationError) else "it is not JSON"
        raise InvalidWebhook(f"This is not the documented default payload: {reason}.") from error


def checked_name(text: Any, what: str) -> str:
    """Return an id or a type that can be stored. Raises `InvalidWebhook`."""
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        raise InvalidWebhook(f"{what} is not 1 to {MAX_NAME} printable ASCII characters.")
    return text
