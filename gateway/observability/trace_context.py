"""The trace that a request is part of: W3C Trace Context, https://www.w3.org/TR/trace-context/."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Protocol

import msgspec

_TRACEPARENT = re.compile(
    rb"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)
"""Later versions may have more at the end."""

_SAMPLED = b"13579bdf"
"""The last digits of flags with the lowest bit."""

UNSAMPLED = b"-00"
"""The end of a `traceparent` whose sender does not record the trace."""

LONGEST_STATE = 512
"""Characters of a `tracestate` that is passed on; the specification asks for at least as many."""


class TraceContext(msgspec.Struct, frozen=True, gc=False):
    """A request's place in a trace, as its sender states it."""

    traceparent: str
    """The header of version 00, with no other flag than whether the sender records this trace."""
    state: str = ""
    """What other systems add; passed on as it is."""

    @property
    def trace_id(self) -> str:
        """Its id: 32 hexadecimal digits."""
        return self.traceparent[3:35]

    @property
    def parent_id(self) -> str:
        """The sender's span: 16 hexadecimal digits."""
        return self.traceparent[36:52]

    @property
    def is_sampled(self) -> bool:
        """Whether the sender records this trace."""
        return self.traceparent.endswith("1")

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of a call in this context."""
        headers = {"traceparent": self.traceparent}
        if self.state:
            headers["tracestate"] = self.state
        return headers


class PassedOn:
    """A trace that is not recorded here: providers get its headers as they came, if valid."""

    __slots__ = ("_given", "_headers")

    def __init__(self, traceparent: bytes, tracestate: bytes | None) -> None:
        """Pass these headers on."""
        self._given = traceparent, tracestate
        self._headers: Mapping[str, str] | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of a call."""
        if self._headers is None:  # many operations make no call
            context = trace_context(*self._given)
            self._headers = {} if context is None else context.headers
        return self._headers


class Traced(Protocol):
    """A request that may be part of a trace."""

    @property
    def trace_id(self) -> str | None:
        """The id of its trace; None: it is part of none."""


TRACED: ContextVar[Traced | None] = ContextVar("traced", default=None)
"""The request that the running task is part of: every line of the log names its trace.

The headers of most requests are never read for it, because nothing is logged.
"""


def trace_context(traceparent: bytes | None, tracestate: bytes | None) -> TraceContext | None:
    """Return the context in these headers; None if there is none, or none that is valid."""
    given = b"" if traceparent is None else traceparent.strip()
    if not _TRACEPARENT.fullmatch(given):
        return None
    flags = "01" if given[54] in _SAMPLED else "00"
    state = _state(tracestate) if tracestate else ""
    return TraceContext(f"00{given[2:53].decode()}{flags}", state)


def _state(tracestate: bytes) -> str:
    """Return a `tracestate` as it is passed on: empty if it is not valid, or too long."""
    state = tracestate.decode("latin-1")
    is_valid = len(state) <= LONGEST_STATE and state.isascii() and state.isprintable()
    return state if is_valid else ""
