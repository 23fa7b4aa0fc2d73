"""Run documents that may share a plan."""

import math
from datetime import UTC, datetime
from typing import Any

from structlog.testing import capture_logs

from gateway.auth.permissions import Caller
from gateway.context import RequestContext, Scope
from resolvers.execution.document import Document
from resolvers.execution.executor import Executor
from tests.differential import made_up
from tests.differential.both import in_dicts

MADE_UP = made_up.SCHEMA._schema  # noqa: SLF001  # as gateway.asgi
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def context(caller: Caller | None = None) -> RequestContext:
    """Return a context without providers."""
    scope = Scope("request", math.inf) if caller is None else Scope("request", math.inf, caller)
    return RequestContext({}, scope, (), NOW)


def is_shared(document: Document) -> bool:
    """Return whether a document was made of another one's plan."""
    return document.template_parts is not None


async def run(text: str, executor: Executor, caller: Caller | None = None, **given: Any) -> Any:
    """Run a document and return what a client gets."""
    with capture_logs():
        result = await executor.run(executor.document(text), given, None, context(caller))
    return in_dicts(result).body
