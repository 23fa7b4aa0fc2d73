"""Show errors to clients."""

import re
from collections.abc import Mapping
from typing import Any

import structlog
from graphql import GraphQLError

from gateway.context import RequestContext
from gateway.errors import GatewayError, ProviderError
from resolvers import error_codes
from resolvers.execution.document import Document

log = structlog.get_logger(__name__)


def formatted(
    error: GraphQLError, context: RequestContext, document: Document
) -> Mapping[str, Any]:
    """Return an error for a client: our message and code, nothing from a provider or a bug."""
    request_id = context.scope.request_id
    cause = error.original_error
    body: dict[str, Any] = {"message": error.message}
    if locations := document.locations(error):
        body["locations"] = [{"line": at.line, "column": at.column} for at in locations]
    if error.path is not None:
        body["path"] = error.path
    if isinstance(cause, GatewayError):
        body["extensions"] = error_codes.extensions(cause, request_id)
        is_below_payload = context.scope.writes is not None and len(error.path or ()) > 1
        if is_below_payload and isinstance(cause, ProviderError):
            # The write itself succeeded: repeating the request would repeat it.
            body["extensions"] |= {"retryable": False, "retryAfterMs": None}
    elif cause is None or isinstance(cause, GraphQLError):
        body["message"] = _in_json_words(error.message)
        body["extensions"] = {"code": error_codes.INVALID}
    else:
        log.error("bug", request_id=request_id, path=error.path, exc_info=cause)
        body["message"] = "Internal error in the gateway; its log has the cause."
        body["extensions"] = {"code": error_codes.INTERNAL, "requestId": request_id}
    return body


_PYTHON_WORDS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\b(None|True|False)\b""")
_JSON_WORDS = {"None": "null", "True": "true", "False": "false"}


def _in_json_words(message: str) -> str:
    """Return a message of graphql-core with JSON's null, true and false, not Python's.

    Text in quotes is the caller's own, or a name, and stays unchanged.
    """
    return _PYTHON_WORDS.sub(
        lambda match: _JSON_WORDS[match[1]] if match[1] else match[0], message
    )
