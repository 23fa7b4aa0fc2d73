"""Histories of reads and decisions: persons are those that are computed from scratch."""

import asyncio
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain.entities import Customer, CustomerKey, Ref
from gateway.identity.graph import Edge, Pair, pair_of
from gateway.identity.normalizing import EMAIL, EXACT
from gateway.identity.rules import Key, Rule, Ruleset
from gateway.reads.base import Paging
from gateway.reads.people import LinkConditions, PeopleReads, PersonConditions
from gateway.reads.persons import PersonReads
from gateway.request_scope import Scope
from gateway.store.database_url import database_url
from gateway.store.store import Store
from gateway.writes.dispatch import UserErrors
from gateway.writes.identity import IdentityWrites
from tests.sizes import size
from tests.unit.identity.model import Refused, Values, World
from tests.unit.store.conftest import Clock

LETTERS: Final = "abc"
NAMES: Final = tuple(f"{letter}{n}" for letter in LETTERS for n in (1, 2, 3))
"""Three customers of each of three providers."""

Step: TypeAlias = tuple[str, Any]


class Limits(NamedTuple):
    """What the rules say."""

    per_provider: int
    is_mail_auto: bool
    max_customers: int

    def rules(self, world: str) -> Ruleset:
        """Return the rules for the providers of a world: `w1a`, `w1b` and `w1c`."""

        def keys(name: str) -> tuple[Key, ...]:
            return tuple(Key(world + letter, name) for letter in LETTERS)

        return Ruleset(
            [
                Rule("crm", keys("crm"), EXACT, per_provider=self.per_provider),
                Rule("mail", keys("email"), EMAIL, self.is_mail_auto),
                Rule("card", keys("attributes.cards"), EXACT),
            ],
            max_customers=self.max_customers,
        )


LIMITS = st.builds(Limits, st.integers(1, 2), st.booleans(), st.sampled_from([3, 5, 100]))
VALUES: st.SearchStrategy[Values] = st.fixed_dictionaries(
    {
        "crm": st.lists(st.sampled_from("xyz"), max_size=1),
        "email": st.lists(st.sampled_from(["m@x", "n@x"]), max_size=1),
        "attributes.cards": st.lists(st.sampled_from("1234"), max_size=2, unique=True),
    }
)
NAME = st.sampled_from(NAMES)
TWO = st.lists(NAME, min_size=2, max_size=2, unique=True)
READ = st.tuples(st.just("read"), st.dictionaries(NAME, VALUES, min_size=1, max_size=4))
STEPS: st.SearchStrategy[Step] = st.one_of(
    READ,
    READ,
    st.tuples(st.just("again"), st.permutations(NAMES)),
    st.tuples(st.just("vanish"), NAME),
    st.tuples(st.just("link"), st.lists(NAME, min_size=1, max_size=3)),
    st.tuples(st.just("unlink"), st.lists(NAME, min_size=1, max_size=3)),
    st.tuples(st.just("accept"), TWO),
    st.tuples(st.just("reject"), TWO),
)


class Asked:
    """The providers' customers, to those who load them; also the dispatcher of writes."""

    owner = "key:tester"

    def __init__(self) -> None:
        """Have nobody."""
        self.records: dict[Ref, Customer] = {}
        self.customers_read: list[Sequence[Customer]] = []

    @property
    def loaders(self) -> "Asked":
        """Itself."""
        return self

    customer = loaders

    async def load_results(self, refs: Sequence[Ref]) -> Sequence[Customer | None]:
        """Return those that are there."""
        return [self.records.get(ref) for ref in refs]


