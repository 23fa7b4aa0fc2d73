"""Which operations are recorded as traces, and the spans of those that are.

Whether an operation is recorded is decided before anything of it is. The spans are made of the
records of what has ended (`gateway.request_scope`), by the names of GraphQL's working group:
https://github.com/graphql/otel-wg/blob/main/spec/spans.yaml, read 2026-11-29. Texts of clients and
providers are not among their attributes, except an operation's name and a request's id.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from enum import Enum
from random import getrandbits, random
from typing import Any, NamedTuple

from gateway.observability.metrics import LEAST_WAIT_S, error_type
from gateway.observability.request_log import LONGEST_NAME
from gateway.observability.settings import TraceSettings
from gateway.observability.trace_context import TraceContext
from gateway.request_scope import (
    NETWORK,
    BatchRecord,
    CallRecord,
    PhaseRecord,
    Scope,
    SpanIds,
    Trace,
)

PHASES: Mapping[str, str] = {
    "parse": "GraphQL Document Parsing",
    "validate": "GraphQL Document Validation",
    "plan": "GraphQL Operation Planning",
}
EXECUTION = "GraphQL Operation Execution"
BATCH = "GraphQL DataLoader Batch"
EVENT = "GraphQL Subscription Event"
UNKNOWN = "GraphQL Operation"
"""An operation that is refused before its document is known."""

PROCESSING = "graphql.processing.type"
SUBSCRIPTION = "subscription"

_parent: ContextVar[int | None] = ContextVar("parent_span", default=None)
"""The batch that the running task belongs to."""


class Kind(Enum):
    """The kinds of spans."""

    SERVER = "server"
    INTERNAL = "internal"
    CLIENT = "client"


class Span(NamedTuple):
    """A span that has ended. Times are in seconds, on the clock of `time.time`."""

    name: str
    kind: Kind
    trace_id: int
    id: int
    parent: int | None
    """None: it is the first of its trace."""
    is_remote: bool
    """The parent is a span of another system."""
    state: str
    """The `tracestate` that came with the request."""
    started: float
    ended: float
    attributes: Mapping[str, Any]
    is_error: bool = False
    link: TraceContext | None = None
    """Another trace that led to this one."""


Export = Callable[[Span], object]


class Traces:
    """Decides which operations are recorded."""

    def __init__(self, settings: TraceSettings, export: Export) -> None:
        """Pass spans that have ended to `export`."""
        self._share = settings.sampler
        self._follows_sender = settings.parent_based_sampler
        self._export = export

    def begin(self, sender: TraceContext | None) -> Trace | None:
        """Return the trace of an operation; `sender`: the context that its request came with.

        None: it is part of none.
        """
        if sender is None:
            return RecordedTrace(None, self._export) if random() < self._share else None  # noqa: S311  # no secret
        if self._follows_sender:
            is_recorded = sender.is_sampled
        else:  # the same decision in all systems with the same share
            is_recorded = int(sender.trace_id[16:], 16) < self._share * 2**64
        return RecordedTrace(sender, self._export) if is_recorded else ForwardedTrace(sender)

    def begin_event(self, subscription: TraceContext | None) -> Trace | None:
        """Return the trace of an event, which is linked to that of its subscription.

        It has one of its own: a subscription may last for days.
        """
        if random() >= self._share:  # noqa: S311  # no secret
            return None
        return RecordedTrace(None, self._export, link=subscription)


class ForwardedTrace:
    """A trace that is not recorded here: providers get the headers as they came."""

    is_recorded = False

    def __init__(self, sender: TraceContext) -> None:
        """Pass this context on."""
        self.trace_id = sender.trace_id
        self._headers = _headers(sender)

    def headers(self, _: SpanIds | None) -> Mapping[str, str]:
        """Return the headers of a call."""
        return self._headers

    def _nothing(self, *_: Any, **__: Any) -> None:
        """There are no spans."""

    begin = begin_batch = call_ended = batch_ended = _nothing
    prepared = executed = operation_ended = operation_refused = _nothing


class RecordedTrace:
    """The spans of one operation; each is exported when it ends."""

    is_recorded = True

    def __init__(
        self, sender: TraceContext | None, export: Export, *, link: TraceContext | None = None
    ) -> None:
        """Continue the sender's trace, or begin one, with a link to another."""
        self.trace_id = f"{_new_id(128):032x}" if sender is None else sender.trace_id
        self._number = int(self.trace_id, 16)
        self._sender = sender
        self._state = "" if sender is None else sender.state
        self._link = link
        self._export = export
        self._root, self._execution = _new_id(), _new_id()
        # The records' clock is not the time of day, but does not jump either.
        self._time_at_zero = time.time() - time.perf_counter()
        self._phases: Sequence[PhaseRecord] = ()
        self._executed_at: float | None = None
        self._is_refused = False

    def begin(self) -> SpanIds:
        """Begin the span of a call, below the batch of the running task or the execution."""
        return SpanIds(_new_id(), _parent.get() or self._execution)

    def begin_batch(self) -> SpanIds:
        """Begin the span of a batch, whose task this is."""
        span = self.begin()
        _parent.set(span.id)
        return span

    def headers(self, span: SpanIds | None) -> Mapping[str, str]:
        """Return the headers of a call."""
        parent = self._execution if span is None else span.id
        return _headers(
            TraceContext(self.trace_id, f"{parent:016x}", is_sampled=True, state=self._state)
        )

    def call_ended(self, span: SpanIds, record: CallRecord) -> None:
        """Export the span of an attempt of a call, or of waiting for another request's call."""
        attributes: dict[str, Any] = {
            "gateway.provider": record.provider,
            "gateway.provider.operation": record.operation,
            "gateway.provider.source": record.source.lower(),
        }
        if record.waited_s >= LEAST_WAIT_S:
            attributes["gateway.provider.wait_ms"] = round(record.waited_s * 1000, 3)
        if record.keys is not None:
            attributes["gateway.provider.keys"] = record.keys
        if record.status is not None:
            attributes["http.response.status_code"] = record.status
        if record.attempt > 1:
            attributes["http.request.resend_count"] = record.attempt - 1
        error = error_type(record.status, record.error, record.reason)
        if error:
            attributes["error.type"] = error
        name = f"{record.provider} {record.operation}"
        kind = Kind.CLIENT if record.source == NETWORK else Kind.INTERNAL
        self._add(name, kind, span, record, attributes, is_error=bool(error))

    def batch_ended(self, span: SpanIds, record: BatchRecord) -> None:
        """Export the span of a batch."""
        attributes = {
            PROCESSING: "dataloader_batch",
            "graphql.dataloader.name": record.loader,
            "graphql.dataloader.batch.size": record.size,
        }
        self._add(f"{BATCH} {record.loader}", Kind.INTERNAL, span, record, attributes)

    def prepared(self, phases: Sequence[PhaseRecord], since: float) -> None:
        """Take the steps that have prepared a document, of which some are older than this."""
        self._phases = [each for each in phases if each.started >= since]

    def executed(self, *, is_refused: bool) -> None:
        """Note that the result is there; `is_refused`: nothing was executed."""
        self._executed_at = time.perf_counter()
        self._is_refused = is_refused

    def operation_ended(self, scope: Scope, codes: Sequence[str]) -> None:
        """Export the spans of the operation itself; `codes` are those of its errors."""
        ended = time.perf_counter()
        kind, trusted_name = scope.operation
        executed_from = scope.started
        for phase in self._phases:
            span = SpanIds(_new_id(), self._root)
            self._add(PHASES[phase.name], Kind.INTERNAL, span, phase, {PROCESSING: phase.name})
            executed_from = phase.started + phase.duration_s
        if not self._is_refused:
            duration_s = (self._executed_at or ended) - executed_from
            execution = PhaseRecord(EXECUTION, executed_from, duration_s)
            attributes = {PROCESSING: "execute", "graphql.operation.type": kind}
            span = SpanIds(self._execution, self._root)
            self._add(EXECUTION, Kind.INTERNAL, span, execution, attributes)
        shown: dict[str, Any] = {"gateway.request_id": scope.request_id}
        if kind:
            shown["graphql.operation.type"] = kind
        if scope.given_name:
            shown["graphql.operation.name"] = scope.given_name[:LONGEST_NAME]
        if scope.cost:
            shown["gateway.cost"] = scope.cost
        name = EVENT if kind == SUBSCRIPTION else f"{kind} {trusted_name}".strip() or UNKNOWN
        self._end(PhaseRecord(name, scope.started, ended - scope.started), shown, codes)

    def operation_refused(self, code: str, started: float) -> None:
        """Export the span of an operation that was refused before its document was known."""
        self._end(PhaseRecord(UNKNOWN, started, time.perf_counter() - started), {}, (code,))

    def _end(
        self, record: PhaseRecord, attributes: Mapping[str, Any], codes: Sequence[str]
    ) -> None:
        """Export the first span of the operation."""
        if codes:
            attributes = {**attributes, "error.type": codes[0]}
        parent = 0 if self._sender is None else int(self._sender.parent_id, 16)
        span = SpanIds(self._root, parent)
        self._add(record.name, Kind.SERVER, span, record, attributes, is_error=bool(codes))

    def _add(  # noqa: PLR0913  # what a span has
        self,
        name: str,
        kind: Kind,
        span: SpanIds,
        record: CallRecord | BatchRecord | PhaseRecord,
        attributes: Mapping[str, Any],
        *,
        is_error: bool = False,
    ) -> None:
        started = self._time_at_zero + record.started
        is_root = span.id == self._root
        self._export(
            Span(
                name,
                kind,
                self._number,
                span.id,
                span.parent or None,
                is_root,
                self._state,
                started,
                started + record.duration_s,
                attributes,
                is_error,
                self._link if is_root else None,
            )
        )


def _headers(context: TraceContext) -> Mapping[str, str]:
    headers = {"traceparent": context.traceparent}
    return {**headers, "tracestate": context.state} if context.state else headers


def _new_id(bits: int = 64) -> int:
    """Return a new id; all zeros would be invalid."""
    return getrandbits(bits) or 1
