"""The `[auth]` table: API keys and token issuers."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from gateway.auth.addresses import is_loopback
from gateway.auth.permissions import Permission

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]

Algorithm = Literal[
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
]
"""Only algorithms with key pairs: whoever knows a shared secret can sign with it, too."""

Text = Annotated[str, StringConstraints(min_length=1)]

KEY_HASH = re.compile(r"sha256:([A-Za-z0-9_-]{22}):([0-9a-f]{64})")
"""The id of an API key, which is also its salt, and the digest of the whole key."""

_SCOPE = re.compile(r"([a-z]+(?::[a-z]+)?)(?:@[A-Za-z0-9][A-Za-z0-9._-]{0,63})?")


def check_scope(scope: str) -> None:
    """Raise `ValueError` for a scope that no key can have, whatever providers there are."""
    match = _SCOPE.fullmatch(scope)
    if match is None or match[1] not in tuple(Permission):
        names = ", ".join(each for each in Permission if each is not Permission.OWN_READ)
        name = scope.partition("@")[0]
        similar = get_close_matches(name, tuple(Permission), n=1)
        hint = f"; did you mean {similar[0]}?" if similar and similar[0] != name else ""
        raise ValueError(f"must be one of {names}, optionally followed by @provider{hint}")
    if match[1] == Permission.METRICS_READ and "@" in scope:
        raise ValueError("metrics:read is for all providers; leave out @ and the key")
    if match[1] == Permission.OWN_READ:
        raise ValueError("own:read is only for tokens, where a claim names the customer")


class KeySettings(BaseModel):
    """One `[[auth.keys]]` table, as `gateway key create` prints it."""

    model_config = _FROZEN

    name: Name
    """For people, and for the audit log; unique."""
    hash: SecretStr
    """`sha256:…`, as `gateway key create` prints it."""
    scopes: Annotated[tuple[str, ...], Field(min_length=1)]
    """`segments:read`, or limited to one provider: `segments:read@acme-emporix`."""
    expires_at: AwareDatetime | None = None
    """When it ends, with an offset; None: never."""

    @field_validator("hash")
    @classmethod
    def _check_hash(cls, text: SecretStr) -> SecretStr:
        if not KEY_HASH.fullmatch(text.get_secret_value()):
            raise ValueError("is not what `gateway key create` prints: sha256:…")
        return text

    @field_validator("scopes")
    @classmethod
    def _check_scopes(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        for scope in scopes:
            check_scope(scope)
        return scopes

    @property
    def is_expired(self) -> bool:
        """Whether the key has expired."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


class JwtSettings(BaseModel):
    """One `[[auth.jwt]]` table: an issuer whose tokens are accepted."""

    model_config = _FROZEN

    issuer: Text
    """What the claim `iss` must equal."""
    audience: Text | Annotated[tuple[Text, ...], Field(min_length=1)]
    """A token is accepted if its audience contains one of these."""
    jwks_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s#@]+$")] | None = None
    """Where the issuer publishes its keys; either this or `jwks_file`."""
    jwks_file: FilePath | None = None
    """A file with the issuer's keys, read again when it changes."""
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256")
    """The signatures that are accepted."""
    leeway_s: Annotated[int, Field(ge=0, le=300)] = 30
    """The tolerated difference between the issuer's clock and ours."""
    scope_claim: Text = "scope"
    """The claim with the scopes: a list, or a string separated by spaces."""
    own_claim: Text | None = None
    """For `own:read`: the claim with the customer's external id, or an object of ids by provider
    key."""

    @field_validator("jwks_url")
    @classmethod
    def _check_https(cls, url: str | None) -> str | None:
        """Require https: whoever can change the keys in transit can forge any token."""
        parts = urlsplit(url or "")
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise ValueError("must be https, except for this machine's own addresses")
        return url

    @model_validator(mode="after")
    def _check_one_source(self) -> Self:
        if (self.jwks_url is None) is (self.jwks_file is None):
            raise ValueError("needs exactly one of jwks_url and jwks_file")
        return self


class AuthSettings(BaseModel):
    """The `[auth]` table."""

    model_config = _FROZEN

    keys: tuple[KeySettings, ...] = ()
    """API keys, one `[[auth.keys]]` table each."""
    jwt: tuple[JwtSettings, ...] = ()
    """Token issuers, one `[[auth.jwt]]` table each."""

    @field_validator("keys")
    @classmethod
    def _check_unique_keys(cls, keys: tuple[KeySettings, ...]) -> tuple[KeySettings, ...]:
        if name := _first_duplicate([key.name for key in keys]):
            raise ValueError(f"two keys have the name {name!r}; names must be unique")
        if _first_duplicate([key.hash.get_secret_value() for key in keys]):
            raise ValueError("two keys have the same hash; create a key for each")
        return keys

    @field_validator("jwt")
    @classmethod
    def _check_unique_issuers(cls, issuers: tuple[JwtSettings, ...]) -> tuple[JwtSettings, ...]:
        if issuer := _first_duplicate([each.issuer for each in issuers]):
            raise ValueError(f"two tables have the issuer {issuer!r}; audience may be a list")
        return issuers

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a key nor an issuer."""
        return not self.keys and not self.jwt


def _first_duplicate(texts: Sequence[str]) -> str | None:
    return next((text for text in texts if texts.count(text) > 1), None)
