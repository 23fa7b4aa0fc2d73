"""From edges to persons: whatever the edges, and in whatever order they come."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.entities import Ref
from gateway.identity.graph import (
    MOST_SHARED,
    Decision,
    Graph,
    IndexedValue,
    LinkOrigin,
    LinkState,
    graph,
    linking_neighbours,
    pair_of,
)
from gateway.identity.normalizing import EMAIL, EXACT
from gateway.identity.rules import Key, Rule, Ruleset
from tests.sizes import size

START = datetime(2026, 11, 1, tzinfo=UTC)
PROVIDERS = ("a", "b", "c", "d")
CRM = Rule("crm", tuple(Key(each, "crm") for each in PROVIDERS), EXACT)
MAIL = Rule("mail", tuple(Key(each, "email") for each in PROVIDERS), EMAIL)
BOTH = Ruleset([CRM, MAIL])
EXAMPLES = size("IDENTITY_EXAMPLES", 60, 3000)


def ref(text: str) -> Ref:
    """Return the customer `a1` of the provider `a`."""
    return Ref(text[0], text)


def value(text: str, of: str, number: int = 0, at: int = 0) -> IndexedValue:
    """Return a value of a customer: an address if it has an @."""
    key, form = ("email", EMAIL) if "@" in text else ("crm", EXACT)
    seen_at = START + timedelta(seconds=at)
    return IndexedValue(ref(of), number, key, form.name, text.encode(), seen_at)


def decision(one: str, other: str, *, is_link: bool, at: int = 0) -> Decision:
    """Return an explicit decision about two customers."""
    return Decision(
        pair_of(ref(one), ref(other)),
        is_link,
        LinkOrigin.EXPLICIT,
        None,
        START + timedelta(seconds=at),
    )


def states(result: Graph) -> dict[str, str]:
    """Return the edges and their states."""
    return {f"{a.key}-{b.key}": edge.state.value for (a, b), edge in result.edges.items()}


def persons(result: Graph) -> list[str]:
    """Return the persons of several customers, oldest first in each."""
    found = {" ".join(each.key for each in person) for person in result.persons.values()}
    return sorted(each for each in found if " " in each)


def computed(
    rules: Ruleset, values: Mapping[str, Sequence[str]], decisions: Sequence[Decision] = ()
) -> Graph:
    """Compute the graph of these customers, the first one the oldest, with their values."""
    numbers = {ref(each): number for number, each in enumerate(values)}
    indexed = [
        value(text, each, number, number)
        for number, (each, texts) in enumerate(values.items())
        for text in texts
    ]
    return graph(rules, numbers, indexed, decisions)


def test_a_rule_links_everyone_with_its_value() -> None:
    """Every two customers with one value have an edge; other values link nobody."""
    result = computed(BOTH, {"b1": ["x"], "a1": ["x", "m@x"], "c1": ["x"], "d1": ["y", "m@x"]})
    assert states(result) == {
        "a1-b1": "ACTIVE",
        "b1-c1": "ACTIVE",
        "a1-c1": "ACTIVE",
        "a1-d1": "ACTIVE",
    }
    assert persons(result) == ["b1 a1 c1 d1"]
    edge = result.edges[pair_of(ref("a1"), ref("d1"))]
    assert (edge.origin, edge.rule) == (LinkOrigin.RULE, "mail")
    assert edge.created_at == START + timedelta(seconds=3)


def test_two_rules_for_one_pair_make_one_edge() -> None:
    """It is the first rule's."""
    result = computed(BOTH, {"a1": ["x", "m@x"], "b1": ["x", "m@x"]})
    assert [edge.rule for edge in result.edges.values()] == ["crm"]


def test_a_proposing_rule_links_nobody() -> None:
    """Its edges are proposed, also between customers that others link."""
    rules = Ruleset([CRM, MAIL._replace(is_auto=False)])
    result = computed(rules, {"a1": ["x", "m@x"], "b1": ["m@x"], "c1": ["x"], "d1": ["n@x"]})
    assert states(result) == {"a1-c1": "ACTIVE", "a1-b1": "PROPOSED"}
    assert persons(result) == ["a1 c1"]


