"""`/graphql` as plain ASGI: a request in, its answer out, and no work that it does not need.

Starlette's request, response and routing cost more than a small query; here they are for the rest.
"""

import time
from collections.abc import Callable, Coroutine, Sequence
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from gateway.auth.authenticator import Authenticator
from gateway.auth.permissions import SignedIn
from gateway.http.cache_control import VARY, cache_control
from gateway.http.compression import (
    CONTENT_ENCODING,
    LARGE,
    SMALLEST,
    accepts_gzip,
    compressed,
    compressed_aside,
)
from gateway.http.cors import OriginPolicy, address_of, authorization_of
from gateway.http.disconnect import ClientDisconnected
from gateway.http.graphql_over_http import (
    EVENTS,
    GRAPHQL,
    HTML,
    JSON,
    GraphQLRequest,
    Header,
    Headers,
    RequestError,
    answer_type,
    check_content,
    headers_of,
    lasting,
    lines,
    read_get,
    read_post,
    refuse,
    refused_as_whole,
    start,
)
from gateway.http.operation_runner import (
    GraphQLResponse,
    OperationRunner,
    refused,
    request_options,
)
from gateway.http.server.repeated_heads import FastPathHandler, RawResponse
from gateway.http.sse import events

METHODS = ((b"allow", b"GET, HEAD, POST"),)

_encode = msgspec.json.Encoder().encode


class _Head:
    """What the head of a request says, read once."""

    __slots__ = ("accepts_gzip", "content_type", "known", "opened", "who", "wishes")

    def __init__(
        self,
        connection: Connection,
        headers: Headers,
        content_type: str,
        opened: Sequence[Header],
    ) -> None:
        self.content_type = content_type
        self.opened = opened
        self.who = authorization_of(headers), address_of(connection, headers)
        self.wishes = request_options(headers)
        self.accepts_gzip = content_type != EVENTS and accepts_gzip(headers)
        self.known: SignedIn | None = None
        """Who sent it, while that is sure."""


class GraphQLEndpoint:
    """Answers GraphQL requests."""

    def __init__(
        self,
        runner: OperationRunner,
        doorkeeper: Authenticator,
        origins: OriginPolicy,
        body_bytes: int,
        page: Callable[[], ASGIApp],
    ) -> None:
        """Run operations for whom the doorkeeper knows, asked in so many bytes at most.

        Browsers are shown the page.
        """
        self._runner = runner
        self._doorkeeper = doorkeeper
        self._origins = origins
        self._body_bytes = body_bytes
        self._page = page

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        """Answer one request."""
        content_type = JSON
        opened: Sequence[Header] = ()
        try:
            headers = headers_of(connection["headers"])
            self._origins.check_host(headers)
            is_get = connection["method"] in {"GET", "HEAD"}
            if not is_get and connection["method"] != "POST":
                await self._preflight(connection, headers, send)
                return
            content_type = answer_type(headers.get(b"accept"), with_page=is_get)
            if content_type == HTML:
                await self._page()(connection, receive, send)
                return
            opened = self._origins.opened_to(headers)
            head = _Head(connection, headers, content_type, opened)
            known = self._doorkeeper.known(*head.who)
            caller = known.caller if known else await self._doorkeeper.caller(*head.who)
            if is_get:
                asked = read_get(connection["query_string"])
            else:
                asked = await self._posted(headers, receive)
            begun = self._runner.begin(asked, caller, head.wishes, receive, only_query=is_get)
            reply = begun if isinstance(begun, GraphQLResponse) else await begun
        except ClientDisconnected:
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, the client gets an answer
            await refuse(send, refused(error), _form(content_type), (VARY, *opened))
            return
        body = _body(reply, content_type)
        is_gzip = _is_compressed(head, reply, body)
        if is_gzip:
            body = await compressed_aside(body)
        status, more = _told(reply, content_type, len(body), is_gzip=is_gzip)
        told = [*lasting(content_type, (VARY, *opened)), *more]
        await send({"type": "http.response.start", "status": status, "headers": told})
        await send({"type": "http.response.body", "body": body})

    def again(self, connection: Connection) -> FastPathHandler | None:
        """Return what answers POSTs with this head, past ASGI; None: call this as ever.

        That is so for each head that is refused, or whose body has no known length.
        """
        try:
            headers = headers_of(connection["headers"])
            length = int(headers.get(b"content-length", b"0"))
            if not 0 < length <= self._body_bytes or b"transfer-encoding" in headers:
                return None
            self._origins.check_host(headers)
            content_type = answer_type(headers.get(b"accept"), with_page=False)
            opened = self._origins.opened_to(headers)
            check_content(headers)
        except RequestError:
            return None
        return partial(self._answer, _Head(connection, headers, content_type, opened))

    def _answer(self, head: _Head, body: bytes) -> RawResponse | Coroutine[Any, Any, RawResponse]:
        try:
            known = head.known
            if known is None or known.until <= time.time():
                known = head.known = self._doorkeeper.known(*head.who)
            if known is None:
                return _waited(head, self._signed_in(head, body))
            begun = self._runner.begin(read_post(body), known.caller, head.wishes)
            return (
                _on_the_wire(head, begun)
                if isinstance(begun, GraphQLResponse)
                else _waited(head, begun)
            )
        except Exception as error:  # noqa: BLE001  # as above
            return _refusal(head, error)

    async def _signed_in(self, head: _Head, body: bytes) -> GraphQLResponse:
        caller = await self._doorkeeper.caller(*head.who)
        return await self._runner.run(read_post(body), caller, head.wishes)

    async def _preflight(self, connection: Connection, headers: Headers, send: Send) -> None:
        """Answer a browser that asks whether a page of another site may ask."""
        is_asked = (
            connection["method"] == "OPTIONS" and b"access-control-request-method" in headers
        )
        opened = self._origins.opened_to(headers) if is_asked else ()
        if not opened:
            raise RequestError(405, "There are GET, HEAD and POST.", headers=METHODS)
        told = lasting(JSON, (*opened, *self._origins.preflight, VARY))
        await send(start(HTTPStatus.NO_CONTENT, told, 0))
        await send({"type": "http.response.body"})

    async def _posted(self, headers: Headers, receive: Receive) -> GraphQLRequest:
        check_content(headers)
        message = await receive()
        body: bytes | bytearray = message.get("body", b"")
        if message.get("more_body", False):
            self._check_size(int(headers.get(b"content-length", b"0")))
            body = bytearray(body)
            while message.get("more_body", False):
                self._check_size(len(body))
                message = await receive()
                body += message.get("body", b"")
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        if len(body) > self._body_bytes:
            self._check_size(len(body))
        return read_post(bytes(body))

    def _check_size(self, size: int) -> None:
        if size > self._body_bytes:
            text = f"body_bytes is {size} or more; at most {self._body_bytes} are allowed"
            raise RequestError(413, f"{text} (limits.body_bytes).", "LIMIT_EXCEEDED")