class History:
    """One history, in the store and in the model, with providers of its own."""

    numbers = itertools.count()

    def __init__(self, store: Store, clock: Clock, limits: Limits) -> None:
        """Start with customers that nobody has read."""
        self.name = f"w{next(self.numbers)}"
        self.rules = limits.rules(self.name)
        self.store, self.clock = store, clock
        self.world = World(self.rules)
        self.asked = Asked()
        self.kept_apart: set[Pair] = set()
        store.identity.index.configure(self.rules, ())

    def ref(self, name: str) -> Ref:
        """Return a customer of this world."""
        return Ref(self.name + name[0], name)

    @property
    def sight(self) -> tuple[str, ...]:
        """All providers."""
        return tuple(self.name + letter for letter in LETTERS)

    def reads(self, sight: Sequence[str]) -> tuple[PersonReads, PeopleReads]:
        """Return the reads of a request that sees these providers."""
        deadline = asyncio.get_running_loop().time() + 60
        nobody: Any = dict.fromkeys(sight)
        loaders: Any = self.asked
        lists: Any = None
        scope = Scope("test", deadline)
        persons = PersonReads(nobody, loaders, self.store.identity, lists, scope)
        return persons, PeopleReads(persons, self.store.identity, lists, deadline)

    async def follow(self, steps: Sequence[Step]) -> None:
        """Take these steps; each comes to the same end in the store and in the model."""
        for what, with_ in steps:
            self.clock.pass_by(seconds=1)
            self.world.time += 1
            await getattr(self, what)(with_)

    async def read(self, values: Mapping[str, Values]) -> None:
        """Read customers, who have these values now."""
        customers = {self.ref(name): each for name, each in values.items()}
        self.asked.records |= {ref: customer(ref, each) for ref, each in customers.items()}
        self.world.read(customers)
        self.asked.customers_read.append([self.asked.records[ref] for ref in customers])
        persons, _ = self.reads(self.sight)
        await persons.record_read()

    async def again(self, names: Sequence[str]) -> None:
        """Read the customers that are known once more, one by one: nothing is new."""
        for ref in map(self.ref, names):
            if ref in self.asked.records:
                # As another process does, which does not know that they are recorded.
                self.store.identity.index.configure(self.rules, ())
                self.asked.customers_read.append([self.asked.records[ref]])
                await self.reads(self.sight)[0].record_read()

    async def vanish(self, name: str) -> None:
        """Let a provider have no such customer any more."""
        self.asked.records.pop(self.ref(name), None)
        self.world.vanish(self.ref(name))
        deadline = asyncio.get_running_loop().time() + 60
        await self.store.identity.index.retire([self.ref(name)], deadline)

    async def link(self, names: Sequence[str]) -> None:
        """Link customers that are there."""
        refs = [ref for ref in map(self.ref, names) if ref in self.asked.records]
        if refs and await self._same(lambda: self.world.link(refs), self.writes.link(refs, None)):
            first, *others = dict.fromkeys(refs)
            self.kept_apart -= {pair_of(first, other) for other in others}

    async def unlink(self, names: Sequence[str]) -> None:
        """Keep customers apart that are there."""
        refs = [ref for ref in map(self.ref, names) if ref in self.asked.records]
        if refs:
            self.kept_apart.update(self.world.unlink(refs))
            await self.writes.unlink(None, refs, None)

    async def accept(self, names: Sequence[str]) -> None:
        """Accept the link of two customers, if it is proposed."""
        pair = pair_of(*map(self.ref, names))
        if await self._same(
            lambda: self.world.decide(pair, accept=True), self.writes.decide(pair, accept=True)
        ):
            self.kept_apart.discard(pair)

    async def reject(self, names: Sequence[str]) -> None:
        """Reject the link of two customers, if it is proposed."""
        pair = pair_of(*map(self.ref, names))
        if await self._same(
            lambda: self.world.decide(pair, accept=False), self.writes.decide(pair, accept=False)
        ):
            self.kept_apart.add(pair)

    @property
    def writes(self) -> IdentityWrites:
        """The mutations of a request that sees all providers."""
        dispatcher: Any = self.asked
        deadline = asyncio.get_running_loop().time() + 60
        return IdentityWrites(dispatcher, self.store.identity, self.sight, deadline)

    async def _same(self, expected: Any, written: Any) -> bool:
        """Return whether both succeed; they must be refused alike."""
        wanted: Sequence[str] = ()
        try:
            expected()
        except Refused as refused:
            wanted = [str(refused)]
        found: Sequence[str] = ()
        try:
            await written
        except UserErrors as refused:
            found = [each.reason.value for each in refused.errors]
        assert found == wanted
        return not wanted

    async def check(self, sight: Sequence[str]) -> None:
        """Compare what a caller sees who sees these providers with what the model computes."""
        expected, links = self.world.outcome(sight)
        persons, people = self.reads(sight)
        seen = [ref for ref in self.world.first_seen if ref.provider in sight]
        ages = self.world.first_seen
        person_of = {ref: person for person in expected for ref in person}
        together = await persons.persons(seen)
        for ref, found in zip(seen, together, strict=True):
            # The id of each customer's own person leads to the one that has this customer.
            assert await persons.persons([ref]) == [found]
            assert frozenset(found.customers) == person_of.get(ref, {ref})
            assert found.ref == min(found.customers, key=ages.__getitem__)
            assert {edge.pair for edge in found.edges} == {
                pair for pair in links if set(pair) <= set(found.customers)
            }
        shown: list[Any] = []
        after = None
        while True:
            page = await people.links(LinkConditions(), Paging(2, after))
            shown += page.rows
            if not page.has_next:
                break
            after = page.end_cursor
        assert {
            edge.pair: (edge.state.value, edge.rule, self._moment(edge)) for edge in shown
        } == {pair: tuple(link) for pair, link in links.items()}
        assert len(shown) == len(links)
        alone = await persons.links([*links])
        assert [each and each.state.value for each in alone] == [e.state for e in links.values()]
        whole = await people.people(PersonConditions(), Paging(250))
        assert [frozenset(each.customers) for each in whole.rows] == sorted(
            (each for each in expected if len(each) > 1),
            key=lambda person: min(map(ages.__getitem__, person)),
        )
        for one, other in self.kept_apart:
            assert other not in person_of.get(one, ()), "an unlink was undone"

    def _moment(self, edge: Edge) -> int:
        """Return the time of an edge as a number of the model."""
        return self.world.time - round((self.clock.now - edge.created_at) / timedelta(seconds=1))


