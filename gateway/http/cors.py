"""Host checks, CORS and client addresses.

A browser sends a page's request to any address, also to one that only its user can reach. Pages of
other sites get no response, unless the operator allows their origin.
"""

import ipaddress
import re
from collections.abc import Sequence

from starlette.types import Scope as Connection

from gateway.auth.addresses import is_local
from gateway.http.graphql_over_http import Header, Headers, RequestError
from gateway.settings.tables import ServerSettings

PROXIED = "proxied"
"""The address of clients behind an untrusted proxy, or one that does not state their address."""

_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", re.IGNORECASE)

MAX_CHECKED = 256
"""Host headers whose check is cached: a client can invent many, by their ports."""


class OriginPolicy:
    """Check the hosts and the browser origins of requests."""

    def __init__(self, server: ServerSettings, *, is_open: bool) -> None:
        """Serve the hosts in the settings; `is_open`: some callers need no credentials.

        If the gateway is open and no hosts are set, only IP addresses and `localhost` are served:
        a page that attacks by DNS rebinding sends its own host name.
        """
        self.configure(server, is_open=is_open)

    def configure(self, server: ServerSettings, *, is_open: bool) -> None:
        """Follow other settings from now on."""
        self._hosts = frozenset(_normalised(name) for name in server.hosts)
        self._is_open = is_open
        self._cors_headers: dict[bytes, Sequence[Header]] = {
            origin.encode(): (
                (b"access-control-allow-origin", origin.encode()),
                (b"access-control-expose-headers", b"retry-after, x-request-id"),
            )
            for origin in server.cors_origins
        }
        self.preflight: Sequence[Header] = (
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", ", ".join(server.cors_allow_headers).encode()),
            (b"access-control-max-age", b"600"),
        )
        """The headers of responses to preflight requests."""
        self._checked_hosts: set[bytes] = set()
        """Host headers that passed the check."""

    def check_host(self, headers: Headers) -> None:
        """Raise `RequestError` for a request to a host that is not served."""
        host = headers.get(b"host", b"")
        if host in self._checked_hosts:
            return
        check_has_host(headers)
        if not self._is_served(host):
            raise RequestError(421, "This host name is not served here (server.hosts).")
        if len(self._checked_hosts) < MAX_CHECKED:
            self._checked_hosts.add(host)

    def cors_headers(self, headers: Headers) -> Sequence[Header]:
        """Return the CORS headers of the response.

        Raises `RequestError` for a page of another site that is not allowed. Clients other than
        browsers send neither `Origin` nor `Sec-Fetch-Site`.
        """
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        if origin is None and site is None:
            return ()
        if origin in self._cors_headers:
            return self._cors_headers[origin]
        if site is not None:
            is_same_origin = site in {b"same-origin", b"none"}
        else:
            authority = b"" if origin is None else origin.partition(b"://")[2]
            is_same_origin = authority.lower() == headers.get(b"host", b"").lower()
        if not is_same_origin:
            raise RequestError(403, "Pages of this origin are not allowed.", "FORBIDDEN")
        return ()

    def _is_served(self, host: bytes) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = _normalised(match[1].decode())
        if self._hosts:
            return name in self._hosts
        return not self._is_open or name == "localhost" or _is_address(name)


def check_has_host(headers: Headers) -> None:
    """Raise `RequestError` for a request without `Host` (RFC 9112, 3.2)."""
    if b"host" not in headers:
        raise RequestError(400, "The header Host is missing.")


def _normalised(name: str) -> str:
    return name.lower().strip("[]").rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def address_of(connection: Connection, headers: Headers) -> str | None:
    """Return the client's address; None: a Unix socket of this machine.

    A client behind a proxy is not on this machine, though the proxy may be.
    """
    client = connection.get("client")
    address: str | None = client[0] if client else None
    if (b"x-forwarded-for" in headers or b"forwarded" in headers) and is_local(address):
        return PROXIED
    return address


def authorization_of(headers: Headers) -> str | None:
    """Return the Authorization header of a request."""
    value = headers.get(b"authorization")
    return None if value is None else value.decode("latin-1")
