"""`/graphql` over WebSocket, with the protocol graphql-transport-ws.

The protocol: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
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
    PARAMETERS,
    GraphQLRequest,
    Headers,
    RequestError,
    check_names,
    graphql_error,
    in_quotes,
    may_repeat,
    parse_headers,
    send_error,
)
from gateway.http.operation_runner import OperationRunner, request_error
from gateway.http.request_options import request_options
from gateway.http.server.websocket_protocol import ACTIVITY, Activity
from gateway.http.subscriptions import Subscriptions, verifier
from gateway.http.websocket_subscriptions import ConnectionSubscriptions
from gateway.limits.settings import LimitSettings
from gateway.observability.trace_context import TRACED

PROTOCOL = "graphql-transport-ws"
GOING_AWAY = 1001
"""The close code of a server that stops (RFC 6455, 7.4.1)."""
MAX_REASON_BYTES = 123
"""Bytes (RFC 6455, 5.5)."""

STOPPING = RequestError(
    503, "The server is stopping; the operation was not started.", "SHUTTING_DOWN"
)


class ConnectionClosed(Exception):
    """The connection must be closed, with a close code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        """Truncate the reason to its allowed length."""
        self.code = code
        self.reason = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        super().__init__(reason)


class ClientMessage(msgspec.Struct, frozen=True):
    """A message from the client."""

    type: str
    id: str | UnsetType = UNSET
    payload: dict[str, Any] | UnsetType = UNSET


MEMBERS = frozenset(ClientMessage.__struct_fields__)
PAYLOAD_MEMBERS = {
    "subscribe": PARAMETERS,
    "connection_init": frozenset({"authorization", "Authorization"}),
}
"""The members of a payload that count, by the type of the message."""

_IN_QUOTES = in_quotes(MEMBERS.union(*PAYLOAD_MEMBERS.values()))
_decode = msgspec.json.Decoder(ClientMessage).decode
_encode = msgspec.json.Encoder().encode


class WebSocketEndpoint:
    """Serve GraphQL over WebSocket."""

    def __init__(
        self,
        runner: OperationRunner,
        subscriptions: Subscriptions,
        authenticator: Authenticator,
        origins: OriginPolicy,
        limits: LimitSettings,
    ) -> None:
        """Serve operations of authenticated callers."""
        self.runner = runner
        self.subscriptions = subscriptions
        self.authenticator = authenticator
        self.limits = limits
        self.operations = 0
        """The number of operations in progress, over all connections."""
        self._origins = origins

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        """Serve one connection, from its handshake on."""
        await receive()
        try:
            session = await self._session(connection, send)
        except (RequestError, Unauthenticated) as error:
            await _deny(connection, send, request_error(error))
            return
        # The client may disconnect at any time; servers then raise OSError.
        with contextlib.suppress(OSError):
            try:
                await session.serve(receive)
            except ConnectionClosed as closed:
                close = {"type": "websocket.close", "code": closed.code, "reason": closed.reason}
                await send(close)
            finally:
                await session.stop()

    async def _session(self, connection: Connection, send: Send) -> "WebSocketSession":
        """Return the session of a connection. Raises `RequestError` and `Unauthenticated`.

        No credentials are required before the init.
        """
        if connection["path"] not in GRAPHQL_PATHS:
            raise RequestError(404, "Not found.", "NOT_FOUND")
        headers = parse_headers(connection["headers"])
        self._origins.check_host(headers)
        self._origins.cors_headers(headers)
        authorization = authorization_of(headers)
        if authorization is not None:
            await self.authenticator.authenticate(authorization, address_of(connection, headers))
        return WebSocketSession(self, connection, headers, send)


