"""The audit log: one line for every write, whatever its outcome.

A line names the caller, the operation, its targets and the outcome, never the values. Its `logger`
is `audit`. docs/auditing.md explains each part.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, Protocol

import structlog

from gateway.auth.permissions import Caller
from gateway.domain.mutations import UserError
from gateway.errors import ProviderError
from gateway.observability.confidential import Personal
from gateway.request_scope import NO_WRITES, Scope, WriteCounts

MAX_IDS = 200
"""Ids per line: a larger write takes several lines, because log readers truncate long ones."""

MAX_ID_LENGTH = 200
"""Characters that are logged of an id that the caller supplied."""

DENIED, DONE, PARTLY, REFUSED = "denied", "done", "partly", "refused"
FAILED, NOT_SENT, UNKNOWN, REPEATED = "failed", "not sent", "unknown", "repeated"

log = structlog.get_logger("audit")


@dataclass(slots=True)
class Targets:
    """The targets of a write, each once: keys of providers, ids at the providers."""

    providers: dict[str, None] = field(default_factory=dict)
    segments: dict[str, None] = field(default_factory=dict)
    customers: dict[str, None] = field(default_factory=dict)


class Receipt(Protocol):
    """The result of a write; that of a bulk write also has `rows`."""

    @property
    def errors(self) -> Sequence[UserError]:
        """The caller's mistakes."""


class Outcome(NamedTuple):
    """The outcome of a write, in the words of the log."""

    word: str
    errors: Iterable[str] = ()
    rows: Mapping[str, int] | None = None


class Line:
    """The line of a write that is in progress."""

    def __init__(self, targets: Targets, scope: Scope) -> None:
        """Start with an unknown outcome, for a write of this request."""
        self.targets = targets
        self.outcome = Outcome(UNKNOWN)
        self._scope = scope
        self._before = scope.writes or NO_WRITES

    def note(self, receipt: Receipt, *, is_repeated: bool) -> None:
        """Record the result; `is_repeated`: it is the stored result of an earlier request."""
        rows = getattr(receipt, "rows", ())
        for each in (receipt, *rows):
            ref = getattr(each, "ref", None)
            if ref is not None:
                self.targets.segments[ref.key] = None
        self.outcome = Outcome(REPEATED) if is_repeated else outcome_of(receipt, rows)
        counts = self._counts
        if not is_repeated and not counts.acted and (counts.undone or counts.unsent):
            self.outcome = self.outcome._replace(word=FAILED if counts.undone else NOT_SENT)

    def fail(self, error: BaseException) -> None:
        """Record the error that ended it."""
        counts = self._counts
        is_unsent = isinstance(error, ProviderError) and not error.was_sent
        if counts.acted:
            word = UNKNOWN
        elif counts.undone:
            word = FAILED if is_unsent else UNKNOWN
        else:
            word = NOT_SENT
        self.outcome = Outcome(word, [type(error).__name__])

    @property
    def _counts(self) -> WriteCounts:
        return (self._scope.writes or NO_WRITES).since(self._before)


@contextmanager
def write(
    scope: Scope, operation: str, targets: Targets, *, has_key: bool = False
) -> Iterator[Line]:
    """Log a write when it has ended, also if it fails.

    `operation` is the mutation's field, `has_key` whether it has an idempotency key.
    """
    line = Line(targets, scope)
    try:
        yield line
    except BaseException as error:
        line.fail(error)
        raise
    finally:
        _log(scope, operation, line, has_key=has_key)


def denied(scope: Scope, operations: Iterable[str]) -> None:
    """Log writes for which the caller lacks a permission: nothing was sent."""
    for operation in operations:
        line = Line(Targets(), scope)
        line.outcome = Outcome(DENIED)
        _log(scope, operation, line, has_key=False)


def outcome_of(receipt: Receipt, rows: Sequence[Any]) -> Outcome:
    """Return the outcome of a write; that of a bulk write sums up its rows."""
    errors = [*receipt.errors, *(error for row in rows for error in row.errors)]
    reasons = sorted({error.reason.value for error in errors})
    if receipt.errors:
        return Outcome(REFUSED, reasons)
    if not rows:
        return Outcome(DONE)
    counts = Counter(_word(row.outcome) for row in rows)
    if counts[UNKNOWN]:
        word = UNKNOWN
    elif not counts[FAILED]:
        word = DONE
    else:
        word = PARTLY if counts[DONE] else REFUSED
    return Outcome(word, reasons, dict(counts))


def _word(outcome: Enum | str) -> str:
    name = outcome if isinstance(outcome, str) else outcome.value
    return {"FAILED": FAILED, "NOT_UPDATED": FAILED, "UNKNOWN": UNKNOWN}.get(name, DONE)


def _log(scope: Scope, operation: str, line: Line, *, has_key: bool) -> None:
    segments, customers = list(line.targets.segments), list(line.targets.customers)
    parts = max(1, -(-max(len(segments), len(customers)) // MAX_IDS))
    for part in range(parts):
        ids = slice(part * MAX_IDS, (part + 1) * MAX_IDS)
        log.info(
            "write",
            logger="audit",
            request_id=scope.request_id,
            **caller_of(scope.caller),
            operation=operation,
            providers=[_shorten(key) for key in line.targets.providers],
            segments=[_shorten(key) for key in segments[ids]],
            customers=[Personal(key) for key in customers[ids]],
            outcome=line.outcome.word,
            errors=list(line.outcome.errors),
            rows=line.outcome.rows,
            idempotency_key=has_key,
            **({"part": part + 1, "parts": parts} if parts > 1 else {}),
        )


def caller_of(caller: Caller) -> Mapping[str, Any]:
    """Return the caller's id; for an anonymous caller the address, which is personal."""
    kind, _, address = caller.id.partition(":")
    if kind != "anonymous":
        return {"caller": caller.id}
    return {"caller": kind, "address": Personal(address)} if address else {"caller": kind}


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_ID_LENGTH else f"{text[:MAX_ID_LENGTH]}…"
