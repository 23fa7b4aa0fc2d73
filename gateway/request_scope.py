"""The state that all upstream calls of one client request share."""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from gateway.auth.permissions import Caller, unrestricted_caller
from gateway.errors import ProviderError

NETWORK, SHARED, CACHED, STALE = "NETWORK", "SHARED", "CACHED", "STALE"
"""Where the reply of a read came from: a call, another request's call, or the response cache."""


class CallRecord(msgspec.Struct, gc=False):
    """One attempt of an upstream call; or a read that needed none, if the request lists those.

    It is made once, for `X-Show-Calls`, metrics and traces. Times are in seconds, on the clock of
    `time.perf_counter`.
    """

    provider: str
    operation: str
    status: int | None
    """None if there was no reply."""
    started: float
    duration_s: float
    source: str = NETWORK
    attempt: int = 1
    """Counts the attempts of one call, from 1."""
    keys: int | None = None
    """How many objects it reads or writes by their keys; None: it lists, or has no keys."""
    waited_s: float = 0.0
    """How long it waited before this attempt: for a free slot, or for a sign-in."""
    error: type[ProviderError] | None = None
    reason: str | None = None
    """The `NetworkFailure`, if no reply arrived."""


class BatchRecord(msgspec.Struct, gc=False):
    """One batch of a loader; times are as in `CallRecord`."""

    loader: str
    size: int
    """How many keys it loads."""
    started: float
    duration_s: float


class PhaseRecord(NamedTuple):
    """A step of preparing an operation: parse, validate, plan. Times are as in `CallRecord`."""

    name: str
    started: float
    duration_s: float


class SpanIds(NamedTuple):
    """A span that has begun: its id, and that of its parent."""

    id: int
    parent: int


class Trace(Protocol):
    """The trace that records a request; its spans are made of the records of what has ended."""

    @property
    def trace_id(self) -> str:
        """Its id: 32 hexadecimal digits."""

    def begin(self) -> SpanIds:
        """Begin the span of a call, or of a wait for another's."""

    def begin_batch(self) -> SpanIds:
        """Begin the span of a batch: the parent of what the running task begins from now on."""

    def headers(self, span: SpanIds) -> Mapping[str, str]:
        """Return the headers of a call with this span."""

    def call_ended(self, span: SpanIds, record: CallRecord) -> None:
        """Take the record of a call."""

    def batch_ended(self, span: SpanIds, record: BatchRecord) -> None:
        """Take the record of a batch."""

    def prepared(self, phases: Sequence[PhaseRecord], since: float) -> None:
        """Take the steps that have prepared a document.

        Those before `since` belong to other operations.
        """

    def executed(self, *, is_refused: bool) -> None:
        """Note that the result is there; `is_refused`: nothing was executed."""

    def operation_ended(self, scope: "Scope", codes: Sequence[str]) -> None:
        """Take the whole operation, with the codes of its errors."""

    def operation_refused(self, code: str, started: float) -> None:
        """Take an operation that was refused before its document was known."""


class PassedOn(Protocol):
    """The trace of a request that is not recorded here, but perhaps by others."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of a call: as they came."""


class WriteCounts(NamedTuple):
    """Calls that write, counted by outcome."""

    acted: int = 0
    """The provider carried it out or refused it, or the outcome is unknown."""
    undone: int = 0
    """The provider replied that it did nothing: 401, 403, 429."""
    unsent: int = 0
    """Nothing reached the provider."""

    def since(self, before: "WriteCounts") -> "WriteCounts":
        """Return the counts of the calls that ended after `before`."""
        return WriteCounts(*(now - then for now, then in zip(self, before, strict=True)))


NO_WRITES = WriteCounts()
UNRESTRICTED = unrestricted_caller()
"""The gateway itself, and every client where no credentials are required."""


class Scope(msgspec.Struct):
    """The state that all upstream calls of one client request share."""

    request_id: str
    deadline: float
    """On the event loop's clock, in seconds."""
    caller: Caller = UNRESTRICTED
    is_background: bool = False
    """No client is waiting: these calls yield first when a provider's rate limit runs low, and are
    not retried, since background work is repeated as a whole."""
    started: float = msgspec.field(default_factory=time.perf_counter)
    """In seconds, on the clock of `time.perf_counter`."""
    operation: tuple[str, str] = ("", "")
    """Its type (query, mutation, subscription), and its name if its document is trusted."""
    given_name: str = ""
    """Its name, whoever chose it: for the request log and traces, if they are on."""
    lists_reads: bool = False
    """Whether `calls` also has the reads that needed no call."""
    calls: list[CallRecord] = msgspec.field(default_factory=list)
    batches: list[BatchRecord] | None = None
    """The batches of the request's loaders; None: there were none."""
    trace: Trace | None = None
    """None: it is not recorded."""
    passed_on: PassedOn | None = None
    """None: traces are off, or it came without a trace."""
    cost: int = 0
    """What was charged to the caller's budget."""
    calls_by_provider: dict[str, int] = msgspec.field(default_factory=dict)
    """Calls that were needed so far, by provider; cached replies are not counted."""
    writes: "WriteCounts | None" = None
    """The outcomes of calls that write; None: there were none."""
    fresh_for_s: float = math.inf
    """How long the least fresh reply stays fresh; 0 once a provider failed."""
    _reported: set[tuple[str, type]] = msgspec.field(default_factory=set)
    pending: set["asyncio.Future[Any]"] = msgspec.field(default_factory=set)
    """The tasks that send calls for this request, and the futures of its reads."""
    is_closed: bool = False
    """The response was sent or the client has left: reads for this request must end."""

    def note_write(self, *, acted: bool, replied: bool) -> None:
        """Count the outcome of a call that writes.

        `acted`: the provider carried it out or refused it, or the outcome is unknown.
        """
        before = self.writes or NO_WRITES
        self.writes = WriteCounts(
            before.acted + acted,
            before.undone + (replied and not acted),
            before.unsent + (not replied and not acted),
        )

    def note_batch(
        self, loader: str, size: int, started: float, span: SpanIds | None = None
    ) -> None:
        """Record a batch of `size` keys that has just ended."""
        record = BatchRecord(loader, size, started, time.perf_counter() - started)
        if self.batches is None:
            self.batches = []
        self.batches.append(record)
        if span is not None and self.trace is not None:
            self.trace.batch_ended(span, record)

    def note_freshness(self, fresh_for_s: float) -> None:
        """Record how long one of the replies stays fresh."""
        if fresh_for_s < self.fresh_for_s:
            self.fresh_for_s = max(fresh_for_s, 0)

    def is_first_report(self, provider: str, error: type) -> bool:
        """Return whether this is the request's first failure of this kind: only that is logged."""
        reported = len(self._reported)
        self._reported.add((provider, error))
        return len(self._reported) > reported

    def track_task(self) -> "_TrackedTask":
        """Let `close` cancel the running task: a loader's batch outlives its caller."""
        return _TrackedTask(self.pending)

    def close(self) -> None:
        """Cancel what is pending: the response was sent, or the client has left."""
        self.is_closed = True
        if self.pending:
            for each in self.pending - {asyncio.current_task()}:
                each.cancel()


class _TrackedTask:
    """Hold the running task in a set; a generator would cost twice as much."""

    __slots__ = ("_task", "_tasks")

    def __init__(self, tasks: set["asyncio.Future[Any]"]) -> None:
        self._tasks = tasks

    def __enter__(self) -> None:
        task = asyncio.current_task()
        self._task = None if task in self._tasks else task
        if self._task is not None:
            self._tasks.add(self._task)

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._tasks.discard(self._task)
