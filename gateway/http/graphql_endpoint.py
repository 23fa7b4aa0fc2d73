"""`/graphql` as plain ASGI.

Starlette's request, response and routing take more time than a small query.
"""

import time
from collections.abc import Callable, Coroutine, Sequence
from functools import lru_cache, partial
from http import HTTPStatus
from random import random
from typing import Any

import msgspec
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from gateway.auth.authenticator import Authenticator
from gateway.auth.permissions import VerifiedCaller
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
    Header,
    Headers,
    RequestError,
    check_content,
    common_headers,
    error_response,
    given_request_id,
    lines,
    parse_headers,
    read_get,
    read_post,
    response_type,
    send_error,
    start,
)
from gateway.http.operation_runner import GraphQLResponse, OperationRunner, request_error
from gateway.http.request_body import read_body
from gateway.http.request_options import RequestOptions, request_options
from gateway.http.server.repeated_heads import FastPathHandler, HeadHandler, RawResponse
from gateway.http.sse import events
from gateway.http.sse_subscription import SseSubscriptions
from gateway.http.subscriptions import Subscriptions, verifier
from gateway.observability.metrics import Metrics
from gateway.observability.trace_context import TRACED

METHODS = ((b"allow", b"GET, HEAD, POST"),)

OWN = (b"cache-control", b"x-request-id", b"content-length")
"""The headers whose values each response has of its own."""
OWN_LINES = lines([(name, b"%b") for name in OWN])
GZIP_LINE = lines([CONTENT_ENCODING])

_encode = msgspec.json.Encoder().encode


class _Head:
    """The head of a request, or what similar heads have in common, read once."""

    __slots__ = (
        *("accepts_gzip", "content_type", "cors", "credentials", "lines", "options"),
        "verified",
    )

    def __init__(
        self,
        connection: Connection,
        headers: Headers,
        content_type: str,
        cors: Sequence[Header],
    ) -> None:
        self.content_type = content_type
        self.cors = cors
        self.lines = _common_header_lines(content_type, cors)
        """The headers of all responses to such heads."""
        self.credentials = authorization_of(headers), address_of(connection, headers)
        self.options = request_options(headers)
        self.accepts_gzip = content_type != EVENTS and accepts_gzip(headers)
        self.verified: VerifiedCaller | None = None
        """The caller, with the time until which the credentials are valid."""


