"""What the headers of a request say about its response, and about the trace that it is part of."""

from collections.abc import Sequence

import msgspec

from gateway.context import languages_of
from gateway.http.graphql_over_http import Headers, given_request_id
from gateway.observability.trace_context import PassedOn, TraceContext, trace_context
from gateway.observability.traces import Traces
from gateway.request_scope import Trace

SHOW_CALLS = b"x-show-calls"
"""A request header: with `1` the response lists its upstream calls."""


class RequestOptions(msgspec.Struct, frozen=True):
    """What the headers of a request say about its response."""

    languages: Sequence[str] = ()
    """Best first."""
    shows_calls: bool = False
    request_id: str | None = None
    """The client's own id for this request; None: it gets one."""
    traceparent: bytes | None = None
    """The trace that the request is part of, as its sender states it; see `sender`."""
    tracestate: bytes | None = None
    trace: Trace | None = None
    """The same, or one that begins here; None: it is not recorded."""
    passed_on: PassedOn | None = None
    """A trace that is not recorded here; None: traces are off, or the request came with none."""

    def of_request(self, headers: Headers) -> "RequestOptions":
        """Return these options for the request that has these headers of its own."""
        return RequestOptions(
            self.languages,
            self.shows_calls,
            given_request_id(headers),
            headers.get(b"traceparent"),
            headers.get(b"tracestate"),
        )

    def begin_trace(self, traces: Traces | None) -> "RequestOptions":
        """Return these options for an operation that begins; None: traces are off."""
        if traces is None:
            return self
        given = self.traceparent
        if given is None:
            return self.in_trace(traces.begin(None))
        trace = None if traces.passes_by(given) else traces.begin(self.sender)
        passed_on = PassedOn(given, self.tracestate) if trace is None else None
        return self.in_trace(trace, passed_on)

    def in_trace(self, trace: Trace | None, passed_on: PassedOn | None = None) -> "RequestOptions":
        """Return these options for a request that is recorded in a trace, or passes one on."""
        return RequestOptions(
            self.languages,
            self.shows_calls,
            self.request_id,
            self.traceparent,
            self.tracestate,
            trace,
            passed_on,
        )

    @property
    def sender(self) -> TraceContext | None:
        """The trace that the request is part of, as its sender states it; None: it is invalid."""
        return trace_context(self.traceparent, self.tracestate)

    @property
    def trace_id(self) -> str | None:
        """The id of its trace, for the log."""
        if self.trace is not None:
            return self.trace.trace_id
        sender = self.sender
        return None if sender is None else sender.trace_id


def request_options(headers: Headers) -> RequestOptions:
    """Read the options from the headers."""
    languages = headers.get(b"accept-language")
    options = RequestOptions(
        languages_of(languages.decode("latin-1")) if languages else (),
        headers.get(SHOW_CALLS) == b"1",
    )
    return options.of_request(headers)