def test_a_shared_value_links_nobody() -> None:
    """Where a value belongs to two customers of one provider, all its edges are proposed."""
    values = {"a1": ["m@x"], "b1": ["m@x"], "a2": ["m@x"]}
    assert states(computed(BOTH, values)) == {
        "a1-b1": "PROPOSED",
        "a1-a2": "PROPOSED",
        "a2-b1": "PROPOSED",
    }
    two = Ruleset([MAIL._replace(per_provider=2)])
    assert persons(computed(two, values)) == ["a1 b1 a2"]
    many = {f"a{n}": ["m@x"] for n in range(MOST_SHARED)}
    assert len(computed(BOTH, {**many, "b1": ["m@x"]}).edges) == 51 * 50 // 2
    assert computed(BOTH, {**many, "b1": ["m@x"], "a99": ["m@x"]}).edges == {}


def test_a_rule_adds_no_second_customer_of_a_provider() -> None:
    """Whichever rule brought the first."""
    result = computed(BOTH, {"a1": ["x"], "b1": ["x", "m@x"], "a2": ["m@x"]})
    assert states(result) == {"a1-b1": "ACTIVE", "a2-b1": "PROPOSED"}


def test_those_who_compete_for_a_place_are_proposed() -> None:
    """Whoever was read first: two customers of a provider, by any values; others are linked."""
    values = {"a1": ["x"], "b1": ["x", "m@x"], "c1": ["m@x"], "a2": ["m@x"], "d1": ["m@x"]}
    expected = {
        "a1-b1": "ACTIVE",
        "a2-b1": "PROPOSED",
        "a2-c1": "PROPOSED",
        "a2-d1": "PROPOSED",
        "b1-c1": "PROPOSED",
        "b1-d1": "PROPOSED",
        "c1-d1": "ACTIVE",
    }
    assert states(computed(BOTH, values)) == expected
    assert states(computed(BOTH, dict(reversed(values.items())))) == expected
    # By different values of one rule.
    values = {"b1": ["x", "m@x"], "c1": ["x", "n@x"], "a1": ["m@x"], "a2": ["n@x"]}
    expected = {"b1-c1": "ACTIVE", "a1-b1": "PROPOSED", "a2-c1": "PROPOSED"}
    assert states(computed(BOTH, values)) == expected
    assert states(computed(BOTH, dict(reversed(values.items())))) == expected


def test_explicit_links_may_add_one() -> None:
    """And come before rules, however late they were made."""
    late = decision("a2", "b1", is_link=True, at=99)
    result = computed(BOTH, {"a1": ["x"], "b1": ["x"], "a2": [], "c1": ["x"]}, [late])
    assert states(result) == {
        "a2-b1": "ACTIVE",
        "a1-b1": "PROPOSED",
        "a1-c1": "PROPOSED",
        "b1-c1": "PROPOSED",
    }
    assert persons(result) == ["b1 a2"]


def test_blocked_customers_are_never_one_person() -> None:
    """Neither by a rule nor by way of a third customer; the older edge counts."""
    apart = decision("a1", "b1", is_link=False)
    result = computed(BOTH, {"a1": ["x"], "c1": ["x"], "b1": ["x"]}, [apart])
    assert states(result) == {"a1-b1": "BLOCKED", "a1-c1": "ACTIVE", "b1-c1": "PROPOSED"}


def test_largest_person() -> None:
    """An edge beyond `max_customers` is proposed and counted."""
    rules = Ruleset([CRM], max_customers=3)
    result = computed(rules, {each: ["x"] for each in ("a1", "b1", "c1", "d1")})
    assert persons(result) == ["a1 b1 c1"]
    assert {pair for pair, state in states(result).items() if state == "PROPOSED"} == {
        "a1-d1",
        "b1-d1",
        "c1-d1",
    }
    assert len(result.oversized) == 3


def test_neighbours_are_those_whom_an_edge_may_link() -> None:
    """Values that link nobody lead nowhere."""
    values = [value("x", "a1"), value("x", "b1"), value("m@x", "c1"), value("m@x", "c2")]
    linked = [decision("d1", "d2", is_link=True), decision("d3", "d4", is_link=False)]
    assert {each.key for each in linking_neighbours(BOTH, values, linked)} == {
        "a1",
        "b1",
        "d1",
        "d2",
    }


