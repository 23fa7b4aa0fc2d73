"""Read a reply by its exchange; a reply that it cannot read is `Malformed`."""

from typing import TypeVar

import structlog

from gateway.errors import GatewayError, Malformed
from gateway.providers.base.exchange import Exchange, Reply
from gateway.upstream.json_depth import MAX_DEPTH, is_too_deep

T = TypeVar("T")

log = structlog.get_logger(__name__)


def read_reply(provider: str, exchange: Exchange[T], reply: Reply) -> T:
    """Return the value that the exchange reads. Raises `Malformed`, or as the exchange does."""
    operation = exchange.operation
    if is_too_deep(reply.body):
        raise Malformed(
            provider, operation, status=reply.status, detail=f"nested deeper than {MAX_DEPTH}"
        )
    try:
        return exchange.read(reply)
    except GatewayError:
        raise
    except Exception as error:
        # A bug in the adapter must affect only this provider's part of a response.
        log.exception("adapter failed", provider=provider, operation=operation)
        raise Malformed(provider, operation, status=reply.status) from error
