"""The `[auth]` table: the keys and the issuers of tokens that are believed."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from gateway.access import Right

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
"""What signatures are believed: only of key pairs, since a shared secret would sign as well."""


class KeySettings(BaseModel):
    """One `[[auth.keys]]` table: what `gateway key create` prints."""

    model_config = _FROZEN

    name: Name
    """For people, and for the audit log; unique."""
    hash: SecretStr
    scopes: Annotated[tuple[str, ...], Field(min_length=1)]
    """`segments:read`, or narrowed to one provider: `segments:read@acme-emporix`."""
    expires_at: AwareDatetime | None = None

    @field_validator("scopes")
    @classmethod
    def _known(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        for scope in scopes:
            name, _, provider = scope.partition("@")
            if name not in {right.value for right in Right} or (not provider and "@" in scope):
                known = ", ".join(Right)
                raise ValueError(f"must be of {known}, each maybe with @provider: {scope!r}")
            if name == Right.OWN_READ:
                raise ValueError("own:read is for tokens, whose claim names the customer")
        return scopes


class JwtSettings(BaseModel):
    """One `[[auth.jwt]]` table: an issuer whose tokens are believed."""

    model_config = _FROZEN

    issuer: Annotated[str, StringConstraints(min_length=1)]
    audience: Annotated[str, StringConstraints(min_length=1)]
    jwks_url: Annotated[str, StringConstraints(pattern=r"^https?://.+$")] | None = None
    jwks_file: Path | None = None
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256")
    leeway_s: Annotated[float, Field(ge=0, le=300)] = 30
    """How far the issuer's clock may be off."""
    scope_claim: str = "scope"
    """Holds the scopes: a list, or a text with spaces between them."""
    own_claim: str | None = None
    """With `own:read`: holds the customer's external id, or an object of them by provider key."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.jwks_url is None) is (self.jwks_file is None):
            raise ValueError("needs exactly one of jwks_url and jwks_file")
        return self


class AuthSettings(BaseModel):
    """The `[auth]` table."""

    model_config = _FROZEN

    keys: tuple[KeySettings, ...] = ()
    jwt: tuple[JwtSettings, ...] = ()

    @field_validator("keys")
    @classmethod
    def _unique(cls, keys: tuple[KeySettings, ...]) -> tuple[KeySettings, ...]:
        names = [key.name for key in keys]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two keys have the name {name!r}; names are unique")
        return keys

    @property
    def is_empty(self) -> bool:
        """True when nobody can sign in."""
        return not self.keys and not self.jwt
