"""The metrics that the gateway's parts count themselves: providers, caches, store."""

import asyncio
import platform
import resource
import time
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from gateway import __version__
from gateway.changes.feed import ChangeFeed
from gateway.changes.webhooks import webhook_report
from gateway.context import Provider
from gateway.observability import metric_families as families
from gateway.observability.metric_table import Family, Sample, Value
from gateway.store.errors import StoreFailed, StoreState
from gateway.store.store import Store
from gateway.upstream.resilience.circuit_breaker import Circuit

STORE_S: Final = 1.0
"""How long a scrape waits for the store, and how long its values are reused."""

WEBHOOK_STATES: Final = ("HEALTHY", "QUIET", "FAILING")


class CacheUses(Protocol):
    """How often the caches of documents and plans were of use."""

    document_hits: int
    document_misses: int
    plan_hits: int
    plan_misses: int


def of_process() -> Iterator[Sample]:
    """Yield what this process is and uses."""
    yield _sample(families.BUILD, 1, __version__, platform.python_version())
    yield _sample(families.PROCESSES, 1)
    yield _sample(families.CPU, time.process_time())
    yield _sample(families.MEMORY, _resident_bytes())


def of_provider(provider: Provider, now: float) -> Iterator[Sample]:
    """Yield the state of the connection to a provider; `now` is on the event loop's clock."""
    key, upstream = provider.key, provider.upstream
    for circuit in Circuit:
        is_it = upstream.guard.breaker.circuit is circuit
        yield _sample(families.CIRCUITS, int(is_it), key, circuit.value)
    bulkhead, reads = upstream.guard.bulkhead, upstream.reads
    yield _sample(families.CALLS_NOW, bulkhead.in_use, key, "under_way")
    yield _sample(families.CALLS_NOW, bulkhead.waiting, key, "waiting")
    yield _sample(families.READS, reads.network, key, "network")
    yield _sample(families.READS, reads.shared, key, "shared")
    yield _sample(families.READS, reads.cached, key, "cached")
    yield _sample(families.READS, reads.stale, key, "stale")
    yield _sample(families.READS, provider.recalls, key, "recorded")
    if (sign_ins := upstream.sign_ins) is not None:
        yield _sample(families.SIGN_INS, sign_ins[0], key, "ok")
        yield _sample(families.SIGN_INS, sign_ins[1], key, "failed")
    if (limit := upstream.guard.rate_limit.stated(now)) is not None:
        yield _sample(families.RATE_LIMIT, limit.limit, key)
        yield _sample(families.RATE_LIMIT_LEFT, limit.remaining, key)
    elif (terms := upstream.guard.budget.terms) is not None:
        yield _sample(families.RATE_LIMIT, terms.most, key)
        left = upstream.guard.budget.slice.balance(terms, now)
        yield _sample(families.RATE_LIMIT_LEFT, max(left, 0), key)


def of_caches(uses: CacheUses) -> Iterator[Sample]:
    """Yield the uses of the caches of documents and plans."""
    yield _sample(families.DOCUMENTS, uses.document_hits, "hit")
    yield _sample(families.DOCUMENTS, uses.document_misses, "miss")
    yield _sample(families.PLANS, uses.plan_hits, "hit")
    yield _sample(families.PLANS, uses.plan_misses, "miss")


def of_connections(store: Store) -> Iterator[Sample]:
    """Yield the connections to the store's database."""
    in_use, idle = store.connections
    yield _sample(families.CONNECTIONS, in_use, "in_use")
    yield _sample(families.CONNECTIONS, idle, "idle")


def of_identity(store: Store) -> Iterator[Sample]:
    """Yield the links that were proposed because of the size of a person."""
    yield _sample(families.OVERSIZED, len(store.identity.index.oversized))


def of_feed(feed: ChangeFeed) -> Iterator[Sample]:
    """Yield how far this process has read the change log."""
    yield _sample(families.FEED_POSITION, feed.position.position)


class StoreSamples:
    """What the store holds, read at most once in `STORE_S`, however often it is scraped."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        """Include the webhooks of these providers."""
        self._providers = providers
        self._read: asyncio.Task[list[Sample]] | None = None
        self._read_at = 0.0

    async def of(self, store: Store) -> list[Sample]:
        """Return the values; if the store fails, only that it cannot be used."""
        now = asyncio.get_running_loop().time()
        read = self._read
        if read is None or (read.done() and now - self._read_at >= STORE_S):
            read = self._read = asyncio.create_task(self._samples(store, now + STORE_S))
            self._read_at = now
        return await asyncio.shield(read)

    async def _samples(self, store: Store, deadline: float) -> list[Sample]:
        try:
            is_up = await store.state() is StoreState.READY
            samples = [_sample(families.STORE_UP, int(is_up))]
            position = await store.changes.position(deadline)
            samples.append(_sample(families.LOG_POSITION, position.position))
            unfinished = await store.backlog.unfinished(deadline)
            for key, provider in self._providers.items():
                writes = unfinished.writes.get(key)
                samples += [
                    _sample(families.INTENTS, 0 if writes is None else writes.number, key),
                    _sample(families.INTENT_AGE, 0 if writes is None else writes.oldest_s, key),
                ]
                samples += await _webhooks(store, provider, deadline)
                samples.append(
                    _sample(families.WEBHOOKS_PENDING, unfinished.webhooks.get(key, 0), key)
                )
        except StoreFailed:
            return [_sample(families.STORE_UP, 0)]
        return samples


async def _webhooks(store: Store, provider: Provider, deadline: float) -> list[Sample]:
    report = await webhook_report(store, provider, deadline)
    if report.state not in WEBHOOK_STATES:
        return []
    samples = [
        _sample(families.WEBHOOK_STATE, int(report.state == state), provider.key, state)
        for state in WEBHOOK_STATES
    ]
    if report.last_received_at is not None:
        at = report.last_received_at.timestamp()
        samples.append(_sample(families.WEBHOOK_AGE, at, provider.key))
    return samples


def _sample(family: Family, value: Value, *labels: str) -> Sample:
    return Sample(family.name, labels, value)


def _resident_bytes() -> int:
    """Return this process's resident memory; where there is no /proc, the most it ever was."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123  # four times a second
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
