"""`/graphql` over WebSocket: the protocol graphql-transport-ws.

The protocol: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from gateway.auth.authenticator import Authenticator
from gateway.auth.permissions import Caller
from gateway.errors import Unauthenticated
from gateway.http.cors import OriginPolicy, address_of, authorization_of
from gateway.http.graphql_over_http import (
    GRAPHQL_PATHS,
    GraphQLRequest,
    Headers,
    RequestError,
    error_of,
    headers_of,
    refuse,
)
from gateway.http.operation_runner import OperationRunner, refused, request_options
from gateway.http.server.websocket_protocol import ACTIVITY, Activity
from gateway.limits.settings import LimitSettings

PROTOCOL = "graphql-transport-ws"
LONGEST_REASON = 123
"""Bytes (RFC 6455, 5.5)."""


class ConnectionClosed(Exception):
    """The connection ends: a close code, and why."""

    def __init__(self, code: int, reason: str) -> None:
        """Keep them, the reason as long as one may be."""
        self.code = code
        self.reason = reason.encode()[:LONGEST_REASON].decode(errors="ignore")
        super().__init__(reason)


class ClientMessage(msgspec.Struct, frozen=True):
    """A message of the client."""

    type: str
    id: str | UnsetType = UNSET
    payload: dict[str, Any] | UnsetType = UNSET


_decode = msgspec.json.Decoder(ClientMessage).decode
_encode = msgspec.json.Encoder().encode


class WebSocketEndpoint:
    """Serves WebSocket connections."""

    def __init__(
        self,
        runner: OperationRunner,
        doorkeeper: Authenticator,
        origins: OriginPolicy,
        limits: LimitSettings,
    ) -> None:
        """Run operations for whom the doorkeeper knows."""
        self.runner = runner
        self.doorkeeper = doorkeeper
        self.limits = limits
        self.operations = 0
        """Of all connections, under way."""
        self._origins = origins

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        """Serve one connection, of which nothing was answered yet."""
        await receive()
        if connection["path"] not in GRAPHQL_PATHS:
            await _deny(connection, send, RequestError(404, "Nothing is here.", "NOT_FOUND"))
            return
        try:
            headers = headers_of(connection["headers"])
            self._origins.check_host(headers)
            self._origins.opened_to(headers)
            await self._check_credentials(connection, headers)
        except (RequestError, Unauthenticated) as error:
            await _deny(connection, send, refused(error))
            return
        socket = WebSocketSession(self, connection, headers, send)
        # The client may be gone at any time (OSError is how servers say so).
        with contextlib.suppress(OSError):
            try:
                await socket.serve(receive)
            except ConnectionClosed as end:
                close = {"type": "websocket.close", "code": end.code, "reason": end.reason}
                await send(close)
            finally:
                await socket.stop()

    async def _check_credentials(self, connection: Connection, headers: Headers) -> None:
        """Raise `Unauthenticated` for wrong ones; those that are right may still follow later."""
        shown = authorization_of(headers)
        if shown is not None:
            await self.doorkeeper.caller(shown, address_of(connection, headers))


class WebSocketSession:
    """One connection and its operations."""

    def __init__(
        self, sockets: WebSocketEndpoint, connection: Connection, headers: Headers, send: Send
    ) -> None:
        """Answer to `send`; the headers are those of the handshake."""
        self._sockets = sockets
        self._protocols = connection["subprotocols"]
        self._wishes = request_options(headers)
        self._address = address_of(connection, headers)
        self._send = send
        self._authorization = authorization_of(headers)
        self._is_initialised = False
        self._activity: Activity = connection.get("extensions", {}).get(ACTIVITY) or Activity()
        self._running: dict[str, asyncio.Task[None]] = {}

    async def serve(self, receive: Receive) -> None:
        """Answer messages until the client goes. Raises `ConnectionClosed`."""
        if PROTOCOL not in self._protocols:
            await self._send({"type": "websocket.accept"})
            raise ConnectionClosed(4406, f"Subprotocol not acceptable: speak {PROTOCOL}")
        await self._send({"type": "websocket.accept", "subprotocol": PROTOCOL})
        late: float | None
        late = asyncio.get_running_loop().time() + self._sockets.limits.init_timeout_s
        while True:
            try:
                async with asyncio.timeout_at(late):
                    message = await receive()
            except TimeoutError:
                raise ConnectionClosed(4408, "Connection initialisation timeout") from None
            if message["type"] == "websocket.disconnect":
                return
            await self._hear(self._read(message))
            if self._is_initialised:
                late = None
            # Nothing above waits while messages lie ready: others shall have their turn.
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """End the operations: the reads now, what writes goes on to its end unheard."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _read(self, message: Mapping[str, Any]) -> ClientMessage:
        text = message.get("text")
        if text is None:
            raise ConnectionClosed(4400, "Binary messages are not understood")
        if len(text) > self._sockets.limits.message_bytes:
            raise ConnectionClosed(1009, "The message is too large (limits.message_bytes)")
        try:
            return _decode(text.removeprefix("\ufeff"))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise ConnectionClosed(4400, _explained(error)) from error

    async def _hear(self, said: ClientMessage) -> None:
        match said.type:
            case "subscribe":
                await self._subscribe(said)
            case "complete":
                task = self._running.pop(_id_of(said), None)
                if task is not None:
                    task.cancel()
            case "ping":
                payload = {} if said.payload is UNSET else {"payload": said.payload}
                await self._tell({"type": "pong", **payload})
            case "pong":
                pass
            case "connection_init":
                await self._initialise(said)
            case _:
                raise ConnectionClosed(4400, "The message has a type that is not a client's")

    async def _initialise(self, said: ClientMessage) -> None:
        if self._is_initialised:
            raise ConnectionClosed(4429, "Too many initialisation requests")
        payload = {} if said.payload is UNSET else said.payload
        given = [payload.get(name) for name in ("authorization", "Authorization")]
        shown = [each for each in given if each is not None] or [self._authorization]
        if not all(isinstance(each, str | None) for each in shown):
            raise ConnectionClosed(4400, "The authorization is not a text")
        for self._authorization in shown:
            await self._caller()
        self._is_initialised = True
        await self._tell({"type": "connection_ack"})

    async def _caller(self) -> Caller:
        """Return who asks: anew for each operation, since credentials end."""
        try:
            return await self._sockets.doorkeeper.caller(self._authorization, self._address)
        except Unauthenticated:
            raise ConnectionClosed(4403, "Forbidden") from None

    async def _subscribe(self, said: ClientMessage) -> None:
        if not self._is_initialised:
            raise ConnectionClosed(4401, "Unauthorized")
        name = _id_of(said)
        if said.payload is UNSET:
            raise ConnectionClosed(4400, "The message has no payload")
        try:
            asked = msgspec.convert(said.payload, GraphQLRequest)
        except msgspec.ValidationError as error:
            raise ConnectionClosed(4400, _explained(error)) from error
        if asked.query is None and not asked.names_document:
            raise ConnectionClosed(4400, "The payload has no query, and no name of a document")
        if name in self._running:
            raise ConnectionClosed(4409, f"Subscriber for {name} already exists")
        caller = await self._caller()
        most = self._sockets.limits.operations_per_connection
        if len(self._running) >= most:
            text = f"operations_per_connection is {most + 1}; at most {most} are allowed"
            text = f"{text} (limits.operations_per_connection)."
            await self._fail(name, RequestError(429, text, "LIMIT_EXCEEDED"))
            return
        most = self._sockets.limits.concurrent_requests
        if self._sockets.operations >= most:
            text = f"The operations of all WebSockets are at most {most}"
            text = f"{text} (limits.concurrent_requests)."
            await self._fail(name, RequestError(503, text, "LIMIT_EXCEEDED"))
            return
        self._sockets.operations += 1
        self._activity.operations += 1
        self._activity.has_worked = True
        task = self._running[name] = asyncio.create_task(self._operate(name, asked, caller))
        task.add_done_callback(self._count_down)

    def _count_down(self, _: asyncio.Task[None]) -> None:
        self._sockets.operations -= 1
        self._activity.operations -= 1

    async def _operate(self, name: str, asked: GraphQLRequest, caller: Caller) -> None:
        try:
            reply = await self._sockets.runner.run(asked, caller, self._wishes)
            if reply.is_request_error:
                await self._tell({"id": name, "type": "error", "payload": reply.body["errors"]})
            else:
                await self._tell({"id": name, "type": "next", "payload": reply.body})
                await self._tell({"id": name, "type": "complete"})
        except OSError:
            pass  # the client is gone
        except Exception as error:  # noqa: BLE001  # whatever it is, the client gets an answer
            with contextlib.suppress(OSError):
                await self._fail(name, refused(error))
        finally:
            if self._running.get(name) is asyncio.current_task():
                del self._running[name]

    async def _fail(self, name: str, error: RequestError) -> None:
        await self._tell({"id": name, "type": "error", "payload": [error_of(error)]})

    async def _tell(self, message: Mapping[str, Any]) -> None:
        await self._send({"type": "websocket.send", "text": _encode(message).decode()})


def _id_of(said: ClientMessage) -> str:
    if said.id is UNSET or not said.id:
        raise ConnectionClosed(4400, "The message has no id")
    return said.id


def _explained(error: Exception) -> str:
    if isinstance(error, msgspec.ValidationError):
        return f"The message is none of the protocol: {error}"
    return "The message is not JSON"


async def _deny(connection: Connection, send: Send, error: RequestError) -> None:
    """Refuse the handshake, with a body where the server can send one (else it is 403)."""
    if "websocket.http.response" not in connection.get("extensions", {}):
        await send({"type": "websocket.close"})
        return

    async def renamed(message: Any) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    await refuse(renamed, error)
