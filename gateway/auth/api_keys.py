"""API keys: long random texts, of which only the hashes are kept."""

import hmac
import math
import secrets
import time
from collections.abc import Sequence
from typing import NamedTuple

from gateway.auth.digests import digest
from gateway.auth.permissions import Caller, SignedIn
from gateway.auth.refusal import refuse
from gateway.auth.scopes import grants_of
from gateway.auth.settings import KeySettings

PREFIX = "sgk_"
"""By which scanners for leaked secrets, and people, know a key of this gateway."""

ID_BYTES, ID_LENGTH = 16, 22
"""Of the id in a key, which names its hash and salts it: in bytes, and in base64url."""

SECRET_BYTES = 32


def make() -> tuple[str, str]:
    """Return a new key, and its hash for the configuration: `sha256:ID:DIGEST`.

    One round of SHA-256 is enough: slow hashes make up for secrets that can be guessed, and 256
    random bits cannot. The id in the key salts the hash, so that equal secrets would differ.
    """
    identifier = secrets.token_urlsafe(ID_BYTES)
    key = f"{PREFIX}{identifier}{secrets.token_urlsafe(SECRET_BYTES)}"
    return key, f"sha256:{identifier}:{digest(key).hex()}"


class _StoredKey(NamedTuple):
    digest: bytes
    signed_in: SignedIn
    """Until infinity for a key that lasts."""


class ApiKeys:
    """The keys that are let in."""

    def __init__(self, settings: Sequence[KeySettings], *, may_explore: bool) -> None:
        """Let in who shows a key with one of these hashes, while it lasts."""
        self._known: dict[str, _StoredKey] = {}
        for each in settings:
            _, identifier, hexadecimal = each.hash.get_secret_value().split(":")
            caller = Caller(f"key:{each.name}", grants_of(each.scopes), may_explore=may_explore)
            ends = math.inf if each.expires_at is None else each.expires_at.timestamp()
            self._known[identifier] = _StoredKey(
                bytes.fromhex(hexadecimal), SignedIn(caller, ends)
            )

    def signed_in(self, key: str) -> SignedIn:
        """Return who shows this key. Raises `Unauthenticated`.

        An id that is not known takes as long as a secret that is wrong.
        """
        identifier = key[len(PREFIX) : len(PREFIX) + ID_LENGTH]
        known = self._known.get(identifier, _NOBODY)
        if not hmac.compare_digest(digest(key), known.digest):
            refuse("unknown key")
        caller, until = known.signed_in
        if until <= time.time():
            refuse("expired key", caller=caller.id)
        return known.signed_in


_NOBODY = _StoredKey(digest(secrets.token_urlsafe()), SignedIn(Caller("", {}), 0))
"""Whom an id is compared with that no key has."""
