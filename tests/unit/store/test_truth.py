"""What the store says of the customers is true after any history of writes and crashes."""

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.store.database_url import database_url
from gateway.store.errors import StoreBusy
from gateway.store.store import Store
from gateway.store.write_intents import LeasedIntent, Settlement
from tests.unit.store.conftest import Clock
from tests.unit.store.shop_writes import (
    CONFIRMED,
    SHOP,
    assignments,
    begin,
    counts,
    knows,
    settle,
    shown,
    soon,
    wanted,
)

T = TypeVar("T")

CUSTOMERS = ("ada", "bob", "eve")
VALUES = st.sets(st.sampled_from("xyz"))
WHICH = st.integers(0, 9)


class History(RuleBasedStateMachine):
    """Writers, a provider, crashes and recovery, in any order."""

    def __init__(self) -> None:
        """Start with an empty record and a provider that knows everybody."""
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.place = database_url(f"sqlite:///{Path(self.folder.name) / 'record.db'}", {})
        self.clock = Clock()
        self.record = self.do(Store.open(self.place, self.clock))
        self.held: dict[str, set[str]] = {customer: set() for customer in CUSTOMERS}
        self.under_way: list[tuple[LeasedIntent, set[str]]] = []
        """Claims, and the customers for whom the provider did what they say."""

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do this in the loop."""
        return self.loop.run_until_complete(work)

    @rule(rows=st.dictionaries(st.sampled_from(CUSTOMERS), VALUES, min_size=1))
    def write(self, rows: dict[str, set[str]]) -> None:
        """Begin a write, unless somebody is at all of its customers."""

        async def begun() -> LeasedIntent | None:
            replacements = [wanted(customer, *values) for customer, values in rows.items()]
            try:
                return (await begin(self.record, *replacements, deadline=soon(0))).claim
            except StoreBusy:
                return None

        claim = self.do(begun())
        if claim is not None:
            self.under_way.append((claim, set()))

    @rule()
    def recover(self) -> None:
        """Take over what is due."""

        async def claims() -> list[LeasedIntent]:
            return list(await self.record.write_intents.overdue([SHOP], soon(0)))

        self.under_way += [(claim, set()) for claim in self.do(claims())]

    @precondition(lambda self: self.under_way)
    @rule(which=WHICH, fails_for=st.sets(st.sampled_from(CUSTOMERS)))
    def arrive(self, which: int, fails_for: set[str]) -> None:
        """Have the provider do what a claim says, for all or some; not when its lease is over."""
        claim, done = self.under_way[which % len(self.under_way)]
        if self.clock.now >= claim.until:
            return
        for row in claim.rows:
            if row.customer not in fails_for:
                self.held[row.customer] = {tag.value for tag in row.tags}
                done.add(row.customer)

    @precondition(lambda self: self.under_way)
    @rule(which=WHICH, unheard=st.sets(st.sampled_from(CUSTOMERS)))
    def hear(self, which: int, unheard: set[str]) -> None:
        """Settle a claim; of some customers nothing was heard."""
        claim, done = self.under_way.pop(which % len(self.under_way))
        settlements = {
            row.customer: Settlement.UNKNOWN
            if row.customer in unheard
            else Settlement.CONFIRMED
            if row.customer in done
            else Settlement.NOT_APPLIED
            for row in claim.rows
        }
        self.do(self.record.write_intents.settle(claim, settlements))

    @precondition(lambda self: self.under_way)
    @rule(which=WHICH)
    def crash(self, which: int) -> None:
        """Forget a claim."""
        self.under_way.pop(which % len(self.under_way))

    @rule()
    def restart(self) -> None:
        """Open the store anew, in another process: nothing of the former one arrives any more.

        What a provider still works on then may come after a newer write: decision 16.
        """
        self.under_way.clear()
        self.do(self.record.close())
        self.record = self.do(Store.open(self.place, self.clock))

    @rule(minutes=st.sampled_from([0.5, 2, 20]))
    def wait(self, minutes: float) -> None:
        """Let time pass."""
        self.clock.pass_by(minutes=minutes)

    @invariant()
    def is_true(self) -> None:
        """Show what the provider holds, and nothing else where it says CONFIRMED."""
        for customer, values in self.held.items():
            visible = self.do(shown(self.record, customer))
            if visible is None:
                assert values == set()
            elif visible[0] is CONFIRMED:
                assert values == visible[1]
            else:
                assert values <= visible[1]

    def teardown(self) -> None:
        """Recover to the end: then all is confirmed and true, and counted right."""
        try:
            self._recovered_to_the_end()
        finally:
            self.do(self.record.close())
            self.loop.close()
            self.folder.cleanup()

    def _recovered_to_the_end(self) -> None:
        self.clock.pass_by(days=1)
        self.recover()
        for claim, done in self.under_way[-1:]:
            if claim.until > self.clock.now:
                self.arrive(-1, set())
                assert done == {row.customer for row in claim.rows}
                self.do(settle(self.record, claim, Settlement.CONFIRMED))
        for customer, values in self.held.items():
            assert self.do(shown(self.record, customer)) == (
                (CONFIRMED, values) if values else None
            )
        rows = [row for each in CUSTOMERS for row in self.do(assignments(self.record, each)).rows]
        shown_values = [row.value for row in rows]
        assert self.do(counts(self.record)) == {
            "customers": sum(self.do(knows(self.record, each)) for each in CUSTOMERS),
            "tags": len(set(shown_values)),
            **{value: shown_values.count(value) for value in shown_values},
        }


History.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    # A failure is reported as it was first seen: shrinking opens hundreds of databases, and took
    # nine minutes on a busy machine, in which the run seemed to hang.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
TestHistory = History.TestCase
