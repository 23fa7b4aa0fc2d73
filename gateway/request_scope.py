"""What the upstream calls of one client request have in common."""

import asyncio
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.auth.permissions import Caller, everybody


class SentCall(NamedTuple):
    """One call that a request caused: for traces, and for tests that count."""

    provider: str
    operation: str
    status: int | None
    """None when there was no answer."""
    duration_ms: float


class WriteCounts(NamedTuple):
    """How many calls that write ended how."""

    acted: int = 0
    """The provider did it or refused it, or nobody knows."""
    undone: int = 0
    """The provider answered that it did nothing: 401, 403, 429."""
    unsent: int = 0
    """Nothing reached the provider."""

    def since(self, before: "WriteCounts") -> "WriteCounts":
        """Return those that ended after `before`."""
        return WriteCounts(*(now - then for now, then in zip(self, before, strict=True)))


NO_WRITES = WriteCounts()
ANYBODY = everybody()
"""The gateway itself, and whoever asks where nobody has to sign in."""


@dataclass(slots=True)
class Scope:
    """What the calls of one client request have in common."""

    request_id: str
    deadline: float
    """On the event loop's clock, in seconds."""
    caller: Caller = ANYBODY
    """Who asks."""
    is_background: bool = False
    """Nobody waits for it: it yields first when a provider allows few more calls."""
    calls: list[SentCall] = field(default_factory=list)
    wanted: dict[str, int] = field(default_factory=dict)
    """Calls asked for so far by provider, answers from the cache not counted."""
    writes: "WriteCounts | None" = None
    """How the calls ended that were to change something; None: there was none."""
    fresh_for_s: float = math.inf
    """How long the least fresh of its answers stays good; 0 once a provider failed."""
    _reported: set[tuple[str, type]] = field(default_factory=set)
    waits: set["asyncio.Future[Any]"] = field(default_factory=set)
    """What is awaited for it now: tasks that send, and the turns of those that read."""
    is_closed: bool = False
    """It was answered, or nobody waits: whoever still reads for it shall end."""

    def note_write(self, *, acted: bool, answered: bool) -> None:
        """Take in how a call that writes ended; `acted`: done or refused, or it is not known."""
        before = self.writes or NO_WRITES
        self.writes = WriteCounts(
            before.acted + acted,
            before.undone + (answered and not acted),
            before.unsent + (not answered and not acted),
        )

    def note_freshness(self, fresh_for_s: float) -> None:
        """Take in how long one of the answers stays good."""
        if fresh_for_s < self.fresh_for_s:
            self.fresh_for_s = max(fresh_for_s, 0)

    def is_new(self, provider: str, error: type) -> bool:
        """Tell whether this kind of failure is this request's first of it: what the log asks."""
        known = len(self._reported)
        self._reported.add((provider, error))
        return len(self._reported) > known

    def under_way(self) -> "_UnderWay":
        """Hold the running task as one that `close` ends: a loader's batch outlives its caller."""
        return _UnderWay(self.waits)

    def close(self) -> None:
        """End what is still asked for this request alone: it was answered, or nobody waits."""
        self.is_closed = True
        if self.waits:
            for each in self.waits - {asyncio.current_task()}:
                each.cancel()


class _UnderWay:
    """Keeps the running task in a set; a generator would cost twice as much."""

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
