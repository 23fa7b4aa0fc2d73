"""Subscriptions over server-sent events: each is the response to one request."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import msgspec
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from gateway.errors import Lagged, ShuttingDown
from gateway.http.graphql_over_http import (
    EVENTS,
    NO_STORE,
    GraphQLRequest,
    Header,
    Headers,
    common_headers,
    new_request_id,
)
from gateway.http.operation_runner import GraphQLResponse
from gateway.http.request_options import request_options
from gateway.http.server.held_responses import HOLD, HeldResponse
from gateway.http.sse import COMPLETE, comment, next_event
from gateway.http.subscriptions import Subscription, Subscriptions, Verify

COMMENT_S: Final = 12.0
"""How often an idle client gets a comment: proxies close connections that are silent."""

_encode = msgspec.json.Encoder().encode


class SseSubscriptions:
    """Serve subscriptions over server-sent events."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        """Serve them within the limits of this process."""
        self._subscriptions = subscriptions

    async def serve(  # noqa: PLR0913, PLR0917  # an ASGI call, and what was read of it
        self,
        connection: Connection,
        receive: Receive,
        send: Send,
        request: GraphQLRequest,
        headers: Headers,
        verify: Verify,
        more: Sequence[Header],
    ) -> None:
        """Respond to a request whose body has been read."""
        last_event_id = headers.get(b"last-event-id", b"").decode("latin-1") or None
        options = request_options(headers)
        request_id = options.request_id or new_request_id()
        opened: Subscription | GraphQLResponse | None = None
        errors: Any = ()
        try:
            opened = await self._subscriptions.open(
                request,
                verify,
                msgspec.structs.replace(options, request_id=request_id),
                last_event_id,
            )
        except Exception as error:  # noqa: BLE001  # every error must result in a response
            errors = [self._subscriptions.refusal(error)]
        own = (
            NO_STORE,
            # When the server stops it ends the stream and closes the connection. A proxy must know
            # that beforehand, or it sends the next request into a connection that is closing.
            (b"connection", b"close"),
            (b"x-accel-buffering", b"no"),
            (b"x-request-id", request_id.encode()),
        )
        start = {"status": 200, "headers": common_headers(EVENTS, (*own, *more))}
        with contextlib.suppress(OSError):  # the client has disconnected
            await send({"type": "http.response.start", **start})
            if isinstance(opened, GraphQLResponse):
                errors = opened.body["errors"]
            elif opened is not None:
                try:
                    errors = await self._follow(opened, connection, receive, send)
                finally:
                    opened.close()
            last = next_event(_encode({"errors": errors})) + COMPLETE if errors else b""
            await send({"type": "http.response.body", "body": last})

    async def _follow(
        self, subscription: Subscription, connection: Connection, receive: Receive, send: Send
    ) -> Sequence[Mapping[str, Any]]:
        """Send events until the subscription ends; return its errors, none for a client's end."""
        following = asyncio.current_task()
        if following is None:
            raise RuntimeError("a subscription needs a task")

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            following.cancel()

        def shut_down() -> None:
            subscription.end(ShuttingDown(subscription.cursor))

        extensions: Mapping[str, Any] = connection.get("extensions") or {}
        held: HeldResponse = extensions.get(HOLD) or HeldResponse()
        watching = asyncio.create_task(watch())
        held.begin(shut_down)
        try:
            await self._deliver(subscription, send)
        except asyncio.CancelledError:
            if watching.done():
                following.uncancel()
                return ()
            if subscription.ending is None:
                raise
            following.uncancel()
            return [subscription.error(subscription.ending)]
        except OSError:
            return ()
        except Exception as error:  # noqa: BLE001  # every error must result in a response
            return [subscription.error(error)]
        finally:
            watching.cancel()
            held.end()

    async def _deliver(self, subscription: Subscription, send: Send) -> NoReturn:
        loop = asyncio.get_running_loop()
        event = None
        while True:
            # The first comment says that the subscription has started, and where.
            data = (
                comment(subscription.cursor if subscription.has_ids else None)
                if event is None
                else next_event(_encode(event.body), event.cursor)
            )
            try:
                async with asyncio.timeout(self._subscriptions.lag_s):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            except TimeoutError:
                raise Lagged(subscription.cursor) from None
            if event is not None:
                subscription.sent()
            event = await subscription.next(loop.time() + COMMENT_S)
