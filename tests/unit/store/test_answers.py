import asyncio

import pytest

from gateway.store.database_url import DatabaseUrl
from gateway.store.errors import FirstAttemptRunning, IdempotencyKeyReused, OutcomeUnknown
from gateway.store.leases import LEASE
from gateway.store.store import Store
from tests.unit.store.conftest import Clock
from tests.unit.store.shop_writes import soon


class Run:
    """Something that must not be done twice: counts, and answers when it may."""

    def __init__(self, answer: bytes = b"done", *, waits: bool = False) -> None:
        """Answer this, at once or when `may_end` is set."""
        self.answer = answer
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.times = 0
        if not waits:
            self.may_end.set()

    async def __call__(self) -> bytes:
        """Run."""
        self.times += 1
        self.began.set()
        await self.may_end.wait()
        return self.answer


async def test_once(record: Store, place: DatabaseUrl, clock: Clock) -> None:
    """A key answers the same for a day, also after a restart, and then is new."""
    run = Run(b"\0first\xff")
    assert await record.once("key", "input", run, soon()) == b"\0first\xff"
    assert await record.once("key", "input", run, soon()) == b"\0first\xff"
    again = await Store.open(place, clock)
    clock.pass_by(hours=24, microseconds=-1)
    assert await again.once("key", "input", run, soon()) == b"\0first\xff"
    assert run.times == 1
    clock.pass_by(microseconds=1)
    assert await again.once("key", "other input", Run(b"second"), soon()) == b"second"
    await again.close()


async def test_keys(record: Store) -> None:
    """Keys are told apart whatever they are."""
    keys = ["", "a", "A", "a\0", "\ud800", "k" * 100_000]
    for number, key in enumerate(keys * 2):
        answer = b"%d" % (number % len(keys))
        assert await record.once(key, "input", Run(answer), soon()) == answer


async def test_other_input(record: Store) -> None:
    """A key with another input is refused, and not run, finished or not."""
    first, other = Run(waits=True), Run()
    running = asyncio.create_task(record.once("key", "input", first, soon()))
    await first.began.wait()
    with pytest.raises(IdempotencyKeyReused):
        await record.once("key", "other input", other, soon())
    first.may_end.set()
    assert await running == b"done"
    with pytest.raises(IdempotencyKeyReused):
        await record.once("key", "other input", other, soon())
    assert other.times == 0


async def test_at_once(record: Store) -> None:
    """Of twenty that arrive at once one runs, and all answer what it answered."""
    run = Run()
    answers = await asyncio.gather(
        *(record.once("key", "input", run, soon(20)) for _ in range(20))
    )
    assert answers == [b"done"] * 20
    assert run.times == 1


async def test_two_replicas(record: Store, place: DatabaseUrl, clock: Clock) -> None:
    """One replica waits for the other's answer, or until its deadline."""
    run, other = Run(waits=True), Run()
    second = await Store.open(place, clock)
    running = asyncio.create_task(record.once("key", "input", run, soon()))
    await run.began.wait()
    with pytest.raises(FirstAttemptRunning):
        await second.once("key", "input", other, soon(0.05))
    waiting = asyncio.create_task(second.once("key", "input", other, soon()))
    run.may_end.set()
    assert (await running, await waiting) == (b"done", b"done")
    assert other.times == 0
    await second.close()


async def test_raised(record: Store) -> None:
    """A run that raises keeps nothing: the key is free, also for another input."""

    async def fail() -> bytes:
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        await record.once("key", "input", fail, soon())
    assert await record.once("key", "other input", Run(), soon()) == b"done"


async def test_broken_off(record: Store, clock: Clock) -> None:
    """A run that was broken off is not run again: nobody knows how far it came."""
    run, again = Run(waits=True), Run()
    running = asyncio.create_task(record.once("key", "input", run, soon(0)))
    await run.began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(FirstAttemptRunning):
        await record.once("key", "input", again, soon(0))
    clock.now += LEASE
    with pytest.raises(OutcomeUnknown):
        await record.once("key", "input", again, soon())
    assert again.times == 0
    clock.pass_by(hours=24)
    assert await record.once("key", "input", again, soon()) == b"done"


async def test_cancelled_after_the_run(record: Store) -> None:
    """An answer is kept though nobody waits for it any more."""
    running: list[asyncio.Task[bytes]] = []

    async def run() -> bytes:
        running[0].cancel()
        return b"done"

    running.append(asyncio.create_task(record.once("key", "input", run, soon())))
    with pytest.raises(asyncio.CancelledError):
        await running[0]
    again = Run()
    assert await record.once("key", "input", again, soon()) == b"done"
    assert again.times == 0


async def test_sweep(record: Store, clock: Clock) -> None:
    """Expired keys are forgotten, those of an unknown outcome too, and no others."""
    await record.once("old", "input", Run(), soon())
    clock.pass_by(hours=23)
    await record.once("new", "input", Run(), soon())
    assert await record.sweep() == 0
    clock.pass_by(hours=1)
    assert await record.sweep() == 1
    assert await record.sweep() == 0
    assert await record.once("new", "input", Run(b"again"), soon()) == b"done"
