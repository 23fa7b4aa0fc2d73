"""Execute an operation and build its response: data, errors, extensions."""

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from graphql import ExecutionResult, GraphQLError, GraphQLSchema, execute
from graphql.pyutils import is_awaitable

from gateway.auth.permissions import Caller
from gateway.context import EventSource, RequestContext
from gateway.errors import Forbidden, GatewayError, LimitExceeded
from gateway.limits.caller_budgets import Budgets
from gateway.limits.settings import LimitSettings
from gateway.observability import audit
from resolvers import error_codes
from resolvers.execution.cost_analysis import CALL_COST, Cost
from resolvers.execution.document import CacheUses, Document
from resolvers.execution.document_limits import check_variables, exceeded
from resolvers.execution.documents import MAX_ERRORS, Documents
from resolvers.execution.formatted_errors import formatted
from resolvers.execution.null_propagation import in_order
from resolvers.execution.plan_execution import PlanExecution
from resolvers.execution.selected_fields import UnplannableError
from resolvers.execution.subscriptions import subscribe

log = structlog.get_logger(__name__)


class OperationResult(msgspec.Struct, frozen=True):
    """A GraphQL response; with `is_request_error` nothing was executed and there is no data."""

    body: Mapping[str, Any]
    is_request_error: bool


class Executor:
    """Executes the operations of one schema."""

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
        """Execute operations of this schema within these limits.

        `budgets`: the budgets of callers; None: unlimited. `most_calls`: the calls that each
        provider allows per operation, by key. Without `compiles`, graphql-core validates
        and executes everything.
        """
        self._schema = schema
        self._limits = limits or LimitSettings()
        self._budgets = budgets
        self._most_calls = most_calls
        self._clock = clock
        self._compiles = compiles
        self._documents, self._anonymous_documents = (
            Documents(schema, self._limits, explores=explores, compiles=compiles)
            for explores in (True, False)
        )

    def count(self, caller: Caller) -> None:
        """Count a request of this caller. Raises `LimitExceeded`."""
        if self._budgets is not None:
            self._budgets.count(caller.id, self._clock())

    @property
    def codes(self) -> Sequence[str]:
        """The codes that errors may have."""
        return [each.name for each in error_codes.ErrorCode]

    @property
    def cache_uses(self) -> CacheUses:
        """How often the caches of documents and plans were of use."""
        return self._documents.uses.plus(self._anonymous_documents.uses)

    def document(self, text: str, *, explores: bool = True) -> Document:
        """Return the document of this text, parsed and validated once.

        `explores`: it may introspect, and its errors may suggest names.
        """
        return (self._documents if explores else self._anonymous_documents).read(text)

    def trust(self, text: str) -> Sequence[str]:
        """Cache a document forever, without limits; return the messages of its errors."""
        self._anonymous_documents.trust(text)
        return [error.message for error in self._documents.trust(text).errors]

    def begin(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> OperationResult | Coroutine[Any, Any, OperationResult]:
        """Execute the operation of this name, or the only operation, of a document.

        Returns the result itself if nothing has to be waited for. Raises `LimitExceeded` if the
        budget of the caller is exhausted.
        """
        cost = self._admit(document, variables, name, context)
        if isinstance(cost, OperationResult):
            return cost
        planned = document.plan(name, variables) if self._compiles else None
        if planned is not None:
            plan, values = planned
            try:
                execution = PlanExecution(plan, self._schema, context, values, document.own_keys)
            except UnplannableError:
                pass
            else:
                execution.start()
                if execution.waits:
                    return self._wait(document, execution, context, cost)
                return self._result(document, execution.result(), context, cost)
        return self._on_graphql_core(document, variables, name, context, cost)

    async def run(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> OperationResult:
        """Execute an operation like `begin`, and wait for the result."""
        result = self.begin(document, variables, name, context)
        return result if isinstance(result, OperationResult) else await result

    async def _wait(
        self,
        document: Document,
        execution: PlanExecution,
        context: RequestContext,
        cost: Cost | None,
    ) -> OperationResult:
        reads = execution.read()
        if reads is not None:
            await reads
        return self._result(document, execution.result(), context, cost)

    async def run_on_graphql_core(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> OperationResult:
        """Execute an operation like `run`, without a plan."""
        cost = self._admit(document, variables, name, context)
        if isinstance(cost, OperationResult):
            return cost
        return await self._on_graphql_core(document, variables, name, context, cost)

    async def subscribe(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> EventSource | OperationResult:
        """Return the source of a subscription's events, or the response that refuses it."""
        refusal = self._refusal(document, variables, name, context)
        if refusal is not None or document.node is None:
            return refusal or self._refused(document, document.errors, context)
        cost = self._cost(document, variables, name, context)
        if isinstance(cost, OperationResult):
            return cost
        source = await subscribe(
            self._schema, document.node, variables, name, context, explores=document.explores
        )
        if not isinstance(source, EventSource):
            return self._refused(document, source, context)
        return source

    async def deliver(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
        source: EventSource,
        event: Any,
    ) -> OperationResult | None:
        """Execute a subscription for one event; None: the caller may not see the event.

        Raises `Forbidden` if the caller has lost the permissions for all events, and
        `LimitExceeded` if the budget of the caller is exhausted.
        """
        if narrow(document, name, context):
            raise Forbidden("The permissions for this subscription were withdrawn.")
        if not context.admits(source, event):
            return None
        cost = self._spend(document, variables, name, context)
        if isinstance(cost, OperationResult):
            return cost
        root = source.view(event)
        return await self._on_graphql_core(document, variables, name, context, cost, root)

    def code_of(self, error: type[GatewayError]) -> str:
        """Return the code of a class of errors."""
        return error_codes.CODES[error]

    def ended(self, error: GatewayError, cursor: str) -> Mapping[str, Any]:
        """Return the error that ends a subscription, for a client that resumes at `cursor`."""
        return {
            "message": str(error),
            "extensions": {"code": error_codes.code(error), "cursor": cursor},
        }

    async def _on_graphql_core(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
        cost: Cost | None,
        root: Any = None,
    ) -> OperationResult:
        if document.node is None:
            raise TypeError(document)
        result = execute(
            self._schema,
            document.node,
            root_value=root,
            context_value=context,
            variable_values=dict(variables or {}),
            operation_name=name,
            max_coercion_errors=MAX_ERRORS,
            hide_suggestions=not document.explores,
        )
        if is_awaitable(result):
            result = await result
        if not isinstance(result, ExecutionResult):
            raise TypeError(result)
        if result.data is None and result.errors and all(e.path is None for e in result.errors):
            return self._refused(document, result.errors, context)
        errors = in_order(result.data, result.errors or ())
        return self._result(document, (result.data, errors), context, cost)

    def _admit(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> Cost | OperationResult | None:
        """Return the cost of an operation that may run, or the response that refuses it.

        None if there is no such operation: graphql-core reports that.
        """
        refusal = self._refusal(document, variables, name, context)
        return refusal or self._spend(document, variables, name, context)

    def _refusal(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> OperationResult | None:
        """Return the response that refuses an operation, whatever it costs."""
        if not document.is_good:
            return self._refused(document, document.errors, context)
        refusals = narrow(document, name, context)
        if refusals:
            return self._refused(document, refusals, context)
        try:
            check_variables(variables, self._limits)
        except LimitExceeded as error:
            return self._refused(
                document, [GraphQLError(str(error), original_error=error)], context
            )
        return None

    def _spend(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> Cost | OperationResult | None:
        """Charge an operation; return as `_admit` does. Raises `LimitExceeded`."""
        cost = self._cost(document, variables, name, context)
        if isinstance(cost, Cost) and self._budgets is not None:
            self._budgets.spend(context.caller.id, cost.requested, self._clock())
            context.scope.cost += cost.requested
        return cost

    def _cost(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> Cost | OperationResult | None:
        """Return the cost of an operation, or the response that refuses it as too high."""
        analysis = document.cost_analysis(name)
        if analysis is None:
            return None
        cost = analysis.cost(document.variables(variables), context.providers, self._most_calls)
        if cost.requested > self._limits.cost:
            too_costly = exceeded("cost", cost.requested, self._limits.cost)
            refused = self._refused(
                document, [GraphQLError(str(too_costly), original_error=too_costly)], context
            )
            body = {**refused.body, **self._charged(cost, context, 0)}
            return OperationResult(body, is_request_error=True)
        return cost

    def _result(
        self,
        document: Document,
        result: tuple[Mapping[str, Any] | None, Sequence[GraphQLError]],
        context: RequestContext,
        cost: Cost | None,
    ) -> OperationResult:
        data, errors = result
        body: dict[str, Any] = {"data": data}
        if errors:
            body["errors"] = [formatted(error, context, document) for error in errors]
        if cost is not None:
            calls_by_provider = context.scope.calls_by_provider
            calls = sum(calls_by_provider.values()) if calls_by_provider else 0
            body.update(self._charged(cost, context, CALL_COST * (calls - cost.calls)))
        return OperationResult(body, is_request_error=False)

    def _charged(self, cost: Cost, context: RequestContext, more: int) -> Mapping[str, Any]:
        """Charge the difference to the estimate, and return the extensions of the response."""
        if self._budgets is None:
            return {}
        remaining = self._budgets.settle(context.caller.id, more, self._clock())
        context.scope.cost += more
        return {
            "extensions": {
                "cost": {
                    "requested": cost.requested,
                    "calls": cost.calls,
                    "remaining": remaining,
                }
            }
        }

    def _refused(
        self, document: Document, errors: Sequence[GraphQLError], context: RequestContext
    ) -> OperationResult:
        return OperationResult(
            {"errors": [formatted(error, context, document) for error in errors]},
            is_request_error=True,
        )


def narrow(
    document: Document, name: str | None, context: RequestContext
) -> Sequence[GraphQLError]:
    """Narrow the context to what the caller may see; return errors if that is nothing."""
    if context.caller.is_unrestricted:
        return ()
    requirements = document.requirements(name)
    try:
        context.admit(requirements.requirement)
        context.change_requirements = requirements.changes
    except Forbidden:
        audit.denied(context.scope, document.mutations(name))
        return requirements.refusals(context.caller)
    return ()
