"""Run one operation and shape its answer: data, errors, extensions."""

import re
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from graphql import ExecutionResult, GraphQLError, GraphQLSchema, execute
from graphql.pyutils import is_awaitable

from gateway.auth.permissions import Caller
from gateway.context import RequestContext
from gateway.errors import Forbidden, GatewayError, LimitExceeded, ProviderError
from gateway.limits.caller_budgets import Budgets
from gateway.limits.settings import LimitSettings
from gateway.observability import audit
from resolvers import error_codes
from resolvers.execution.cost_analysis import CALL, Cost
from resolvers.execution.document_limits import check_variables, exceeded
from resolvers.execution.documents import MOST_ERRORS, Document, Documents
from resolvers.execution.null_propagation import in_order
from resolvers.execution.plan_execution import PlanExecution
from resolvers.execution.planner import UnplannableError

log = structlog.get_logger(__name__)


class OperationResult(NamedTuple):
    """A GraphQL response; `is_request_error` says that nothing ran, so that there is no data."""

    body: Mapping[str, Any]
    is_request_error: bool


class Executor:
    """Runs the operations of one schema."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: LimitSettings | None = None,
        *,
        budgets: Budgets | None = None,
        most_calls: Mapping[str, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
        compiles: bool = True,
    ) -> None:
        """Keep the schema and its documents, and to the limits.

        `budgets`: of the callers; without them nobody has one. `most_calls`: how many calls each
        provider allows one operation, by its key. Without `compiles` graphql-core runs everything.
        """
        self._schema = schema
        self._limits = limits or LimitSettings()
        self._budgets = budgets
        self._most_calls = most_calls
        self._clock = clock
        self._compiles = compiles
        self._documents = Documents(schema, self._limits)
        self._documents_of_strangers = Documents(schema, self._limits, explores=False)

    def count(self, caller: Caller) -> None:
        """Take in that somebody asks, whatever it is. Raises `LimitExceeded`."""
        if self._budgets is not None:
            self._budgets.count(caller.id, self._clock())

    def document(self, text: str, *, explores: bool = True) -> Document:
        """Return the document of this text, parsed and validated once.

        `explores`: who asks may introspect, and is told by errors what names there are.
        """
        return (self._documents if explores else self._documents_of_strangers).read(text)

    def trust(self, text: str) -> Sequence[str]:
        """Keep a document for ever, past the bounds; return what is wrong with it."""
        self._documents_of_strangers.trust(text)
        return [error.message for error in self._documents.trust(text).errors]

    def begin(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> OperationResult | Coroutine[Any, Any, OperationResult]:
        """Run the operation of this name (without one, the only one) of a document.

        Returns the answer itself where nothing has to be waited for. Raises `LimitExceeded` when
        its caller has asked too much in the last minute.
        """
        cost = self._admitted(document, variables, name, context)
        if isinstance(cost, OperationResult):
            return cost
        planned = document.plan(name, variables) if self._compiles else None
        if planned is not None:
            plan, values = planned
            try:
                running = PlanExecution(plan, self._schema, context, values)
            except UnplannableError:
                pass
            else:
                running.start()
                if running.waits:
                    return self._waited(running, context, cost)
                return self._answer(*running.answer(), context, cost)
        return self._on_graphql_core(document, variables, name, context, cost)

    async def run(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> OperationResult:
        """Do as `begin` does, and wait for the answer."""
        begun = self.begin(document, variables, name, context)
        return begun if isinstance(begun, OperationResult) else await begun

    async def _waited(
        self, running: PlanExecution, context: RequestContext, cost: Cost | None
    ) -> OperationResult:
        reading = running.read()
        if reading is not None:
            await reading
        return self._answer(*running.answer(), context, cost)

    async def run_on_graphql_core(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> OperationResult:
        """Do as `run` does, without a plan."""
        cost = self._admitted(document, variables, name, context)
        if isinstance(cost, OperationResult):
            return cost
        return await self._on_graphql_core(document, variables, name, context, cost)

    async def _on_graphql_core(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
        cost: Cost | None,
    ) -> OperationResult:
        if document.node is None:
            raise TypeError(document)
        result = execute(
            self._schema,
            document.node,
            context_value=context,
            variable_values=dict(variables or {}),
            operation_name=name,
            max_coercion_errors=MOST_ERRORS,
            hide_suggestions=not document.explores,
        )
        if is_awaitable(result):
            result = await result
        if not isinstance(result, ExecutionResult):
            raise TypeError(result)
        if result.data is None and result.errors and all(e.path is None for e in result.errors):
            return self._refused(result.errors, context)
        failed = in_order(result.data, result.errors or ())
        return self._answer(result.data, failed, context, cost)

    def _admitted(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> Cost | OperationResult | None:
        """Return what an operation is charged, or why it may not run.

        None for one that cannot be found: graphql-core says so.
        """
        if document.node is None:
            return self._refused(document.errors, context)
        refusals = admitted(document, name, context)
        if refusals:
            return self._refused(refusals, context)
        try:
            check_variables(variables, self._limits)
        except LimitExceeded as error:
            return self._refused([GraphQLError(str(error), original_error=error)], context)
        pricing = document.pricing(name)
        if pricing is None:
            return None
        cost = pricing.of(variables, context.providers, self._most_calls)
        caller = context.caller.id
        if cost.requested > self._limits.cost:
            dear = exceeded("cost", cost.requested, self._limits.cost)
            refused = self._refused([GraphQLError(str(dear), original_error=dear)], context)
            return refused._replace(body={**refused.body, **self._charged(cost, context, 0)})
        if self._budgets is not None:
            self._budgets.spend(caller, cost.requested, self._clock())
        return cost

    def _answer(
        self,
        data: Mapping[str, Any] | None,
        failed: Sequence[GraphQLError],
        context: RequestContext,
        cost: Cost | None,
    ) -> OperationResult:
        body: dict[str, Any] = {"data": data}
        if failed:
            body["errors"] = [shown(error, context) for error in failed]
        if cost is not None:
            took = context.scope.calls_by_provider
            calls = sum(took.values()) if took else 0
            body.update(self._charged(cost, context, CALL * (calls - cost.calls)))
        return OperationResult(body, is_request_error=False)

    def _charged(self, cost: Cost, context: RequestContext, more: int) -> Mapping[str, Any]:
        """Charge the difference, and return the extensions of an answer."""
        if self._budgets is None:
            return {}
        left = self._budgets.settle(context.caller.id, more, self._clock())
        told = {"requested": cost.requested, "calls": cost.calls, "remaining": left}
        return {"extensions": {"cost": told}}

    def _refused(self, found: Any, context: RequestContext) -> OperationResult:
        return OperationResult(
            {"errors": [shown(e, context) for e in found]}, is_request_error=True
        )


def admitted(
    document: Document, name: str | None, context: RequestContext
) -> Sequence[GraphQLError]:
    """Show an operation what its caller may see; return why not, where that is nothing."""
    if context.caller.is_unrestricted:
        return ()
    needed = document.requirements(name)
    try:
        context.admit(needed.requirement)
    except Forbidden:
        audit.denied(context.scope, document.mutations(name))
        return needed.refusals(context.caller)
    return ()


def shown(error: GraphQLError, context: RequestContext) -> Mapping[str, Any]:
    """Return an error as a client sees it: our words and code, nothing of a provider or bug."""
    request_id = context.scope.request_id
    cause = error.original_error
    told: dict[str, Any] = {"message": error.message}
    if error.locations:
        told["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if error.path is not None:
        told["path"] = error.path
    if isinstance(cause, GatewayError):
        told["extensions"] = error_codes.extensions(cause, request_id)
        is_below_payload = context.scope.writes is not None and len(error.path or ()) > 1
        if is_below_payload and isinstance(cause, ProviderError):
            # The write itself was done, and asking again would do it again.
            told["extensions"] |= {"retryable": False, "retryAfterMs": None}
    elif cause is None or isinstance(cause, GraphQLError):
        told["message"] = _in_json_words(error.message)
        told["extensions"] = {"code": error_codes.INVALID}
    else:
        log.error("bug", request_id=request_id, path=error.path, exc_info=cause)
        told["message"] = "The gateway has a fault of its own; its log has the cause."
        told["extensions"] = {"code": error_codes.INTERNAL, "requestId": request_id}
    return told


_PYTHON_WORDS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\b(None|True|False)\b""")
_JSON_WORDS = {"None": "null", "True": "true", "False": "false"}


def _in_json_words(message: str) -> str:
    """Return a message of graphql-core with JSON's words: it shows values as Python writes them.

    What stands in quotes is the caller's own, or a name.
    """
    return _PYTHON_WORDS.sub(
        lambda found: _JSON_WORDS[found[1]] if found[1] else found[0], message
    )
