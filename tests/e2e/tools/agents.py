"""Agents: the reference client of the protocol, and requests that it would never send."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult
from sse_starlette.sse import AppStatus
from uvicorn.server import Server as Uvicorn

from gateway.settings.tables import Settings
from gateway.tools.settings import McpSettings
from tests.e2e.serving import Providers, only_read
from tests.security.callers import Believing
from tests.security.served import Server, really_serving, settings_of

# To end event streams, it replaces a method of uvicorn that tests/test_internals.py looks at. The
# gateway's own server overrides that.
Uvicorn.handle_exit = AppStatus.original_handler  # type: ignore[method-assign, assignment]

QUERY = '"""Keys of providers."""\nquery provider_keys { providers { key } }'


class Agents:
    """A gateway with tools, and who calls them."""

    def __init__(self, server: Server, providers: Providers) -> None:
        """Call this server, which calls these providers."""
        self.server = server
        self.providers = providers
        self.url = f"http://127.0.0.1:{server.port}"

    @contextlib.asynccontextmanager
    async def agent(self, caller: str | None = None, mode: str = "auto") -> AsyncIterator[Client]:
        """Connect the reference client, as the caller that `signed` describes."""
        headers = {} if caller is None else {"authorization": caller}
        async with httpx2.AsyncClient(headers=headers) as http:
            transport = streamable_http_client(f"{self.url}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                yield client

    async def send(
        self, method: str = "POST", body: Any = None, path: str = "/mcp", **headers: str
    ) -> httpx2.Response:
        """Send any request, as JSON unless it is bytes; by default one that lists the tools."""
        sent = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        body = LIST if body is None and method == "POST" else body
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with httpx2.AsyncClient() as http:
            return await http.request(method, f"{self.url}{path}", content=content, headers=sent)


LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@contextlib.asynccontextmanager
async def agents(
    settings: Settings | None = None,
    providers: Providers | None = None,
    *,
    believes: bool = True,
    **mcp: Any,
) -> AsyncIterator[Agents]:
    """Serve the tools with a `[mcp]` table, to callers that describe themselves."""
    providers = providers or only_read()
    update = {"mcp": McpSettings(enabled=True, **mcp)}
    with pytest.MonkeyPatch.context() as patch:
        if believes:
            patch.setattr("gateway.http.live_settings.Authenticator", Believing)
        served = (settings or settings_of()).model_copy(update=update)
        async with really_serving(served, providers) as server:
            providers.reset_calls()
            yield Agents(server, providers)


def folder(path: Path, **documents: str) -> Path:
    """Write documents of tools into a folder."""
    for name, text in documents.items():
        (path / f"{name}.graphql").write_text(text, encoding="utf-8")
    return path


async def names(client: Client) -> list[str]:
    """Return the names of the tools that an agent sees."""
    return [tool.name for tool in (await client.list_tools()).tools]


def failure(result: CallToolResult) -> Mapping[str, Any]:
    """Return the only error of a call that failed, without the id of the request."""
    assert result.is_error
    assert result.structured_content["data"] is None
    (error,) = result.structured_content["errors"]
    error["extensions"].pop("requestId", None)
    shown: Mapping[str, Any] = error
    return shown
