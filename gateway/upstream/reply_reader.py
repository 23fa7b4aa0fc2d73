"""Read a reply by its exchange; a reply that it cannot read is `Malformed`."""

from codecs import BOM_UTF8
from typing import TypeVar

import msgspec
import structlog

from gateway.domain.json_depth import TOO_DEEP, is_too_deep
from gateway.errors import GatewayError, Malformed
from gateway.providers.base.exchange import Exchange, Reply

T = TypeVar("T")

log = structlog.get_logger(__name__)


def read_reply(provider: str, exchange: Exchange[T], reply: Reply) -> T:
    """Return the value that the exchange reads. Raises `Malformed`, or as the exchange does."""
    operation, body = exchange.operation, reply.body
    if not exchange.bounds_depth and is_too_deep(body):
        raise Malformed(provider, operation, status=reply.status, detail=TOO_DEEP)
    if body.startswith(BOM_UTF8):  # some serializers write one (RFC 8259, 8.1)
        reply = msgspec.structs.replace(reply, body=body.removeprefix(BOM_UTF8))
    try:
        return exchange.read(reply)
    except GatewayError:
        raise
    except Exception as error:
        # A bug in the adapter must affect only this provider's part of a response.
        log.exception("adapter failed", provider=provider, operation=operation)
        raise Malformed(provider, operation, status=reply.status) from error
