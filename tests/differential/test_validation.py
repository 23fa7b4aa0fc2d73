"""What the quick validation accepts is valid for graphql-core, and little else is left to that."""

import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from graphql import DocumentNode, GraphQLError, GraphQLNamedType, GraphQLSchema, parse, validate

from gateway.http.pages.examples import examples
from resolvers.execution.quick_validation import (
    MAX_DEPTH,
    MAX_REPEATED,
    MAX_SELECTIONS,
    is_surely_valid,
)
from resolvers.schema import SCHEMA
from tests.differential import made_up
from tests.differential.operations import Maker
from tests.sizes import size

RUNS = size("DIFFERENTIAL_RUNS", 60, 11_000)
CORE = SCHEMA._schema  # noqa: SLF001  # as gateway.asgi
SCHEMAS = {"gateway": CORE, "made up": made_up.SCHEMA._schema}  # noqa: SLF001  # likewise
TOKEN = re.compile(r'"[^"]*"|[A-Za-z_]\w*|-?\d+(?:\.\d+)?|\.\.\.|[^\s]')
README = (Path(__file__).parents[2] / "README.md").read_text()


def choose(random: Random, _name: str, kind: GraphQLNamedType) -> Any:
    """Choose an argument, whatever it means."""
    values = {"Int": 3, "Float": 0.5, "Boolean": True, "DateTime": "2026-01-31T09:30:00Z"}
    return values.get(kind.name, random.choice(["", "x"]))


def maker(schema: GraphQLSchema, is_valid: Callable[[str], bool]) -> Maker:
    """Return a maker of operations."""
    return Maker(schema, choose, is_valid, depth=4, width=3)


def parsed(text: str) -> DocumentNode | None:
    """Return the document, if it can be parsed."""
    try:
        return parse(text)
    except GraphQLError:
        return None


def changed(random: Random, text: str, others: list[str]) -> str:
    """Return a document with one or two tokens deleted, doubled, or replaced by `others`."""
    tokens = TOKEN.findall(text)
    for _ in range(random.randint(1, 2)):
        at = random.randrange(len(tokens))
        kind = random.random()
        if kind < 0.2:
            del tokens[at : at + random.choice([1, 1, 3])]
        elif kind < 0.4:
            end = at + random.choice([1, 3, 5])
            tokens[at:at] = tokens[at:end]
        else:
            names = [i for i, token in enumerate(tokens) if token[0].isalnum()] or [at]
            at = random.choice(names)
            tokens[at : at + 1] = random.choice(others).split()
    return " ".join(tokens)


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_accepted_is_valid(name: str) -> None:
    """Generated documents, and the same with mistakes: graphql-core finds no error in any."""
    schema = SCHEMAS[name]
    others = [
        "null",
        "1",
        '"x"',
        "RED",
        "{}",
        "[]",
        "[ 1 ]",
        "true",
        "Int",
        "ID!",
        "$v0",
        "2147483648",
    ]
    others += [
        "x: __typename",
        "... on Query",
        "...F0",
        "@skip(if: $v0)",
        "__schema",
        "subscription",
    ]
    others += [each for kind in schema.type_map.values() for each in getattr(kind, "fields", ())]
    others += [*schema.type_map]
    make = maker(schema, lambda text: not validate(schema, parse(text))).make
    accepted = rejected = 0
    for seed in range(RUNS):
        random = Random(seed)  # noqa: S311  # it must be the same each time
        text = make(seed).text
        for _ in range(12):
            document = parsed(changed(random, text, others))
            if document is None:
                continue
            if is_surely_valid(schema, document):
                accepted += 1
                assert validate(schema, document) == []
            else:
                rejected += 1
    assert accepted > RUNS // 2
    assert rejected > RUNS


@pytest.mark.parametrize("name", SCHEMAS)
def test_most_valid_documents_are_accepted(name: str) -> None:
    """The others repeat a field that has arguments, or a variable that may be null."""
    schema = SCHEMAS[name]
    make = maker(schema, lambda text: not validate(schema, parse(text))).make
    accepted = sum(is_surely_valid(schema, parse(make(seed).text)) for seed in range(60))
    assert accepted >= 40


QUERIES = [each["query"] for each in examples() if "subscription" not in each["query"]]


@pytest.mark.parametrize(
    "text", [*QUERIES, *re.findall(r"```graphql\n(.*?)```", README, re.DOTALL)]
)
def test_documents_of_ours_are_accepted(text: str) -> None:
    """The examples of GraphiQL, and those of the README."""
    assert is_surely_valid(CORE, parse(text))
    assert validate(CORE, parse(text)) == []


