"""Report why the store failed: in the log under a request's id, and to the operator at start."""

import structlog

from gateway.store.errors import StoreFailed, StoreState

_WITH_TRACEBACK = {StoreState.BROKEN, StoreState.DAMAGED}
"""States that a bug may cause: they are logged with a traceback."""

log = structlog.get_logger(__name__)


def report(error: StoreFailed, request_id: str) -> None:
    """Log the failure. Its cause has no values of rows or parameters (`store.failures`)."""
    log.warning(
        "store failed",
        request_id=request_id,
        state=error.state.name,
        cause=error.cause or None,
        exc_info=error if error.state in _WITH_TRACEBACK else None,
    )


_ADVICE = {
    StoreState.DOWN: "Is it running, and are host, port, database and password correct?",
    StoreState.FROZEN: "It accepts connections but does not answer: is it stopped or overloaded?",
    StoreState.LOCKED: "End the program that holds the lock, and start again.",
    StoreState.READ_ONLY: "Use the primary server, or give the user permission to write.",
    StoreState.FULL: "Free some disk space, and start again.",
    StoreState.DENIED: "Its user needs CREATE and USAGE on the schema, and must own the tables.",
    StoreState.DAMAGED: "Restore a backup, or repair it as described in docs/store.md.",
}


def advice(error: StoreFailed, location: str) -> str:
    """Return one line for the operator: where the store is, what is wrong, and what to do."""
    problem = f"{location} cannot be used: {error.state.value}"
    cause = f" ({error.cause})" if error.cause else ""
    return f"{problem}{cause}. {_ADVICE.get(error.state, 'See docs/store.md.')}"
