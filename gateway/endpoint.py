"""`/graphql` as plain ASGI: a request in, its answer out, and no work that it does not need.

Starlette's request, response and routing cost more than a small query; here they are for the rest.
"""

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from inspect import iscoroutine
from typing import Any, Protocol

import msgspec
from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from gateway import graphql_http
from gateway.access import Caller
from gateway.context import Provider, RequestContext, Scope, languages_of, open_context
from gateway.errors import Unauthenticated
from gateway.freshness import cache_headers
from gateway.graphql_http import GRAPHQL, HTML, JSON, Asked, RequestError
from gateway.hangup import HungUp, Unbroken, listened
from gateway.sign_in.doorkeeper import Doorkeeper
from gateway.store.record import Record

SHOW_CALLS = b"x-show-calls"
"""A request header: with `1` the answer lists the upstream calls that it took."""

CLIENT_CLOSED = 499
"""What proxies log for a client that hung up (nginx); nobody reads it."""

Headers = Mapping[bytes, bytes]

_encode = msgspec.json.Encoder().encode
_accepted = lru_cache(maxsize=128)(graphql_http.answer_type)


class Runs(Protocol):
    """What runs operations: of the schema the shell knows nothing else."""

    def document(self, text: str) -> Any:
        """Return a document, parsed and validated."""

    def begin(
        self,
        document: Any,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> Any:
        """Run an operation of it: return its answer, or a coroutine where it has to wait."""


class Endpoint:
    """Answers GraphQL requests over what the server has open."""

    def __init__(
        self,
        operations: Runs,
        doorkeeper: Doorkeeper,
        timeout_s: float,
        page: Callable[[], ASGIApp],
    ) -> None:
        """Run operations for whom the doorkeeper knows, each so long at most.

        Browsers are shown the page.
        """
        self._doorkeeper = doorkeeper
        self.providers: Mapping[str, Provider] = {}
        self.record: Record | None = None
        self._operations = operations
        self._timeout_s = timeout_s
        self._page = page
        self._writes = Unbroken()
        # Unique among processes by its first part, and within one by its second.
        self._process = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers: Headers = dict(reversed(connection["headers"]))
        is_get = connection["method"] in {"GET", "HEAD"}
        content_type = JSON
        more: Sequence[tuple[bytes, bytes]] = ()
        try:
            accept = headers.get(b"accept")
            content_type = _accepted(accept and accept.decode("latin-1"), with_page=is_get)
            if content_type == HTML:
                await self._page()(connection, receive, send)
                return
            if is_get:
                asked = graphql_http.asked_by_get(QueryParams(connection["query_string"]))
            else:
                asked = await self._posted(headers, receive)
            caller = await self._caller(connection, headers)
            status, more, body = await self._answer(
                asked, caller, headers, receive, content_type, only_query=is_get
            )
        except HungUp:
            status, body = CLIENT_CLOSED, b""
        except RequestError as error:
            status, body = error.status, _refusal(error)
            content_type = JSON if content_type == HTML else content_type
            if status == HTTPStatus.METHOD_NOT_ALLOWED:
                more = ((b"allow", b"POST"),)
        start: Message = {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-length", b"%d" % len(body)),
                (b"content-type", content_type.encode()),
                *more,
            ],
        }
        await send(start)
        await send({"type": "http.response.body", "body": body})

    async def close(self) -> None:
        """Wait for the writes whose clients are gone."""
        await self._writes.close()

    async def _caller(self, connection: Connection, headers: Headers) -> Caller:
        authorization = headers.get(b"authorization")
        address = connection["client"][0] if connection.get("client") else None
        try:
            return await self._doorkeeper.caller(
                None if authorization is None else authorization.decode("latin-1"), address
            )
        except Unauthenticated as error:
            raise RequestError(401, str(error), "UNAUTHENTICATED") from error

    async def _posted(self, headers: Headers, receive: Receive) -> Asked:
        graphql_http.check_content_type(headers.get(b"content-type", b"").decode("latin-1"))
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise HungUp
            body += message.get("body", b"")
            if len(body) > graphql_http.LARGEST_REQUEST:
                raise RequestError(
                    413, f"The request is larger than {graphql_http.LARGEST_REQUEST} bytes."
                )
            more = message.get("more_body", False)
        return graphql_http.asked_by_post(body)

    async def _answer(  # noqa: PLR0913  # parts of one request
        self,
        asked: Asked,
        caller: Caller,
        headers: Headers,
        receive: Receive,
        content_type: str,
        *,
        only_query: bool,
    ) -> tuple[int, Sequence[tuple[bytes, bytes]], bytes]:
        document = self._operations.document(asked.query)
        is_query = document.is_query(asked.operation_name)
        if only_query and not is_query:
            raise RequestError(405, "GET is for queries; send a mutation by POST.")
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        scope = Scope(f"{self._process}{next(self._numbers):016x}", deadline, caller)
        languages = headers.get(b"accept-language")
        context = open_context(
            self.providers,
            scope,
            languages_of(languages.decode("latin-1")) if languages else (),
            datetime.now(UTC),
            self.record,
        )
        answer = self._operations.begin(document, asked.variables, asked.operation_name, context)
        if iscoroutine(answer):
            answer = await (
                self._listening(answer, receive, scope)
                if is_query
                else self._writes.run(answer, scope)
            )
        body = answer.body
        has_errors = "errors" in body or not is_query
        if headers.get(SHOW_CALLS) == b"1":
            body = {**body, "extensions": {"upstreamCalls": _calls(scope)}}
        is_bad = answer.is_request_error and content_type == GRAPHQL
        more = [(b"x-request-id", scope.request_id.encode())]
        for name, value in cache_headers(scope, has_errors=has_errors).items():
            more.append((name.encode(), value.encode()))
        return (400 if is_bad else 200), more, _encode(body)

    async def _listening(self, answer: Awaitable[Any], receive: Receive, scope: Scope) -> Any:
        async with listened(receive, scope):
            return await answer


def _calls(scope: Scope) -> list[dict[str, Any]]:
    return [
        {
            "provider": call.provider,
            "operation": call.operation,
            "status": call.status,
            "durationMs": round(call.duration_ms, 1),
        }
        for call in scope.calls
    ]


def _refusal(error: RequestError) -> bytes:
    told = {"message": error.message, "extensions": {"code": error.code}}
    return _encode({"errors": [told]})
