"""Start subscriptions: from a document to the source of its events."""

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
    DocumentNode,
    Executor,
    GraphQLError,
    GraphQLSchema,
    create_source_event_stream,
)
from graphql.pyutils import is_awaitable

from gateway.context import EventSource, RequestContext
from resolvers.execution.documents import MAX_ERRORS


async def subscribe(
    schema: GraphQLSchema,
    document: DocumentNode,
    variables: Mapping[str, Any] | None,
    name: str | None,
    context: RequestContext,
    *,
    explores: bool,
) -> EventSource | Sequence[GraphQLError]:
    """Return the source that the subscription's root field has, or the errors that refuse it."""
    executor = Executor.build(
        schema,
        document,
        context_value=context,
        raw_variable_values=dict(variables or {}),
        operation_name=name,
        max_coercion_errors=MAX_ERRORS,
        hide_suggestions=not explores,
    )
    if not isinstance(executor, Executor):
        return executor
    source = create_source_event_stream(executor)
    if is_awaitable(source):
        source = await source
    if isinstance(source, EventSource):
        return source
    return getattr(source, "errors", None) or [GraphQLError("The subscription has no events.")]
