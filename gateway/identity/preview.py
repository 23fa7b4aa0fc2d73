"""What rules would do to customers, before they are switched on. Pure: nothing is read here."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from gateway.domain.entities import Customer, Ref
from gateway.identity.graph import (
    Decision,
    Edge,
    Graph,
    IndexedValue,
    LinkOrigin,
    LinkState,
    graph,
)
from gateway.identity.rules import Rule, Ruleset

THEN = datetime(1970, 1, 1, tzinfo=UTC)


class Link(NamedTuple):
    """A link that a rule makes or proposes, and the value that its ends share."""

    edge: Edge
    value: str


class SharedValue(NamedTuple):
    """A value that many customers share by a rule."""

    rule: str
    value: str
    customers: int


class Preview(NamedTuple):
    """What the rules would do."""

    customers: int
    links: Mapping[str, Mapping[LinkState, Sequence[Link]]]
    """By rule and state, oldest first."""
    persons: Sequence[Sequence[Ref]]
    """Those of several customers, the largest first."""
    shared: Sequence[SharedValue]
    """Values that too many customers share, the most first."""
    conflicts: Sequence[Edge]
    """Pairs that are kept apart although a rule would link them."""


def preview(
    rules: Ruleset, customers: Iterable[Customer], decisions: Collection[Decision]
) -> Preview:
    """Apply rules to customers, in the order in which they were read."""
    numbers: dict[Ref, int] = {}
    values: list[IndexedValue] = []
    for customer in customers:
        number = numbers.setdefault(customer.ref, len(numbers))
        values += [
            IndexedValue(
                customer.ref,
                number,
                each.key,
                each.form.name,
                each.text.encode("utf-8", "surrogatepass"),
                THEN,
            )
            for each in rules.values(customer)
        ]
    texts = _texts(values)
    linked = graph(rules, numbers, values, decisions)
    return Preview(
        len(numbers),
        {rule.name: _links(rule, linked, texts) for rule in rules.rules},
        _largest(linked),
        [each for rule in rules.rules for each in _shared(rule, rules.max_customers, values)],
        _conflicts(rules, numbers, values, linked),
    )


def _texts(values: Iterable[IndexedValue]) -> Mapping[Ref, frozenset[tuple[str, bytes]]]:
    found: dict[Ref, set[tuple[str, bytes]]] = {}
    for each in values:
        found.setdefault(each.customer, set()).add((each.form, each.digest))
    return {ref: frozenset(each) for ref, each in found.items()}


def _links(
    rule: Rule, linked: Graph, texts: Mapping[Ref, frozenset[tuple[str, bytes]]]
) -> Mapping[LinkState, Sequence[Link]]:
    links: dict[LinkState, list[Link]] = {LinkState.ACTIVE: [], LinkState.PROPOSED: []}
    for edge in linked.edges.values():
        if edge.origin is LinkOrigin.RULE and edge.rule == rule.name and edge.state in links:
            one, other = (texts.get(ref, frozenset()) for ref in edge.pair)
            common = sorted(text for form, text in one & other if form == rule.form.name)
            shown = common[0].decode("utf-8", "surrogatepass") if common else ""
            links[edge.state].append(Link(edge, shown))
    return links


def _largest(linked: Graph) -> Sequence[Sequence[Ref]]:
    persons = {each[0]: each for each in linked.persons.values() if len(each) > 1}
    return sorted(persons.values(), key=lambda each: (-len(each), linked.ages[each[0]]))


def _shared(
    rule: Rule, max_customers: int, values: Iterable[IndexedValue]
) -> Sequence[SharedValue]:
    names = {(key.provider, key.name) for key in rule.keys}
    holders: dict[bytes, set[Ref]] = {}
    for each in values:
        if each.form == rule.form.name and (each.customer.provider, each.key) in names:
            holders.setdefault(each.digest, set()).add(each.customer)
    shared = [
        SharedValue(rule.name, digest.decode("utf-8", "surrogatepass"), len(customers))
        for digest, customers in holders.items()
        if len(customers) > max_customers
        or max(Counter(ref.provider for ref in customers).values()) > rule.per_provider
    ]
    return sorted(shared, key=lambda each: (-each.customers, each.value))


def _conflicts(
    rules: Ruleset,
    numbers: Mapping[Ref, int],
    values: Collection[IndexedValue],
    linked: Graph,
) -> Sequence[Edge]:
    """Return the blocked edges that would be links of rules, were they not blocked."""
    blocked = {pair: each for pair, each in linked.edges.items() if _is_blocked(each)}
    if not blocked:
        return ()
    without = graph(rules, numbers, values, ())
    return [
        edge
        for pair, edge in blocked.items()
        if pair in without.edges and without.edges[pair].state is LinkState.ACTIVE
    ]


def _is_blocked(edge: Edge) -> bool:
    return edge.state is LinkState.BLOCKED