def customer(ref: Ref, values: Values) -> Customer:
    """Return a customer with these values."""
    return Customer(
        ref=ref,
        keys=(
            CustomerKey("id", ref.key),
            *(CustomerKey("crm", each) for each in values["crm"]),
        ),
        email=next(iter(values["email"]), None),
        attributes={"cards": list(values["attributes.cards"])},
    )


class Place(NamedTuple):
    """A store, and the loop in which it is open."""

    store: Store
    clock: Clock
    runner: asyncio.Runner
    examples: int


@pytest.fixture
def place(url: str, clock: Clock) -> Iterator[Place]:
    """Return an open store for many histories."""
    number = (
        size("IDENTITY_HISTORIES_POSTGRES", 4, 300)
        if url.startswith("postgresql")
        else size("IDENTITY_HISTORIES", 20, 1500)
    )
    with asyncio.Runner() as runner:
        store = runner.run(Store.open(database_url(url, {}), clock))
        yield Place(store, clock, runner, number)
        runner.run(store.close())


def test_histories(place: Place) -> None:
    """Links and unlinks in any order give the persons that are computed from scratch.

    Also for callers who see some of the providers; refusals are the same; no id dangles, and an
    unlink is never undone but by somebody's decision about these two.
    """

    @given(LIMITS, st.lists(STEPS, min_size=3, max_size=12), st.sets(st.sampled_from(LETTERS)))
    @settings(
        max_examples=place.examples,
        suppress_health_check=[HealthCheck.too_slow],
    )
    def check(limits: Limits, steps: Sequence[Step], some: Collection[str]) -> None:
        async def history() -> None:
            followed = History(place.store, place.clock, limits)
            await followed.follow(steps)
            await followed.check(followed.sight)
            await followed.check([each for each in followed.sight if each[-1] in some])

        place.runner.run(history())

    check()


def test_the_order_of_reads(place: Place) -> None:
    """Whatever the order, alone or at once: also of people with two accounts at a provider."""

    @given(
        LIMITS,
        st.dictionaries(NAME, VALUES, min_size=2),
        st.permutations(NAMES),
        st.permutations(NAMES),
        st.integers(1, 4),
    )
    @settings(
        max_examples=place.examples * 2,
        suppress_health_check=[HealthCheck.too_slow],
    )
    def check(
        limits: Limits,
        values: Mapping[str, Values],
        one: Sequence[str],
        other: Sequence[str],
        at_once: int,
    ) -> None:
        async def seen(order: Sequence[str], together: int) -> Any:
            history = History(place.store, place.clock, limits._replace(max_customers=100))
            known = [name for name in order if name in values]
            for start in range(0, len(known), together):
                part = {name: values[name] for name in known[start : start + together]}
                await history.follow([("read", part)])
            persons, _ = history.reads(history.sight)
            graph = await persons.graph([history.ref(name) for name in known])
            return (
                {frozenset(ref.key for ref in each) for each in graph.persons.values()},
                {
                    tuple(ref.key for ref in pair): (edge.state, edge.rule)
                    for pair, edge in (graph.edges).items()
                },
            )

        assert place.runner.run(seen(one, 1)) == place.runner.run(seen(other, at_once))

    check()
