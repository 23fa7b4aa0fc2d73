"""Reports of our own writes, in any order, late or never: the log has the writes alone."""

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from gateway.domain.change_log import (
    AssignmentObservation,
    ChangeFilter,
    ChangeKind,
    ChangeSource,
    Observation,
    SegmentObservation,
)
from gateway.domain.entities import AssignmentRef, Ref
from gateway.providers.base.webhooks import WebhookEvent
from gateway.store.store import Store
from gateway.store.webhooks import StoredWebhook
from gateway.writes.observations import clock_behind
from tests.sizes import size
from tests.unit.store.conftest import Clock
from tests.unit.store.shop_writes import SHOP, soon

WRITES = size("LATE_WEBHOOKS", 3, 4)
NEVER = -1
START = datetime(2026, 11, 22, tzinfo=UTC)
KINDS = {
    "assignment": (ChangeKind.ENTERED, ChangeKind.LEFT),
    "segment": (ChangeKind.CREATED, ChangeKind.DELETED),
}
WRITE, HOOK = ChangeSource.WRITE, ChangeSource.WEBHOOK


class History(NamedTuple):
    """Writes to one object, creating and deleting it in turn."""

    name: str
    arrivals: Sequence[int]
    """After which write the report of each arrives, or `NEVER`."""
    is_reversed: bool
    """Reports that arrive together arrive newest first."""

    def arriving(self, after: int) -> Sequence[int]:
        """Return the numbers of the writes whose reports arrive after this write."""
        numbers = [n for n, arrival in enumerate(self.arrivals) if arrival == after]
        return numbers[::-1] if self.is_reversed else numbers


def histories() -> Iterator[History]:
    """Return every history of `WRITES` writes."""
    choices = [(NEVER, *range(number, WRITES)) for number in range(WRITES)]
    for arrivals in itertools.product(*choices):
        for is_reversed in (False, True):
            yield History(f"h{arrivals}{is_reversed}", arrivals, is_reversed)


def seen(
    sort: str, name: str, number: int, source: ChangeSource, later_s: float
) -> AssignmentObservation | SegmentObservation:
    """Return an observation of the write with this number, so long after it was sent."""
    kind = KINDS[sort][number % 2]
    at = START + timedelta(seconds=number + later_s)
    if sort == "segment":
        ref = Ref(SHOP, name)
        return SegmentObservation(ref=ref, kind=kind, source=source, occurred_at=at)
    assignment = AssignmentRef(SHOP, "s", name)
    return AssignmentObservation(ref=assignment, kind=kind, source=source, occurred_at=at)


async def append(record: Store, observations: Sequence[Observation]) -> None:
    """Append in one transaction."""
    assert await record.changes.settle(observations, soon(60), soon(60)) is not None


async def confirmed(record: Store, observations: Sequence[Observation]) -> None:
    """Append what was confirmed by a read now."""
    read_since = await record.changes.revision()
    async with record._database.writing() as connection:  # noqa: SLF001  # as the inbox has it
        await record.changes.append(connection, observations, read_since=read_since)


@pytest.mark.parametrize("sort", KINDS)
async def test_any_order(record: Store, sort: str) -> None:
    """The log has each write once, and afterwards what somebody else changes."""
    every = list(histories())
    for number in range(WRITES):
        await append(record, [seen(sort, each.name, number, WRITE, 0.4) for each in every])
        for turn in range(number + 1):
            reports, gone = [], []
            for each in every:
                for which in each.arriving(number)[turn : turn + 1]:
                    report = seen(sort, each.name, which, HOOK, 0.2)
                    if which % 2 == 0:
                        reports.append(report)
                    elif number % 2 == 1:  # a deletion that a read confirms
                        gone.append(report)
            await append(record, reports)
            await confirmed(record, gone)
    last = [seen(sort, each.name, WRITES, HOOK, 0) for each in every]
    if WRITES % 2:
        await confirmed(record, last)
    else:
        await append(record, last)
    expected = [(KINDS[sort][n % 2], WRITE) for n in range(WRITES)]
    expected.append((KINDS[sort][WRITES % 2], HOOK))
    by_name: dict[str, list[tuple[ChangeKind, ChangeSource]]] = {}
    page = await record.changes.read(None, ChangeFilter(), limit=len(every) * (WRITES + 2))
    for change in page.changes:
        ref = change.ref
        name = ref.customer if isinstance(ref, AssignmentRef) else ref.key
        by_name.setdefault(name, []).append((change.kind, change.source))
    assert by_name == {each.name: expected for each in every}


async def test_by_the_clock_of_the_provider(record: Store) -> None:
    """Reports and writes are compared by the provider's clock, which is a minute behind."""
    behind = timedelta(minutes=1)
    first, second = (seen("assignment", "ada", number, WRITE, 0.4) for number in (0, 1))
    for write in (first, second):
        assert write.occurred_at is not None
        at = write.occurred_at - behind
        moved = AssignmentObservation(
            ref=write.ref,  # type: ignore[arg-type]  # of an assignment
            kind=write.kind,
            source=WRITE,
            occurred_at=write.occurred_at,
            provider_at=at,
        )
        await append(record, [moved])
    for later_s in (0.2, 2.2):  # of the first write, and of somebody else
        await append(record, [seen("assignment", "ada", 0, HOOK, later_s - 60)])
    changes = (await record.changes.read(None)).changes
    assert [(each.kind, each.source) for each in changes] == [
        (ChangeKind.ENTERED, WRITE),
        (ChangeKind.LEFT, WRITE),
        (ChangeKind.ENTERED, HOOK),
    ]


async def test_reported_during_the_confirmation(record: Store, clock: Clock) -> None:
    """A deletion waits for another read if its assignment was written since the last one."""
    gone = seen("assignment", "ada", 1, HOOK, 0.2)
    event = WebhookEvent("deleted", "1", clock.now, needs_confirmation=True)
    assert await record.webhooks.accept(SHOP, event, b"{}")
    (webhook,) = await record.webhooks.unconfirmed([SHOP])
    read_since = await record.changes.revision()
    await append(record, [seen("assignment", "ada", 0, WRITE, 0.4)])
    await record.webhooks.settle(webhook, [gone], read_since)
    assert await waiting(record) == [webhook]
    await record.webhooks.settle(webhook, [gone], await record.changes.revision())
    assert await waiting(record) == []
    changes = (await record.changes.read(None)).changes
    assert [each.kind for each in changes] == [ChangeKind.ENTERED, ChangeKind.LEFT]


async def waiting(record: Store) -> Sequence[StoredWebhook]:
    """Return the webhooks that wait for their confirmation."""
    return await record.webhooks.unconfirmed([SHOP])


@pytest.mark.parametrize(
    ("date", "behind_s"),
    [
        ("Sun, 22 Nov 2026 00:00:00 GMT", 0),
        ("Sat, 21 Nov 2026 23:59:50 GMT", 9.5),
        ("Sun, 22 Nov 2026 00:01:00 GMT", 0),
        ("yesterday", 0),
        ("", 0),
    ],
)
def test_clock_behind(date: str, behind_s: float) -> None:
    """A reply of 00:00:00.5 by our clock; what whole seconds explain is no difference."""
    replied_at = START + timedelta(seconds=0.5)
    assert clock_behind(date, replied_at) == timedelta(seconds=behind_s)
