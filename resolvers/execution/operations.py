"""Run one operation and shape its answer: data, errors, extensions."""

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from graphql import ExecutionResult, GraphQLError, GraphQLSchema, execute
from graphql.pyutils import is_awaitable

from gateway.context import RequestContext
from gateway.errors import GatewayError
from resolvers import errors
from resolvers.execution.documents import Document, Documents
from resolvers.execution.failures import in_order
from resolvers.execution.plan import UnplannableError
from resolvers.execution.waves import Run

log = structlog.get_logger(__name__)


class Answer(NamedTuple):
    """A GraphQL response; `is_request_error` says that nothing ran, so that there is no data."""

    body: Mapping[str, Any]
    is_request_error: bool


class Operations:
    """Runs the operations of one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        """Keep the schema and its documents."""
        self._schema = schema
        self._documents = Documents(schema)

    def document(self, text: str) -> Document:
        """Return the document of this text, parsed and validated once."""
        return self._documents.read(text)

    def begin(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> Answer | Coroutine[Any, Any, Answer]:
        """Run the operation of this name (without one, the only one) of a document.

        Returns the answer itself where nothing has to be waited for.
        """
        if document.node is None:
            return self._refused(document.errors, context)
        planned = document.plan(name, variables)
        if planned is not None:
            plan, values = planned
            try:
                running = Run(plan, self._schema, context, values)
            except UnplannableError:
                pass
            else:
                running.start()
                if running.waits:
                    return self._waited(running, context)
                return self._answer(*running.answer(), context)
        return self.run_on_graphql_core(document, variables, name, context)

    async def run(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> Answer:
        """Do as `begin` does, and wait for the answer."""
        begun = self.begin(document, variables, name, context)
        return begun if isinstance(begun, Answer) else await begun

    async def _waited(self, running: Run, context: RequestContext) -> Answer:
        await running.read()
        return self._answer(*running.answer(), context)

    async def run_on_graphql_core(
        self,
        document: Document,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> Answer:
        """Run an operation that has no plan."""
        if document.node is None:
            return self._refused(document.errors, context)
        result = execute(
            self._schema,
            document.node,
            context_value=context,
            variable_values=dict(variables or {}),
            operation_name=name,
        )
        if is_awaitable(result):
            result = await result
        if not isinstance(result, ExecutionResult):
            raise TypeError(result)
        if result.data is None and result.errors and all(e.path is None for e in result.errors):
            return self._refused(result.errors, context)
        return self._answer(result.data, in_order(result.data, result.errors or ()), context)

    def _answer(
        self,
        data: Mapping[str, Any] | None,
        failed: Sequence[GraphQLError],
        context: RequestContext,
    ) -> Answer:
        body: dict[str, Any] = {"data": data}
        if failed:
            body["errors"] = [shown(error, context) for error in failed]
        return Answer(body, is_request_error=False)

    def _refused(self, found: Any, context: RequestContext) -> Answer:
        return Answer({"errors": [shown(e, context) for e in found]}, is_request_error=True)


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
        told["extensions"] = errors.extensions(cause, request_id)
    elif cause is None or isinstance(cause, GraphQLError):
        told["extensions"] = {"code": errors.INVALID}
    else:
        log.error("bug", request_id=request_id, path=error.path, exc_info=cause)
        told["message"] = "The gateway has a fault of its own; its log has the cause."
        told["extensions"] = {"code": errors.INTERNAL, "requestId": request_id}
    return told