def _form(content_type: str) -> str:
    """Return the media type of a refusal, where answers would have this one."""
    return GRAPHQL if content_type == GRAPHQL else JSON


def _body(reply: GraphQLResponse, content_type: str) -> bytes:
    body = _encode(reply.body)
    return events(body) if content_type == EVENTS else body


def _is_compressed(head: _Head, reply: GraphQLResponse, body: bytes) -> bool:
    """Tell whether an answer is compressed: not one with errors or of a mutation.

    Those repeat what the caller sent, beside what only the caller may see.
    """
    return head.accepts_gzip and len(body) >= SMALLEST and reply.may_be_kept


def _told(
    reply: GraphQLResponse, content_type: str, length: int, *, is_gzip: bool
) -> tuple[int, Sequence[Header]]:
    """Return the status of an answer, and the headers that are its own."""
    is_bad = reply.is_request_error and content_type == GRAPHQL
    has_errors = not reply.may_be_kept or content_type == EVENTS
    more = (
        (b"cache-control", cache_control(reply.scope, has_errors=has_errors)),
        (b"x-request-id", reply.scope.request_id.encode()),
        (b"content-length", b"%d" % length),
    )
    return 400 if is_bad else 200, (*more, CONTENT_ENCODING) if is_gzip else more


def _on_the_wire(
    head: _Head, reply: GraphQLResponse
) -> RawResponse | Coroutine[Any, Any, RawResponse]:
    body = _body(reply, head.content_type)
    is_gzip = _is_compressed(head, reply, body)
    if is_gzip and len(body) >= LARGE:
        return _compressed_later(head, reply, body)
    return _answer_of(head, reply, compressed(body) if is_gzip else body, is_gzip=is_gzip)


async def _compressed_later(head: _Head, reply: GraphQLResponse, body: bytes) -> RawResponse:
    return _answer_of(head, reply, await compressed_aside(body), is_gzip=True)


def _answer_of(head: _Head, reply: GraphQLResponse, body: bytes, *, is_gzip: bool) -> RawResponse:
    status, more = _told(reply, head.content_type, len(body), is_gzip=is_gzip)
    return RawResponse(status, _lasting(head.content_type, head.opened) + lines(more), body)


@lru_cache(maxsize=128)
def _lasting(content_type: str, opened: Sequence[Header]) -> bytes:
    return lines(lasting(content_type, (VARY, *opened)))


def _refusal(head: _Head, error: Exception) -> RawResponse:
    more = (VARY, *head.opened)
    begun, body = refused_as_whole(refused(error), _form(head.content_type), more)
    return RawResponse(begun["status"], lines(begun["headers"]), body)


async def _waited(head: _Head, reply: Coroutine[Any, Any, GraphQLResponse]) -> RawResponse:
    try:
        answer = _on_the_wire(head, await reply)
        return answer if isinstance(answer, RawResponse) else await answer
    except Exception as error:  # noqa: BLE001  # as above
        return _refusal(head, error)
