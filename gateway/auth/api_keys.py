"""API keys: long random strings, of which only the hashes are stored."""

import hmac
import math
import secrets
import time
from collections.abc import Sequence
from typing import NamedTuple

from gateway.auth.digests import digest
from gateway.auth.permissions import Caller, VerifiedCaller
from gateway.auth.refusal import refuse
from gateway.auth.scopes import grants_of
from gateway.auth.settings import KeySettings

PREFIX = "sgk_"
"""Lets people, and scanners for leaked secrets, recognise a key of this gateway."""

ID_BYTES, ID_LENGTH = 16, 22
"""Length of the id in a key, in bytes and in base64url. The id selects the hash and salts it."""

SECRET_BYTES = 32


def make() -> tuple[str, str]:
    """Return a new key and its hash for the configuration: `sha256:ID:DIGEST`.

    One round of SHA-256 is enough: slow hashes protect secrets that can be guessed, and 256 random
    bits cannot. The id in the key salts the hash.
    """
    identifier = secrets.token_urlsafe(ID_BYTES)
    key = f"{PREFIX}{identifier}{secrets.token_urlsafe(SECRET_BYTES)}"
    return key, f"sha256:{identifier}:{digest(key).hex()}"


class _StoredKey(NamedTuple):
    digest: bytes
    verified: VerifiedCaller
    """Valid until infinity for a key that does not expire."""


class ApiKeys:
    """Verify API keys."""

    def __init__(self, settings: Sequence[KeySettings], *, may_explore: bool) -> None:
        """Accept keys with these hashes until they expire."""
        self._keys: dict[str, _StoredKey] = {}
        for each in settings:
            _, identifier, hexadecimal = each.hash.get_secret_value().split(":")
            caller = Caller(f"key:{each.name}", grants_of(each.scopes), may_explore=may_explore)
            expires_at = math.inf if each.expires_at is None else each.expires_at.timestamp()
            self._keys[identifier] = _StoredKey(
                bytes.fromhex(hexadecimal), VerifiedCaller(caller, expires_at)
            )

    def verify(self, key: str) -> VerifiedCaller:
        """Return the caller of this key. Raises `Unauthenticated`.

        An unknown id takes as long as a wrong secret.
        """
        identifier = key[len(PREFIX) : len(PREFIX) + ID_LENGTH]
        stored = self._keys.get(identifier, _PLACEHOLDER)
        if not hmac.compare_digest(digest(key), stored.digest):
            refuse("unknown key")
        caller, until = stored.verified
        if until <= time.time():
            refuse("expired key", caller=caller.id)
        return stored.verified


_PLACEHOLDER = _StoredKey(digest(secrets.token_urlsafe()), VerifiedCaller(Caller("", {}), 0))
"""Compared with keys whose id is unknown."""
