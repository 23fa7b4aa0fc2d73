"""The open connections of one process: a number of them in all, and a share for each address.

When there are too many, those that wait for their client are ended, the longest-waiting first:
idle ones, requests that have not come whole, WebSockets without operations. Those at work stay.
"""

import heapq
import ipaddress
import resource
from typing import Protocol

from gateway.limits.settings import LimitSettings

SPARE_FILES = 100
"""At least so many open files are left to the store, to providers and to new connections."""

ENDED_AT_ONCE = 16
"""A part of a full share: looking through it for each new connection would cost much."""


class Connection(Protocol):
    """A connection that can be ended for another one."""

    @property
    def was_served(self) -> bool:
        """Whether a whole request came over it."""

    def waits_since(self) -> float | None:
        """Return since when it waits for its client, on the loop's clock; None: it is at work."""

    def end(self) -> None:
        """Close it."""


class OpenConnections:
    """Counts connections, and ends some when there are too many."""

    def __init__(self, limits: LimitSettings) -> None:
        """Hold as many as the limits and the system allow."""
        self.limits = limits
        self._most = min(limits.connections, most_files() - spare_files())
        self._share = limits.connections_per_address
        self._groups: dict[str | None, dict[Connection, None]] = {}
        self._group_of: dict[Connection, str | None] = {}
        self.uncounted: set[object] = set()
        """Connections whose task is none of `limits.concurrent_requests`: it waits for its client,
        or answers a probe."""

    def add(self, connection: Connection, address: str | None) -> bool:
        """Count a connection for an address; None: for no single one.

        Return False where there is no room, since all others are at work.
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
        """Forget a connection, if it is known."""
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
        """End some of whoever has most. Those that come through proxies are the last."""
        groups = sorted(self._groups.items(), key=lambda each: (each[0] is None, -len(each[1])))
        return any(self._end_some(group, newest) for _, group in groups)

    def _end_some(self, group: dict[Connection, None], newest: Connection) -> bool:
        fresh: list[tuple[float, int, Connection]] = []
        served: list[tuple[float, int, Connection]] = []
        for each in group:
            since = None if each is newest else each.waits_since()
            if since is not None:
                (served if each.was_served else fresh).append((since, id(each), each))
        # Neither a flood of sockets that ask nothing drives out who is served, nor one of idle
        # sockets that were served drives out who has just come.
        waiting = served if served and 2 * len(fresh) < len(group) else fresh
        some = heapq.nsmallest(max(1, len(group) // ENDED_AT_ONCE), waiting)
        for *_, each in some:
            self.remove(each)
            each.end()
        return bool(some)


def network_of(address: str) -> str:
    """Return what has a share: an IPv4 address, or the /64 of an IPv6 one: a client has it all."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return found.packed[:8].hex()


def most_files() -> int:
    """Return how many files this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def spare_files() -> int:
    """Return how many of them are not for clients."""
    return max(SPARE_FILES, most_files() // 4)


def raise_file_limit() -> None:
    """Allow this process as many open files as the system lets it have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in {soft, resource.RLIM_INFINITY}:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