INVALID = {
    "a type definition": "{ providers { key } } type T { a: Int }",
    "no such operation type": "subscription { nothing }",
    "equal names of operations": "query A { providers { key } } query A { providers { key } }",
    "two, one without a name": "{ providers { key } } query A { providers { key } }",
    "an unknown type of a variable": "query ($a: Nothing) { segments(first: $a) { totalCount } }",
    "an unknown type of a fragment": "{ providers { ... on Nothing { key } } }",
    "a fragment on a scalar": "{ providers { ...F } } fragment F on String { key }",
    "a variable of an object type": "query ($a: Provider) { segments(first: $a) { totalCount } }",
    "a selection below a leaf": "{ providers { key { x } } }",
    "no selection below an object": "{ providers }",
    "an unknown field": "{ providers { nothing } }",
    "a field of the union itself": "{ _entities(representations: []) { id } }",
    "equal names of fragments": "{ providers { ...F } } fragment F on Provider { key }"
    " fragment F on Provider { kind }",
    "an unknown fragment": "{ providers { ...F } }",
    "an unused fragment": "{ providers { key } } fragment F on Provider { key }",
    "an impossible inline fragment": "{ providers { ... on Segment { id } } }",
    "an impossible spread": "{ providers { ...F } } fragment F on Segment { id }",
    "an impossible spread of one that is spread before": "{ node(id: 1) { ... on Segment { ...F }"
    " ... on Customer { ...F } } } fragment F on Segment { id }",
    "a cycle": "{ providers { ...F } } fragment F on Provider { key ...F }",
    "a cycle of two": "{ providers { ...F } } fragment F on Provider { key ...G }"
    " fragment G on Provider { ...F }",
    "a cycle through a field": "{ providers { ...F } } fragment F on Provider { key"
    " segments { nodes { provider { ...F } } } }",
    "equal names of variables": "query ($a: Int, $a: Int) { segments(first: $a) { totalCount } }",
    "an undefined variable": "{ segments(first: $a) { totalCount } }",
    "an undefined variable in one of two": "query A($a: Int) { ...F } query B { ...F }"
    " fragment F on Query { segments(first: $a) { totalCount } }",
    "an unused variable": "query ($a: Int) { providers { key } }",
    "an unknown directive": "{ providers @nothing { key } }",
    "a directive in the wrong place": "query @skip(if: true) { providers { key } }",
    "a directive twice": "{ providers { key @skip(if: true) @skip(if: true) } }",
    "a directive without its argument": "{ providers { key @skip } }",
    "a directive with another argument": "{ providers { key @skip(of: true) } }",
    "a directive of null": "{ providers { key @skip(if: null) } }",
    "an unknown argument": "{ segments(nothing: 1) { totalCount } }",
    "an argument of a field without any": "{ providers { key(a: 1) } }",
    "an argument twice": "{ segments(first: 1, first: 1) { totalCount } }",
    "a missing argument": "{ provider { key } }",
    "a literal of the wrong type": '{ segments(first: "1") { totalCount } }',
    "an integer that is too large": "{ segments(first: 2147483648) { totalCount } }",
    "an integer of very many digits": f"{{ segments(first: {'1' * 5000}) {{ totalCount }} }}",
    "an unknown value of an enum": "{ segments(sortKey: NOTHING) { totalCount } }",
    "a text for an enum": '{ segments(sortKey: "NAME") { totalCount } }',
    "null for a list item": "{ segments(filter: {ids: [null]}) { totalCount } }",
    "a list for a scalar": "{ segments(first: [1]) { totalCount } }",
    "a scalar for an object": "{ segments(filter: 1) { totalCount } }",
    "an unknown input field": "{ segments(filter: {nothing: 1}) { totalCount } }",
    "an input field twice": '{ segments(filter: {ids: ["a"], ids: ["a"]}) { totalCount } }',
    "a scalar of ours that it refuses": '{ segments(filter: {updatedAfter: "never"}) {'
    " totalCount } }",
    "a variable of the wrong type": "query ($a: String) { segments(first: $a) { totalCount } }",
    "a variable that may be null": "query ($a: ID) { segment(id: $a) { id } }",
    "a variable whose default is null": "query ($a: ID = null) { segment(id: $a) { id } }",
    "a default of the wrong type": 'query ($a: Int = "1") { segments(first: $a) { totalCount } }',
    "one item for a list, as a variable": "query ($a: ID!) { segments(filter: {ids: $a}) {"
    " totalCount } }",
    "a key for two fields": "{ providers { a: key a: kind } }",
    "a key for two fields, one in a fragment": "{ providers { a: key ... { a: kind } } }",
    "a key for two fields of two types": "{ node(id: 1) { ... on Segment { a: name }"
    " ... on Customer { a: id } } }",
    "a key for different arguments": "{ segments(first: 1) { totalCount } segments(first: 2) {"
    " totalCount } }",
    "a key for two fields below one": "{ providers { a: key } providers { a: kind } }",
    "introspection that is nested too deeply": "{ __schema { types { fields { type { fields {"
    " type { fields { type { fields { name } } } } } } } } } }",
}


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID)
def test_what_is_invalid_is_not_accepted(text: str) -> None:
    """At least one document for each of graphql-core's rules."""
    assert validate(CORE, parse(text)) != []
    assert not is_surely_valid(CORE, parse(text))


MANY = " ".join(f"a{number}: key" for number in range(MAX_SELECTIONS))
UNSURE = {
    "introspection": "{ __schema { queryType { name } } }",
    "arguments that occur twice": "{ a: segments(first: 1) { totalCount }"
    " a: segments(first: 1) { totalCount } }",
    "an empty selection": "{ providers { } }",
    "very many selections": f"{{ providers {{ {MANY} }} }}",
    "many repeated fields": f"{{ providers {{ {'key ' * (MAX_REPEATED + 2)} }} }}",
    "very deep": f"{{ providers {{ {'... { ' * MAX_DEPTH} key {'} ' * MAX_DEPTH} }} }}",
}


@pytest.mark.parametrize("text", UNSURE.values(), ids=UNSURE)
def test_what_is_left_to_graphql_core(text: str) -> None:
    """It is valid, but unusual."""
    assert validate(CORE, parse(text)) == []
    assert not is_surely_valid(CORE, parse(text))
