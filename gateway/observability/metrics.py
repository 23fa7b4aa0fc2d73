"""Count what happens in this process, and publish it for the other workers."""

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from gateway.errors import ProviderError
from gateway.observability import metric_families as families
from gateway.observability.metric_table import (
    PENDING,
    Histogram,
    Labels,
    MetricTable,
    Sample,
    decoded,
    encoded,
)
from gateway.observability.worker_snapshots import VARIABLE, WorkerSnapshots
from gateway.request_scope import CallRecord, Scope

EVERY_S: Final = 0.25
"""How often the values are published for the other workers, if they have changed."""

LEAST_WAIT_S: Final = 0.001
"""A shorter wait is none: it is the time that the code in between takes."""

CANCELLED: Final = "CANCELLED"
"""In place of an error code: the client has left, so there was no response."""


class Metrics:
    """The metrics of this process."""

    def __init__(self, sample: Callable[[], Iterable[Sample]] = tuple) -> None:
        """Take from `sample` what other parts count themselves."""
        self.sample = sample
        self._table = MetricTable(families.FAMILIES)
        self._operations = Histogram(families.OPERATIONS, _operation_labels)
        # Successful operations that were POSTs on the fast path: both at once.
        self._posts = Histogram(families.OPERATIONS, _operation_labels)
        self._batches = Histogram(families.BATCH_SIZES, lambda loader: (loader,))
        self._cost = [0]
        self.post_ended = self._post_counter()
        """Counts an operation and its HTTP request, a POST to `/graphql`, which end now."""
        self._requests = Histogram(families.HTTP_REQUESTS, _texts)
        self._calls = Histogram(families.CALLS, _call_labels)
        self._transactions = Histogram(families.STORE, _texts)
        self._histograms = (
            *(self._operations, self._requests, self._calls, self._batches),
            self._transactions,
        )
        folder = os.environ.get(VARIABLE)
        self._workers = WorkerSnapshots(Path(folder)) if folder else None
        self._task: asyncio.Task[None] | None = None

    def start(self, codes: Iterable[str] = ()) -> None:
        """Publish in the background, where there are other workers.

        Errors with these codes are counted from zero: Prometheus cannot see the increase of a
        counter that did not exist before.
        """
        for code in codes:
            self._table.count(families.ERRORS, (code,), 0)
        if self._workers is not None:
            self._task = asyncio.create_task(self._keep_publishing(self._workers))

    async def close(self) -> None:
        """Publish the last values."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._workers is not None:
            self._publish(self._workers)
            self._workers.close()

    def _post_counter(self) -> Callable[[Scope, Sequence[str], int], None]:
        """Return a function for the most frequent case, with all it needs in its closure."""
        pending, cost, observe_batch = self._posts.pending, self._cost, self._batches.observe

        def post_ended(scope: Scope, codes: Sequence[str], status: int) -> None:
            took_s = perf_counter() - scope.started
            if codes or status != 200:  # noqa: PLR2004  # OK
                self.operation_ended(scope, codes, took_s)
                self.request_ended("POST", "/graphql", status, took_s)
                return
            durations = pending.get(scope.operation)
            if durations is None or len(durations) >= PENDING:
                self._posts.observe(scope.operation, took_s)
            else:
                durations.append(took_s)
            cost[0] += scope.cost
            for batch in scope.batches or ():
                observe_batch(batch.loader, batch.size)

        return post_ended

    def operation_ended(self, scope: Scope, codes: Sequence[str], took_s: float) -> None:
        """Count an operation, or an event of a subscription, with the codes of its errors."""
        self._cost[0] += scope.cost
        self._operations.observe((scope.operation, self._result(codes)), took_s)
        for batch in scope.batches or ():
            self._batches.observe(batch.loader, batch.size)

    def operation_refused(self, code: str, took_s: float) -> None:
        """Count an operation that was refused before its document was known."""
        self._operations.observe((("", ""), self._result((code,))), took_s)

    def request_ended(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count an HTTP request."""
        self._requests.observe((method, route, status), took_s)

    def call_ended(self, record: CallRecord) -> None:
        """Count an attempt of a call to a provider."""
        key = record.provider, record.operation, record.status, record.error, record.reason
        self._calls.observe(key, record.duration_s)
        if record.attempt > 1:
            self._table.count(families.RETRIES, (record.provider,))
        if record.waited_s >= LEAST_WAIT_S:
            self._table.count(families.WAITED, (record.provider,), record.waited_s)

    def transaction_ended(self, kind: str, took_s: float, *, failed: bool) -> None:
        """Count a transaction of the store: read or write."""
        self._transactions.observe((kind, failed), took_s)

    def webhook_ended(self, provider: str, result: str) -> None:
        """Count a webhook."""
        self._table.count(families.WEBHOOKS, (provider, result))

    def total(self, shared: Iterable[Sample] = ()) -> MetricTable:
        """Return the values of all workers, and those of the store that they share."""
        total = MetricTable(families.FAMILIES)
        total.add(self._samples())
        for data, is_running in () if self._workers is None else self._workers.others():
            total.add(decoded(data), is_running=is_running)
        total.add(shared)
        return total

    def _result(self, codes: Sequence[str]) -> str:
        """Count errors by code; return the value of the label `error`."""
        if not codes:
            return "false"
        if CANCELLED in codes:
            return "cancelled"
        for code in codes:
            self._table.count(families.ERRORS, (code,))
        return "true"

    def _samples(self) -> Iterator[Sample]:
        """Yield the values of this process; those of equal labels are to be added up."""
        yield from self._table.samples()
        yield from chain.from_iterable(each.samples() for each in self._histograms)
        for sample in self._posts.samples():
            yield sample
            yield Sample(families.HTTP_REQUESTS.name, ("POST", "/graphql", "200"), sample.value)
        yield Sample(families.COST.name, (), self._cost[0])
        yield from self.sample()

    async def _keep_publishing(self, workers: WorkerSnapshots) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            self._publish(workers)

    def _publish(self, workers: WorkerSnapshots) -> None:
        with contextlib.suppress(OSError):  # a full disk must not end the background task
            workers.publish(encoded(self._samples()))


def _operation_labels(key: Any) -> Labels:
    """Return the labels: the key is an operation, or an operation and its result."""
    return (*key[0], key[1]) if isinstance(key[0], tuple) else (*key, "false")


def _call_labels(key: Any) -> Labels:
    provider, operation, status, error, reason = key
    shown_status = "" if status is None else str(status)
    return provider, operation, shown_status, error_type(status, error, reason)


def error_type(status: int | None, error: type[ProviderError] | None, reason: str | None) -> str:
    """Return the `error.type` of an attempt of a call, by the parts of its record.

    Empty if there was a reply that could be used.
    """
    if reason is not None:
        return str(reason)
    if error is not None:
        return _words(error.__name__)
    return "cancelled" if status is None else ""


def _texts(key: Iterable[Any]) -> Labels:
    return tuple(str(each).lower() if isinstance(each, bool) else str(each) for each in key)


@cache
def _words(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
