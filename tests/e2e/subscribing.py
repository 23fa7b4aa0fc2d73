"""A served gateway with a change log of its own, and clients that subscribe to it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from gateway.settings.tables import StoreSettings
from tests.e2e.serving import Providers, segment_id
from tests.security.served import PATIENCE_S, Server, really_serving, settings_of
from tests.security.sockets import ACK, INIT, Socket, opened

CHANGED = """subscription($after: String) {
  changed(after: $after) { cursor ... on SegmentChange { segmentId } }
}"""
CREATE = """mutation($input: SegmentBulkCreateInput!) {
  segmentBulkCreate(input: $input) { failed userErrors { message } }
}"""
EVENTS = "text/event-stream"


class SseEvent(NamedTuple):
    """A block of an event stream."""

    event: str
    id: str | None
    data: Any

    @property
    def code(self) -> str:
        """The code of its only error."""
        (error,) = self.data["errors"]
        code: str = error["extensions"]["code"]
        return code


class Stream:
    """The events of one response."""

    def __init__(self, response: httpx.Response) -> None:
        """Read this response."""
        self.response = response
        self._text = response.aiter_text()
        self._read = ""

    async def block(self) -> str:
        """Return the next block, as it was sent; empty at the end."""
        async with asyncio.timeout(PATIENCE_S):
            while "\n\n" not in self._read:
                piece = await anext(self._text, None)
                if piece is None:
                    assert self._read == ""
                    return ""
                self._read += piece
        block, _, self._read = self._read.partition("\n\n")
        return block

    async def comment(self) -> str | None:
        """Return the position that the next block has, which must be a comment."""
        first, *lines = (await self.block()).split("\n")
        assert first == ":"
        return lines[0].removeprefix("id: ") if lines else None

    async def event(self) -> SseEvent:
        """Return the next event; comments are passed over."""
        while (block := await self.block()).startswith(":"):
            pass
        fields = dict(line.split(":", 1) for line in block.split("\n"))
        data = fields["data"].strip()
        place = fields.get("id")
        return SseEvent(
            fields["event"].strip(),
            None if place is None else place.strip(),
            json.loads(data) if data else None,
        )


class Shop:
    """The gateway, with segments of Emporix that tests create."""

    def __init__(self, server: Server | None, client: httpx.AsyncClient) -> None:
        """Write through this client."""
        self._server = server
        self.client = client
        self._count = 0

    @property
    def server(self) -> Server:
        """The server, where there is one."""
        assert self._server is not None
        return self._server

    async def ask(self, query: str, variables: Any = None, **headers: str) -> Any:
        """Return the data of an answer without errors."""
        body = {"query": query, "variables": variables}
        answer = (await self.client.post("/graphql", json=body, headers=headers)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def cursor(self) -> str:
        """Return where the log stands."""
        cursor: str = (await self.ask("{ changesCursor }"))["changesCursor"]
        return cursor

    async def create(self, count: int = 1) -> list[str]:
        """Create segments: a change each. Return their ids, in that order."""
        keys = [f"s{number}" for number in range(self._count, self._count + count)]
        self._count += count
        segments = [{"externalId": key, "name": key, "siteCode": "main"} for key in keys]
        given = {"input": {"provider": "emporix", "segments": segments}}
        assert await self.ask(CREATE, given) == {
            "segmentBulkCreate": {"failed": 0, "userErrors": []}
        }
        return [segment_id("emporix", key) for key in keys]

    @contextlib.asynccontextmanager
    async def socket(self, **init: Any) -> AsyncIterator[Socket]:
        """Open a WebSocket and begin."""
        async with opened(self.server) as socket:
            await socket.say({**INIT, "payload": init})
            assert await socket.heard() == ACK
            yield socket

    @contextlib.asynccontextmanager
    async def stream(
        self, query: str = CHANGED, variables: Any = None, method: str = "POST", **headers: str
    ) -> AsyncIterator[Stream]:
        """Subscribe over server-sent events."""
        sent = {"accept": EVENTS, **{name.replace("_", "-"): v for name, v in headers.items()}}
        how: Mapping[str, Any] = (
            {"json": {"query": query, "variables": variables}}
            if method == "POST"
            else {"params": {"query": query, "variables": json.dumps(variables or {})}}
        )
        async with self.client.stream(method, "/graphql", headers=sent, **how) as response:
            yield Stream(response)


@contextlib.asynccontextmanager
async def shop(tmp_path: Path, **tables: Mapping[str, Any]) -> AsyncIterator[Shop]:
    """Serve a gateway whose settings have parts of some tables changed."""
    settings = settings_of(**tables).model_copy(
        update={"store": StoreSettings(url=f"sqlite:///{tmp_path / 'gateway.db'}")}
    )
    async with really_serving(settings, Providers()) as server:
        address = f"http://127.0.0.1:{server.port}"
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=address, trust_env=False, limits=limits, timeout=PATIENCE_S
        ) as client:
            yield Shop(server, client)


async def next_segments(socket: Socket, count: int, name: str = "1") -> Sequence[tuple[str, str]]:
    """Return cursor and segment of the next events of a subscription by `CHANGED`."""
    events = []
    for _ in range(count):
        message = await socket.heard()
        assert (message["id"], message["type"]) == (name, "next"), message
        change = message["payload"]["data"]["changed"]
        events.append((change["cursor"], change["segmentId"]))
    return events


def segments(events: Sequence[tuple[str, str]]) -> list[str]:
    """Return the segments of these events."""
    return [segment for _, segment in events]
