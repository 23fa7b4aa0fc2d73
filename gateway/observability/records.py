"""The record of one operation, and that of one HTTP request: each is made once, when it ends.

Calls to providers and batches of loaders have theirs in `gateway.request_scope`. Metrics, traces
and the request log are made of these records.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from gateway.request_scope import BatchRecord

CANCELLED = "CANCELLED"
"""In place of an error code: the client has left, so there was no response."""


class OperationRecord(msgspec.Struct, gc=False):
    """One GraphQL operation, or one event of a subscription."""

    started: float
    """In seconds, on the clock of `time.perf_counter`."""
    duration_s: float = 0.0
    type: str = ""
    """query, mutation or subscription; empty if the document has no such operation."""
    name: str = ""
    """Its name, if it is of a trusted document: other names are the caller's free choice."""
    codes: Sequence[str] = ()
    """The codes of the errors in its response, in order."""
    cost: int = 0
    """What was charged to the caller's budget."""
    batches: Sequence[BatchRecord] = ()


class RequestRecord(NamedTuple):
    """One HTTP request."""

    method: str
    route: str
    status: int
    duration_s: float
