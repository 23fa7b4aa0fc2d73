"""The settings that every provider account has."""

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
"""The base URL of the embedded sandbox."""


UNSENDABLE = "contains a line break, leading or trailing spaces, or a non-ASCII character"


def fits_into_a_header(text: str) -> bool:
    """Return whether every server reads the same header value from a text (RFC 9110, 5.5).

    Other characters than those of ASCII are Latin-1 to some servers, and UTF-8 to others.
    """
    return text.isascii() and text.isprintable() and text == text.strip()


class AccountSettings(BaseModel):
    """The settings that every `[[providers]]` table of the configuration file may have.

    An adapter adds its own settings in a subclass, with secrets as `SecretStr`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Unique; clients see it as `Provider.key`."""
    kind: str
    """The type of system, which decides what other settings there are."""
    base_url: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s?#@]+|sandbox:)$")]
    """The provider's API, or `sandbox:` for the embedded sandbox."""
    display_name: str | None = None
    """For people. None: the vendor's name."""
    enabled: bool = True
    """False: this table is ignored."""
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 5
    """How long one call may take."""
    max_concurrency: Annotated[int, Field(ge=1, le=1000)] = 20
    """Calls at the same time; operations that wait take turns."""
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    """Further attempts of calls that are safe to repeat."""
    cache_ttl_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    """None: the server's setting."""
    stale_if_error_s: Annotated[float, Field(ge=0, le=86_400)] = 60
    """How much longer a cached reply may be served if the provider fails."""
    max_queue: Annotated[int, Field(ge=0, le=100_000)] = 500
    """The largest number of calls that wait because of `max_concurrency`."""
    max_calls_per_operation: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Calls that one operation may make."""
    max_answer_bytes: Annotated[int, Field(ge=1, le=1024**3)] = 16 * 1024 * 1024
    """The largest reply, decompressed. A page of any provider's list is far smaller."""
    calls_per_minute: Annotated[int, Field(ge=1, le=10_000_000)] = 600
    """The provider's rate limit, where it states none: comparing takes a tenth of it.

    If it is set, all processes of one store together make no more calls than that.
    """
    proxy: Annotated[str, StringConstraints(pattern=r"^http://[^\s]+$")] | None = None
    """The HTTP proxy for calls to the provider."""
    probe_interval_s: Annotated[float, Field(gt=0, le=600)] = 5
    """The time between two probes while the circuit is open, by a request or by the gateway."""

    @property
    def account(self) -> str:
        """What identifies the account beyond kind and base URL, such as a tenant; may be empty.

        A secret identifies no account: it may be rotated.
        """
        return ""

    @field_validator("base_url")
    @classmethod
    def _has_a_host(cls, url: str) -> str:
        parts = urlsplit(url)
        # `port` itself raises ValueError if it is not a port.
        if url != SANDBOX and (not parts.hostname or parts.port == 0):
            raise ValueError("has no host")
        return url

    @field_validator("*")
    @classmethod
    def _fits_into_a_header(cls, value: Any) -> Any:
        """Refuse secrets that cannot be sent, often due to a line break at the end of a file."""
        if isinstance(value, SecretStr) and not fits_into_a_header(value.get_secret_value()):
            raise ValueError(UNSENDABLE)
        return value
