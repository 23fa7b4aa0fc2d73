"""The subscriptions of one WebSocket connection."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

from gateway.errors import GatewayError, Lagged, ShuttingDown, Unauthenticated
from gateway.http.graphql_over_http import GraphQLRequest
from gateway.http.operation_runner import GraphQLResponse
from gateway.http.request_options import RequestOptions
from gateway.http.server.websocket_protocol import Activity
from gateway.http.subscriptions import Subscription, Subscriptions, Verify, too_many

LAST_MESSAGES_S: Final = 1.0
"""How long the last messages of all subscriptions may take before the connection is closed."""

SendMessage = Callable[[Mapping[str, Any]], Awaitable[None]]
Close = Callable[[int, str], Awaitable[None]]


class ConnectionSubscriptions:
    """The subscriptions of one connection, by their ids."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        options: RequestOptions,
        activity: Activity,
        send: SendMessage,
        close: Close,
    ) -> None:
        """Send messages by `send`; `close` the connection when the server ends all of them."""
        self._subscriptions = subscriptions
        self._options = options
        self._activity = activity
        self._send = send
        self._close = close
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._open: dict[str, Subscription] = {}
        self._closing: asyncio.Task[None] | None = None

    def __contains__(self, name: object) -> bool:
        """Return whether a subscription with this id exists."""
        return name in self._tasks

    async def start(self, name: str, request: GraphQLRequest, verify: Verify) -> None:
        """Start a subscription in a task of its own."""
        most = self._subscriptions.limits.subscriptions_per_connection
        if len(self._tasks) >= most:
            error = too_many("subscriptions_per_connection", most)
            await self._end(name, self._subscriptions.refusal(error))
            return
        self._activity.subscriptions += 1
        self._activity.has_worked = True
        self._tasks[name] = asyncio.create_task(self._run(name, request, verify))

    def complete(self, name: str) -> None:
        """End a subscription at the client's request."""
        if (task := self._tasks.pop(name, None)) is not None:
            task.cancel()

    async def stop(self) -> None:
        """End all: the client has disconnected."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def shut_down(self) -> None:
        """End all with `SHUTTING_DOWN`: the server stops. The connection is closed then."""
        await self._end_all(lambda each: ShuttingDown(each.cursor))

    async def refuse(self, error: Unauthenticated) -> None:
        """End all: the connection's credential has ended. The connection is closed then."""
        await self._end_all(lambda _: error)

    def _end_connection(self, ending: Coroutine[Any, Any, None], code: int, reason: str) -> None:
        async def end() -> None:
            await ending
            with contextlib.suppress(OSError):
                await self._close(code, reason)

        if self._closing is None:
            self._closing = asyncio.create_task(end())
        else:  # another subscription of the connection was first
            ending.close()

    async def _end_all(self, reason: Callable[[Subscription], GatewayError]) -> None:
        for subscription in self._open.values():
            subscription.end(reason(subscription))
        if self._tasks:  # a client that does not read gets no last messages
            await asyncio.wait(self._tasks.values(), timeout=LAST_MESSAGES_S)

    async def _run(self, name: str, request: GraphQLRequest, verify: Verify) -> None:
        try:
            with contextlib.suppress(OSError):  # the client has disconnected
                await self._serve(name, request, verify)
        finally:
            self._activity.subscriptions -= 1
            if self._tasks.get(name) is asyncio.current_task():
                del self._tasks[name]

    async def _serve(self, name: str, request: GraphQLRequest, verify: Verify) -> None:
        try:
            opened = await self._subscriptions.open(request, verify, self._options)
        except Exception as error:  # noqa: BLE001  # every error must result in a response
            await self._end(name, self._subscriptions.refusal(error))
            return
        if isinstance(opened, GraphQLResponse):
            errors = opened.body["errors"]
            await self._send({"id": name, "type": "error", "payload": errors})
            return
        self._open[name] = opened
        try:
            await self._deliver(name, opened)
        finally:
            del self._open[name]
            opened.close()

    async def _deliver(self, name: str, subscription: Subscription) -> None:
        """Send events until the subscription ends, then its error."""
        try:
            while True:
                event = await subscription.next()
                if event is None:
                    continue
                try:
                    async with asyncio.timeout(self._subscriptions.lag_s):
                        await self._send({"id": name, "type": "next", "payload": event.body})
                except TimeoutError:
                    raise Lagged(subscription.cursor) from None
                subscription.sent()
        except asyncio.CancelledError:
            if subscription.ending is None:
                raise
            ended: Exception = subscription.ending
        except OSError:
            raise
        except Unauthenticated as error:
            ended = error
            self._end_connection(self.refuse(error), 4403, "Forbidden")
        except Exception as error:  # noqa: BLE001  # every error must result in a response
            ended = error
        await self._end(name, subscription.error(ended))

    async def _end(self, name: str, error: Mapping[str, Any]) -> None:
        await self._send({"id": name, "type": "error", "payload": [error]})
