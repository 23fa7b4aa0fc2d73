"""Settings that every provider account has."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
)

SANDBOX = "sandbox:"
"""The base URL that plugs the embedded sandbox in."""


class AccountSettings(BaseModel):
    """What every `[[providers]]` table of the configuration file may say.

    An adapter adds its own in a subclass, secrets as `SecretStr`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    kind: str
    base_url: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s?#@]+|sandbox:)$")]
    display_name: str | None = None
    enabled: bool = True
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 5
    max_concurrency: Annotated[int, Field(ge=1, le=1000)] = 20
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    cache_ttl_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    """None: the server's."""
    stale_if_error_s: Annotated[float, Field(ge=0, le=86_400)] = 60
    """How long beyond that an answer may stand in for one that fails; nothing without a cache."""
    max_queue: Annotated[int, Field(ge=0, le=100_000)] = 500
    """Calls that wait for a place among `max_concurrency`."""
    max_calls_per_operation: Annotated[int, Field(ge=1, le=100_000)] = 1000
    max_answer_bytes: Annotated[int, Field(ge=1, le=1024**3)] = 16 * 1024 * 1024
    """Of one answer, decompressed; a list page of any provider is far below it."""
    proxy: Annotated[str, StringConstraints(pattern=r"^http://[^\s]+$")] | None = None
    """An HTTP proxy on the way to the provider."""
    probe_interval_s: Annotated[float, Field(gt=0, le=600)] = 5
    """How often a provider that failed too often is tried by one call."""

    @property
    def account(self) -> str:
        """What names the account at its provider beyond kind and base URL; empty: nothing does.

        A secret that may be exchanged for another names none.
        """
        return ""

    @field_validator("base_url")
    @classmethod
    def _names_a_host(cls, url: str) -> str:
        parts = urlsplit(url)
        # `port` itself raises ValueError for what is no port.
        if url != SANDBOX and (not parts.hostname or parts.port == 0):
            raise ValueError("names no host")
        return url

    @field_validator("*")
    @classmethod
    def _fits_into_a_header(cls, value: Any) -> Any:
        """Refuse what cannot be sent: often a line break at the end of a secret's file."""
        if isinstance(value, SecretStr):
            secret = value.get_secret_value()
            if not (secret.isascii() and secret.isprintable() and secret == secret.strip()):
                raise ValueError(
                    "has a line break, a space at an end, or a character beyond ASCII in it"
                )
        return value
