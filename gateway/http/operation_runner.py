"""Run operations, for all transports alike."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from types import CoroutineType
from typing import Any, Final, TypeVar

import msgspec
import structlog
from starlette.types import Receive

from gateway.auth.permissions import NO_DATA, Caller
from gateway.changes.feed import ChangeFeed
from gateway.changes.health import HealthWatch
from gateway.context import (
    CustomerLists,
    Provider,
    RequestContext,
    Scope,
)
from gateway.errors import LimitExceeded, Unauthenticated
from gateway.http.disconnect import ClientDisconnected, ShieldedWrites, watch_disconnect
from gateway.http.graphql_over_http import (
    GraphQLRequest,
    RequestError,
    new_request_id,
)
from gateway.http.operation_executor import OperationExecutor
from gateway.http.persisted_documents import PersistedDocuments, name_of
from gateway.http.request_options import RequestOptions
from gateway.http.shown_calls import shown_calls
from gateway.limits.caller_budgets import LeaseNeeded
from gateway.limits.settings import LimitSettings
from gateway.observability.metrics import CANCELLED, Metrics
from gateway.observability.telemetry import Telemetry
from gateway.store.store import Store

MOST_LEASES: Final = 5
"""How often a request waits for a part of its caller's budget."""

T = TypeVar("T")

log = structlog.get_logger()


class GraphQLResponse(msgspec.Struct, frozen=True):
    """The response to an operation."""

    body: Mapping[str, Any]
    scope: Scope
    is_request_error: bool
    """Nothing was executed: there is no data."""
    is_cacheable: bool
    """It is the response to a query, without errors."""
    codes: Sequence[str] = ()
    """The codes of its errors, in order."""


