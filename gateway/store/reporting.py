"""Say why the record failed: to the log under a request's id, and to who starts the server."""

import structlog

from gateway.store.errors import StoreFailed, StoreState

_WITH_PLACES = {StoreState.BROKEN, StoreState.DAMAGED}
"""States that may be a fault of the program: the log says where they came up."""

log = structlog.get_logger(__name__)


def report(error: StoreFailed, request_id: str) -> None:
    """Write one line. The cause names no rows and no parameters; see `gateway.store.failures`."""
    log.warning(
        "record failed",
        request_id=request_id,
        state=error.state.name,
        cause=error.cause or None,
        exc_info=error if error.state in _WITH_PLACES else None,
    )


_ADVICE = {
    StoreState.DOWN: "Is it running, and are host, port, database and password right?",
    StoreState.FROZEN: "It accepts connections and does not answer: is it stopped or overloaded?",
    StoreState.LOCKED: "End the program that holds the lock, and start again.",
    StoreState.READ_ONLY: "Name the primary server, or let its user write.",
    StoreState.FULL: "Make room there, and start again.",
    StoreState.DENIED: "Its user needs CREATE and USAGE on the schema, and owns the tables.",
    StoreState.DAMAGED: "Restore a backup, or mend it as docs/store.md says.",
}


def advice(error: StoreFailed, place: str) -> str:
    """Return one line for the operator: where the record is, what is wrong, and what to do."""
    what = f"{place} cannot be used: {error.state.value}"
    cause = f" ({error.cause})" if error.cause else ""
    return f"{what}{cause}. {_ADVICE.get(error.state, 'See docs/store.md.')}"