class GraphQLEndpoint:
    """Serve GraphQL over HTTP."""

    def __init__(  # noqa: PLR0913, PLR0917  # composed in one place
        self,
        runner: OperationRunner,
        subscriptions: Subscriptions,
        authenticator: Authenticator,
        origins: OriginPolicy,
        body_bytes: int,
        page: Callable[[], ASGIApp],
        metrics: Metrics | None = None,
    ) -> None:
        """Serve GraphQL requests from authenticated callers, with bodies up to `body_bytes`.

        Browsers that navigate here get the `page`. Requests on the fast path are counted here.
        """
        self._metrics = metrics
        self._telemetry = runner.telemetry
        self._traces = runner.telemetry.traces
        self._runner = runner
        self._sse = SseSubscriptions(subscriptions)
        self._authenticator = authenticator
        self._origins = origins
        self.body_bytes = body_bytes
        self._page = page

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        """Serve one request."""
        content_type = JSON
        cors: Sequence[Header] = ()
        request_id: str | None = None
        try:
            headers = parse_headers(connection["headers"])
            request_id = given_request_id(headers)
            self._origins.check_host(headers)
            is_get = connection["method"] in {"GET", "HEAD"}
            if not is_get and connection["method"] != "POST":
                await self._preflight(connection, headers, send)
                return
            content_type = response_type(headers.get(b"accept"), with_page=is_get)
            if content_type == HTML:
                await self._page()(connection, receive, send)
                return
            cors = self._origins.cors_headers(headers)
            head = _Head(connection, headers, content_type, cors)
            TRACED.set(head.options)  # of this task, which serves no other
            verified = self._authenticator.authenticate_now(*head.credentials)
            caller = (
                verified.caller
                if verified
                else await self._authenticator.authenticate(*head.credentials)
            )
            if is_get:
                request = read_get(connection["query_string"])
            else:
                body = await read_body(headers, receive, self.body_bytes)
                request = read_post(body)
            if content_type == EVENTS and self._runner.is_subscription(request, caller):
                verify = verifier(self._authenticator, *head.credentials)
                await self._sse.serve(
                    connection, receive, send, request, headers, verify, (VARY, *cors)
                )
                return
            head.options = head.options.begin_trace(self._traces)
            TRACED.set(head.options)
            running = self._runner.begin(request, caller, head.options, receive, only_query=is_get)
            response = running if isinstance(running, GraphQLResponse) else await running
            self._runner.ended(response.scope, response.codes)
        except ClientDisconnected:
            return
        except Exception as error:  # noqa: BLE001  # every error must result in a response
            more = (VARY, *cors)
            shown = request_error(error)
            await send_error(send, shown, _error_type(content_type), more, request_id)
            return
        body = _encode(response.body)
        if content_type == EVENTS:
            body = events(body)
        is_gzip = _is_compressed(head, response, body)
        if is_gzip:
            body = await compressed_aside(body)
        own = zip(OWN, _own_values(response, content_type, len(body)), strict=True)
        encoding = (CONTENT_ENCODING,) if is_gzip else ()
        response_headers = common_headers(content_type, (VARY, *cors, *own, *encoding))
        status = _status(response, content_type)
        await send({"type": "http.response.start", "status": status, "headers": response_headers})
        await send({"type": "http.response.body", "body": body})

    def fast_path_handler(self, connection: Connection) -> HeadHandler | None:
        """Return a handler for POSTs with heads similar to this; None: use the normal ASGI path.

        The normal path serves every request whose head is refused or states no body length.
        """
        try:
            headers = parse_headers(connection["headers"])
            if b"transfer-encoding" in headers:
                return None
            self._origins.check_host(headers)
            content_type = response_type(headers.get(b"accept"), with_page=False)
            cors = self._origins.cors_headers(headers)
            check_content(headers)
        except RequestError:
            return None
        if content_type == EVENTS:  # it may be a subscription
            return None
        return partial(self._handler, _Head(connection, headers, content_type, cors))

    def _handler(self, head: _Head, own: Sequence[Header]) -> FastPathHandler | None:
        """Return a handler for the heads that consist of this and the request's own headers."""
        try:
            headers = parse_headers(own)
        except RequestError:
            return None
        if not 0 < int(headers.get(b"content-length", b"0")) <= self.body_bytes:
            return None
        options = head.options.of_request(headers)
        if options.traceparent is None:
            respond = self._respond if self._traces is None else self._respond_sampled
        else:
            respond = self._respond_in_trace if self._traces is None else self._respond_traced
        return partial(respond, head, options)

    def _respond_sampled(
        self, head: _Head, options: RequestOptions, body: bytes
    ) -> RawResponse | Coroutine[Any, Any, RawResponse]:
        """Respond to a request that no sender has in a trace: a share of these begin one."""
        if self._traces is None or random() >= self._traces.share:  # noqa: S311  # no secret
            return self._respond(head, options, body)
        return self._respond_in_trace(head, options.in_trace(self._traces.begin_here()), body)

    def _respond_traced(
        self, head: _Head, options: RequestOptions, body: bytes
    ) -> RawResponse | Coroutine[Any, Any, RawResponse]:
        """Respond to a request with a context; if that is not valid, it may begin a trace."""
        return self._respond_in_trace(head, options.begin_trace(self._traces), body)

    def _respond_in_trace(
        self, head: _Head, options: RequestOptions, body: bytes
    ) -> RawResponse | Coroutine[Any, Any, RawResponse]:
        """Respond; the log names the trace. Other requests are served in the same context."""
        token = TRACED.set(options)
        try:
            return self._respond(head, options, body)
        finally:
            TRACED.reset(token)

    def _respond(
        self, head: _Head, options: RequestOptions, body: bytes
    ) -> RawResponse | Coroutine[Any, Any, RawResponse]:
        try:
            verified = head.verified
            if verified is None or verified.until <= time.time():
                verified = head.verified = self._authenticator.authenticate_now(*head.credentials)
            if verified is None:
                begun = self._authenticate_and_begin(head, options, body)
                return self._respond_later(head, options, begun)
            running = self._runner.begin(read_post(body), verified.caller, options)
            if not isinstance(running, GraphQLResponse):
                return self._respond_later(head, options, running)
            return self._raw_response(head, options, running)
        except Exception as error:  # noqa: BLE001  # as above
            return self._raw_error(head, options, error)

    def _raw_response(
        self, head: _Head, options: RequestOptions, response: GraphQLResponse
    ) -> RawResponse | Coroutine[Any, Any, RawResponse]:
        body = _encode(response.body)
        is_gzip = _is_compressed(head, response, body)
        if is_gzip:
            if len(body) >= LARGE:
                return self._compress_later(head, options, response, body)
            body = compressed(body)
        return self._with_body(head, response, body, is_gzip=is_gzip)

    async def _compress_later(
        self, head: _Head, options: RequestOptions, response: GraphQLResponse, body: bytes
    ) -> RawResponse:
        TRACED.set(options)  # of this task, which serves no other
        return self._with_body(head, response, await compressed_aside(body), is_gzip=True)

    def _with_body(
        self, head: _Head, response: GraphQLResponse, body: bytes, *, is_gzip: bool
    ) -> RawResponse:
        status = _status(response, head.content_type)
        common = head.lines + GZIP_LINE if is_gzip else head.lines
        own = OWN_LINES % _own_values(response, head.content_type, len(body))
        if self._metrics is not None:
            self._metrics.post_ended(response.scope, response.codes, status)
        if self._telemetry.is_on or response.scope.trace is not None:
            self._telemetry.operation_ended(response.scope, response.codes)
        return RawResponse(status, common + own, body)

    def _raw_error(self, head: _Head, options: RequestOptions, error: Exception) -> RawResponse:
        more = (VARY, *head.cors)
        start, body = error_response(
            request_error(error), _error_type(head.content_type), more, options.request_id
        )
        status: int = start["status"]
        if self._metrics is not None:  # the time is not known, and next to nothing
            self._metrics.request_ended("POST", "/graphql", status, 0.0)
        return RawResponse(status, lines(start["headers"]), body)

    async def _respond_later(
        self,
        head: _Head,
        options: RequestOptions,
        running: Coroutine[Any, Any, GraphQLResponse],
    ) -> RawResponse:
        TRACED.set(options)  # of this task, which serves no other
        try:
            response = self._raw_response(head, options, await running)
            return response if isinstance(response, RawResponse) else await response
        except Exception as error:  # noqa: BLE001  # as above
            return self._raw_error(head, options, error)

    async def _authenticate_and_begin(
        self, head: _Head, options: RequestOptions, body: bytes
    ) -> GraphQLResponse:
        caller = await self._authenticator.authenticate(*head.credentials)
        begun = self._runner.begin(read_post(body), caller, options)
        return begun if isinstance(begun, GraphQLResponse) else await begun

    async def _preflight(self, connection: Connection, headers: Headers, send: Send) -> None:
        """Serve a CORS preflight request; refuse any other method."""
        is_preflight = (
            connection["method"] == "OPTIONS" and b"access-control-request-method" in headers
        )
        cors = self._origins.cors_headers(headers) if is_preflight else ()
        if not cors:
            raise RequestError(405, "Use GET, HEAD or POST.", headers=METHODS)
        response_headers = common_headers(JSON, (*cors, *self._origins.preflight, VARY))
        await send(start(HTTPStatus.NO_CONTENT, response_headers, 0))
        await send({"type": "http.response.body"})


def _error_type(content_type: str) -> str:
    """Return the media type of an error response, where responses would have this one."""
    return GRAPHQL if content_type == GRAPHQL else JSON


def _is_compressed(head: _Head, response: GraphQLResponse, body: bytes) -> bool:
    """Return whether to compress a response: not one with errors, nor that of a mutation.

    Those contain the caller's input together with confidential data (BREACH).
    """
    return head.accepts_gzip and len(body) >= SMALLEST and response.is_cacheable


def _status(response: GraphQLResponse, content_type: str) -> int:
    return 400 if response.is_request_error and content_type == GRAPHQL else 200


def _own_values(
    response: GraphQLResponse, content_type: str, length: int
) -> tuple[bytes, bytes, bytes]:
    """Return the values of the headers `OWN`, for a body of this length."""
    has_errors = not response.is_cacheable or content_type == EVENTS
    scope = response.scope
    control = cache_control(scope, has_errors=has_errors)
    return control, scope.request_id.encode(), b"%d" % length


@lru_cache(maxsize=128)
def _common_header_lines(content_type: str, cors: Sequence[Header]) -> bytes:
    return lines(common_headers(content_type, (VARY, *cors)))
