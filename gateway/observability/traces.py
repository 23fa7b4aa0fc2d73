"""Which operations are recorded as traces, and the spans of those that are.

Whether an operation is recorded is decided before anything of it is. The spans are made of the
records of what has ended (`gateway.request_scope`), after the operation and many at a time
(`gateway.observability.otlp`): the request only queues the records. Names are those of GraphQL's
working group:
https://github.com/graphql/otel-wg/blob/main/spec/spans.yaml, read 2026-11-29. Texts of clients and
providers are not among their attributes, except an operation's name and a request's id.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from enum import Enum
from functools import partial
from random import getrandbits, random
from typing import Any, NamedTuple

from gateway.observability.metrics import LEAST_WAIT_S, error_type
from gateway.observability.request_log import LONGEST_NAME
from gateway.observability.settings import TraceSettings
from gateway.observability.trace_context import UNSAMPLED, TraceContext
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


Ended = Callable[[], Span]
"""Something that has ended: returns its span, and is called in another thread."""

Export = Callable[[Ended], object]


class Traces:
    """Decides which operations are recorded."""

    def __init__(self, settings: TraceSettings, export: Export) -> None:
        """Pass what has ended to `export`."""
        self.share = settings.sampler
        """How many of the operations without a sender's context are recorded."""
        self._follows_sender = settings.parent_based_sampler
        self._export = export

    def begin(self, sender: TraceContext | None) -> Trace | None:
        """Return the trace of an operation; `sender`: the context that its request came with.

        None: it is not recorded.
        """
        if sender is None:
            return self.begin_here() if random() < self.share else None  # noqa: S311  # no secret
        if self._follows_sender:
            is_recorded = sender.is_sampled
        else:  # the same decision in all systems with the same share
            is_recorded = int(sender.trace_id[16:], 16) < self.share * 2**64
        return RecordedTrace(sender, self._export) if is_recorded else None

    def passes_by(self, traceparent: bytes) -> bool:
        """Return whether an operation is not recorded, whether or not this header is valid."""
        is_unsampled = traceparent[52:] == UNSAMPLED
        return is_unsampled and self._follows_sender and random() >= self.share  # noqa: S311  # no secret

    def begin_here(self) -> Trace:
        """Return a new trace, which is recorded."""
        return RecordedTrace(None, self._export)

    def begin_event(self, subscription: TraceContext | None) -> Trace | None:
        """Return the trace of an event, which is linked to that of its subscription.

        It has one of its own: a subscription may last for days.
        """
        if random() >= self.share:  # noqa: S311  # no secret
            return None
        return RecordedTrace(None, self._export, link=subscription)


