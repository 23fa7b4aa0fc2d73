"""The switches of the hot paths: off, the code of the libraries runs, with the same answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.asgi import connect
from gateway.domain.pages import PageRequest
from gateway.domain.queries import EVERY_SEGMENT
from gateway.errors import Unreachable
from gateway.http.app import Application
from gateway.http.server.repeated_heads import RepeatedHeads
from gateway.http.server.single_write import SingleWriteCycle
from gateway.providers.base.adapter import ListsSegments
from gateway.request_scope import Scope
from gateway.settings.tables import Settings
from gateway.upstream.http.aiohttp_transport import PooledTransport
from gateway.upstream.http.http1_pool import Http1Transport
from resolvers.execution import executor
from tests.e2e.serving import serving, settings_with, without_cost
from tests.four_kinds import four_settings
from tests.security.served import Answer, post, really_serving
from tests.switches import NAMES, read

QUERY = b'{"query":"{ segments(first: 3) { nodes { name provider { key } } } }"}'
BOTH = pytest.mark.parametrize("is_on", [True, False], ids=["on", "off"])


def switched(settings: Settings, **switches: bool) -> Settings:
    """Return settings with all hot paths on but those."""
    paths = read("").model_copy(update=switches)
    return settings.model_copy(update={"fast_paths": paths})


class Used:
    """Notes which of some methods are called."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        """Watch nothing yet."""
        self.names: set[str] = set()
        self._patch = patch

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Note calls of a method under a name."""
        real = getattr(owner, method)

        def noted(*args: Any, **more: Any) -> Any:
            result = real(*args, **more)
            if result is not None:
                self.names.add(name)
            return result

        self._patch.setattr(owner, method, noted)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> Used:
    """Watch what a test names."""
    return Used(monkeypatch)


def test_they_are_on_by_default() -> None:
    """Nobody has to know them."""
    switches = four_settings().fast_paths.model_dump()
    assert switches == dict.fromkeys(NAMES, True)
    assert NAMES == ("http1_client", "direct_answers", "compiled_queries")


async def answers(settings: Settings) -> list[Answer]:
    """Send one query thrice over a connection, as it is served for real."""
    async with really_serving(settings) as server, server.line() as line:
        answers = []
        for _ in range(3):
            await line.write(post(QUERY))
            answers.append(await line.answer())
        return answers


async def test_direct_answers(used: Used) -> None:
    """Off, each request goes through ASGI and uvicorn's own writing; the answers are equal."""
    used.watch(Application, "fast_path_handler", "head read")
    used.watch(RepeatedHeads, "handle", "head known")
    used.watch(SingleWriteCycle, "_head", "one write")
    used.watch(RequestResponseCycle, "send", "uvicorn's")
    on = await answers(switched(settings_with()))
    assert used.names == {"head read", "head known"}
    used.names.clear()
    off = await answers(switched(settings_with(), direct_answers=False))
    assert used.names == {"uvicorn's"}
    for ours, theirs in zip(on, off, strict=True):
        assert ours.status == theirs.status == 200
        assert without_cost(ours.json) == without_cost(theirs.json)
        assert list(ours.headers) == list(theirs.headers)


async def test_compiled_queries(used: Used) -> None:
    """Off, graphql-core's executor runs everything; the answers are equal."""
    used.watch(executor, "PlanExecution", "plan")
    used.watch(executor, "execute", "graphql-core")
    results = []
    for is_on in (True, False):
        async with serving(settings=switched(settings_with(), compiled_queries=is_on)) as front:
            results.append(await front.data("{ segments(first: 3) { nodes { name } } }"))
            assert used.names == {"plan" if is_on else "graphql-core"}
            used.names.clear()
    assert results[0] == results[1]


@contextlib.asynccontextmanager
async def nobody() -> AsyncIterator[str]:
    """Return an address where each connection is closed at once."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"


@BOTH
async def test_the_http_client(used: Used, *, is_on: bool) -> None:
    """Off, calls to providers go over aiohttp."""
    used.watch(Http1Transport, "exchange", "ours")
    used.watch(PooledTransport, "handle_async_request", "aiohttp")
    async with nobody() as url:
        settings = switched(settings_with(base_url=url), http1_client=is_on)
        providers = await connect(settings)
        provider = next(each for each in providers if each.kind == "stuut")
        exchange = provider.require(ListsSegments, "SEGMENT_LIST").segments(
            EVERY_SEGMENT, PageRequest(1)
        )
        scope = Scope("a request", asyncio.get_running_loop().time() + 20)
        with pytest.raises(Unreachable):
            await provider.send(exchange, scope)  # type: ignore[arg-type]  # Stuut lists by one call
        for each in providers:
            await each.close()
    assert used.names == {"ours" if is_on else "aiohttp"}
