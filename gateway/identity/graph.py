"""From edges between customers to persons.

Edges are applied in order of strength: explicit decisions, then rules in file order; equally
strong ones by age. An edge that must not connect two persons is proposed. Where edges of one rule
compete for a place, all of them are, so that it does not matter which record was read first. Every
function here sees only the customers that the caller may see: what is out of sight has no effect.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from itertools import combinations
from typing import Final, NamedTuple, TypeAlias

from gateway.domain.entities import Ref
from gateway.identity.rules import Rule, Ruleset

MOST_SHARED: Final = 50
"""A value that more customers of one provider share makes no edges: it identifies nobody."""


class LinkOrigin(Enum):
    """How an edge came about."""

    EXPLICIT = "EXPLICIT"
    RULE = "RULE"


class LinkState(Enum):
    """Whether an edge connects its customers."""

    ACTIVE = "ACTIVE"
    PROPOSED = "PROPOSED"
    BLOCKED = "BLOCKED"


Pair: TypeAlias = tuple[Ref, Ref]
"""Two customers, ordered by provider and key: one edge for each pair."""


def pair_of(one: Ref, other: Ref) -> Pair:
    """Return the two in their order."""
    is_ordered = (one.provider, one.key) <= (other.provider, other.key)
    return (one, other) if is_ordered else (other, one)


class Decision(NamedTuple):
    """The latest explicit decision about a pair."""

    pair: Pair
    is_link: bool
    """False: the two are kept apart."""
    origin: LinkOrigin
    """RULE: the edge of a rule, which was unlinked or rejected."""
    rule: str | None
    created_at: datetime
    created_by: str | None = None
    note: str | None = None


class IndexedValue(NamedTuple):
    """One value of one customer in the index."""

    customer: Ref
    number: int
    """The customers in the order in which the gateway saw them first."""
    key: str
    form: str
    digest: bytes
    """Equal for equal values of one form."""
    seen_at: datetime
    """When this customer was first seen with this value."""


class Edge(NamedTuple):
    """An edge between two customers, and its state."""

    pair: Pair
    origin: LinkOrigin
    rule: str | None
    state: LinkState
    created_at: datetime
    created_by: str | None = None
    note: str | None = None


class _Candidate(NamedTuple):
    """An edge before it is applied."""

    created_at: datetime
    pair: Pair
    may_link: bool
    rule: Rule | None = None
    decision: Decision | None = None


class Graph(NamedTuple):
    """The edges and the persons of some customers."""

    edges: Mapping[Pair, Edge]
    persons: Mapping[Ref, Sequence[Ref]]
    """All customers of each customer's person, oldest first."""
    ages: Mapping[Ref, int]
    """The customers with their numbers: the lowest is the oldest."""
    oversized: Sequence[Pair] = ()
    """Edges that are proposed because the person would have too many customers."""


class _Person:
    """A person while edges are applied."""

    def __init__(self, customer: Ref) -> None:
        self.customers = [customer]
        self.at: dict[str, int] = {customer.provider: 1}


class _Shared(NamedTuple):
    """The customers with one value, as far as a rule compares it."""

    customers: Mapping[Ref, datetime]
    links: bool
    """Whether the rule may link them by it."""


def shared_values(rule: Rule, values: Iterable[IndexedValue]) -> Sequence[_Shared]:
    """Return the values that several customers share by a rule."""
    names = {(key.provider, key.name) for key in rule.keys}
    form = rule.form.name
    by_digest: dict[bytes, dict[Ref, datetime]] = defaultdict(dict)
    for each in values:
        if each.form == form and (each.customer.provider, each.key) in names:
            known = by_digest[each.digest]
            known[each.customer] = min(each.seen_at, known.get(each.customer, each.seen_at))
    shared = []
    for customers in by_digest.values():
        if len(customers) > 1:
            at: dict[str, int] = defaultdict(int)
            for ref in customers:
                at[ref.provider] += 1
            most = max(at.values())
            if most <= MOST_SHARED:
                shared.append(_Shared(customers, rule.is_auto and most <= rule.per_provider))
    return shared


def linking_neighbours(
    rules: Ruleset, values: Collection[IndexedValue], decisions: Iterable[Decision]
) -> frozenset[Ref]:
    """Return the customers that an edge that may link connects to another one."""
    found = {ref for each in decisions if each.is_link for ref in each.pair}
    for rule in rules.rules:
        if rule.is_auto:
            for shared in shared_values(rule, values):
                if shared.links:
                    found.update(shared.customers)
    return frozenset(found)


