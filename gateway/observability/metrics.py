"""Count records, cheaply: they are only collected while requests run, and counted in batches."""

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

from gateway.observability import metric_families as families
from gateway.observability.metric_table import MetricTable, Sample, decoded, encoded
from gateway.observability.records import CANCELLED, OperationRecord, RequestRecord
from gateway.observability.worker_snapshots import VARIABLE, WorkerSnapshots
from gateway.request_scope import CallRecord

EVERY_S: Final = 0.25
"""How often records are counted, and the values published for the other workers."""

StoreRecord = tuple[str, float, bool]
"""A transaction of the store: read or write, its seconds, and whether it failed."""


class Metrics:
    """The metrics of this process.

    What is called `…_ended` takes a record, and only appends it to a list.
    """

    def __init__(self, sample: Callable[[], Iterable[Sample]] = tuple) -> None:
        """Take from `sample` what the process counts itself."""
        self.sample = sample
        self._table = MetricTable(families.FAMILIES)
        self._operations: list[OperationRecord] = []
        self._requests: list[RequestRecord] = []
        self._calls: list[CallRecord] = []
        self._transactions: list[StoreRecord] = []
        self._webhooks: list[tuple[str, str]] = []
        # Each is a list's own method: nothing is cheaper to call.
        self.operation_ended = self._operations.append
        self.request_ended = self._requests.append
        self.call_ended = self._calls.append
        self.transaction_ended = self._transactions.append
        self.webhook_ended = self._webhooks.append
        """Takes the provider's key and the result."""
        folder = os.environ.get(VARIABLE)
        self._workers = WorkerSnapshots(Path(folder)) if folder else None
        self._task: asyncio.Task[None] | None = None

    def start(self, codes: Iterable[str] = ()) -> None:
        """Count in the background; errors with these codes from zero.

        Prometheus cannot see the increase of a counter that did not exist before.
        """
        for code in codes:
            self._table.count(families.ERRORS, (code,), 0)
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Count what is left, and publish it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._refresh()
        if self._workers is not None:
            self._workers.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            self._refresh()

    def total(self, shared: Iterable[Sample] = ()) -> MetricTable:
        """Return the values of all workers, and those of the store that they share."""
        self._refresh()
        total = MetricTable(families.FAMILIES)
        total.add(self._table.samples())
        for data, is_running in () if self._workers is None else self._workers.others():
            total.add(decoded(data), is_running=is_running)
        total.put(shared)
        return total

    def _refresh(self) -> None:
        self._count()
        self._table.put(self.sample())
        if self._workers is not None:
            with contextlib.suppress(OSError):  # a full disk must not end the background task
                self._workers.publish(encoded(self._table))

    def _count(self) -> None:
        table = self._table
        for method, route, status, duration_s in _taken(self._requests):
            table.observe(families.HTTP_REQUESTS, (method, route, str(status)), duration_s)
        for operation in _taken(self._operations):
            self._count_operation(operation)
        for call in _taken(self._calls):
            self._count_call(call)
        for kind, duration_s, failed in _taken(self._transactions):
            table.observe(families.STORE, (kind, _word(is_true=failed)), duration_s)
        for webhook in _taken(self._webhooks):
            table.count(families.WEBHOOKS, webhook)

    def _count_operation(self, record: OperationRecord) -> None:
        table, codes = self._table, record.codes
        if codes:
            error = "cancelled" if CANCELLED in codes else "true"
            for code in codes:
                if code != CANCELLED:
                    table.count(families.ERRORS, (code,))
        else:
            error = "false"
        labels = record.type, record.name, error
        table.observe(families.OPERATIONS, labels, record.duration_s)
        if record.cost:
            table.count(families.COST, (), record.cost)
        for batch in record.batches:
            table.observe(families.BATCH_SIZES, (batch.loader,), batch.size)

    def _count_call(self, record: CallRecord) -> None:
        table, provider = self._table, record.provider
        status = "" if record.status is None else str(record.status)
        labels = provider, record.operation, status, error_type(record)
        table.observe(families.CALLS, labels, record.duration_s)
        if record.attempt > 1:
            table.count(families.RETRIES, (provider,))
        if record.waited_s > 0:
            table.count(families.WAITED, (provider,), record.waited_s)


def error_type(record: CallRecord) -> str:
    """Return why a call failed, in our own words; empty if it did not."""
    if record.reason is not None:
        return str(record.reason)
    if record.error is not None:
        return _words(record.error.__name__)
    return "cancelled" if record.status is None else ""


@cache
def _words(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _word(*, is_true: bool) -> str:
    return "true" if is_true else "false"


def _taken(records: list[Any]) -> list[Any]:
    """Return the records so far, and empty the list: its `append` is in use elsewhere."""
    taken = records.copy()
    records.clear()
    return taken
