"""The subscribers that wait for changes, so that an entry wakes only those that it concerns."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum, auto
from itertools import product
from typing import Any, Final

from gateway.domain.change_log import (
    AssignmentChange,
    Change,
    ChangeFilter,
    Cursor,
    Entry,
    ProviderTouched,
    Visibility,
)
from gateway.domain.entities import Ref

MAX_KEYS: Final = 100
"""A subscriber whose filter has more ids or providers is compared with changes of all of them."""


class By(Enum):
    """What the keys of a waiter are: a provider and, where they matter, an id or a kind.

    All keys of a waiter are of one sort, so that a change finds it once.
    """

    CUSTOMER = auto()
    SEGMENT = auto()
    KIND = auto()


Key = tuple[By, str | None, Any]


class Waiter:
    """A subscriber that has read to the log's end, and waits for a change that concerns it."""

    __slots__ = ("changes", "end", "start", "visible", "wanted", "woken")

    def __init__(self, wanted: ChangeFilter, visible: Visibility | None) -> None:
        """Wait for changes that match a filter and may be seen. Create it in the running loop."""
        self.wanted = wanted
        self.visible = visible
        self.woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.start: Cursor | None = None
        """No entry up to here concerned it. None: no entry has, up to the feed's position."""
        self.changes: Sequence[Change] = ()
        """The changes after `start` and up to `end` that concern it."""
        self.end: Cursor | None = None
        """None: the log does not continue from `start`."""

    def concerns(self, entry: Entry) -> bool:
        """Return whether the subscriber waits for this entry."""
        visible = self.visible
        return self.wanted.matches(entry) and (visible is None or visible.shows(entry))

    def wake(self) -> None:
        """End the wait."""
        if not self.woken.done():
            self.woken.set_result(None)


class SubscriberIndex:
    """Waiters by what they wait for: customers, segments, or providers and kinds of change."""

    def __init__(self) -> None:
        """Start without waiters."""
        self._groups: dict[Key, dict[Waiter, None]] = {}

    def add(self, waiter: Waiter) -> None:
        """Add a waiter."""
        for key in _keys_of_waiter(waiter):
            self._groups.setdefault(key, {})[waiter] = None

    def remove(self, waiter: Waiter) -> None:
        """Remove a waiter that was added."""
        for key in _keys_of_waiter(waiter):
            group = self._groups[key]
            del group[waiter]
            if not group:
                del self._groups[key]

    def deliver(self, entries: Sequence[Entry], start: Cursor) -> None:
        """Wake the waiters that some of these entries concern; `start` is the position before.

        One that was woken already reads on from the end of what woke it.
        """
        for waiter, changes in self._concerned(entries).items():
            waiter.start, waiter.changes, waiter.end = start, changes, entries[-1].cursor
            waiter.wake()

    def restart(self, start: Cursor) -> None:
        """Wake all: the log does not continue from their position, which is `start`."""
        for group in self._groups.values():
            for waiter in group:
                waiter.start = waiter.start or start
                waiter.wake()

    def _concerned(self, entries: Sequence[Entry]) -> Mapping[Waiter, Sequence[Change]]:
        concerned: dict[Waiter, list[Change]] = {}
        for entry in entries:
            if isinstance(entry, ProviderTouched):
                continue
            for key in _keys_of_change(entry):
                for waiter in self._groups.get(key, ()):
                    if waiter.start is None and waiter.concerns(entry):
                        concerned.setdefault(waiter, []).append(entry)
        return concerned


def _keys_of_waiter(waiter: Waiter) -> Iterable[Key]:
    wanted, visible = waiter.wanted, waiter.visible
    conditions: Sequence[tuple[By, Collection[Ref] | None]] = (
        (By.CUSTOMER, wanted.customers),
        (By.CUSTOMER, _own_customers(visible)),
        (By.SEGMENT, wanted.segments),
    )
    for by, refs in conditions:
        if refs is not None and len(refs) <= MAX_KEYS:
            return [(by, ref.provider, ref.key) for ref in refs]
    providers: Collection[str | None] = (None,)
    if wanted.providers is not None and len(wanted.providers) <= MAX_KEYS:
        providers = wanted.providers
    kinds = (None,) if wanted.kinds is None else wanted.kinds
    return [(By.KIND, provider, kind) for provider, kind in product(providers, kinds)]


def _own_customers(visible: Visibility | None) -> Collection[Ref] | None:
    if visible is None or visible.own is None or visible.segments:
        return None  # a change of a segment has no customer
    return [Ref(provider, customer) for provider, customer in visible.own.items()]


def _keys_of_change(change: Change) -> Sequence[Key]:
    ref, kind = change.ref, change.kind
    keys = [(By.KIND, *pair) for pair in product((None, ref.provider), (None, kind))]
    if isinstance(change, AssignmentChange):
        by_ids = [(By.CUSTOMER, change.ref.customer), (By.SEGMENT, change.ref.segment)]
    else:
        by_ids = [(By.SEGMENT, change.ref.key)]
    return [*keys, *((by, ref.provider, key) for by, key in by_ids)]
