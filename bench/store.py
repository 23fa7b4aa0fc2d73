#!/usr/bin/env python
"""The store with a million assignments: the cost of writing and reading.

Run `python bench/store.py URL` with the URL of an empty database, as in `store.url`
(`sqlite:////tmp/bench.db`, `postgresql://…`). It fills the database through the same calls as
the gateway, and prints milliseconds. A second run uses the existing data.
"""

import asyncio
import itertools
import random
import statistics
import sys
import time
from collections.abc import Iterator

from gateway.domain.mutations import Replacement, Tag
from gateway.providers.base.store_lookup import Lookup
from gateway.store.database_url import database_url
from gateway.store.store import Store
from gateway.store.write_intents import Settlement

CUSTOMERS = 250_000
TAGS_EACH = 4  # a million assignments
BATCH = 100  # rows of a call to Instaleap, unless configured otherwise
ROUNDS = 300
SHOP = "shop"

# One tag that half of all have, some that many have, and many that a few have.
LARGE = [Tag("tier", "member"), Tag("tier", "guest")]
MIDDLE = [Tag("region", f"r{number:02}") for number in range(50)]
SMALL = [Tag("store", f"s{number:04}") for number in range(2_000)]
dice = random.Random(1)  # noqa: S311  # a benchmark's


def customer(number: int) -> str:
    """Return a document id."""
    return f"CC-{number * 7919 % 10_000_019:010}"


def rows() -> Iterator[Replacement]:
    """Yield the intended tags of each customer."""
    for number in range(CUSTOMERS):
        tags = [LARGE[number % 2], dice.choice(MIDDLE), *dice.sample(SMALL, TAGS_EACH - 2)]
        yield Replacement(customer(number), tags)


async def replace(record: Store, part: list[Replacement]) -> tuple[float, float]:
    """Begin and settle a batch; return the seconds that each took."""
    start = time.perf_counter()
    deadline = asyncio.get_running_loop().time() + 60
    result = await record.write_intents.begin(SHOP, part, "bench", deadline)
    middle = time.perf_counter()
    await record.write_intents.settle(
        result.claim, {row.customer: Settlement.CONFIRMED for row in result.claim.rows}
    )
    return middle - start, time.perf_counter() - middle


def show(name: str, seconds: list[float]) -> None:
    """Print one line: median, 95th percentile, worst."""
    ranked = sorted(seconds)
    figures = (statistics.median(ranked), ranked[int(len(ranked) * 0.95)], ranked[-1])
    print(f"{name:44}" + "".join(f"{each * 1000:9.2f}" for each in figures))


async def read(record: Store, name: str, lookups: list[Lookup]) -> None:
    """Time these lookups, one after the other."""
    seconds = []
    for lookup in lookups:
        start = time.perf_counter()
        await record.look_up(SHOP, lookup)
        seconds.append(time.perf_counter() - start)
    show(name, seconds)


async def fill(record: Store) -> None:
    """Write all customers."""
    source = rows()
    start = time.perf_counter()
    filling = []
    while part := list(itertools.islice(source, BATCH)):
        filling.append(await replace(record, part))
    rate = CUSTOMERS / (time.perf_counter() - start)
    show("begin, 100 new customers", [begin for begin, _ in filling])
    show("settle, likewise", [settle for _, settle in filling])
    print(f"{rate:.0f} customers a second")


async def main() -> None:
    """Fill an empty database, read, then overwrite."""
    place = database_url(sys.argv[1], {})
    record = await Store.open(place)
    print(f"{place.shown}: {CUSTOMERS * TAGS_EACH} assignments in batches of {BATCH} customers")
    print(f"\n{'ms':44}{'median':>9}{'p95':>9}{'worst':>9}")
    there = await record.look_up(SHOP, Lookup("customers", size=1, with_total=True))
    if there.total < CUSTOMERS:
        await fill(record)

    def some() -> str:
        return customer(dice.randrange(CUSTOMERS))

    def stretches(what: str, *keys: tuple[str, str], size: int = 50) -> list[Lookup]:
        return [Lookup(what, keys, (some(),), size, with_total=True) for _ in range(ROUNDS)]

    large, middle = LARGE[0], MIDDLE[7]
    await read(
        record, "members of a tag of 125,000: 50 and the total", stretches("members", large)
    )
    await read(record, "members of a tag of 5,000: likewise", stretches("members", middle))
    await read(record, "members of a tag: 250", stretches("members", large, size=250))
    await read(record, "number of members", [Lookup("member_count", (large,))] * ROUNDS)
    await read(record, "customers: 50 and the total", stretches("customers"))
    segments = [
        Lookup("segments", (), dice.choice(SMALL), 50, with_total=True) for _ in range(ROUNDS)
    ]
    await read(record, "segments: 50 and the total", segments)
    await read(
        record,
        "100 segments by key",
        [Lookup("segment", tuple(dice.sample(SMALL, 100))) for _ in range(ROUNDS)],
    )
    await read(
        record,
        "100 customers by key",
        [Lookup("customer", tuple((some(),) for _ in range(100))) for _ in range(ROUNDS)],
    )
    await read(
        record,
        "assignments of a customer and their total",
        [Lookup("assignments", ((some(),),), size=50, with_total=True) for _ in range(ROUNDS)],
    )
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        await record.newest_tags(SHOP, some())
        seconds.append(time.perf_counter() - start)
    show("reverse call", seconds)
    anew = []
    for _ in range(ROUNDS // 3):
        names = dict.fromkeys(some() for _ in range(BATCH))
        part = [Replacement(name, [LARGE[0], *dice.sample(MIDDLE + SMALL, 3)]) for name in names]
        anew.append(await replace(record, part))
    show("begin, 100 known customers, other tags", [begin for begin, _ in anew])
    show("settle, likewise", [settle for _, settle in anew])
    seconds = []
    for number in range(ROUNDS):

        async def run() -> bytes:
            return b"x" * 1000

        start = time.perf_counter()
        await record.once(f"bench {start} {number}", "input", run, start + 60)
        seconds.append(time.perf_counter() - start)
    show("a new idempotency key", seconds)
    await record.close()


asyncio.run(main())
