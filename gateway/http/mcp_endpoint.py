"""`POST /mcp`: the tools, by the Model Context Protocol over streamable HTTP (the extra `mcp`).

Every request stands alone: there are no sessions and no streams, and responses are JSON. Who may
send one, and how large and how often, is decided as for `/graphql`; the SDK has the protocol.
"""

import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import INVALID_REQUEST
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from gateway import __version__
from gateway.auth.authenticator import Authenticator
from gateway.http.cors import OriginPolicy, address_of, authorization_of
from gateway.http.disconnect import ClientDisconnected
from gateway.http.graphql_over_http import (
    JSON,
    NO_STORE,
    Headers,
    RequestError,
    common_headers,
    given_request_id,
    graphql_error,
    new_request_id,
    parse_headers,
    start,
)
from gateway.http.mcp_tools import CALL, McpCall, McpTools
from gateway.http.operation_runner import OperationRunner, request_error
from gateway.http.request_body import read_body
from gateway.http.request_options import request_options
from gateway.http.tool_catalog import Tool
from gateway.observability.trace_context import TRACED

METHODS = ((b"allow", b"POST"),)
INSTRUCTIONS = """\
Customer segments of several providers. Ids are opaque: take them from results, never make them up.
A list has `pageInfo`: while `hasNextPage` is true, pass `endCursor` as `after` for the next page.
A provider that fails is named in `sources` or `errors`; the rest of the result is complete."""


class McpEndpoint:
    """Serve the tools."""

    def __init__(  # noqa: PLR0913, PLR0917  # composed in one place
        self,
        runner: OperationRunner,
        authenticator: Authenticator,
        origins: OriginPolicy,
        tools: Mapping[str, Tool],
        body_bytes: int,
        result_bytes: int,
    ) -> None:
        """Serve them to authenticated callers: requests and results up to these sizes."""
        self._runner = runner
        self._authenticator = authenticator
        self._origins = origins
        self.body_bytes = body_bytes
        shown = McpTools(runner, tools, result_bytes)
        server = Server(
            "segment-gateway",
            version=__version__,
            instructions=INSTRUCTIONS,
            get_tool_input_schema=shown.input_schema,
            on_list_tools=shown.list,
            on_call_tool=shown.call,
        )
        self._sessions = StreamableHTTPSessionManager(
            server, json_response=True, stateless=True, max_request_body_size=sys.maxsize
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while this is open; once."""
        async with self._sessions.run():
            yield

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request_id: str | None = None
        try:
            headers = parse_headers(connection["headers"])
            request_id = given_request_id(headers) or new_request_id()
            self._check(connection, headers)
            options = msgspec.structs.replace(request_options(headers), request_id=request_id)
            TRACED.set(options)  # of this task, which serves no other
            authorization, address = authorization_of(headers), address_of(connection, headers)
            caller = await self._authenticator.authenticate(authorization, address)
            body = await read_body(headers, receive, self.body_bytes)
            await self._runner.count(caller)
            _check_message(body)
        except ClientDisconnected:
            return
        except Exception as error:  # noqa: BLE001  # every error must result in a response
            await _refuse(send, request_error(error), request_id)
            return
        call = McpCall(caller, options, receive)
        app: ASGIApp = self._sessions.handle_request
        await app({**connection, CALL: call}, _received(body), _sending(send, request_id))

    def _check(self, connection: Connection, headers: Headers) -> None:
        """Raise `RequestError` for a page of another origin, and for other methods than POST."""
        self._origins.cors_headers(headers)
        if connection["method"] != "POST":
            raise RequestError(405, "Use POST.", headers=METHODS)


class _Message(msgspec.Struct):
    """A request or a notification of JSON-RPC 2.0."""

    jsonrpc: Literal["2.0"]
    method: str
    id: str | int | None = None
    params: dict[str, Any] | None = None


def _check_message(body: bytes) -> None:
    """Raise `RequestError` for what is not JSON, as at `/graphql`, or no message.

    That includes a name that an object has twice: programs disagree on which of the two counts.

    Python's own parser, which the SDK uses, accepts NaN, and texts that cannot be encoded. What
    the SDK says of another message are the words of a library, with its version.
    """
    try:
        message = msgspec.json.decode(body)
        json.loads(body, object_pairs_hook=_check_names)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RequestError(400, "The request is not JSON.") from error
    try:
        msgspec.convert(message, _Message)
    except msgspec.ValidationError as error:
        text = f"This is not a request of JSON-RPC 2.0: {error}."
        raise RequestError(400, text) from error


def _check_names(members: Sequence[tuple[str, Any]]) -> None:
    if len(dict(members)) < len(members):
        raise RequestError(400, "An object in the request has the same name twice.")


def _received(body: bytes) -> Receive:
    """Return a `receive` for a body that has been read; only the operation watches the client."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _sending(send: Send, request_id: str) -> Send:
    """Return a `send` that adds the headers of all responses of this gateway."""

    async def send_named(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = (NO_STORE, (b"x-request-id", request_id.encode()))
            message = {**message, "headers": [*message["headers"], *own]}
        await send(message)

    return send_named


async def _refuse(send: Send, error: RequestError, request_id: str | None) -> None:
    """Send a refusal as an error of JSON-RPC, whose `data` has the gateway's code."""
    shown = graphql_error(error, request_id)
    data = shown["extensions"]
    refusal = {"code": INVALID_REQUEST, "message": shown["message"], "data": data}
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": None, "error": refusal})
    own = (NO_STORE, (b"x-request-id", data["requestId"].encode()), *error.headers)
    await send(start(error.status, common_headers(JSON, own), len(body)))
    await send({"type": "http.response.body", "body": body})
