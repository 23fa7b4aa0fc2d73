"""Lookahead: providers are only asked for what a query selects."""

import pytest
from graphql import FieldNode, FragmentDefinitionNode, OperationDefinitionNode, parse

from resolvers.lookahead import Lookahead
from tests.unit.resolvers.executing import RecordingReads, ask


def selection(text: str) -> Lookahead:
    """Return what is selected below the mentions of `x` at a document's root."""
    definitions = parse(text).definitions
    (operation,) = (each for each in definitions if isinstance(each, OperationDefinitionNode))
    mentions = [each for each in operation.selection_set.selections if isinstance(each, FieldNode)]
    assert {each.name.value for each in mentions} == {"x"}
    fragments = {
        each.name.value: each for each in definitions if isinstance(each, FragmentDefinitionNode)
    }
    return Lookahead(mentions, fragments)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("{ x }", "", id="nothing"),
        pytest.param("{ x { a b } }", "a b", id="fields"),
        pytest.param("{ x { one: a two: a } }", "a", id="aliases do not hide the name"),
        pytest.param("{ x { a } x { b } }", "a b", id="several mentions"),
        pytest.param("{ x { a { b } } }", "a", id="not what is deeper"),
        pytest.param("{ x { ... { a } ... on T { b } } }", "a b", id="inline fragments"),
        pytest.param(
            "{ x { ...F } } fragment F on T { a ...G } fragment G on T { b }",
            "a b",
            id="fragments in fragments",
        ),
        pytest.param("{ x { ...F ...F a } } fragment F on T { a }", "a", id="a fragment twice"),
        pytest.param("{ x { ...F } } fragment F on T { a ...F }", "a", id="a fragment in itself"),
        pytest.param(
            "{ x { a @skip(if: true) b @include(if: $v) } }", "a b", id="what may be shown counts"
        ),
    ],
)
def test_names_of_the_fields_selected(text: str, names: str) -> None:
    """Directly below the field, through fragments of every kind."""
    assert selection(text).names() == frozenset(names.split())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("{ x { nodes { a } edges { node { b } cursor } } }", "a b", id="both ways"),
        pytest.param("{ x { n: nodes { a } nodes { b } } }", "a b", id="an alias"),
        pytest.param(
            "{ x { ...F } } fragment F on C { edges { ... { node { ...G } } } } "
            "fragment G on T { a b }",
            "a b",
            id="fragments",
        ),
        pytest.param("{ x { node { a } edges { nodes { b } } } }", "", id="other fields"),
    ],
)
def test_names_of_the_fields_of_a_connections_nodes(text: str, names: str) -> None:
    """By `nodes` and by `edges { node }` together."""
    assert selection(text).of_nodes == frozenset(names.split())


TOTALS = [
    ("{ segments { nodes { id } } }", False),
    ("{ segments { totalCount } }", True),
    ("{ segments { rows: totalCount } }", True),
    ("{ segments { sources { totalCount } } }", True),
    ("{ segments { sources { provider { key } } } }", False),
    ("{ segments { ...F } } fragment F on SegmentConnection { totalCount }", True),
    ("{ segments { ... { sources { ... on Source { totalCount } } } } }", True),
    ("{ segments { nodes { customers { totalCount } } } }", False),
    ("{ segments { nodes { id } } segments { totalCount } }", True),
]


@pytest.mark.parametrize(("query", "wanted"), TOTALS, ids=[query for query, _ in TOTALS])
async def test_a_total_is_asked_for_if_it_is_shown(query: str, *, wanted: bool) -> None:
    """By both executors; only then does a provider have to count."""
    reads = RecordingReads()
    await ask(query, reads)
    assert [paging.with_total for _, paging in reads.requests] == [wanted, wanted]
