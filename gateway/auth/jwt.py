"""JSON Web Tokens (RFC 7519): read, handed to their issuer to verify, and kept for a moment.

Strict, after RFC 8725: nothing that a token says of keys is followed; its `kid` is looked up in
what the issuer published, the settings name the algorithms, and the key decides which of them fit.
"""

import time
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError

from gateway.auth.digests import digest
from gateway.auth.issuers import Issuer
from gateway.auth.permissions import Caller, SignedIn
from gateway.auth.refusal import refuse
from gateway.auth.settings import JwtSettings

KEPT_S = 60.0
"""How long a token is believed before it is verified again: so long one serves whose key was taken
back, after `gateway.auth.jwks.FRESH_S` at most until that is known."""

MOST_KEPT = 4096
"""Tokens that are kept, some 1 KiB each; beyond it the oldest go."""

NOT_FOLLOWED = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64"})
"""Headers that bring a key, or change how a token is read: no token that has one is let in."""

TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
"""What `typ` may say: a token of another type was made for something else (RFC 8725, 3.11)."""


class TokenVerifier:
    """The tokens that are let in."""

    def __init__(
        self, issuers: Sequence[JwtSettings], providers: Collection[str], *, may_explore: bool
    ) -> None:
        """Believe these issuers; `providers` are the keys of all that are configured."""
        self._issuers = {
            each.issuer: Issuer(each, providers, may_explore=may_explore) for each in issuers
        }
        # By digest: no credentials lie about in memory.
        self._kept: dict[bytes, SignedIn] = {}

    def known(self, token: str) -> SignedIn | None:
        """Return whose token this is, if it was verified a moment ago."""
        kept = self._kept.get(digest(token))
        return kept if kept is not None and time.time() < kept.until else None

    async def caller(self, token: str) -> Caller:
        """Return whose token this is, verified now. Raises `Unauthenticated`."""
        signed, claims = _read(token)
        name = claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            refuse("unknown issuer")
        signed_in = await issuer.sign_in(signed, claims)
        self._keep(token, signed_in)
        return signed_in.caller

    def _keep(self, token: str, signed_in: SignedIn) -> None:
        by = digest(token)
        self._kept.pop(by, None)
        while len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        until = min(signed_in.until, time.time() + KEPT_S)
        self._kept[by] = signed_in._replace(until=until)


def _read(token: str) -> tuple[jws.CompactSignature, dict[str, Any]]:
    """Return a token's parts, none of them verified. Raises `Unauthenticated`."""
    try:
        signed = jws.extract_compact(token.encode())
        claims = msgspec.json.decode(signed.payload, type=dict[str, Any])
        header: dict[str, Any] = msgspec.convert(signed.headers(), dict[str, Any])
    except (JoseError, msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        refuse("not a token")
    if not NOT_FOLLOWED.isdisjoint(header):
        refuse("a header that is not followed")
    kind, kid = header.get("typ", "JWT"), header.get("kid")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        refuse("a token of another type")
    if not isinstance(kid, str | None):
        refuse("not a token")
    return signed, claims