class OperationRunner:
    """Run operations over the open store and providers."""

    def __init__(  # noqa: PLR0913, PLR0917  # composed in one place
        self,
        operations: OperationExecutor,
        persisted: PersistedDocuments,
        timeout_s: float,
        limits: LimitSettings,
        metrics: Metrics | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Cancel an operation after `timeout_s` seconds; count and log it."""
        self.telemetry = telemetry or Telemetry()
        self.metrics = metrics
        self.providers: Mapping[str, Provider] = {}
        self.store: Store | None = None
        self.feed: ChangeFeed | None = None
        self.health_watch: HealthWatch | None = None
        self.customer_lists = CustomerLists(0)
        self.lease: Callable[[], Awaitable[None]] | None = None
        """Waits for a part of the budgets that processes share."""
        self._writes = ShieldedWrites()
        self.configure(operations, persisted, timeout_s, limits)

    def configure(
        self,
        operations: OperationExecutor,
        persisted: PersistedDocuments,
        timeout_s: float,
        limits: LimitSettings,
    ) -> None:
        """Run operations that begin from now on by these."""
        self.operations = operations
        self.persisted = persisted
        self._timeout_s = timeout_s
        self._limits = limits

    def begin(  # noqa: PLR0913  # what differs between the transports
        self,
        request: GraphQLRequest,
        caller: Caller,
        options: RequestOptions,
        receive: Receive | None = None,
        *,
        only_query: bool = False,
        is_counted: bool = False,
    ) -> GraphQLResponse | Coroutine[Any, Any, GraphQLResponse]:
        """Run an operation; return the response, or a coroutine if it waits for something.

        A query ends when `receive` reports that its client has disconnected; without `receive`, it
        ends when the coroutine is cancelled. `is_counted`: the caller's budget has counted the
        request. Call `ended` with a response. Raises `RequestError`, `ClientDisconnected`, and
        `LimitExceeded` if the budget is used up.
        """
        started = perf_counter()
        try:
            return self._begin(request, caller, options, receive, started, only_query, is_counted)
        except LeaseNeeded as needed:
            begin = partial(self._begin, request, caller, options, receive, started, only_query)
            return self._begin_leased(begin, needed, options, started)
        except Exception as error:
            self._refused(error, options, started)
            raise

    def _refused(self, error: Exception, options: RequestOptions, started: float) -> None:
        if self.metrics is not None:
            self.metrics.operation_refused(_code_of(error), perf_counter() - started)
        if options.trace is not None:
            options.trace.operation_refused(_code_of(error), started)

    async def _begin_leased(
        self,
        begin: Callable[..., GraphQLResponse | Coroutine[Any, Any, GraphQLResponse]],
        needed: LeaseNeeded,
        options: RequestOptions,
        started: float,
    ) -> GraphQLResponse:
        """Run an operation when its caller's budget has a lease for it, and wait for it."""
        try:
            begun = await self.leased(begin, needed)
        except Exception as error:
            self._refused(error, options, started)
            raise
        return begun if isinstance(begun, GraphQLResponse) else await begun

    async def count(self, caller: Caller) -> None:
        """Count a request that may run no operation. Raises `LimitExceeded`."""
        try:
            self.operations.count(caller)
        except LeaseNeeded as needed:
            await self.leased(lambda _: self.operations.count(caller), needed)

    async def leased(self, use: Callable[[bool], T], needed: LeaseNeeded) -> T:
        """Wait for a lease and use the budget, whether or not the request has counted already.

        Raises `LimitExceeded` after `MOST_LEASES` attempts: others were faster.
        """
        is_counted = needed.is_counted
        for _ in range(MOST_LEASES):
            if self.lease is not None:
                await self.lease()
            try:
                return use(is_counted)
            except LeaseNeeded as again:
                needed, is_counted = again, is_counted or again.is_counted
        raise needed.refusal

    def _begin(  # noqa: PLR0913, PLR0917  # those of `begin`, and when it was called
        self,
        request: GraphQLRequest,
        caller: Caller,
        options: RequestOptions,
        receive: Receive | None,
        started: float,
        only_query: bool,  # noqa: FBT001  # those of `begin`
        is_counted: bool,  # noqa: FBT001  # likewise
    ) -> GraphQLResponse | Coroutine[Any, Any, GraphQLResponse]:
        if not is_counted:
            self.operations.count(caller)
        document = self.document(request, caller)
        name = request.operation_name or None
        operation = document.labels(name)
        kind = operation[0]
        if kind == "subscription":
            raise RequestError(
                400, "Send a subscription by WebSocket, or accept text/event-stream."
            )
        is_query = kind != "mutation"
        if only_query and not is_query:
            allow = ((b"allow", b"POST"),)
            raise RequestError(405, "GET is for queries; send a mutation by POST.", headers=allow)
        context = self.context(caller, options, started, operation)
        scope = context.scope
        if self.telemetry.is_on or scope.trace is not None:
            scope.given_name = document.name(name)
        scope.lists_reads = options.shows_calls and _may_see_calls(caller)
        result = self.operations.begin(document, request.variables, name, context)
        if scope.trace is not None:
            scope.trace.prepared(document.phases, started)
        if not isinstance(result, CoroutineType):
            return self._response(result, scope)
        if is_query:
            return self._read(result, receive, context)
        return self._write(_finished(result, context), scope)

    def document(self, request: GraphQLRequest, caller: Caller) -> Any:
        """Return the document of a request. Raises `RequestError`."""
        name = name_of(request)
        text = self.persisted.text(request, name)
        document = self.operations.document(text, explores=caller.may_explore)
        if name is not None and request.query and document.is_good:
            self.persisted.keep(name, text)
        return document

    def is_subscription(self, request: GraphQLRequest, caller: Caller) -> bool:
        """Return whether a request subscribes; False if its document cannot be read."""
        try:
            document = self.document(request, caller)
        except RequestError:
            return False
        return bool(document.is_subscription(request.operation_name or None))

    def context(
        self,
        caller: Caller,
        options: RequestOptions,
        started: float,
        operation: tuple[str, str],
    ) -> RequestContext:
        """Return the context of one operation, or of one event of a subscription.

        `started` is on the clock of `time.perf_counter`; `operation` is its type and its name, as
        in `Scope`.
        """
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        request_id = options.request_id or new_request_id()
        scope = Scope(request_id, deadline, caller, started=started, operation=operation)
        scope.trace, scope.passed_on = options.trace, options.passed_on
        return RequestContext(
            self.providers,
            scope,
            options.languages,
            datetime.now(UTC),
            self.store,
            self.feed,
            self._limits,
            self.health_watch,
            self.customer_lists,
        )

    async def run(
        self,
        request: GraphQLRequest,
        caller: Caller,
        options: RequestOptions,
        receive: Receive | None = None,
        *,
        is_counted: bool = False,
    ) -> GraphQLResponse:
        """Run an operation and wait for its response; see `begin`."""
        begun = self.begin(request, caller, options, receive, is_counted=is_counted)
        response = begun if isinstance(begun, GraphQLResponse) else await begun
        self.ended(response.scope, response.codes)
        return response

    async def _read(
        self, running: Coroutine[Any, Any, Any], receive: Receive | None, context: RequestContext
    ) -> GraphQLResponse:
        scope = context.scope
        try:
            if receive is None:
                result = await running
                if context.has_news:
                    await context.finish()
            else:
                async with watch_disconnect(receive, scope):
                    result = await _finished(running, context)
        except BaseException as error:
            self.ended(scope, (_code_of(error),))
            raise
        finally:
            scope.close()
        return self._response(result, scope)

    async def _write(self, running: Coroutine[Any, Any, Any], scope: Scope) -> GraphQLResponse:
        try:
            result = await self._writes.run(running, scope)
        except BaseException as error:
            self.ended(scope, (_code_of(error),))
            raise
        return self._response(result, scope)

    def _response(self, result: Any, scope: Scope) -> GraphQLResponse:
        body = result.body
        codes = error_codes_of(body) if "errors" in body else ()
        if scope.trace is not None:
            scope.trace.executed(is_refused=result.is_request_error)
        is_cacheable = not codes and scope.operation[0] != "mutation"
        if scope.lists_reads:
            calls = shown_calls(scope, self.operations.code_of)
            body = {**body, "extensions": {**body.get("extensions", {}), "upstreamCalls": calls}}
        return GraphQLResponse(body, scope, result.is_request_error, is_cacheable, codes)

    def ended(self, scope: Scope, codes: Sequence[str]) -> None:
        """Note that an operation has ended, and the codes of the errors in its response."""
        if self.metrics is not None:
            self.metrics.operation_ended(scope, codes, perf_counter() - scope.started)
        if self.telemetry.is_on or scope.trace is not None:
            self.telemetry.operation_ended(scope, codes)

    async def close(self) -> None:
        """Wait for writes whose clients have disconnected."""
        await self._writes.close()


async def _finished(running: Coroutine[Any, Any, Any], context: RequestContext) -> Any:
    result = await running
    await context.finish()
    return result


def _may_see_calls(caller: Caller) -> bool:
    return any(permission not in NO_DATA for permission in caller.grants)


def error_codes_of(body: Mapping[str, Any]) -> Sequence[str]:
    """Return the codes of the errors in a response, in order."""
    return [each["extensions"]["code"] for each in body["errors"]]


def _code_of(error: BaseException) -> str:
    """Return the code for the record of an operation that ended without a response."""
    if isinstance(error, ClientDisconnected) or not isinstance(error, Exception):
        return CANCELLED
    if isinstance(error, RequestError):
        return error.code
    return "LIMIT_EXCEEDED" if isinstance(error, LimitExceeded) else "INTERNAL"


def request_error(error: Exception) -> RequestError:
    """Return the refusal for an error; an unexpected one is a bug, and is logged completely."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, Unauthenticated):
        challenge = ((b"www-authenticate", b"Bearer"),)
        return RequestError(401, str(error), "UNAUTHENTICATED", challenge)
    if isinstance(error, LimitExceeded):
        after_s = error.retry_after_s
        if after_s is None:
            return RequestError(429, str(error), "LIMIT_EXCEEDED")
        wait = ((b"retry-after", b"%d" % max(1, math.ceil(after_s))),)
        return RequestError(429, str(error), "LIMIT_EXCEEDED", wait, math.ceil(after_s * 1000))
    log.error("bug", exc_info=error)
    return RequestError(500, "Internal error.", "INTERNAL")