class Case(NamedTuple):
    """Customers from old to new, their values, and decisions."""

    values: Mapping[str, Sequence[str]]
    decisions: Sequence[Decision]
    rules: Ruleset


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw customers that share few values, decisions about them, and limits."""
    names = [f"{provider}{n}" for provider in PROVIDERS for n in range(3)]
    chosen = draw(st.permutations(names))[: draw(st.integers(2, 9))]
    texts = st.lists(st.sampled_from(["x", "y", "z", "m@x", "n@x"]), max_size=3, unique=True)
    pairs = draw(
        st.lists(st.sampled_from([*combinations(sorted(chosen), 2)]), max_size=6, unique=True)
    )
    return Case(
        {each: draw(texts) for each in chosen},
        [
            decision(*pair, is_link=draw(st.booleans()), at=draw(st.integers(0, 9)))
            for pair in pairs
        ],
        Ruleset(
            [
                CRM._replace(per_provider=draw(st.integers(1, 2))),
                MAIL._replace(is_auto=draw(st.booleans())),
            ],
            max_customers=draw(st.integers(2, 6)),
        ),
    )


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=EXAMPLES)
def test_the_order_of_edges_does_not_matter(case: Case, random: object) -> None:
    """The same customers, values and decisions give the same graph, in whatever order."""
    numbers = {ref(each): number for number, each in enumerate(case.values)}
    indexed = [
        value(text, each, numbers[ref(each)], numbers[ref(each)])
        for each, texts in case.values.items()
        for text in texts
    ]
    expected = graph(case.rules, numbers, indexed, case.decisions)
    decisions = [*case.decisions]
    order = [*numbers.items()]
    for each in (indexed, decisions, order):
        random.shuffle(each)  # type: ignore[attr-defined]  # a Random
    assert graph(case.rules, dict(order), indexed, decisions) == expected


@given(cases())
@settings(max_examples=EXAMPLES)
def test_persons_are_what_active_edges_connect(case: Case) -> None:
    """Exactly that; nobody is with a customer they are blocked from, or in too large a person."""
    result = computed(case.rules, case.values, case.decisions)
    reached = {ref(each): {ref(each)} for each in case.values}
    for (one, other), edge in result.edges.items():
        if edge.state is LinkState.ACTIVE:
            together = reached[one] | reached[other]
            for each in together:
                reached[each] = together
    assert {each: set(person) for each, person in result.persons.items()} == reached
    for decided in case.decisions:
        one, other = decided.pair
        edge = result.edges[decided.pair]
        assert edge.origin is LinkOrigin.EXPLICIT
        if not decided.is_link:
            assert edge.state is LinkState.BLOCKED
            assert other not in result.persons[one]
    assert max(len(person) for person in result.persons.values()) <= case.rules.max_customers


@given(cases(), st.data())
@settings(max_examples=EXAMPLES)
def test_the_order_of_reads_does_not_matter(case: Case, data: st.DataObject) -> None:
    """Customers are the same persons, in whatever order they are read; also several of a provider.

    Below `max_customers`, and where nobody is kept apart: there the older link counts.
    """
    rules = Ruleset(case.rules.rules, max_customers=100)
    linked = [each for each in case.decisions if each.is_link]
    order = data.draw(st.permutations(list(case.values)))
    one = computed(rules, case.values, linked)
    other = computed(rules, {each: case.values[each] for each in order}, linked)
    assert states(one) == states(other)
    assert set(map(frozenset, one.persons.values())) == set(map(frozenset, other.persons.values()))


@given(cases(), st.sets(st.sampled_from(PROVIDERS)))
@settings(max_examples=EXAMPLES)
def test_edges_to_customers_out_of_sight_have_no_effect(case: Case, hidden: set[str]) -> None:
    """Decisions and values of customers that are not asked about change nothing."""
    seen = {each: texts for each, texts in case.values.items() if each[0] not in hidden}
    numbers = {ref(each): number for number, each in enumerate(seen)}
    indexed = [
        value(text, each, numbers[ref(each)], numbers[ref(each)])
        for each, texts in seen.items()
        for text in texts
    ]
    visible = [
        each for each in case.decisions if hidden.isdisjoint(end.provider for end in each.pair)
    ]
    expected = graph(case.rules, numbers, indexed, visible)
    assert graph(case.rules, numbers, indexed, case.decisions) == expected
