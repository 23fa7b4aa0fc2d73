"""Which operations have a plan, how long plans are cached, and what runs the others."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from graphql import GraphQLObjectType

from gateway.context import RequestContext, Scope
from resolvers.execution.document import MAX_PLANS, Document
from resolvers.execution.documents import Documents
from resolvers.execution.executor import Executor
from resolvers.execution.slru_cache import MAX_DOCUMENTS
from resolvers.field_declarations import DECLARATION
from resolvers.schema import SCHEMA
from tests.differential import made_up
from tests.differential.both import in_dicts

CORE = SCHEMA._schema  # noqa: SLF001  # as gateway.asgi
MADE_UP = made_up.SCHEMA._schema  # noqa: SLF001  # as gateway.asgi


def context() -> RequestContext:
    """Return a context without providers."""
    return RequestContext({}, Scope("request", math.inf), (), datetime(2026, 11, 22, tzinfo=UTC))


def read_document(text: str) -> Document:
    """Return a document of the gateway's schema, which must be valid."""
    document = Documents(CORE).read(text)
    assert not document.errors
    return document


def reachable() -> list[str]:
    """Return the fields that a query can reach, as `Type.field`, with how each gets its value."""
    waiting: list[Any] = [CORE.query_type]
    seen: dict[str, Any] = {}
    while waiting:
        kind = waiting.pop()
        while hasattr(kind, "of_type"):
            kind = kind.of_type
        if kind.name in seen or not hasattr(kind, "fields"):
            continue
        seen[kind.name] = kind
        waiting += [field.type for field in kind.fields.values()]
        if not isinstance(kind, GraphQLObjectType):
            waiting += CORE.get_possible_types(kind)
    return [f"{name}.{field}" for name, kind in seen.items() for field in kind.fields]


@pytest.mark.parametrize("field", reachable())
def test_every_field_of_queries_is_declared(field: str) -> None:
    """A method in place of a declaration would send all queries with it to graphql-core."""
    kind, _, name = field.partition(".")
    object_type: Any = CORE.type_map[kind]
    strawberry_field = object_type.fields[name].extensions["strawberry-definition"]
    assert strawberry_field.is_basic_field or DECLARATION in strawberry_field.metadata


@pytest.mark.parametrize(
    "text",
    [
        "{ __schema { queryType { name } } }",
        '{ __type(name: "Segment") { name } }',
    ],
)
async def test_introspection_has_no_plan(text: str) -> None:
    """It runs on graphql-core and is answered."""
    document = read_document(text)
    assert document.plan(None, None) is None
    answer = await Executor(CORE).run(document, None, None, context())
    assert list(answer.body) == ["data"]


def test_a_document_that_is_too_large_has_no_plan() -> None:
    """Fragments within fragments stand for exponentially many fields."""
    parts = ["{ providers { ...F0 } }"]
    for i in range(12):
        below = f"...F{i + 1}" if i < 11 else "key"
        parts.append(
            f"fragment F{i} on Provider {{"
            f" a{i}: segments {{ nodes {{ provider {{ {below} }} }} }}"
            f" b{i}: segments {{ nodes {{ provider {{ {below} }} }} }} }}"
        )
    # Only one that is trusted may be so large.
    trusted = Documents(CORE).trust("\n".join(parts))
    assert trusted.is_good
    assert trusted.plan(None, None) is None


def test_plans_differ_by_what_is_skipped() -> None:
    """One plan for each value of the variables in directives, and the same one again."""
    document = read_document(
        "query ($a: Boolean!, $n: Int) { providers { key @skip(if: $a) } "
        "segments(first: $n) { totalCount } }"
    )
    plans = [document.plan(None, {"a": a, "n": n}) for a in (True, False) for n in (1, 2)]
    assert all(plans)
    reused = [plan[0] for plan in plans if plan]
    assert reused[0] is reused[1]
    assert reused[2] is reused[3]
    assert reused[0] is not reused[2]


def test_plans_and_documents_are_bounded() -> None:
    """A flood of distinct ones does not fill the memory."""
    names = [f"v{i}" for i in range(5)]
    document = read_document(
        f"query ({', '.join(f'${name}: Boolean!' for name in names)}) {{ providers {{ "
        + " ".join(f"a{name}: key @skip(if: ${name})" for name in names)
        + " key } }"
    )
    for number in range(2**5):
        document.plan(None, {name: bool(number >> i & 1) for i, name in enumerate(names)})
    assert 0 < len(document._plans) <= MAX_PLANS  # noqa: SLF001  # nothing shows it
    documents = Documents(CORE)
    for number in range(MAX_DOCUMENTS + 10):
        documents.read(f"{{ a{number}: __typename }}")
    assert len(list(documents._cache)) == MAX_DOCUMENTS  # noqa: SLF001  # likewise


