"""An entry wakes those whom it concerns, with all that concerns them, and nobody else."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.changes import subscriber_index
from gateway.changes.subscriber_index import SubscriberIndex, Waiter
from gateway.domain.change_log import (
    EVERY_CHANGE,
    AssignmentChange,
    ChangeFilter,
    ChangeKind,
    ChangeSource,
    Cursor,
    Entry,
    ProviderTouched,
    SegmentChange,
    Visibility,
)
from gateway.domain.entities import AssignmentRef, Ref
from tests.sizes import size

NOW = datetime(2026, 11, 29, tzinfo=UTC)
RUNS = size("INDEX_RUNS", 100, 5000)
PROVIDERS, KEYS = ("one", "two"), ("a", "b", "c")


def cursor(position: int) -> Cursor:
    """Return the cursor of a position."""
    return Cursor(bytes(8), position, position.to_bytes(8, "big"))


def entries(given: list[tuple[Any, ChangeKind]]) -> list[Entry]:
    """Return entries, in order."""
    result: list[Entry] = []
    for position, (about, kind) in enumerate(given, 1):
        same: Any = {
            "cursor": cursor(position),
            "source": ChangeSource.WRITE,
            "occurred_at": NOW,
            "recorded_at": NOW,
        }
        if isinstance(about, str):
            result.append(ProviderTouched(provider=about, **same))
        elif isinstance(about, Ref):
            result.append(SegmentChange(ref=about, kind=kind, **same))
        else:
            result.append(AssignmentChange(ref=about, kind=kind, **same))
    return result


def maybe(values: st.SearchStrategy[Any]) -> Any:
    """Return a condition of a filter: a set, or none."""
    return st.none() | st.frozensets(values, max_size=3)


providers, keys = st.sampled_from(PROVIDERS), st.sampled_from(KEYS)
refs, kinds = st.builds(Ref, providers, keys), st.sampled_from(ChangeKind)
filters = st.builds(
    ChangeFilter,
    maybe(providers),
    maybe(refs),
    maybe(refs),
    maybe(kinds),
    st.none(),
    st.sampled_from([None, AssignmentChange, SegmentChange]),
)
sets = st.frozensets(providers)
visibilities = st.none() | st.builds(
    Visibility, sets, sets, st.none() | st.dictionaries(providers, keys)
)
logs = st.lists(
    st.tuples(refs | st.builds(AssignmentRef, providers, keys, keys) | providers, kinds),
    min_size=1,
    max_size=8,
).map(entries)


@settings(max_examples=RUNS)
@given(st.lists(st.tuples(filters, visibilities), max_size=8), logs, st.sampled_from([0, 1, 100]))
def test_who_is_woken(
    subscribers: list[tuple[ChangeFilter, Visibility | None]], log: list[Entry], most: int
) -> None:
    """Each waiter gets what comparing it with every entry would give, or sleeps on."""

    async def check() -> None:
        index = SubscriberIndex()
        waiters = [Waiter(*each) for each in subscribers]
        for waiter in waiters:
            index.add(waiter)
        index.deliver(log, cursor(0))
        for waiter in waiters:
            concerned = [entry for entry in log if waiter.concerns(entry)]
            assert list(waiter.changes) == concerned
            assert waiter.woken.done() == bool(concerned)
            assert waiter.start == (cursor(0) if concerned else None)
            assert waiter.end == (log[-1].cursor if concerned else None)
            index.remove(waiter)
        assert not index._groups  # noqa: SLF001  # nothing may stay behind

    before, subscriber_index.MAX_KEYS = subscriber_index.MAX_KEYS, most  # type: ignore[misc]
    try:
        asyncio.run(check())
    finally:
        subscriber_index.MAX_KEYS = before  # type: ignore[misc]


async def test_woken_once() -> None:
    """What follows before a woken subscriber runs is left for it to read."""
    index, waiter = SubscriberIndex(), Waiter(EVERY_CHANGE, None)
    index.add(waiter)
    first, second = entries([(Ref("one", "a"), ChangeKind.CREATED)] * 2)
    index.deliver([first], cursor(0))
    index.deliver([second], first.cursor)
    assert (waiter.start, list(waiter.changes), waiter.end) == (cursor(0), [first], first.cursor)


async def test_woken_by_its_timer() -> None:
    """A change that comes before a subscriber runs whose time is up is not lost."""
    index, waiter = SubscriberIndex(), Waiter(EVERY_CHANGE, None)
    index.add(waiter)
    waiter.wake()
    log = entries([(Ref("one", "a"), ChangeKind.CREATED)])
    index.deliver(log, cursor(0))
    assert (waiter.start, list(waiter.changes)) == (cursor(0), log)


async def test_another_log() -> None:
    """All wake, and stand where the log does not continue."""
    index = SubscriberIndex()
    waiters = [Waiter(EVERY_CHANGE, None), Waiter(ChangeFilter(kinds=frozenset()), None)]
    waiters.append(Waiter(ChangeFilter(customers=frozenset([Ref("one", "a")])), None))
    for waiter in waiters:
        index.add(waiter)
    index.restart(cursor(7))
    assert [(each.woken.done(), each.start, each.end) for each in waiters] == [
        (True, cursor(7), None),
        (False, None, None),  # no change can concern it
        (True, cursor(7), None),
    ]
