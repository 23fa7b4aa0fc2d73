"""Whatever is asked, nobody is told of a fault of ours: `GENERATED=1000` makes 5,000 requests."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import Mode, mutations, nodes, queries
from structlog.testing import capture_logs

from gateway.asgi import build
from resolvers.schema import sdl
from tests.e2e.serving import Providers, segment_id, settings_with
from tests.sizes import size

RUNS = size("GENERATED", 30, 1000)
SDL = sdl()
SCALARS = {
    "DateTime": st.sampled_from(["2026-01-31T09:30:00.000Z", "yesterday", ""]).map(nodes.String),
    "JSON": st.sampled_from(["", "x", segment_id("emporix", "x")]).map(nodes.String),
}


def documents(make: Any, mode: Mode) -> st.SearchStrategy[dict[str, Any]]:
    """Return requests with documents of the schema, or with broken ones."""
    made: st.SearchStrategy[str] = make(SDL, custom_scalars=SCALARS, mode=mode)
    return made.map(lambda text: {"query": text})


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NAMES = ("query", "variables", "operationName", "extensions", "id", "documentId", "doc_id")
WITH_VARIABLES = """
query ($ids: [ID!]!, $first: Int, $where: SegmentFilter, $filter: CustomerFilter) {
  nodes(ids: $ids) { id }
  segments(first: $first, filter: $where) { totalCount nodes { id } }
  customers(first: $first, filter: $filter) { totalCount nodes { id } }
}
"""

# Functions: what is made of the schema takes a second, also where no such test is run.
REQUESTS: Mapping[str, Callable[[], st.SearchStrategy[Any]]] = {
    "queries": lambda: documents(queries, Mode.POSITIVE),
    "broken queries": lambda: documents(queries, Mode.NEGATIVE),
    "mutations": lambda: documents(mutations, Mode.POSITIVE),
    "broken mutations": lambda: documents(mutations, Mode.NEGATIVE),
    "requests": lambda: (
        st.dictionaries(st.sampled_from(NAMES), JSONS)
        | st.fixed_dictionaries(
            {
                "query": st.just(WITH_VARIABLES),
                "variables": st.dictionaries(
                    st.sampled_from(["ids", "first", "where", "filter"]), JSONS
                ),
            }
        )
    ),
}


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """Return the loop that the gateway runs in."""
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def client(runner: asyncio.Runner) -> Iterator[httpx.AsyncClient]:
    """Return a client of a gateway over providers of its own."""

    async def opened(stack: AsyncExitStack) -> httpx.AsyncClient:
        app = build(settings_with(), Providers())
        await stack.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app)
        made = httpx.AsyncClient(transport=transport, base_url="http://localhost")
        return await stack.enter_async_context(made)

    stack = AsyncExitStack()
    yield runner.run(opened(stack))
    runner.run(stack.aclose())


@pytest.mark.parametrize("kind", REQUESTS)
def test_generated(kind: str, runner: asyncio.Runner, client: httpx.AsyncClient) -> None:
    """Every answer is one of ours: no status of a fault, no `INTERNAL`, no bug in the log."""

    @settings(
        max_examples=RUNS,
        database=None,
        derandomize=RUNS < 1000,
        suppress_health_check=list(HealthCheck),
    )
    @given(REQUESTS[kind]())
    def answered(request: dict[str, Any]) -> None:
        body = json.dumps(request).encode("utf-8", "surrogatepass")
        headers = {"content-type": "application/json"}
        with capture_logs() as logged:
            reply = runner.run(client.post("/graphql", content=body, headers=headers))
        assert reply.status_code < 500
        response = reply.json()
        assert response.keys() <= {"data", "errors", "extensions"}
        codes = {error["extensions"]["code"] for error in response.get("errors", ())}
        assert "INTERNAL" not in codes
        assert "bug" not in {line["event"] for line in logged}

    answered()