class WebSocketSession:
    """One connection and its operations."""

    def __init__(
        self, endpoint: WebSocketEndpoint, connection: Connection, headers: Headers, send: Send
    ) -> None:
        """Send messages to `send`; `headers` are those of the handshake."""
        self._endpoint = endpoint
        self._protocols = connection["subprotocols"]
        # The id of the handshake is not that of each operation.
        self._options = msgspec.structs.replace(request_options(headers), request_id=None)
        self._address = address_of(connection, headers)
        self._send = send
        self._authorization = authorization_of(headers)
        self._is_initialised = False
        self._activity: Activity = connection.get("extensions", {}).get(ACTIVITY) or Activity()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._subscriptions = ConnectionSubscriptions(
            endpoint.subscriptions, self._options, self._activity, self._send_message, self._close
        )
        self._ending: asyncio.Task[None] | None = None
        self._activity.on_shutdown = self._shut_down

    async def serve(self, receive: Receive) -> None:
        """Handle messages until the client disconnects. Raises `ConnectionClosed`."""
        if PROTOCOL not in self._protocols:
            await self._send({"type": "websocket.accept"})
            raise ConnectionClosed(4406, f"Subprotocol not acceptable: speak {PROTOCOL}")
        await self._send({"type": "websocket.accept", "subprotocol": PROTOCOL})
        init_deadline: float | None
        init_deadline = asyncio.get_running_loop().time() + self._endpoint.limits.init_timeout_s
        while True:
            try:
                async with asyncio.timeout_at(init_deadline):
                    message = await receive()
            except TimeoutError:
                raise ConnectionClosed(4408, "Connection initialisation timeout") from None
            if message["type"] == "websocket.disconnect":
                return
            await self._handle(self._read(message))
            if self._is_initialised:
                init_deadline = None
            # Nothing above suspends while messages are queued: let other tasks run.
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Cancel the reads of this connection; writes are completed without a response."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, self._subscriptions.stop(), return_exceptions=True)

    def _shut_down(self) -> None:
        """End the subscriptions, finish the operations in progress, and close the connection."""

        async def end() -> None:
            await self._subscriptions.shut_down()
            if self._running:
                await asyncio.wait(self._running.values())
            with contextlib.suppress(OSError):  # the client has disconnected
                await self._close(GOING_AWAY, "")

        if self._ending is None:
            self._ending = asyncio.create_task(end())

    def _read(self, message: Mapping[str, Any]) -> ClientMessage:
        text = message.get("text")
        if text is None:
            raise ConnectionClosed(4400, "Binary messages are not supported")
        if len(text) > self._endpoint.limits.message_bytes:
            raise ConnectionClosed(1009, "The message is too large (limits.message_bytes)")
        text = text.removeprefix("\ufeff")
        try:
            decoded = _decode(text)
            if may_repeat(text.encode(), _IN_QUOTES):
                _check_members(json.loads(text, object_pairs_hook=list), decoded.type)
        except RequestError as error:
            raise ConnectionClosed(4400, error.message) from error
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise ConnectionClosed(4400, _explained(error)) from error
        return decoded

    async def _handle(self, message: ClientMessage) -> None:
        match message.type:
            case "subscribe":
                await self._subscribe(message)
            case "complete":
                self._subscriptions.complete(_id_of(message))
                task = self._running.pop(_id_of(message), None)
                if task is not None:
                    task.cancel()
            case "ping":
                payload = {} if message.payload is UNSET else {"payload": message.payload}
                await self._send_message({"type": "pong", **payload})
            case "pong":
                pass
            case "connection_init":
                await self._initialise(message)
            case _:
                raise ConnectionClosed(4400, "The message has an unknown type")

    async def _initialise(self, message: ClientMessage) -> None:
        if self._is_initialised:
            raise ConnectionClosed(4429, "Too many initialisation requests")
        payload = {} if message.payload is UNSET else message.payload
        values = [payload.get(name) for name in ("authorization", "Authorization")]
        credentials = [each for each in values if each is not None] or [self._authorization]
        if not all(isinstance(each, str | None) for each in credentials):
            raise ConnectionClosed(4400, "The authorization is not a string")
        for self._authorization in credentials:
            await self._caller()
        self._is_initialised = True
        await self._send_message({"type": "connection_ack"})

    async def _caller(self) -> Caller:
        """Authenticate the caller, again for each operation, because credentials expire."""
        try:
            return await self._endpoint.authenticator.authenticate(
                self._authorization, self._address
            )
        except Unauthenticated as error:
            await self._subscriptions.refuse(error)
            raise ConnectionClosed(4403, "Forbidden") from None

    async def _subscribe(self, message: ClientMessage) -> None:
        if not self._is_initialised:
            raise ConnectionClosed(4401, "Unauthorized")
        name = _id_of(message)
        if message.payload is UNSET:
            raise ConnectionClosed(4400, "The message has no payload")
        try:
            request = msgspec.convert(message.payload, GraphQLRequest)
        except msgspec.ValidationError as error:
            raise ConnectionClosed(4400, _explained(error)) from error
        if request.query is None and not request.names_document:
            raise ConnectionClosed(4400, "The payload has neither a query nor a document id")
        if name in self._running or name in self._subscriptions:
            raise ConnectionClosed(4409, f"Subscriber for {name} already exists")
        caller = await self._caller()
        if self._endpoint.runner.is_subscription(request, caller):
            verify = verifier(self._endpoint.authenticator, self._authorization, self._address)
            await self._subscriptions.start(name, request, verify)
            return
        if self._ending is not None:
            await self._fail(name, STOPPING)
            return
        most = self._endpoint.limits.operations_per_connection
        if len(self._running) >= most:
            text = f"operations_per_connection is {most + 1}; at most {most} are allowed"
            text = f"{text} (limits.operations_per_connection)."
            await self._fail(name, RequestError(429, text, "LIMIT_EXCEEDED"))
            return
        most = self._endpoint.limits.concurrent_requests
        if self._endpoint.operations >= most:
            text = f"Too many WebSocket operations are in progress; at most {most} are allowed"
            text = f"{text} (limits.concurrent_requests)."
            await self._fail(name, RequestError(503, text, "LIMIT_EXCEEDED"))
            return
        self._endpoint.operations += 1
        self._activity.operations += 1
        self._activity.has_worked = True
        task = self._running[name] = asyncio.create_task(self._run(name, request, caller))
        task.add_done_callback(self._count_down)

    def _count_down(self, _: asyncio.Task[None]) -> None:
        self._endpoint.operations -= 1
        self._activity.operations -= 1

    async def _run(self, name: str, request: GraphQLRequest, caller: Caller) -> None:
        try:
            options = self._options.begin_trace(self._endpoint.runner.telemetry.traces)
            TRACED.set(options)  # of this operation's task
            response = await self._endpoint.runner.run(request, caller, options)
            if response.is_request_error:
                errors = response.body["errors"]
                await self._send_message({"id": name, "type": "error", "payload": errors})
            else:
                await self._send_message({"id": name, "type": "next", "payload": response.body})
                await self._send_message({"id": name, "type": "complete"})
        except OSError:
            pass  # the client has disconnected
        except Exception as error:  # noqa: BLE001  # every error must result in a response
            with contextlib.suppress(OSError):
                await self._fail(name, request_error(error))
        finally:
            if self._running.get(name) is asyncio.current_task():
                del self._running[name]

    async def _fail(self, name: str, error: RequestError) -> None:
        await self._send_message({"id": name, "type": "error", "payload": [graphql_error(error)]})

    async def _close(self, code: int, reason: str) -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def _send_message(self, message: Mapping[str, Any]) -> None:
        await self._send({"type": "websocket.send", "text": _encode(message).decode()})


def _id_of(message: ClientMessage) -> str:
    if message.id is UNSET or not message.id:
        raise ConnectionClosed(4400, "The message has no id")
    return message.id


def _check_members(members: Sequence[tuple[str, Any]], kind: str) -> None:
    """Refuse repeated members of a message or its payload, as `read_post` does."""
    check_names(members, MEMBERS)
    check_names(dict(members).get("payload", ()), PAYLOAD_MEMBERS.get(kind, ()))


def _explained(error: Exception) -> str:
    if isinstance(error, msgspec.ValidationError):
        return f"The message does not follow the protocol: {error}"
    return "The message is not JSON"


async def _deny(connection: Connection, send: Send, error: RequestError) -> None:
    """Refuse the handshake, with a body if the server supports it (otherwise with a bare 403)."""
    if "websocket.http.response" not in connection.get("extensions", {}):
        await send({"type": "websocket.close"})
        return

    async def send_response(message: Any) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    await send_error(send_response, error)
