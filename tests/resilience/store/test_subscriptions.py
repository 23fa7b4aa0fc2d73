"""Subscribers of a PostgreSQL server that is restarted, frozen, or loses notifications."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.domain.change_log import ChangeKind, ChangeSource, SegmentObservation
from gateway.domain.entities import Ref
from gateway.settings.tables import StoreSettings
from gateway.store.database_url import database_url
from gateway.store.store import Store
from tests.e2e.serving import Providers, segment_id
from tests.e2e.subscribing import CHANGED, next_segments, segments
from tests.resilience.store.cluster import Cluster
from tests.security.served import PATIENCE_S, really_serving, settings_of
from tests.security.sockets import ACK, INIT, Socket, opened, subscribe

pytestmark = pytest.mark.postgres

TERMINATE = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE query LIKE 'LISTEN change_log_%' AND pid <> pg_backend_pid()"""


@asynccontextmanager
async def subscribed(url: str) -> AsyncIterator[Socket]:
    """Subscribe to all changes of a gateway with this store, from now on."""
    settings = settings_of(server={"request_timeout_s": 2}).model_copy(
        update={"store": StoreSettings(url=url)}
    )
    async with really_serving(settings, Providers()) as server, opened(server) as socket:
        await socket.say(INIT)
        assert await socket.heard() == ACK
        await socket.say(subscribe("cursor", "{ changesCursor }"))
        after = (await socket.heard())["payload"]["data"]["changesCursor"]
        assert (await socket.heard())["type"] == "complete"
        await socket.say(subscribe("1", CHANGED, variables={"after": after}))
        yield socket


class Elsewhere:
    """Another process, whose notifications are all lost: it sends none."""

    def __init__(self, url: str) -> None:
        """Write to this database, through new connections."""
        self._url = url
        self._count = 0

    async def create(self, count: int) -> Sequence[str]:
        """Append the creation of segments; return their ids."""
        store = await Store.open(database_url(self._url, {}))
        keys = [f"k{number}" for number in range(self._count, self._count + count)]
        self._count += count
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        for key in keys:
            created = SegmentObservation(
                ref=Ref("emporix", key), kind=ChangeKind.CREATED, source=ChangeSource.WRITE
            )
            assert await store.changes.settle([created], deadline, deadline)
        await store.close()
        return [segment_id("emporix", key) for key in keys]


async def test_lost_notifications(cluster: Cluster) -> None:
    """Polling delivers."""
    async with subscribed(cluster.url()) as socket:
        created = await Elsewhere(cluster.url()).create(3)
        assert segments(await next_segments(socket, 3)) == created


async def test_listener_terminated(cluster: Cluster) -> None:
    """While nobody listens polling delivers."""
    async with subscribed(cluster.url()) as socket:
        elsewhere = Elsewhere(cluster.url())
        async with asyncio.timeout(PATIENCE_S):
            while not (terminated := cluster.sql(TERMINATE)):  # noqa: ASYNC110  # not yet
                await asyncio.sleep(0.05)
        assert terminated == [(True,)]
        created = await elsewhere.create(3)
        assert segments(await next_segments(socket, 3)) == created


async def test_restarted(cluster: Cluster) -> None:
    """The subscription goes on behind its last event, on the same connection."""
    async with subscribed(cluster.url()) as socket:
        elsewhere = Elsewhere(cluster.url())
        created = [*await elsewhere.create(2)]
        assert segments(await next_segments(socket, 2)) == created
        await asyncio.to_thread(cluster.stop)
        await asyncio.to_thread(cluster.start)
        created = [*await elsewhere.create(2)]
        assert segments(await next_segments(socket, 2)) == created


async def test_frozen(cluster: Cluster) -> None:
    """The subscription waits for a server that is silent, and goes on when it answers."""
    async with subscribed(cluster.url()) as socket:
        elsewhere = Elsewhere(cluster.url())
        created = [*await elsewhere.create(2)]
        assert segments(await next_segments(socket, 2)) == created
        cluster.freeze()
        try:
            # The gateway has noticed once a read of the log fails.
            await socket.say(subscribe("2", "{ changesCursor }"))
            failed = await socket.heard()
            assert failed["payload"]["errors"][0]["extensions"]["code"] == "STORE_UNAVAILABLE"
            assert (await socket.heard())["type"] == "complete"
        finally:
            cluster.thaw()
        created = [*await elsewhere.create(2)]
        assert segments(await next_segments(socket, 2)) == created
