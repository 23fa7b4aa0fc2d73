"""JSON Web Tokens (RFC 7519): parse them, have their issuer verify them, cache the result briefly.

Strict as RFC 8725 recommends: no key or URL in a token is used; its `kid` is looked up in the keys
that the issuer published, the settings list the algorithms, and the key's type must fit.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError

from gateway.auth.digests import digest
from gateway.auth.issuers import Issuer, KeySource, key_source, keyring
from gateway.auth.jwks import Keyring
from gateway.auth.permissions import Caller, VerifiedCaller
from gateway.auth.refusal import refuse
from gateway.auth.settings import JwtSettings

CACHED_S = 60.0
"""How long a verified token is accepted without a new verification. Hence a token whose key was
withdrawn is accepted for this long, after at most `gateway.auth.jwks.FRESH_S`."""

MAX_CACHED = 4096
"""Tokens in the cache, about 1 KiB each; the oldest are dropped first."""

REJECTED_HEADERS = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64"})
"""Headers that carry a key or change how a token is read: tokens with one are rejected."""

TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
"""Values of `typ`: a token of another type is for another purpose (RFC 8725, 3.11)."""


class TokenVerifier:
    """Verify tokens, and cache the result."""

    def __init__(
        self,
        issuers: Sequence[JwtSettings],
        providers: Collection[str],
        *,
        may_explore: bool,
        keyrings: Mapping[KeySource, Keyring] | None = None,
    ) -> None:
        """Accept tokens of these issuers; `providers` are the keys of all configured providers.

        `keyrings` are open already, and used for issuers whose keys come from there.
        """
        opened = dict(keyrings or {})
        self.keyrings = {
            key_source(each): opened.get(key_source(each)) or keyring(each) for each in issuers
        }
        """By the source of the keys."""
        self._issuers = {
            each.issuer: Issuer(
                each, providers, self.keyrings[key_source(each)], may_explore=may_explore
            )
            for each in issuers
        }
        # By digest, so that no credentials stay in memory.
        self._cache: dict[bytes, VerifiedCaller] = {}

    def cached(self, token: str) -> VerifiedCaller | None:
        """Return the caller of a token that was verified recently."""
        verified = self._cache.get(digest(token))
        return verified if verified is not None and time.time() < verified.until else None

    async def verify(self, token: str) -> Caller:
        """Verify a token now and return its caller. Raises `Unauthenticated`."""
        signed, claims = _read(token)
        name = claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            refuse("unknown issuer")
        verified = await issuer.verify(signed, claims)
        self._store(token, verified)
        return verified.caller

    def _store(self, token: str, verified: VerifiedCaller) -> None:
        key = digest(token)
        self._cache.pop(key, None)
        while len(self._cache) >= MAX_CACHED:
            del self._cache[next(iter(self._cache))]
        until = min(verified.until, time.time() + CACHED_S)
        self._cache[key] = verified._replace(until=until)


def _read(token: str) -> tuple[jws.CompactSignature, dict[str, Any]]:
    """Return the parts of a token, not verified yet. Raises `Unauthenticated`."""
    try:
        signed = jws.extract_compact(token.encode())
        claims = msgspec.json.decode(signed.payload, type=dict[str, Any])
        header: dict[str, Any] = msgspec.convert(signed.headers(), dict[str, Any])
    except (JoseError, msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        refuse("not a token")
    if not REJECTED_HEADERS.isdisjoint(header):
        refuse("a header that is not accepted")
    kind, kid = header.get("typ", "JWT"), header.get("kid")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        refuse("a token of another type")
    if not isinstance(kid, str | None):
        refuse("not a token")
    return signed, claims
