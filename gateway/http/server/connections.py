"""Limit the open connections of one process, in total and per client address.

When there are too many, connections that wait for their client are closed, the longest-waiting
first: idle ones, incomplete requests, WebSockets without operations. Busy ones stay open.
"""

import heapq
import ipaddress
import resource
from typing import Protocol

from gateway.limits.settings import LimitSettings

SPARE_FILES = 100
"""The least number of open files reserved for the store, for providers and for new connections."""

CLOSED_FRACTION = 16
"""This fraction of a full group is closed at once: scanning it for each connection is slow."""


class Connection(Protocol):
    """A connection that can be closed to make room for another."""

    @property
    def was_served(self) -> bool:
        """Whether it has delivered a complete request."""

    def waits_since(self) -> float | None:
        """Return since when it waits for its client, on the loop's clock; None: it is busy."""

    def end(self) -> None:
        """Close the connection."""


class OpenConnections:
    """Count connections, and close some when there are too many."""

    def __init__(self, limits: LimitSettings) -> None:
        """Allow as many as the limits and the system do."""
        self.configure(limits)
        self._groups: dict[str | None, dict[Connection, None]] = {}
        self._group_of: dict[Connection, str | None] = {}
        self.is_stopping = False
        """The server stops: each response closes its connection."""
        self.uncounted: set[object] = set()
        """Connections whose task does not count for `limits.concurrent_requests`: it waits for its
        client, or serves a probe."""

    def configure(self, limits: LimitSettings) -> None:
        """Apply other limits to the connections that are accepted from now on."""
        self.limits = limits
        self._most = min(limits.connections, most_files() - spare_files())
        self._share = limits.connections_per_address

    def add(self, connection: Connection, address: str | None) -> bool:
        """Count a connection for an address; None: for no single address.

        Return False if there is no room because all others are busy.
        """
        name = None if address is None else network_of(address)
        group = self._groups.setdefault(name, {})
        group[connection] = None
        self._group_of[connection] = name
        has_room = name is None or len(group) <= self._share or self._end_some(group, connection)
        if len(self._group_of) > self._most:
            has_room = self._make_room(connection) and has_room
        return has_room

    def remove(self, connection: Connection) -> None:
        """Stop counting a connection."""
        self.uncounted.discard(connection)
        if connection in self._group_of:
            name = self._group_of.pop(connection)
            group = self._groups[name]
            del group[connection]
            if not group:
                del self._groups[name]

    def move(self, connection: Connection, address: str | None) -> bool:
        """Count a connection for another address; return as `add` does."""
        is_uncounted = connection in self.uncounted
        self.remove(connection)
        if is_uncounted:
            self.uncounted.add(connection)
        return self.add(connection, address)

    def _make_room(self, newest: Connection) -> bool:
        """Close some connections of the largest group; those behind proxies come last."""
        groups = sorted(self._groups.items(), key=lambda each: (each[0] is None, -len(each[1])))
        return any(self._end_some(group, newest) for _, group in groups)

    def _end_some(self, group: dict[Connection, None], newest: Connection) -> bool:
        unserved: list[tuple[float, int, Connection]] = []
        served: list[tuple[float, int, Connection]] = []
        for each in group:
            since = None if each is newest else each.waits_since()
            if since is not None:
                (served if each.was_served else unserved).append((since, id(each), each))
        # A flood of silent sockets must not displace clients that were served, nor a flood of idle
        # sockets that were served displace new clients.
        waiting = served if served and 2 * len(unserved) < len(group) else unserved
        oldest = heapq.nsmallest(max(1, len(group) // CLOSED_FRACTION), waiting)
        for *_, each in oldest:
            self.remove(each)
            each.end()
        return bool(oldest)


def network_of(address: str) -> str:
    """Return the unit that has a share: an IPv4 address, or the /64 network of an IPv6 address."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return parsed.packed[:8].hex()


def most_files() -> int:
    """Return the number of files that this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def spare_files() -> int:
    """Return the number of open files that are reserved, and not available to clients."""
    return max(SPARE_FILES, most_files() // 4)


def raise_file_limit() -> None:
    """Raise the soft limit of open files to the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in {soft, resource.RLIM_INFINITY}:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
