"""Whom a request is for, who sends it and from which page: hosts, addresses, CORS.

A browser carries a page's request to any address that the page names, also to one that only its
user can reach. Pages of other sites get no answer, unless the operator names them.
"""

import ipaddress
import re
from collections.abc import Sequence

from starlette.types import Scope as Connection

from gateway.auth.addresses import is_local
from gateway.http.graphql_over_http import Header, Headers, RequestError
from gateway.settings import ServerSettings

PROXIED = "proxied"
"""The address of who comes through a proxy that does not say for whom, or is not believed."""

_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", re.IGNORECASE)

MOST_KNOWN = 256
"""Host headers that need no second look: a stranger may make up many, by their ports."""


class OriginPolicy:
    """Knows the hosts that are served, and the pages that may ask."""

    def __init__(self, server: ServerSettings, *, is_open: bool) -> None:
        """Serve these hosts; with `is_open` somebody who does not sign in may ask.

        Then, where no hosts are named, only addresses and `localhost` are served: a page whose
        name is made to lead here (DNS rebinding) stands under that name.
        """
        self._hosts = frozenset(_plain(name) for name in server.hosts)
        self._is_open = is_open
        self._opened: dict[bytes, Sequence[Header]] = {
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
        """What an allowed page may send."""
        self._served: set[bytes] = set()
        """Those that were found to be."""

    def check_host(self, headers: Headers) -> None:
        """Raise `RequestError` for a request that is for somebody else."""
        host = headers.get(b"host", b"")
        if host in self._served:
            return
        check_has_host(headers)
        if not self._is_served(host):
            raise RequestError(421, "Nothing is served here under this name (server.hosts).")
        if len(self._served) < MOST_KNOWN:
            self._served.add(host)

    def opened_to(self, headers: Headers) -> Sequence[Header]:
        """Return what the answer tells the browser of the page that asks.

        Raises `RequestError` for another site's page that may not ask. Who is no browser says
        nothing of a page.
        """
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        if origin is None and site is None:
            return ()
        if origin in self._opened:
            return self._opened[origin]
        if site is not None:
            is_ours = site in {b"same-origin", b"none"}
        else:
            authority = b"" if origin is None else origin.partition(b"://")[2]
            is_ours = authority.lower() == headers.get(b"host", b"").lower()
        if not is_ours:
            raise RequestError(403, "Pages of this origin may not ask.", "FORBIDDEN")
        return ()

    def _is_served(self, host: bytes) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = _plain(found[1].decode())
        if self._hosts:
            return name in self._hosts
        return not self._is_open or name == "localhost" or _is_address(name)


def check_has_host(headers: Headers) -> None:
    """Raise `RequestError` for a request that is for nobody (RFC 9112, 3.2)."""
    if b"host" not in headers:
        raise RequestError(400, "The header Host is missing.")


def _plain(name: str) -> str:
    return name.lower().strip("[]").rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def address_of(connection: Connection, headers: Headers) -> str | None:
    """Return the address that a request came from; None: a socket of this machine.

    Who comes through a proxy is not at this machine, though the proxy may be.
    """
    client = connection.get("client")
    address: str | None = client[0] if client else None
    if (b"x-forwarded-for" in headers or b"forwarded" in headers) and is_local(address):
        return PROXIED
    return address


def authorization_of(headers: Headers) -> str | None:
    """Return the credentials that a request shows."""
    shown = headers.get(b"authorization")
    return None if shown is None else shown.decode("latin-1")
