"""Subscriptions, for all transports alike: limits, permissions, budgets, and how they end."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from gateway.auth.authenticator import Authenticator
from gateway.auth.permissions import VerifiedCaller
from gateway.context import EventSource, RequestContext
from gateway.errors import CursorExpired, GatewayError, LimitExceeded, ShuttingDown
from gateway.http.graphql_over_http import GraphQLRequest, graphql_error
from gateway.http.operation_runner import (
    GraphQLResponse,
    OperationRunner,
    error_codes_of,
    request_error,
)
from gateway.http.request_options import RequestOptions
from gateway.limits.caller_budgets import LeaseNeeded
from gateway.limits.settings import LimitSettings
from gateway.request_scope import Scope

RECHECK_S: Final = 30.0
"""How often the credentials of an idle subscriber are checked, unless they expire earlier."""
SHORTEST_CHECK_S: Final = 0.05
BUDGET_WAIT_S: Final = 1.0
"""The longest wait before delivery checks the caller's budget again."""

Verify = Callable[[], Awaitable[VerifiedCaller]]
"""Authenticate the caller again. Raises `Unauthenticated`."""


class Event(NamedTuple):
    """One event, ready to be sent."""

    body: Mapping[str, Any]
    cursor: str | None
    """Its position; None: the events of this subscription have none."""


def verifier(
    authenticator: Authenticator, authorization: str | None, address: str | None
) -> Verify:
    """Return the function that authenticates the sender of these credentials."""

    async def verify() -> VerifiedCaller:
        verified = authenticator.authenticate_now(authorization, address)
        if verified is None:
            caller = await authenticator.authenticate(authorization, address)
            # A token's result is cached now, with the time at which it ends.
            verified = authenticator.authenticate_now(authorization, address)
            verified = verified or VerifiedCaller(caller, time.time() + RECHECK_S)
        return verified

    return verify


def too_many(limit: str, most: int) -> LimitExceeded:
    """Return the refusal of a subscription beyond a limit."""
    text = f"{limit} is {most + 1}; at most {most} are allowed (limits.{limit})."
    return LimitExceeded(text)


class Subscriptions:
    """The subscriptions of this process."""

    def __init__(self, runner: OperationRunner, limits: LimitSettings, lag_s: float) -> None:
        """Allow as many as the limits do; end one whose client takes nothing for `lag_s`."""
        self.runner = runner
        self.is_stopping = False
        """New ones are refused."""
        self.version = 0
        """How often the settings have changed."""
        self._running: set[Subscription] = set()
        self.configure(limits, lag_s)
        self._by_caller: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._running)

    def configure(self, limits: LimitSettings, lag_s: float) -> None:
        """Follow other settings: check the credentials of all subscribers now."""
        self.limits = limits
        self.lag_s = lag_s
        self.version += 1
        for each in self._running:
            each.check_soon()

    async def open(
        self,
        request: GraphQLRequest,
        verify: Verify,
        options: RequestOptions,
        last_event_id: str | None = None,
    ) -> "Subscription | GraphQLResponse":
        """Start a subscription, which must be closed; or return the response that refuses it.

        Raises `RequestError`, and the `GatewayError` that refuses it.
        """
        verified = await verify()
        try:
            self.runner.operations.count(verified.caller)
        except LeaseNeeded as needed:
            await self.runner.leased(
                lambda _: self.runner.operations.count(verified.caller), needed
            )
        document = self.runner.document(request, verified.caller)
        subscription = Subscription(self, request, document, verify, options, verified)
        self._add(subscription, verified.caller.id)
        is_open = False
        try:
            refusal = await subscription.start(last_event_id)
            is_open = refusal is None
        finally:
            if not is_open:
                self.remove(subscription, verified.caller.id)
        return refusal or subscription

    def _add(self, subscription: "Subscription", caller: str) -> None:
        for limit, count in (
            ("subscriptions_per_caller", self._by_caller[caller]),
            ("subscriptions", len(self._running)),
        ):
            most: int = getattr(self.limits, limit)
            if count >= most:
                raise too_many(limit, most)
        self._by_caller[caller] += 1
        self._running.add(subscription)

    def refusal(self, error: Exception) -> Mapping[str, Any]:
        """Return the error of a subscription that `open` refused."""
        if isinstance(error, ShuttingDown):
            return self.runner.operations.ended(error, error.cursor)
        return graphql_error(request_error(error))

    def remove(self, subscription: "Subscription", caller: str) -> None:
        """Stop counting a subscription of a caller."""
        self._running.discard(subscription)
        self._by_caller[caller] -= 1
        if not self._by_caller[caller]:
            del self._by_caller[caller]


