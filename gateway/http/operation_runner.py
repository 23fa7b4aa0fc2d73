"""Runs one operation: the one way that a request goes, whatever it came over."""

import asyncio
import math
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from inspect import iscoroutine
from typing import Any, NamedTuple, Protocol

import structlog
from starlette.types import Receive

from gateway.auth.permissions import Caller, Permission
from gateway.context import Provider, RequestContext, Scope, languages_of, open_context
from gateway.errors import LimitExceeded, Unauthenticated
from gateway.http.disconnect import Unbroken, watch_disconnect
from gateway.http.graphql_over_http import GraphQLRequest, Headers, RequestError, new_request_id
from gateway.http.persisted_documents import PersistedDocuments
from gateway.store.store import Store

SHOW_CALLS = b"x-show-calls"
"""A request header: with `1` the answer lists the upstream calls that it took."""

log = structlog.get_logger()


class OperationExecutor(Protocol):
    """What runs operations: of the schema the shell knows nothing else."""

    def count(self, caller: Caller) -> None:
        """Take in that somebody asks. Raises `LimitExceeded`."""

    def document(self, text: str, *, explores: bool) -> Any:
        """Return a document, parsed and validated; `explores`: for who may introspect."""

    def trust(self, text: str) -> Sequence[str]:
        """Keep a document for ever; return what is wrong with it."""

    def begin(
        self,
        document: Any,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> Any:
        """Run an operation of it: return its answer, or a coroutine where it has to wait."""


class GraphQLResponse(NamedTuple):
    """What came of an operation."""

    body: Mapping[str, Any]
    scope: Scope
    is_request_error: bool
    """Nothing ran: there is no data."""
    may_be_kept: bool
    """It is a query's, and has no errors."""


class RequestOptions(NamedTuple):
    """What the headers of a request say of its answer."""

    languages: Sequence[str] = ()
    """Best first."""
    shows_calls: bool = False


def request_options(headers: Headers) -> RequestOptions:
    """Read them."""
    languages = headers.get(b"accept-language")
    return RequestOptions(
        languages_of(languages.decode("latin-1")) if languages else (),
        headers.get(SHOW_CALLS) == b"1",
    )


class OperationRunner:
    """Runs operations over what the server has open."""

    def __init__(
        self, operations: OperationExecutor, persisted: PersistedDocuments, timeout_s: float
    ) -> None:
        """Run each so long at most."""
        self.providers: Mapping[str, Provider] = {}
        self.record: Store | None = None
        self._operations = operations
        self._persisted = persisted
        self._timeout_s = timeout_s
        self._writes = Unbroken()

    def begin(
        self,
        asked: GraphQLRequest,
        caller: Caller,
        wishes: RequestOptions,
        receive: Receive | None = None,
        *,
        only_query: bool = False,
    ) -> GraphQLResponse | Coroutine[Any, Any, GraphQLResponse]:
        """Run what is asked; while a query runs, `receive` tells that its client hangs up.

        Without it who cancels this ends the query. Returns the reply itself where nothing has to
        be waited for. Raises `RequestError`, `HungUp`, and `LimitExceeded` for who asks too much
        in a minute.
        """
        self._operations.count(caller)
        text = self._persisted.text(asked)
        document = self._operations.document(text, explores=caller.may_explore)
        if document.is_good:
            self._persisted.keep(asked, text)
        name = asked.operation_name or None
        is_query = document.is_query(name)
        if only_query and not is_query:
            allow = ((b"allow", b"POST"),)
            raise RequestError(405, "GET is for queries; send a mutation by POST.", headers=allow)
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        scope = Scope(new_request_id(), deadline, caller)
        context = open_context(
            self.providers, scope, wishes.languages, datetime.now(UTC), self.record
        )
        answer = self._operations.begin(document, asked.variables, name, context)
        shows_calls = wishes.shows_calls and _may_see_calls(caller)
        if not iscoroutine(answer):
            return _reply(answer, scope, is_query=is_query, shows_calls=shows_calls)
        if is_query:
            return _read(answer, receive, scope, shows_calls=shows_calls)
        return self._write(answer, scope, shows_calls=shows_calls)

    async def run(
        self, asked: GraphQLRequest, caller: Caller, wishes: RequestOptions
    ) -> GraphQLResponse:
        """Do as `begin` does, and wait for the reply."""
        begun = self.begin(asked, caller, wishes)
        return begun if isinstance(begun, GraphQLResponse) else await begun

    async def _write(
        self, running: Coroutine[Any, Any, Any], scope: Scope, *, shows_calls: bool
    ) -> GraphQLResponse:
        answer = await self._writes.run(running, scope)
        return _reply(answer, scope, is_query=False, shows_calls=shows_calls)

    async def close(self) -> None:
        """Wait for the writes whose clients are gone."""
        await self._writes.close()


async def _read(
    running: Coroutine[Any, Any, Any], receive: Receive | None, scope: Scope, *, shows_calls: bool
) -> GraphQLResponse:
    try:
        if receive is None:
            answer = await running
        else:
            async with watch_disconnect(receive, scope):
                answer = await running
    finally:
        scope.close()
    return _reply(answer, scope, is_query=True, shows_calls=shows_calls)


def _reply(answer: Any, scope: Scope, *, is_query: bool, shows_calls: bool) -> GraphQLResponse:
    body = answer.body
    may_be_kept = is_query and "errors" not in body
    if shows_calls:
        told = {**body.get("extensions", {}), "upstreamCalls": _calls(scope)}
        body = {**body, "extensions": told}
    return GraphQLResponse(body, scope, answer.is_request_error, may_be_kept)


def _may_see_calls(caller: Caller) -> bool:
    return any(right is not Permission.OWN_READ for right in caller.grants)


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


def refused(error: Exception) -> RequestError:
    """Return how a client is told of an error; one that is ours goes to the log whole."""
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
    return RequestError(500, "The gateway has a fault of its own.", "INTERNAL")
