"""A write through one replica is seen through the others, whose caches would keep the old one."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.settings.tables import Settings
from tests.e2e.serving import Front, Providers, segment_id, settings_with
from tests.e2e.writes.asking import do
from tests.e2e.writes.serving import serving
from tests.unit.store.conftest import postgres_url, sqlite_url

__all__ = ["postgres_url", "sqlite_url"]

STAFF = segment_id("emporix", "staff")
NAME = "query($id: ID!) { segment(id: $id) { name origin } }"
PATIENCE_S = 30


def keeping() -> Settings:
    """Return settings with which nothing that is cached ends by itself during a test."""
    settings = settings_with(stale_if_error_s=3600)
    server = settings.server.model_copy(update={"cache_ttl_s": 3600})
    return settings.model_copy(update={"server": server})


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def replicas(
    request: pytest.FixtureRequest, providers: Providers
) -> AsyncIterator[tuple[Front, Front]]:
    """Return two replicas with one store."""
    url = request.getfixturevalue(f"{request.param}_url")
    async with (
        serving(providers, url, keeping()) as first,
        serving(providers, url, keeping()) as second,
    ):
        yield first, second


async def shown(front: Front) -> tuple[str, str]:
    """Return the segment's name, and where it comes from."""
    segment = (await front.data(NAME, {"id": STAFF}))["segment"]
    return segment["name"], segment["origin"]


async def test_renamed(replicas: tuple[Front, Front]) -> None:
    """Each replica goes from the old name to the new one, once and for good."""
    first, second = replicas
    old = (await shown(second))[0]
    assert await shown(second) == (old, "CACHED")
    for name in ("Renamed", "Renamed again"):
        await do(first, "segmentUpdate", {"id": STAFF, "name": name})
        assert (await shown(first))[0] == name
        seen = [old]
        async with asyncio.timeout(PATIENCE_S):
            while seen[-1] != name:
                seen.append((await shown(second))[0])
                await asyncio.sleep(0.01)
        assert set(seen[:-1]) == {old}
        assert {(await shown(second))[0] for _ in range(5)} == {name}
        old = name


async def test_not_stale(replicas: tuple[Front, Front], providers: Providers) -> None:
    """Whoever read of the change is not shown what was before, though the provider fails now."""
    first, second = replicas
    await shown(second)
    await do(first, "segmentUpdate", {"id": STAFF, "name": "Renamed"})
    [change] = (await second.data("{ changes { nodes { kind } } }"))["changes"]["nodes"]
    assert change == {"kind": "UPDATED"}

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(status_code=503)(scope, receive, send)

    providers.instead["emporix"] = broken
    body = await second.ask(NAME, {"id": STAFF})
    assert body["data"] == {"segment": None}
    assert [error["extensions"]["code"] for error in body["errors"]] == ["PROVIDER_BROKEN"]
