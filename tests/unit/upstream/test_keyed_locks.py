"""Locks by key: one holder at a time, in order, until a deadline."""

import asyncio
import gc

import pytest

from gateway.upstream.keyed_locks import KeyedLocks

LATE = float("inf")


async def test_one_at_a_time_in_order() -> None:
    """Whoever waits longest is next; another key waits for nobody."""
    locks, events = KeyedLocks(), list[str]()
    may_end = asyncio.Event()

    async def use(name: str, key: str) -> None:
        async with locks.hold(key, LATE):
            events.append(f"{name} begins")
            if name == "first":
                await may_end.wait()
            events.append(f"{name} ends")

    async with asyncio.TaskGroup() as tasks:
        for name in ("first", "second", "third"):
            tasks.create_task(use(name, "a"))
        await tasks.create_task(use("other", "b"))
        assert events == ["first begins", "other begins", "other ends"]
        may_end.set()

    assert events[3:] == [
        "first ends",
        "second begins",
        "second ends",
        "third begins",
        "third ends",
    ]
    assert locks.releases == 4


async def test_a_deadline() -> None:
    """Who waits too long does not get it, and the next one does."""
    locks = KeyedLocks()
    now = asyncio.get_running_loop().time()
    async with locks.hold("a", LATE):
        with pytest.raises(TimeoutError):
            async with locks.hold("a", now):
                raise AssertionError
        assert locks.releases == 0
    async with locks.hold("a", LATE):
        assert locks.releases == 1


async def test_a_failure_releases_it() -> None:
    """Also if the block fails; and nothing is left of a lock that nobody needs."""
    locks = KeyedLocks()
    with pytest.raises(ValueError, match="x"):
        async with locks.hold("a", LATE):
            raise ValueError("x")
    async with locks.hold("a", LATE):
        pass
    gc.collect()
    assert not locks._locks  # noqa: SLF001  # nothing else shows it
    assert locks.releases == 2
