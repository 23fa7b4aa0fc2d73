"""The public keys of issuers, from a URL or a file: JSON Web Key Sets (RFC 7517)."""

import asyncio
import math
import ssl
import time
from base64 import urlsafe_b64decode
from codecs import BOM_UTF8
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import httpx
import msgspec
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from gateway.network_failures import network_failure

RENEWED_S = 240.0
"""The age at which keys are asked for anew, while the old ones still serve."""

FRESH_S = 300.0
"""The age from which nobody is let in by them before they were asked for anew."""

STALE_S = 24 * 3600.0
"""How long they are believed while the URL fails."""

PAUSE_S = 30.0
"""Between two questions to one URL, whatever came of the first: an id of a key that was made up
costs a question, and strangers make up many."""

TIMEOUT_S = 5.0
"""Of one question in all."""

CONNECT_TIMEOUT_S = 3.0
"""Of its connection alone: the log can then say which of the two it was."""

TIMEOUTS = httpx.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S)

LARGEST = 256 * 1024
"""Bytes of a key set; 10 keys with their certificates are some 20 KiB."""

SMALLEST_RSA, LARGEST_RSA = 2048, 4096
"""Bits. Smaller ones can be factored (NIST SP 800-131A), larger ones cost much at each use."""

PublicKey = RSAKey | ECKey | OKPKey

PUBLIC = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
"""The types of key pairs, and what is public of them: nothing else is read, no private part and no
shared secret."""

ABOUT = ("kty", "kid", "use", "alg", "key_ops")

log = structlog.get_logger(__name__)
_now = time.monotonic


class JwksFailed(Exception):
    """No key set could be read: why, in words of ours."""


class Keyring(Protocol):
    """Finds the keys of one issuer."""

    async def key(self, kid: str | None, kty: str) -> PublicKey | None:
        """Return the key of this type (`RSA`, `EC`, `OKP`) and id; without an id the only one.

        None: there is none, or it cannot be told now.
        """


def read(body: bytes) -> Sequence[PublicKey]:
    """Return the keys of a key set that can verify signatures; others are passed over.

    Raises `JwksFailed`.
    """
    if len(body) > LARGEST:
        raise JwksFailed(f"more than {LARGEST} bytes")
    try:
        told = msgspec.json.decode(body.removeprefix(BOM_UTF8), type=dict[str, Any]).get("keys")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise JwksFailed("not a JSON object") from error
    if not isinstance(told, list):
        raise JwksFailed("no list of keys")
    keys = [key for each in told if (key := _key(each)) is not None]
    if not keys:
        raise JwksFailed("no key that can be used")
    return keys


def _key(told: Any) -> PublicKey | None:
    try:
        kty = told["kty"]
        parts = (*ABOUT, *PUBLIC[kty])
        if told.get("use", "sig") != "sig":
            return None
        if kty == "RSA" and not SMALLEST_RSA <= _bits(told["n"]) <= LARGEST_RSA:
            return None
        key = JWKRegistry.import_key({part: told[part] for part in parts if part in told})
    except (JoseError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return key if isinstance(key, PublicKey) else None


def _bits(number: str) -> int:
    return int.from_bytes(urlsafe_b64decode(number + "==")).bit_length()


def _only(keys: Sequence[PublicKey], kid: str | None, kty: str) -> PublicKey | None:
    found = [key for key in keys if key.key_type == kty and kid in {None, key.kid}]
    return found[0] if len(found) == 1 else None


class FileKeyring:
    """Keys from a file, which is read again when it changes."""

    def __init__(self, issuer: str, path: Path) -> None:
        """Read the file when a key is asked for first."""
        self._issuer = issuer
        self._path = path
        self._keys: Sequence[PublicKey] = ()
        self._seen: tuple[int, ...] | None = None

    async def key(self, kid: str | None, kty: str) -> PublicKey | None:
        """Return a key: see `Keyring`. While the file cannot be read, its last keys serve."""
        seen = self._stamp()
        if seen != self._seen:
            self._seen = seen
            self._read()
        return _only(self._keys, kid, kty)

    def _stamp(self) -> tuple[int, ...]:
        try:
            status = self._path.stat()
        except OSError:
            return ()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> None:
        try:
            with self._path.open("rb") as file:
                self._keys = read(file.read(LARGEST + 1))
        except (OSError, JwksFailed) as error:
            _log_failure(self._issuer, error)
        else:
            log.info("jwks_read", issuer=self._issuer, keys=len(self._keys))


class UrlKeyring:
    """Keys from a URL: kept, and asked for anew now and then, and for an id that is not known.

    One question at a time, and `PAUSE_S` between two.
    """

    def __init__(self, issuer: str, url: str) -> None:
        """Ask when a key is asked for first."""
        self._issuer = issuer
        self._url = url
        self._keys: Sequence[PublicKey] = ()
        self._read_at = -math.inf
        self._asked_at = -math.inf
        self._asking: asyncio.Task[None] | None = None

    async def key(self, kid: str | None, kty: str) -> PublicKey | None:
        """Return a key: see `Keyring`."""
        now = _now()
        age_s, quiet_s = now - self._read_at, now - self._asked_at
        if age_s > RENEWED_S:
            asking = self._ask()
            # Not `age_s > FRESH_S`: while the URL fails, not everybody waits for each next try.
            if asking is not None and (quiet_s > FRESH_S or age_s > STALE_S):
                await asyncio.shield(asking)
        found = self._found(kid, kty)
        if found is None and (asking := self._ask()) is not None:
            await asyncio.shield(asking)
            found = self._found(kid, kty)
        return found

    def _found(self, kid: str | None, kty: str) -> PublicKey | None:
        if _now() - self._read_at > STALE_S:
            return None
        return _only(self._keys, kid, kty)

    def _ask(self) -> "asyncio.Task[None] | None":
        """Return the question that is under way, or a new one; None: it is too early for it."""
        if self._asking is not None and not self._asking.done():
            return self._asking
        if _now() - self._asked_at <= PAUSE_S:
            return None
        self._asked_at = _now()
        self._asking = asyncio.create_task(self._renew())
        return self._asking

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                self._keys = read(await self._body())
        except (httpx.HTTPError, httpx.InvalidURL, OSError, JwksFailed) as error:
            _log_failure(self._issuer, error)
            return
        self._read_at = _now()
        log.info("jwks_read", issuer=self._issuer, keys=len(self._keys))

    async def _body(self) -> bytes:
        """Return what the URL holds, following nothing. Raises `JwksFailed` or httpx's errors."""
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        body = b""
        async with (
            # A client for each question: they are minutes apart.
            httpx.AsyncClient(trust_env=False, verify=self._trust, timeout=TIMEOUTS) as client,
            client.stream("GET", self._url, headers=headers) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise JwksFailed(f"status {answer.status_code}")
            if "content-encoding" in answer.headers:
                raise JwksFailed("compressed, though that was not asked for")
            async for part in answer.aiter_raw():
                body += part
                if len(body) > LARGEST:
                    break
        return body

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()


def _log_failure(issuer: str, error: Exception) -> None:
    if isinstance(error, JwksFailed):
        why = str(error)
    elif isinstance(error, httpx.TransportError | TimeoutError):
        why = network_failure(error)
    else:
        why = type(error).__name__
    log.error("jwks_failed", issuer=issuer, why=why)
