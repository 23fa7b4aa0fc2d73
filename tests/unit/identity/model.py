"""Persons computed from scratch, over all that was read and decided: slow, and easy to follow.

Written from `docs/people.md`, to compare the gateway with it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from gateway.domain.entities import Ref
from gateway.identity.graph import Pair, pair_of
from gateway.identity.rules import Rule, Ruleset

Persons = frozenset[frozenset[Ref]]
Values = Mapping[str, Collection[str]]
"""The values of a customer by key, normalized."""


class Link(NamedTuple):
    """An edge: how it came about, and its state."""

    state: str
    rule: str | None
    age: int


class Refused(Exception):
    """A decision is not made; its argument is the code of the user error."""


class _Decided(NamedTuple):
    is_link: bool
    rule: str | None
    age: int


class World:
    """What the gateway has read, and what was decided; its time is a number."""

    def __init__(self, rules: Ruleset) -> None:
        """Start with nobody."""
        self.rules = rules
        self.time = 0
        self.first_seen: dict[Ref, int] = {}
        """In the order in which the customers were seen first, also those that are gone."""
        self.ages: dict[Ref, dict[tuple[str, str], int]] = {}
        """By customer that is there, its keys and values, and when they were seen."""
        self._decided: dict[Pair, _Decided] = {}

    # What happens

    def read(self, customers: Mapping[Ref, Values]) -> None:
        """Read customers at once."""
        for ref in sorted(customers, key=_text):
            self.first_seen.setdefault(ref, len(self.first_seen))
            known = self.ages.get(ref, {})
            now = [(key, text) for key, texts in customers[ref].items() for text in texts]
            self.ages[ref] = {each: known.get(each, self.time) for each in now}

    def vanish(self, ref: Ref) -> None:
        """Note that the provider has no such customer any more."""
        self.ages.pop(ref, None)

    def link(self, refs: Sequence[Ref]) -> None:
        """Link the first to each other one. Raises `Refused`."""
        first, *others = dict.fromkeys(refs)
        pairs = [pair_of(first, other) for other in others]
        if not pairs:
            raise Refused("INVALID")
        persons, links = self.outcome()
        self._check(persons, [first, *others], pairs)
        for pair in pairs:
            link = links.get(pair)
            if link is None or link.state != "ACTIVE" or link.rule is not None:
                self._decided[pair] = _Decided(is_link=True, rule=None, age=self.time)

    def unlink(self, refs: Sequence[Ref]) -> Collection[Pair]:
        """Keep these apart, or the only one from its person; return the pairs."""
        persons, links = self.outcome()
        each = list(dict.fromkeys(refs))
        if len(each) == 1:
            (person,) = (person for person in persons if each[0] in person)
            pairs = [pair_of(each[0], other) for other in person if other != each[0]]
        else:
            pairs = [pair_of(*two) for two in combinations(each, 2)]
        for pair in pairs:
            link = links.get(pair)
            if link is None or link.state != "BLOCKED":
                rule = None if link is None else link.rule
                self._decided[pair] = _Decided(is_link=False, rule=rule, age=self.time)
        return pairs

    def decide(self, pair: Pair, *, accept: bool) -> None:
        """Accept or reject a proposed link. Raises `Refused`."""
        persons, links = self.outcome()
        link = links.get(pair)
        if link is None:
            raise Refused("NOT_FOUND")
        if link.state != "PROPOSED":
            if accept is not (link.state == "ACTIVE"):
                raise Refused("INVALID")
            return
        if accept:
            self._check(persons, pair, [pair])
        rule = None if accept else link.rule
        self._decided[pair] = _Decided(accept, rule, self.time)

    def _check(self, persons: Persons, refs: Iterable[Ref], pairs: Collection[Pair]) -> None:
        together = {each for person in persons for each in person if not person.isdisjoint(refs)}
        for pair in self._blocked(together):
            if pair not in pairs:
                raise Refused("INVALID")
        if len(together) > self.rules.max_customers:
            raise Refused("LIMIT_EXCEEDED")

    def _blocked(self, customers: Collection[Ref]) -> Iterable[Pair]:
        for pair, decided in self._decided.items():
            if not decided.is_link and pair[0] in customers and pair[1] in customers:
                yield pair

    # What a caller sees

    def outcome(self, sight: Collection[str] | None = None) -> tuple[Persons, Mapping[Pair, Link]]:
        """Return the persons and the links of the customers at the providers in sight."""
        known = {ref for ref in self.ages if sight is None or ref.provider in sight}
        persons = {frozenset({ref}) for ref in known}
        links: dict[Pair, Link] = {}
        for pair, decided in self._decided.items():
            if not decided.is_link and known.issuperset(pair):
                links[pair] = Link("BLOCKED", decided.rule, decided.age)

        def connect(edges: Mapping[Pair, Link]) -> None:
            """Apply edges of equal strength, the oldest first."""
            for pair, edge in sorted(edges.items(), key=_order):
                ends = {person for person in persons if not person.isdisjoint(pair)}
                whole = frozenset[Ref]().union(*ends)
                may = len(ends) == 1 or (
                    not any(True for _ in self._blocked(whole))
                    and len(whole) <= self.rules.max_customers
                )
                if may and edge.state == "ACTIVE":
                    persons.difference_update(ends)
                    persons.add(whole)
                links[pair] = edge if may else edge._replace(state="PROPOSED")

        connect(
            {
                pair: Link("ACTIVE", None, decided.age)
                for pair, decided in self._decided.items()
                if decided.is_link and known.issuperset(pair)
            }
        )
        for rule in self.rules.rules:
            edges: dict[Pair, Link] = {}
            for holders in self._holders(rule, known):
                for pair, edge in self._edges(rule, holders, persons).items():
                    before = edges.get(pair)
                    if before is None or (edge.state, edge.age) < (before.state, before.age):
                        edges[pair] = edge
            new = {pair: edge for pair, edge in edges.items() if pair not in links}
            connect(_without_competing(rule, new, persons))
        return frozenset(persons), links

    def _holders(self, rule: Rule, known: Collection[Ref]) -> Iterable[Mapping[Ref, int]]:
        """Yield the customers of each value, with when they were seen with it."""
        keys = {(key.provider, key.name) for key in rule.keys}
        holders: dict[str, dict[Ref, int]] = {}
        for ref in known:
            for (key, text), age in self.ages[ref].items():
                if (ref.provider, key) in keys:
                    ages = holders.setdefault(text, {})
                    ages[ref] = min(age, ages.get(ref, age))
        return holders.values()

    def _edges(
        self, rule: Rule, holders: Mapping[Ref, int], persons: Iterable[frozenset[Ref]]
    ) -> Mapping[Pair, Link]:
        providers = [ref.provider for ref in holders]
        most = max(map(providers.count, providers))
        state = "ACTIVE" if rule.is_auto and most <= rule.per_provider else "PROPOSED"
        edges = {
            pair_of(one, other): Link(state, rule.name, max(holders[one], holders[other]))
            for one, other in combinations(holders, 2)
        }
        return _without_competing(rule, edges, persons)


def _text(ref: Ref) -> tuple[str, str]:
    return ref.provider, ref.key


def _order(edge: tuple[Pair, Link]) -> tuple[int, Sequence[tuple[str, str]]]:
    pair, link = edge
    return link.age, [_text(ref) for ref in pair]


def _without_competing(
    rule: Rule, edges: Mapping[Pair, Link], persons: Iterable[frozenset[Ref]]
) -> Mapping[Pair, Link]:
    """Propose the edges of persons that compete for a place at a provider."""
    active = [pair for pair, edge in edges.items() if edge.state == "ACTIVE"]
    groups = [{person} for person in persons]
    for pair in active:
        ends = [group for group in groups if any(not each.isdisjoint(pair) for each in group)]
        if len(ends) > 1:
            groups = [group for group in groups if group not in ends]
            groups.append(ends[0] | ends[1])
    competing = set()
    for group in groups:
        everyone = [ref for person in group for ref in person]
        for provider in {ref.provider for ref in everyone}:
            there = {person for person in group if any(ref.provider == provider for ref in person)}
            count = sum(ref.provider == provider for ref in everyone)
            if len(there) > 1 and count > rule.per_provider:
                competing |= there
    return {
        pair: edge._replace(state="PROPOSED")
        if any(len(each.intersection(pair)) == 1 for each in competing)
        else edge
        for pair, edge in edges.items()
    }