async def test_wrong_variables_are_refused_as_by_graphql_core() -> None:
    """Nothing runs, and the answer has no data."""
    operations = Executor(CORE)
    document = read_document("query ($n: Int!) { segments(first: $n) { totalCount } }")
    result = await operations.run(document, {"n": "many"}, None, context())
    expected = await operations.run_on_graphql_core(document, {"n": "many"}, None, context())
    assert result.is_request_error
    assert result == expected


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("query ($id: ID!) { segment(id: $id) { name } }", ["segment"]),
        ("query ($id: ID!) { providers { key } segment(id: $id) { name } }", ["segment"]),
        ("query ($id: ID!) { s: segment(id: $id) { assignments { nodes { id } } } }", ["s"]),
        ("query ($id: ID!) { customer(id: $id) { segments { nodes { name } } } }", ["customer"]),
        ("query ($id: ID!) { segment(id: $id) { name } other: segment(id: $id) { name } }", []),
        ("query ($id: ID!) { segment(id: $id) { name } customers { nodes { name } } }", []),
        (
            "query ($id: ID!) { segment(id: $id) { id } providers { segments { totalCount } } }",
            [],
        ),
        ('{ provider(key: "x") { segments { nodes { name } } } }', []),
    ],
    ids=[
        "one",
        "beside what is known",
        "what is below waits",
        "a customer",
        "two",
        "beside a list",
        "beside what is read below a field",
        "below a field",
    ],
)
def test_which_field_is_read_alone(text: str, alone: list[str]) -> None:
    """The only one of the whole operation that is read at first: nobody else can ask with it."""
    planned = read_document(text).plan(None, {"id": "x"})
    assert planned is not None
    plan, _ = planned
    slots = [number for number, selection in plan.info_slots if selection.is_alone]
    assert [field.key for field in plan.root.fields if field.info_slot in slots] == alone
    assert len(slots) == len(alone)


TAKEN = """query ($n: Int = 3, $t: Int = 0, $by: Int = 2, $p: String) {
  thing(number: $n, trouble: $t) { doubled(by: $by) some { doubled(by: 7) } labels(prefix: $p) }
}"""


async def test_plain_variables_are_taken_as_they_are() -> None:
    """Each run has its own, missing ones their defaults, and null is as graphql-core has it."""
    operations, numbers = Executor(MADE_UP), []
    document = Documents(MADE_UP).read(TAKEN)
    assert not document.errors
    for given in (
        {"n": 4, "t": 0, "by": 5, "p": "a"},
        {},
        {"n": 2, "by": 3},
        {"t": 0, "p": "b"},
        {"p": None},
        {"n": None},
        {"by": None, "p": "c"},
        {"n": 4, "t": 0, "by": 5, "p": "a"},
    ):
        result = await operations.run(document, given, None, context())
        expected = await operations.run_on_graphql_core(document, given, None, context())
        assert in_dicts(result) == expected, given
        thing = (expected.body["data"] or {}).get("thing") or {}
        numbers.append((thing.get("doubled"), thing.get("labels")))
    assert numbers == [
        (20, "a145"),
        (6, "p114"),
        (6, "p83"),
        (6, "b114"),
        (6, "None114"),
        (None, None),
        (None, "c114"),
        (20, "a145"),
    ]


@pytest.mark.parametrize("number", [-(2**31) - 1, -(2**31), 4.0, 4.5, True, "4", 2**31 - 1, 2**31])
async def test_other_integers_are_read_by_graphql_core(number: object) -> None:
    """It converts what GraphQL converts, and refuses what is none, or too large."""
    operations = Executor(MADE_UP)
    document = Documents(MADE_UP).read("query ($n: Int!) { thing(number: 1) { doubled(by: $n) } }")
    assert not document.errors
    result = await operations.run(document, {"n": number}, None, context())
    expected = await operations.run_on_graphql_core(document, {"n": number}, None, context())
    assert in_dicts(result) == expected


async def test_errors_at_their_places() -> None:
    """An error in the middle of a list, a null that takes its object, and the order of both."""
    operations = Executor(MADE_UP)
    text = "{ thing(number: 4, trouble: 40) { text must { own { sure } } some { number } } }"
    result = await operations.run(Documents(MADE_UP).read(text), None, None, context())
    expected = await operations.run_on_graphql_core(
        Documents(MADE_UP).read(text), None, None, context()
    )
    assert in_dicts(result) == expected
    assert "errors" in result.body


async def test_one_call_for_a_level() -> None:
    """A field that reads for many is called once for all objects of its level."""
    made_up.CALLS.clear()
    text = "{ things(number: 3) { many { many { number } } } }"
    result = await Executor(MADE_UP).run(Documents(MADE_UP).read(text), None, None, context())
    assert "errors" not in result.body
    assert made_up.CALLS == [3, 3]


@pytest.mark.parametrize(
    ("text", "given", "keys"),
    [
        ("query ($a: Boolean!) { providers { key kind @skip(if: $a) } }", {"a": True}, ["key"]),
        (
            "query ($a: Boolean = false) { providers { key ... @include(if: $a) { kind } } }",
            {},
            ["key"],
        ),
        (
            "{ providers { ...F ...F @skip(if: true) } } fragment F on Provider { key }",
            {},
            ["key"],
        ),
        ("{ providers { kind @skip(if: false) @include(if: false) key } }", {}, ["key"]),
        ("query ($a: Boolean = true) { providers { key @skip(if: $a) } }", {"a": None}, None),
    ],
)
def test_fields_that_are_skipped(text: str, given: dict[str, Any], keys: list[str] | None) -> None:
    """Null for a condition has no plan: graphql-core reports it."""
    planned = read_document(text).plan(None, given)
    assert (planned is None) == (keys is None)
    if planned is not None:
        (providers,) = planned[0].root.fields
        ((_, below),) = providers.selections.items()
        assert [each.key for each in below.fields] == keys
