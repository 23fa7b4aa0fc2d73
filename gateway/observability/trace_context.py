"""The trace that a request is part of: W3C Trace Context, https://www.w3.org/TR/trace-context/."""

import re
from contextvars import ContextVar
from typing import NamedTuple

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
SAMPLED = 1
LONGEST_STATE = 512
"""Characters of a `tracestate` that is passed on; the specification asks for at least as many."""


class TraceContext(NamedTuple):
    """A request's place in a trace, as its sender states it."""

    trace_id: str
    """32 hexadecimal digits."""
    parent_id: str
    """The sender's span: 16 hexadecimal digits."""
    is_sampled: bool
    """The sender records this trace."""
    state: str = ""
    """What other systems add; passed on as it is."""

    @property
    def traceparent(self) -> str:
        """The header with this context."""
        return f"00-{self.trace_id}-{self.parent_id}-{int(self.is_sampled):02x}"


TRACE_ID: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""The trace of the request that the running task is part of: every line of the log names it."""


def trace_context(traceparent: bytes | None, tracestate: bytes | None) -> TraceContext | None:
    """Return the context in these headers; None if there is none, or none that is valid."""
    if traceparent is None:
        return None
    match = _TRACEPARENT.fullmatch(traceparent.decode("latin-1").strip())
    if match is None:
        return None
    version, trace_id, parent_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or trace_id == _NO_TRACE:
        return None
    if parent_id == _NO_SPAN:
        return None
    state = (tracestate or b"").decode("latin-1")
    is_passed_on = len(state) <= LONGEST_STATE and state.isascii() and state.isprintable()
    is_sampled = bool(int(flags, 16) & SAMPLED)
    return TraceContext(trace_id, parent_id, is_sampled, state if is_passed_on else "")
