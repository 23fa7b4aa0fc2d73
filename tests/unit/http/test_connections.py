"""Which connections are ended when there are too many."""

import pytest

from gateway.http.server.connections import OpenConnections, network_of
from gateway.limits.settings import LimitSettings


class Held:
    """A connection that is held open: since when it waits; None: it is at work."""

    def __init__(self, since: float | None, *, was_served: bool = False) -> None:
        """Be open."""
        self.since = since
        self.was_served = was_served
        self.is_open = True

    def waits_since(self) -> float | None:
        """Return what it was made with."""
        return self.since

    def end(self) -> None:
        """Close."""
        self.is_open = False


def connections(most: int = 10_000, share: int = 3) -> OpenConnections:
    """Return one that holds so many, and so many of each address."""
    return OpenConnections(LimitSettings(connections=most, connections_per_address=share))


def test_the_one_that_waits_longest_goes_first() -> None:
    """For each that is too many one."""
    waiting = [Held(2.0), Held(3.0), Held(1.0)]
    held = connections()
    assert all(held.add(each, "192.0.2.1") for each in waiting)
    ended = []
    for _ in range(3):
        assert held.add(Held(None), "192.0.2.1")
        ended.append([each.is_open for each in waiting])
    assert ended == [[True, True, False], [False, True, False], [False, False, False]]
    assert not held.add(Held(9.0), "192.0.2.1")


def test_sockets_that_ask_nothing_do_not_drive_out_who_is_served() -> None:
    """While they are half of all: the longest-waiting of them goes."""
    idle, fresh = Held(0.0, was_served=True), [Held(1.0), Held(2.0)]
    held = connections()
    for each in (idle, *fresh, Held(None)):
        assert held.add(each, "192.0.2.1")
    assert [each.is_open for each in (idle, *fresh)] == [True, False, True]


def test_idle_sockets_do_not_drive_out_who_has_just_come() -> None:
    """While those are less than half: the longest idle one goes."""
    idle, fresh = [Held(2.0, was_served=True), Held(1.0, was_served=True)], Held(0.0)
    held = connections()
    for each in (*idle, fresh, Held(None)):
        assert held.add(each, "192.0.2.1")
    assert [each.is_open for each in (*idle, fresh)] == [True, False, True]


def test_who_works_is_not_ended() -> None:
    """Then there is no room: neither for a new one; other addresses do not notice."""
    working = [Held(None) for _ in range(3)]
    held = connections()
    assert [held.add(each, "192.0.2.1") for each in working] == [True] * 3
    newest = Held(0.0)
    assert not held.add(newest, "192.0.2.1")
    assert held.add(Held(0.0), "192.0.2.2")
    assert all(each.is_open for each in (*working, newest))
    held.remove(working[0])
    held.remove(newest)
    assert held.add(Held(0.0), "192.0.2.1")


def test_a_part_of_a_large_share_goes_at_once() -> None:
    """So that nobody can make each new connection cost a look at all of them."""
    waiting = [Held(float(number)) for number in range(160)]
    held = connections(share=160)
    for each in waiting:
        held.add(each, "192.0.2.1")
    assert held.add(Held(None), "192.0.2.1")
    assert [each.is_open for each in waiting] == [False] * 10 + [True] * 150


def test_who_has_most_makes_room() -> None:
    """Of all connections the oldest of that address go; those through proxies are the last."""
    many, few = [Held(9.0), Held(8.0), Held(7.0)], [Held(0.0), Held(1.0)]
    proxied = [Held(0.0) for _ in range(4)]
    held = connections(most=9)
    for each in proxied:
        assert held.add(each, None)
    for each in many:
        assert held.add(each, "192.0.2.1")
    for each in few:
        assert held.add(each, "192.0.2.2")
    assert held.add(Held(None), "192.0.2.3")
    assert [each.is_open for each in (*many, *few, *proxied)] == [True] * 2 + [False] + [True] * 6
    for each in (*many[:2], *few):
        held.remove(each)
        held.add(Held(None), "192.0.2.4")
    assert held.add(Held(None), "192.0.2.5")
    assert sum(each.is_open for each in proxied) == 3


def test_connections_through_proxies_have_no_share_until_a_client_holds_them() -> None:
    """One holds its share, whatever the others do."""
    proxied = [Held(float(number)) for number in range(9)]
    held = connections()
    assert all(held.add(each, None) for each in proxied)
    assert all(held.move(each, "192.0.2.1") for each in proxied[:4])
    assert [each.is_open for each in proxied] == [False] + [True] * 8
    assert held.move(proxied[1], None)
    assert held.move(proxied[5], "192.0.2.1")
    assert all(each.is_open for each in proxied[1:])


def test_what_is_gone_does_not_count() -> None:
    """However often it is said that it went."""
    held = connections()
    for _ in range(9):
        each = Held(None)
        assert held.add(each, "192.0.2.1")
        held.remove(each)
        held.remove(each)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("unknown:1", "unknown:1", True),
    ],
)
def test_what_has_a_share(one: str, other: str, *, is_same: bool) -> None:
    """An IPv4 address, and the 64 bits of an IPv6 network."""
    assert (network_of(one) == network_of(other)) == is_same
