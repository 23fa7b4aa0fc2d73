"""`/graphql` as plain ASGI: a request in, its answer out, and no work that it does not need.

Starlette's request, response and routing cost more than a small query; here they are for the rest.
"""

from collections.abc import Callable, Sequence
from http import HTTPStatus

import msgspec
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from gateway.event_stream import events
from gateway.freshness import VARY, cache_control
from gateway.graphql_http import (
    EVENTS,
    GRAPHQL,
    HTML,
    JSON,
    Asked,
    Header,
    Headers,
    RequestError,
    answer_type,
    asked_by_get,
    asked_by_post,
    check_content,
    headers_of,
    refuse,
    start,
)
from gateway.hangup import HungUp
from gateway.origins import PREFLIGHT, Origins, address_of, authorization_of
from gateway.running import Runner, refused
from gateway.sign_in.doorkeeper import Doorkeeper

METHODS = ((b"allow", b"GET, HEAD, POST"),)

_encode = msgspec.json.Encoder().encode


class Endpoint:
    """Answers GraphQL requests."""

    def __init__(
        self,
        runner: Runner,
        doorkeeper: Doorkeeper,
        origins: Origins,
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
            who = authorization_of(headers), address_of(connection, headers)
            caller = self._doorkeeper.known(*who) or await self._doorkeeper.caller(*who)
            if is_get:
                asked = asked_by_get(connection["query_string"])
            else:
                asked = await self._posted(headers, receive)
            reply = await self._runner.run(asked, caller, headers, receive, only_query=is_get)
        except HungUp:
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, the client gets an answer
            form = GRAPHQL if content_type == GRAPHQL else JSON
            await refuse(send, refused(error), form, (VARY, *opened))
            return
        body = _encode(reply.body)
        if content_type == EVENTS:
            body = events(body)
        is_bad = reply.is_request_error and content_type == GRAPHQL
        has_errors = not reply.may_be_kept or content_type == EVENTS
        more = (
            (b"cache-control", cache_control(reply.scope, has_errors=has_errors)),
            VARY,
            (b"x-request-id", reply.scope.request_id.encode()),
            *opened,
        )
        await send(start(400 if is_bad else 200, content_type, len(body), more))
        await send({"type": "http.response.body", "body": body})

    async def _preflight(self, connection: Connection, headers: Headers, send: Send) -> None:
        """Answer a browser that asks whether a page of another site may ask."""
        is_asked = (
            connection["method"] == "OPTIONS" and b"access-control-request-method" in headers
        )
        opened = self._origins.opened_to(headers) if is_asked else ()
        if not opened:
            raise RequestError(405, "There are GET, HEAD and POST.", headers=METHODS)
        await send(start(HTTPStatus.NO_CONTENT, JSON, 0, (*opened, *PREFLIGHT, VARY)))
        await send({"type": "http.response.body"})

    async def _posted(self, headers: Headers, receive: Receive) -> Asked:
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
            raise HungUp
        if len(body) > self._body_bytes:
            self._check_size(len(body))
        return asked_by_post(bytes(body))

    def _check_size(self, size: int) -> None:
        if size > self._body_bytes:
            text = f"body_bytes is {size} or more; at most {self._body_bytes} are allowed"
            raise RequestError(413, f"{text} (limits.body_bytes).", "LIMIT_EXCEEDED")
