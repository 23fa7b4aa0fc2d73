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
"""The age at which keys are refreshed in the background."""

FRESH_S = 300.0
"""The age from which a request waits until the keys have been refreshed."""

STALE_S = 24 * 3600.0
"""How long keys may be used while the URL fails."""

PAUSE_S = 30.0
"""Between two fetches of one URL, also after a failure: an unknown key id causes a fetch, and
anyone can invent key ids."""

TIMEOUT_S = 5.0
"""For one fetch in total."""

CONNECT_TIMEOUT_S = 3.0
"""For its connection alone, so that the log can distinguish the two."""

TIMEOUTS = httpx.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S)

LARGEST = 256 * 1024
"""Bytes of a key set; 10 keys with their certificates take about 20 KiB."""

MIN_RSA_BITS, MAX_RSA_BITS = 2048, 4096
"""Bits. Smaller keys can be factored (NIST SP 800-131A), larger ones are slow to use."""

PublicKey = RSAKey | ECKey | OKPKey

PUBLIC = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
"""The public parameters by key type. Nothing else is read: no private key, no shared secret."""

METADATA = ("kty", "kid", "use", "alg", "key_ops")

log = structlog.get_logger(__name__)
_now = time.monotonic


class JwksFailed(Exception):
    """The key set cannot be read. The message is ours."""


class Keyring(Protocol):
    """The public keys of one issuer."""

    async def key(self, kid: str | None, kty: str) -> PublicKey | None:
        """Return the key with this type (`RSA`, `EC`, `OKP`) and id; without an id the only one.

        None: there is no such key, or the keys cannot be read now.
        """
        ...

    async def check(self) -> int:
        """Read the keys from their source now; return how many there are.

        Raises an error that `failure_text` describes.
        """
        ...


def read(body: bytes) -> Sequence[PublicKey]:
    """Return the keys of a key set that can verify signatures; ignore others.

    Raises `JwksFailed`.
    """
    if len(body) > LARGEST:
        raise JwksFailed(f"more than {LARGEST} bytes")
    try:
        entries = msgspec.json.decode(body.removeprefix(BOM_UTF8), type=dict[str, Any]).get("keys")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise JwksFailed("not a JSON object") from error
    if not isinstance(entries, list):
        raise JwksFailed("no list of keys")
    keys = [key for each in entries if (key := _key(each)) is not None]
    if not keys:
        raise JwksFailed("no key that can be used")
    return keys


def _key(entry: Any) -> PublicKey | None:
    try:
        kty = entry["kty"]
        parameters = (*METADATA, *PUBLIC[kty])
        if entry.get("use", "sig") != "sig":
            return None
        if kty == "RSA" and not MIN_RSA_BITS <= _bits(entry["n"]) <= MAX_RSA_BITS:
            return None
        key = JWKRegistry.import_key({name: entry[name] for name in parameters if name in entry})
    except (JoseError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return key if isinstance(key, PublicKey) else None


def _bits(number: str) -> int:
    return int.from_bytes(urlsafe_b64decode(number + "==")).bit_length()


def _only(keys: Sequence[PublicKey], kid: str | None, kty: str) -> PublicKey | None:
    matches = [key for key in keys if key.key_type == kty and kid in {None, key.kid}]
    return matches[0] if len(matches) == 1 else None


class FileKeyring:
    """Read keys from a file, again whenever it changes."""

    def __init__(self, issuer: str, path: Path) -> None:
        """Read the file when the first key is needed."""
        self._issuer = issuer
        self._path = path
        self._keys: Sequence[PublicKey] = ()
        self._version: tuple[int, ...] | None = None

    async def key(self, kid: str | None, kty: str) -> PublicKey | None:
        """Return a key: see `Keyring`. If the file cannot be read, the previous keys are used."""
        version = self._file_version()
        if version != self._version:
            self._version = version
            self._read()
        return _only(self._keys, kid, kty)

    async def check(self) -> int:
        """Read the keys now; return how many. Raises `JwksFailed`, `OSError`."""
        return len(read(self._path.read_bytes()))

    def _file_version(self) -> tuple[int, ...]:
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
    """Cache keys from a URL; fetch them again as they age, and when a key id is unknown.

    There is one fetch at a time, and `PAUSE_S` between two.
    """

    def __init__(self, issuer: str, url: str) -> None:
        """Fetch the keys when the first one is needed."""
        self._issuer = issuer
        self._url = url
        self._keys: Sequence[PublicKey] = ()
        self._read_at = -math.inf
        self._fetched_at = -math.inf
        self._fetch: asyncio.Task[None] | None = None

    async def key(self, kid: str | None, kty: str) -> PublicKey | None:
        """Return a key: see `Keyring`."""
        now = _now()
        age_s, since_fetch_s = now - self._read_at, now - self._fetched_at
        if age_s > RENEWED_S:
            fetch = self._start_fetch()
            # Not `age_s > FRESH_S`: while the URL fails, requests do not wait for every attempt.
            if fetch is not None and (since_fetch_s > FRESH_S or age_s > STALE_S):
                await asyncio.shield(fetch)
        key = self._cached_key(kid, kty)
        if key is None and (fetch := self._start_fetch()) is not None:
            await asyncio.shield(fetch)
            key = self._cached_key(kid, kty)
        return key

    async def check(self) -> int:
        """Fetch the keys now; return how many. Raises `JwksFailed` or httpx's errors."""
        async with asyncio.timeout(TIMEOUT_S):
            return len(read(await self._body()))

    def _cached_key(self, kid: str | None, kty: str) -> PublicKey | None:
        if _now() - self._read_at > STALE_S:
            return None
        return _only(self._keys, kid, kty)

    def _start_fetch(self) -> "asyncio.Task[None] | None":
        """Return the fetch that is in progress, or a new one; None: it is too early for one."""
        if self._fetch is not None and not self._fetch.done():
            return self._fetch
        if _now() - self._fetched_at <= PAUSE_S:
            return None
        self._fetched_at = _now()
        self._fetch = asyncio.create_task(self._refresh())
        return self._fetch

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                self._keys = read(await self._body())
        except FAILURES as error:
            _log_failure(self._issuer, error)
            return
        self._read_at = _now()
        log.info("jwks_read", issuer=self._issuer, keys=len(self._keys))

    async def _body(self) -> bytes:
        """Fetch the key set; follow no redirect. Raises `JwksFailed` or httpx's errors."""
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        body = b""
        async with (
            # A client for each fetch: they are minutes apart.
            httpx.AsyncClient(trust_env=False, verify=self._trust, timeout=TIMEOUTS) as client,
            client.stream("GET", self._url, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise JwksFailed(f"status {response.status_code}")
            if "content-encoding" in response.headers:
                raise JwksFailed("compressed, though not requested")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > LARGEST:
                    break
        return body

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()


FAILURES = (httpx.HTTPError, httpx.InvalidURL, OSError, JwksFailed)
"""Why keys cannot be read."""


def failure_text(error: Exception) -> str:
    """Return why keys cannot be read, in our own words."""
    if isinstance(error, JwksFailed):
        return str(error)
    if isinstance(error, httpx.TransportError | TimeoutError):
        return network_failure(error)
    return type(error).__name__


def _log_failure(issuer: str, error: Exception) -> None:
    log.error("jwks_failed", issuer=issuer, why=failure_text(error))
