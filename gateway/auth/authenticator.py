"""Identify callers by the Authorization header, or by the payload that replaces it."""

import math
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from gateway.auth.addresses import is_local
from gateway.auth.api_keys import PREFIX, ApiKeys
from gateway.auth.permissions import Caller, VerifiedCaller, unrestricted_caller
from gateway.auth.refusal import refuse
from gateway.auth.settings import AuthSettings, JwtSettings

if TYPE_CHECKING:
    from gateway.auth.jwt import TokenVerifier

MAX_HEADER_LENGTH = 8192
"""Characters of an Authorization header: a token has several hundred, at large companies 2,000."""


class Authenticator:
    """Identify the callers of one gateway."""

    def __init__(
        self,
        settings: AuthSettings,
        providers: Collection[str],
        *,
        allow_anonymous: bool | None,
        introspection: bool | None,
        previous: "Authenticator | None" = None,
    ) -> None:
        """Accept the credentials in the settings; `providers` are the keys of all providers.

        Requests without credentials are accepted if `allow_anonymous` is true; if it is None, from
        this machine only, and only while no credentials are configured. `introspection` None:
        allowed, except for anonymous callers on other machines. What `previous` knows of issuers
        whose settings are the same is used again.
        """
        self._allow_anonymous = allow_anonymous
        self._allow_local = allow_anonymous is None and settings.is_empty
        self._introspection = introspection
        may_explore = introspection is not False
        self._keys = ApiKeys(settings.keys, may_explore=may_explore)
        self.issuers = tuple(settings.jwt), tuple(providers), may_explore
        """What decides about tokens."""
        self.tokens: TokenVerifier | None = None if previous is None else previous.tokens
        if previous is None or previous.issuers != self.issuers:
            self.tokens = _token_verifier(
                self.tokens, settings.jwt, providers, may_explore=may_explore
            )

    def follow(self, other: "Authenticator") -> None:
        """Decide from now on as another one does."""
        self.__dict__.update(other.__dict__)

    async def authenticate(self, authorization: str | None, address: str | None) -> Caller:
        """Return the caller of a request by its Authorization header and its client's address.

        Raises `Unauthenticated`.
        """
        verified = self.authenticate_now(authorization, address)
        if verified is not None:
            return verified.caller
        if self.tokens is None:
            refuse("no issuer is known")
        return await self.tokens.verify(_bearer(authorization or ""))

    def authenticate_now(
        self, authorization: str | None, address: str | None
    ) -> VerifiedCaller | None:
        """Return the caller if that takes no I/O; None: `authenticate` has to verify a token.

        Raises `Unauthenticated`.
        """
        if authorization is None:
            return self._verified_anonymous(address)
        credential = _bearer(authorization)
        if credential.startswith(PREFIX):
            return self._keys.verify(credential)
        return None if self.tokens is None else self.tokens.cached(credential)

    def allows_anonymous(self, address: str | None) -> bool:
        """Return whether a request from this address needs no credentials."""
        return bool(self._allow_anonymous) or (self._allow_local and is_local(address))

    def _verified_anonymous(self, address: str | None) -> VerifiedCaller:
        if not self.allows_anonymous(address):
            refuse("no credentials")
        may_explore = is_local(address) if self._introspection is None else self._introspection
        return VerifiedCaller(_anonymous(address, may_explore=may_explore), math.inf)


def _token_verifier(
    previous: "TokenVerifier | None",
    settings: Sequence[JwtSettings],
    providers: Collection[str],
    *,
    may_explore: bool,
) -> "TokenVerifier | None":
    if not settings:
        return None
    from gateway.auth.jwt import TokenVerifier  # noqa: PLC0415  # joserfc: 0.1 s and 8 MB

    keyrings = None if previous is None else previous.keyrings
    return TokenVerifier(settings, providers, may_explore=may_explore, keyrings=keyrings)


@lru_cache(maxsize=1024)
def _anonymous(address: str | None, *, may_explore: bool) -> Caller:
    return unrestricted_caller(f"anonymous:{address or 'local'}", may_explore=may_explore)


def _bearer(authorization: str) -> str:
    """Return the key or token of an Authorization header (RFC 6750). Raises `Unauthenticated`."""
    if len(authorization) > MAX_HEADER_LENGTH or not authorization.isascii():
        refuse("malformed credentials")
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() != "bearer":
        refuse("a scheme other than Bearer")
    return credential.strip(" ")