def graph(
    rules: Ruleset,
    numbers: Mapping[Ref, int],
    values: Collection[IndexedValue],
    decisions: Collection[Decision],
) -> Graph:
    """Apply the edges among the customers in `numbers` in their order.

    `numbers` are the customers with their ages; those of an edge that is not among them are
    ignored.
    """
    blocked = {each.pair: each for each in decisions if not each.is_link}
    apart: dict[Ref, set[Ref]] = defaultdict(set)
    for one, other in blocked:
        apart[one].add(other)
        apart[other].add(one)
    person_of = {ref: _Person(ref) for ref in numbers}
    edges: dict[Pair, Edge] = {
        pair: _edge_of(each, LinkState.BLOCKED)
        for pair, each in blocked.items()
        if _are_known(pair, numbers)
    }
    oversized: list[Pair] = []

    def apply(candidates: Iterable[_Candidate]) -> None:
        for each in sorted(candidates, key=_order):
            state = LinkState.PROPOSED
            if each.may_link:
                left, right = (person_of[ref] for ref in each.pair)
                if left is right:
                    state = LinkState.ACTIVE
                elif not _may_join(left, right, apart):
                    pass
                elif len(left.customers) + len(right.customers) > rules.max_customers:
                    oversized.append(each.pair)
                else:
                    _join(left, right, person_of)
                    state = LinkState.ACTIVE
            edges[each.pair] = _edge(each, state)

    apply(
        _Candidate(each.created_at, each.pair, may_link=True, decision=each)
        for each in decisions
        if each.is_link and _are_known(each.pair, numbers)
    )
    for rule in rules.rules:
        found = _candidates(rule, values, person_of)
        apply(_without_competing(rule, [e for e in found if e.pair not in edges], person_of))
    return Graph(edges, _persons(person_of, numbers), numbers, tuple(oversized))


def _candidates(
    rule: Rule, values: Iterable[IndexedValue], person_of: Mapping[Ref, _Person]
) -> Iterable[_Candidate]:
    """Return the edges of a rule among customers that are known."""
    # Two customers may share several values: one that links them is enough.
    best: dict[Pair, _Candidate] = {}
    for shared in shared_values(rule, values):
        known = {ref: since for ref, since in shared.customers.items() if ref in person_of}
        edges = [
            _Candidate(max(since, until), pair_of(one, other), shared.links, rule)
            for (one, since), (other, until) in combinations(known.items(), 2)
        ]
        for each in _without_competing(rule, edges, person_of):
            other_edge = best.get(each.pair)
            if other_edge is None or _prefers(each, other_edge):
                best[each.pair] = each
    return best.values()


def _without_competing(
    rule: Rule, candidates: Sequence[_Candidate], person_of: Mapping[Ref, _Person]
) -> Sequence[_Candidate]:
    """Return the edges; those of persons that compete for a place at a provider may not link.

    They compete if all of the edges together would connect more customers of the provider than
    the rule links. None of them is preferred: it would be the one that was read first.
    """
    group_of: dict[_Person, set[_Person]] = {}
    for each in candidates:
        if each.may_link:
            one, other = (
                group_of.setdefault(person, {person})
                for person in (person_of[ref] for ref in each.pair)
            )
            if one is not other:
                one |= other
                group_of.update(dict.fromkeys(other, one))
    competing: set[_Person] = set()
    for group in {id(each): each for each in group_of.values()}.values():
        for provider in {name for person in group for name in person.at}:
            there = [person for person in group if provider in person.at]
            if len(there) > 1 and sum(each.at[provider] for each in there) > rule.per_provider:
                competing.update(there)
    if not competing:
        return candidates
    return [
        each._replace(may_link=False)
        if each.may_link and _is_of(competing, each.pair, person_of)
        else each
        for each in candidates
    ]


def _is_of(competing: Collection[_Person], pair: Pair, person_of: Mapping[Ref, _Person]) -> bool:
    """Return whether an edge would connect one of these persons with another person."""
    one, other = (person_of[ref] for ref in pair)
    return one is not other and (one in competing or other in competing)


def _prefers(one: _Candidate, other: _Candidate) -> bool:
    """Return whether one of two candidates for the same edge counts: the one that links first."""
    return (not one.may_link, one.created_at) < (not other.may_link, other.created_at)


def _order(each: _Candidate) -> tuple[datetime, tuple[str, str, str, str]]:
    one, other = each.pair
    return each.created_at, (one.provider, one.key, other.provider, other.key)


def _are_known(pair: Pair, numbers: Mapping[Ref, int]) -> bool:
    return pair[0] in numbers and pair[1] in numbers


def _may_join(one: _Person, other: _Person, apart: Mapping[Ref, Collection[Ref]]) -> bool:
    """Return whether no customer of one is kept apart from a customer of the other."""
    customers = set(other.customers)
    return all(customers.isdisjoint(apart.get(ref, ())) for ref in one.customers)


def _join(one: _Person, other: _Person, person_of: dict[Ref, _Person]) -> None:
    if len(one.customers) < len(other.customers):
        one, other = other, one
    one.customers += other.customers
    for provider, count in other.at.items():
        one.at[provider] = one.at.get(provider, 0) + count
    for ref in other.customers:
        person_of[ref] = one


def _edge(each: _Candidate, state: LinkState) -> Edge:
    if each.decision is not None:
        return _edge_of(each.decision, state)
    rule = None if each.rule is None else each.rule.name
    return Edge(each.pair, LinkOrigin.RULE, rule, state, each.created_at)


def _edge_of(decision: Decision, state: LinkState) -> Edge:
    return Edge(
        decision.pair,
        decision.origin,
        decision.rule,
        state,
        decision.created_at,
        decision.created_by,
        decision.note,
    )


def _persons(
    person_of: Mapping[Ref, _Person], numbers: Mapping[Ref, int]
) -> Mapping[Ref, Sequence[Ref]]:
    sorted_of: dict[int, Sequence[Ref]] = {}
    for person in person_of.values():
        if id(person) not in sorted_of:
            sorted_of[id(person)] = sorted(person.customers, key=numbers.__getitem__)
    return {ref: sorted_of[id(person)] for ref, person in person_of.items()}
