"""Many writers at once, and several processes with one record."""

import asyncio
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from gateway.store.database_url import DatabaseUrl, database_url
from gateway.store.store import Store
from gateway.store.write_intents import Settlement
from tests.unit.store.conftest import Clock
from tests.unit.store.shop_writes import (
    CONFIRMED,
    PENDING,
    SHOP,
    begin,
    claim,
    counts,
    overdue,
    settle,
    shown,
    soon,
    wanted,
)

# What each process starts with: it has a loop and says "ready", then waits for a line.
START = """
import asyncio, os, signal, sys
from gateway.domain.mutations import Replacement, Tag
from gateway.store.database_url import database_url
from gateway.store.store import Store
from gateway.store.write_intents import Settlement

place = database_url(sys.argv[1], {})
deadline = lambda: asyncio.get_running_loop().time() + 30

print("ready", flush=True)
sys.stdin.readline()
"""
TAKE = """
async def main():
    record = await Store.open(place)
    while claims := await record.write_intents.overdue(["shop"], deadline(), 3):
        for claim in claims:
            print(*(row.customer for row in claim.rows), flush=True)
            await record.write_intents.settle(
                claim, {row.customer: Settlement.CONFIRMED for row in claim.rows}
            )
    await record.close()

asyncio.run(main())
"""
OPEN = """
async def main():
    record = await Store.open(place)
    print(await record.newest_tags("shop", "ada"), flush=True)
    await record.close()

asyncio.run(main())
"""
ONCE = """
async def run():
    print("ran", flush=True)
    return b"done"

async def main():
    record = await Store.open(place)
    assert await record.once("key", "input", run, deadline()) == b"done"
    await record.close()

asyncio.run(main())
"""
DIE = """
async def main():
    record = await Store.open(place)
    rows = [Replacement("ada", [Tag("t", "new")])]
    begun = await record.write_intents.begin("shop", rows, "write", deadline())
    if sys.argv[2] == "after":
        await record.write_intents.settle(begun.claim, {"ada": Settlement.CONFIRMED})
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@asynccontextmanager
async def process(program: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a process that is ready to go."""
    pipe = asyncio.subprocess.PIPE
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", START + program, *arguments, stdin=pipe, stdout=pipe
    )
    assert started.stdout
    assert await started.stdout.readline() == b"ready\n"
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def together(count: int, program: str, url: str) -> list[list[str]]:
    """Run this in so many processes at the same moment; return the lines that each wrote."""
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(process(program, url)) for _ in range(count)]
        outputs = await asyncio.gather(*(each.communicate(b"go\n") for each in started))
        assert [each.returncode for each in started] == [0] * count
    return [out.decode().splitlines() for out, _ in outputs]


@pytest.mark.parametrize("settlement", [Settlement.CONFIRMED, Settlement.UNKNOWN])
async def test_fifty_writers(
    record: Store, place: DatabaseUrl, clock: Clock, settlement: Settlement
) -> None:
    """Fifty writers of two replicas write to the same few customers: nothing is lost."""
    second = await Store.open(place, clock)
    newest: dict[str, str] = {}
    dice = random.Random(7)  # noqa: S311  # a test's
    customers = [f"c{number}" for number in range(20)]

    async def write(number: int) -> int:
        opened = (record, second)[number % 2]
        rows = tuple(wanted(name, "all", f"w{number}") for name in dice.sample(customers, 3))
        pieces = 0
        while rows:
            begun = await begin(opened, *rows, deadline=soon(60))
            await asyncio.sleep(0)
            newest.update((row.customer, f"w{number}") for row in begun.claim.rows)
            assert await settle(opened, begun.claim, settlement) == set()
            rows = begun.left
            pieces += 1
        return pieces

    pieces = await asyncio.gather(*(write(number) for number in range(50)))
    assert all(1 <= each <= 3 for each in pieces)
    assert newest.keys() == set(customers)
    for name in customers:
        if settlement is Settlement.CONFIRMED:
            assert await shown(second, name) == (CONFIRMED, {"all", newest[name]})
        assert {tag.value for tag in await record.newest_tags(SHOP, name)} == {"all", newest[name]}
    if settlement is Settlement.CONFIRMED:
        assert await counts(record) == {
            "customers": 20,
            "tags": 1 + len(set(newest.values())),
            "all": 20,
            **Counter(newest.values()),
        }
    await second.close()


async def test_two_recoveries(url: str) -> None:
    """Of what is due, two processes take each its part, together all, and none twice."""
    record = await Store.open(database_url(url, {}))
    names = [f"c{number:03}" for number in range(120)]
    mine = await claim(record, *(wanted(name, "x") for name in names))
    await settle(record, mine, Settlement.UNKNOWN)
    first, second = await together(2, TAKE, url)
    taken = [name for line in first + second for name in line.split()]
    assert sorted(taken) == names
    assert await overdue(record) == {}
    assert await counts(record) == {"customers": 120, "tags": 1, "x": 120}
    assert await shown(record, names[-1]) == (CONFIRMED, {"x"})
    await record.close()


async def test_first_start(url: str) -> None:
    """Several processes that start with an empty database make it once and all go on."""
    assert await together(4, OPEN, url) == [["[]"]] * 4


async def test_once(url: str) -> None:
    """An idempotency key runs in one process though several use it at once."""
    record = await Store.open(database_url(url, {}))
    lines = await together(3, ONCE, url)
    assert sorted(lines) == [[], [], ["ran"]]
    await record.close()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_killed(place: DatabaseUrl, url: str, clock: Clock, moment: str) -> None:
    """A process that is killed leaves what it had begun or settled."""
    async with process(DIE, url, moment) as started:
        await started.communicate(b"go\n")
        assert started.returncode == -signal.SIGKILL
    record = await Store.open(place)
    state = CONFIRMED if moment == "after" else PENDING
    assert await shown(record, "ada") == (state, {"new"})
    open_writes = {} if moment == "after" else {"ada": {"new"}}
    # Who has the file alone need not wait for the lease to end.
    assert await overdue(record) == (open_writes if place.path else {})
    await record.close()
    clock.pass_by(days=36_500)
    later = await Store.open(place, clock)
    assert await overdue(later) == open_writes
    await later.close()
