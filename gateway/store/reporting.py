"""Log why the record failed, under the id of the request that saw it."""

import structlog

from gateway.store.errors import RecordFailed, StoreState

_WITH_PLACES = {StoreState.BROKEN, StoreState.DAMAGED}
"""States that may be a fault of the program: the log says where they came up."""

log = structlog.get_logger(__name__)


def report(error: RecordFailed, request_id: str) -> None:
    """Write one line. The cause names no rows and no parameters; see `gateway.store.failures`."""
    log.warning(
        "record failed",
        request_id=request_id,
        state=error.state.name,
        cause=error.cause or None,
        exc_info=error if error.state in _WITH_PLACES else None,
    )