class Subscription:
    """One subscription."""

    def __init__(  # noqa: PLR0913, PLR0917  # all that an event needs
        self,
        subscriptions: Subscriptions,
        request: GraphQLRequest,
        document: Any,
        verify: Verify,
        options: RequestOptions,
        verified: VerifiedCaller,
    ) -> None:
        """Prepare it; see `start`."""
        self._subscriptions = subscriptions
        self._runner = subscriptions.runner
        self._operation = document, request.variables, request.operation_name or None
        self._verify = verify
        self._options = options
        self._caller = verified.caller
        self.counted_for = verified.caller.id
        self._source: EventSource
        self._task: asyncio.Task[Any] | None = None
        self.ending: GatewayError | None = None
        """Why the server ends it."""
        self._check_at = 0.0
        self._version = subscriptions.version
        self._waiting: asyncio.Timeout | None = None
        """Ends the wait for the next event."""
        self._events = 0
        self._opened: Scope | None = None
        self._note_check(verified)

    async def start(self, last_event_id: str | None) -> GraphQLResponse | None:
        """Open the stream; return the response that refuses it, if any."""
        context = self._context(self._options)
        context.last_event_id = last_event_id
        source = await self._runner.operations.subscribe(*self._operation, context)
        if not isinstance(source, EventSource):
            self._runner.ended(context.scope, error_codes_of(source.body))
            return GraphQLResponse(
                source.body, context.scope, is_request_error=True, is_cacheable=False
            )
        if self._subscriptions.is_stopping:
            raise ShuttingDown(source.stream.cursor)
        self._source = source
        if self._runner.telemetry.is_on:
            self._opened = context.scope
        self._task = asyncio.current_task()
        return None

    @property
    def cursor(self) -> str:
        """The position to resume from: behind everything that was sent."""
        return self._source.stream.cursor

    @property
    def has_ids(self) -> bool:
        """Whether its events have a position to resume from."""
        return self._source.stream.has_ids

    async def next(self, until: float = math.inf) -> Event | None:
        """Return the next event; call `sent` when the client has it.

        Returns None if the loop's clock reaches `until` first. Raises `GatewayError` if the
        subscription ends: `Unauthenticated`, `Forbidden`, `CursorExpired`.
        """
        loop = asyncio.get_running_loop()
        stream = self._source.stream
        while True:
            # Neither reading nor sending may have to wait: let others of this process have a turn.
            await asyncio.sleep(0)
            event = await self._next(min(until, self._check_at))
            version = self._subscriptions.version
            verified = await self._verify()
            self._note_check(verified)
            if version != self._subscriptions.version:
                self.check_soon()
            if verified.caller != self._caller or version != self._version:
                stream.visible = None
            self._caller, self._version = verified.caller, version
            if event is not None:
                wait_s = await self._try(event)
                if isinstance(wait_s, Event):
                    return wait_s
                await asyncio.sleep(wait_s)
            if loop.time() >= until:
                return None

    async def _next(self, until: float) -> Any:
        """Return the next event of the stream; None: none yet, or `check_soon` ended the wait."""
        try:
            async with asyncio.timeout(None) as self._waiting:
                return await self._source.stream.next(until)
        except TimeoutError:
            return None
        finally:
            self._waiting = None

    def check_soon(self) -> None:
        """Check the credentials before anything else."""
        self._check_at = 0.0
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(0.0)

    async def _try(self, event: Any) -> Event | float:
        """Return an event to send, or the seconds to wait because the budget is used up.

        An event that the caller may not see is passed over: that is no wait.
        """
        stream = self._source.stream
        options, traces = self._options, self._runner.telemetry.traces
        if traces is not None:
            options = options.in_trace(traces.begin_event(options.sender))
        context = self._context(options)
        try:
            result = await self._runner.operations.deliver(
                *self._operation, context, self._source, event
            )
        except LimitExceeded as error:
            return min(error.retry_after_s or BUDGET_WAIT_S, BUDGET_WAIT_S)
        except LeaseNeeded as needed:
            return min(needed.refusal.retry_after_s or BUDGET_WAIT_S, BUDGET_WAIT_S)
        finally:
            context.scope.close()
        if result is None:
            stream.take()
            return 0
        codes = error_codes_of(result.body) if "errors" in result.body else ()
        self._runner.ended(context.scope, codes)
        return Event(result.body, event.cursor.text if stream.has_ids else None)

    def _context(self, options: RequestOptions) -> RequestContext:
        document, _, name = self._operation
        started, operation = time.perf_counter(), document.labels(name)
        context = self._runner.context(self._caller, options, started, operation)
        if options.trace is not None:
            context.scope.given_name = document.name(name)
        return context

    def sent(self) -> None:
        """Move on behind the event that `next` returned."""
        self._events += 1
        self._source.stream.take()

    def end(self, error: GatewayError) -> None:
        """End it from another task: its own is cancelled, and finds the reason in `ending`."""
        if self.ending is None and self._task is not None:
            self.ending = error
            self._task.cancel()

    def error(self, error: Exception) -> Mapping[str, Any]:
        """Return the error that ends it for the client, with the cursor to resume from."""
        if isinstance(error, GatewayError):
            expired = error.cursor if isinstance(error, CursorExpired) else None
            return self._runner.operations.ended(error, expired or self.cursor)
        shown = graphql_error(request_error(error))
        return {**shown, "extensions": {**shown["extensions"], "cursor": self.cursor}}

    def close(self) -> None:
        """Stop counting it."""
        self._subscriptions.remove(self, self.counted_for)
        if self._opened is not None:
            document, _, name = self._operation
            self._opened.given_name = document.name(name)
            self._runner.telemetry.subscription_ended(self._opened, self._events)

    def _note_check(self, verified: VerifiedCaller) -> None:
        wait_s = min(max(verified.until - time.time(), SHORTEST_CHECK_S), RECHECK_S)
        self._check_at = asyncio.get_running_loop().time() + wait_s