class RecordedTrace:
    """The spans of one operation; each is exported when it ends.

    What the functions that make the spans read does not change any more by then.
    """

    def __init__(
        self, sender: TraceContext | None, export: Export, *, link: TraceContext | None = None
    ) -> None:
        """Continue the sender's trace, or begin one, with a link to another."""
        self._number = _new_id(128) if sender is None else int(sender.trace_id, 16)
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

    @property
    def trace_id(self) -> str:
        """Its id: 32 hexadecimal digits."""
        return f"{self._number:032x}"

    def begin(self) -> SpanIds:
        """Begin the span of a call, below the batch of the running task or the execution."""
        return SpanIds(_new_id(), _parent.get() or self._execution)

    def begin_batch(self) -> SpanIds:
        """Begin the span of a batch, whose task this is."""
        span = self.begin()
        _parent.set(span.id)
        return span

    def headers(self, span: SpanIds) -> Mapping[str, str]:
        """Return the headers of a call."""
        return TraceContext(f"00-{self.trace_id}-{span.id:016x}-01", self._state).headers

    def call_ended(self, span: SpanIds, record: CallRecord) -> None:
        """Export the span of an attempt of a call, or of waiting for another request's call."""
        self._export(partial(self._call, span, record))

    def batch_ended(self, span: SpanIds, record: BatchRecord) -> None:
        """Export the span of a batch."""
        self._export(partial(self._batch, span, record))

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
        executed_from = scope.started
        for phase in self._phases:
            self._export(partial(self._phase, SpanIds(_new_id(), self._root), phase))
            executed_from = phase.started + phase.duration_s
        if not self._is_refused:
            until = self._executed_at or ended
            self._export(partial(self._executing, scope.operation[0], executed_from, until))
        named = scope.request_id, scope.given_name, scope.cost
        took = scope.started, ended
        self._export(partial(self._whole, scope.operation, named, took, tuple(codes[:1])))

    def operation_refused(self, code: str, started: float) -> None:
        """Export the span of an operation that was refused before its document was known."""
        ended = time.perf_counter()
        self._export(partial(self._first, UNKNOWN, (started, ended), {}, (code,)))

    def _call(self, span: SpanIds, record: CallRecord) -> Span:
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
        took = record.started, record.started + record.duration_s
        return self._span(name, kind, span, took, attributes, is_error=bool(error))

    def _batch(self, span: SpanIds, record: BatchRecord) -> Span:
        attributes = {
            PROCESSING: "dataloader_batch",
            "graphql.dataloader.name": record.loader,
            "graphql.dataloader.batch.size": record.size,
        }
        took = record.started, record.started + record.duration_s
        return self._span(f"{BATCH} {record.loader}", Kind.INTERNAL, span, took, attributes)

    def _phase(self, span: SpanIds, phase: PhaseRecord) -> Span:
        took = phase.started, phase.started + phase.duration_s
        attributes = {PROCESSING: phase.name}
        return self._span(PHASES[phase.name], Kind.INTERNAL, span, took, attributes)

    def _executing(self, kind: str, started: float, ended: float) -> Span:
        attributes = {PROCESSING: "execute", "graphql.operation.type": kind}
        span = SpanIds(self._execution, self._root)
        return self._span(EXECUTION, Kind.INTERNAL, span, (started, ended), attributes)

    def _whole(
        self,
        operation: tuple[str, str],
        named: tuple[str, str, int],
        took: tuple[float, float],
        codes: Sequence[str],
    ) -> Span:
        """Return the first span of an operation whose document is known."""
        kind, trusted_name = operation
        request_id, given_name, cost = named
        shown: dict[str, Any] = {"gateway.request_id": request_id}
        if kind:
            shown["graphql.operation.type"] = kind
        if given_name:
            shown["graphql.operation.name"] = given_name[:LONGEST_NAME]
        if cost:
            shown["gateway.cost"] = cost
        name = EVENT if kind == SUBSCRIPTION else f"{kind} {trusted_name}".strip() or UNKNOWN
        return self._first(name, took, shown, codes)

    def _first(
        self,
        name: str,
        took: tuple[float, float],
        attributes: Mapping[str, Any],
        codes: Sequence[str],
    ) -> Span:
        """Return the first span of the operation."""
        if codes:
            attributes = {**attributes, "error.type": codes[0]}
        parent = 0 if self._sender is None else int(self._sender.parent_id, 16)
        span = SpanIds(self._root, parent)
        return self._span(name, Kind.SERVER, span, took, attributes, is_error=bool(codes))

    def _span(  # noqa: PLR0913  # what a span has
        self,
        name: str,
        kind: Kind,
        span: SpanIds,
        took: tuple[float, float],
        attributes: Mapping[str, Any],
        *,
        is_error: bool = False,
    ) -> Span:
        started, ended = took
        is_root = span.id == self._root
        return Span(
            name,
            kind,
            self._number,
            span.id,
            span.parent or None,
            is_root,
            self._state,
            self._time_at_zero + started,
            self._time_at_zero + ended,
            attributes,
            is_error,
            self._link if is_root else None,
        )


def _new_id(bits: int = 64) -> int:
    """Return a new id; all zeros would be invalid."""
    return getrandbits(bits) or 1
