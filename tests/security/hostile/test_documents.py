"""Hostile documents: each refused with the right code, in little CPU, and nobody is called."""

import math
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.context import RequestContext, Scope
from gateway.errors import Forbidden
from resolvers.execution.documents import MAX_CACHED_CHARACTERS, Documents
from resolvers.execution.executor import Executor
from resolvers.execution.slru_cache import MAX_WEIGHT
from resolvers.schema import SCHEMA
from tests.e2e.serving import Front
from tests.security.bounded import ask, codes

CORE = SCHEMA._schema  # noqa: SLF001  # as gateway.asgi

MAX_CPU_S = 1.0
"""A guard against what explodes; the worst takes a tenth."""

SEGMENT = "id externalId name membership status isActive siteCode priority createdAt updatedAt"


def fragments(count: int, body: str) -> str:
    """Return so many fragments; `{0}` is its number and `{1}` the next."""
    return " ".join(
        f"fragment F{i} on Provider {{ {body.format(i, i + 1)} }}" for i in range(count)
    )


def many(form: str, count: int) -> str:
    """Return so many of these, each with its number."""
    return " ".join(form.format(number) for number in range(count))


LIMIT, INVALID = "LIMIT_EXCEEDED", "BAD_USER_INPUT"

REFUSED = {
    "a million braces": ("{" * 1_000_000, LIMIT),
    "50,000 braces": ("{" * 50_000, INVALID),
    "a megabyte of comment": ("#" * 1_000_000, LIMIT),
    "comments instead of tokens": ("{ __typename }" + "#\n" * 20_000, None),
    "a name without end": ("{ " + "a" * 49_000 + " }", INVALID),
    "a text without end": ('{ node(id: "' + "a" * 40_000, INVALID),
    "a block text without end": ('{ node(id: """' + '\\"""\n' * 9000, INVALID),
    "deep selections": ("{ a" * 1000, LIMIT),
    "deep lists": ("{ node(id: " + "[" * 1500 + "]" * 1500 + ") { id } }", LIMIT),
    "deep objects": ("{ segments(filter: " + "{a: " * 900 + "1" + "}" * 900 + ") { x } }", LIMIT),
    "deep types": ("query($a: " + "[" * 900 + "ID" + "]" * 900 + ") { x }", LIMIT),
    "deep inline fragments": ("{ " + "... { " * 60 + "__typename" + " }" * 61, LIMIT),
    "depth": (
        "{ providers { " + "segments { nodes { provider { " * 5 + "id" + " } } }" * 5 + "}}",
        LIMIT,
    ),
    "a thousand aliases": ("{ " + many("a{}: __typename", 600) + " }", LIMIT),
    "a thousand aliases of an expensive field": (
        "{ " + many("a{}: segments {{ totalCount }}", 180) + " }",
        LIMIT,
    ),
    "40 fragments, each the next one twice": (
        "{ providers { ...F0 } } "
        + fragments(40, "...F{1} ...F{1}")
        + " fragment F40 on Provider { key }",
        LIMIT,
    ),
    "each fragment spreads all after it": (
        "{ providers { ...F0 } } "
        + " ".join(
            f"fragment F{i} on Provider {{ key {' '.join(f'...F{j}' for j in range(i + 1, 30))} }}"
            for i in range(30)
        ),
        LIMIT,
    ),
    "a fragment within itself": (
        "{ providers { ...F0 } } " + fragments(1, "key ...F{0}"),
        INVALID,
    ),
    "a circle of fragments": (
        "{ providers { ...F0 } } "
        + fragments(30, "...F{1}")
        + " fragment F30 on Provider { segments { nodes { provider { ...F0 } } } }",
        INVALID,
    ),
    "a circle that nobody enters": ("{ __typename } " + fragments(1, "...F{0}"), INVALID),
    "a hundred fragments": ("{ providers { key } } " + fragments(100, "key"), LIMIT),
    "a chain of fragments": (
        "{ providers { ...F0 } } "
        + fragments(49, "... {{ ... {{ ... {{ ...F{1} }} }} }}")
        + " fragment F49 on Provider { key }",
        None,
    ),
    "400 repeats": ("{ " + "providers { key } " * 400 + "}", LIMIT),
    "1,900 repeats of a leaf": ("{ providers { " + "key " * 1900 + "} }", LIMIT),
    "repeats through inline fragments": (
        "{ node(id: 1) { " + "... on Segment { id } ... on Customer { id } " * 160 + "} }",
        LIMIT,
    ),
    "repeats through fragments": (
        "{ providers { " + many("...F{}", 49) + " } } " + fragments(49, "key id"),
        LIMIT,
    ),
    "directives": ("{ __typename " + "@skip(if: true) " * 300 + "}", LIMIT),
    "unknown directives": ("{ __typename " + many("@d{}", 300) + " }", LIMIT),
    "operations": (many("query Q{} {{ __typename }}", 300), LIMIT),
    "root fields": ("{ " + "__typename " * 900 + "}", LIMIT),
    "unknown fields": ("{ providers { " + many("nope{}", 900) + " } }", INVALID),
    "unknown arguments": ("{ segments(" + many("fist{}: 1", 600) + ") { totalCount } }", INVALID),
    "unknown fragments": ("{ providers { " + many("...F{}", 600) + " } }", INVALID),
    "unknown types": ("query(" + many("$a{0}: Nope{0}", 390) + ") { __typename }", INVALID),
    "unused variables": ("query(" + many("$a{}: Int", 390) + ") { __typename }", INVALID),
    "unknown parts of an input": (
        "{ segments(filter: {" + many("nameContain{}: 1", 600) + "}) { totalCount } }",
        INVALID,
    ),
    "one part of an input again and again": (
        "{ segments(filter: {" + 'siteCode: "1" ' * 600 + "}) { totalCount } }",
        INVALID,
    ),
    "a list of wrong values": ("{ nodes(ids: [" + "1.5 " * 1900 + "]) { id } }", INVALID),
    "a list of too many ids": ("{ nodes(ids: [" + "1 " * 1900 + "]) { id } }", None),
    "variables in ten operations": (
        " ".join(
            f"query Q{k}({many('$a{}: ID!', 25)}) {{ nodes(ids: [{many('$a{}', 25)}]) {{ id }} }}"
            for k in range(10)
        ),
        None,
    ),
    "introspection in circles": (
        "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
        INVALID,
    ),
    "introspection without end": (
        "{ __schema { queryType { " + "ofType { " * 20 + "name" + "}" * 23,
        LIMIT,
    ),
    "introspection ten times": (
        "{ " + many("a{}: __schema {{ types {{ fields {{ args {{ name }} }} }} }}", 20) + " }",
        LIMIT,
    ),
    "rows of rows of rows": (
        "{ segments { nodes { "
        + "provider { segments { nodes { " * 2
        + f"customers {{ nodes {{ name }} }} {SEGMENT}"
        + " } } }" * 2
        + " } } }",
        LIMIT,
    ),
}
"""By name: the document, and its code; None: it is answered, or fails at its fields."""


@pytest.mark.parametrize("name", REFUSED)
async def test_a_hostile_document(front: Front, name: str) -> None:
    """It is refused with its code, whatever it is; an honest client is answered behind it."""
    query, code = REFUSED[name]
    began = time.process_time()
    reply = await ask(front, query)
    took = time.process_time() - began
    if code is None:
        assert codes(reply) <= {INVALID}
    else:
        assert reply.status_code == 400
        assert codes(reply) == {code}
        assert "data" not in reply.json()
    assert front.calls == []
    assert took < MAX_CPU_S
    honest = await ask(front, '{ provider(key: "stuut") { key } }')
    assert honest.json()["data"] == {"provider": {"key": "stuut"}}


INPUTS: dict[str, tuple[str, str, Any]] = {
    "rows of segments": ("segmentBulkCreate", "segments", {}),
    "rows of assignments": ("assignmentBulkCreate", "assignments", {"customerId": "x"}),
    "customers to replace": ("customerSegmentsReplace", "customers", {}),
    "rows of a language each": ("segmentBulkUpsert", "segments", {"names": [{}]}),
}
"""By name: a mutation, its list, and one row; reading a row takes 0.1 ms."""


@pytest.mark.parametrize("name", INPUTS)
async def test_many_rows_of_input(front: Front, name: str) -> None:
    """25,000 rows are refused by what they cost, before they are read."""
    field, rows, row = INPUTS[name]
    kind = f"{field[0].upper()}{field[1:]}Input!"
    query = f"mutation($i: {kind}) {{ {field}(input: $i) {{ userErrors {{ code }} }} }}"
    reply = await ask(front, query, {"i": {rows: [row] * 25_000}})
    assert codes(reply) == {LIMIT}
    assert "cost is " in reply.json()["errors"][0]["message"]
    assert "data" not in reply.json()


INTROSPECTION = [
    "{ __schema { queryType { name } } }",
    '{ __type(name: "Segment") { name } }',
    "{ ...A } fragment A on Query { a: __schema { queryType { name } } }",
    "query A { __typename } query B { __schema { queryType { name } } }",
]


@pytest.mark.parametrize("query", INTROSPECTION)
async def test_a_stranger_may_not_introspect(query: str) -> None:
    """Nor is introspected what somebody else asked in the same words; `__typename` is open."""
    operations = Executor(CORE)
    known = operations.document(query)
    assert known.is_good
    document = operations.document(query, explores=False)
    (error,) = document.errors
    assert error.message == "Introspection is not allowed: __schema and __type."
    assert isinstance(error.original_error, Forbidden)
    assert operations.document(query) is known
    assert operations.document("{ __typename }", explores=False).is_good


MISSPELT = [
    ("{ segmets { totalCount } }", None),
    ("{ segments(frist: 1) { totalCount } }", None),
    ("{ segments(filter: {statu: 1}) { totalCount } }", None),
    ("{ segments(sortKey: NAM) { totalCount } }", None),
    ("{ provider(key: 1) { key } ...A } fragment A on Segmnt { id }", None),
    ("query($f: SegmentFilter) { segments(filter: $f) { totalCount } }", {"f": {"statu": 1}}),
    ("query($f: SegmentSortKey) { segments(sortKey: $f) { totalCount } }", {"f": "NAM"}),
]


@pytest.mark.parametrize(("query", "variables"), MISSPELT, ids=str)
async def test_a_stranger_is_told_no_names(query: str, variables: Any) -> None:
    """Who may explore is told what there is instead; others only that it is wrong."""
    operations = Executor(CORE)
    for explores in (True, False, True):
        context = RequestContext({}, Scope("request", math.inf), (), datetime.now(UTC))
        document = operations.document(query, explores=explores)
        answer = await operations.run(document, variables, None, context)
        assert answer.is_request_error
        assert ("Did you mean" in str(answer.body)) is explores


def another(number: int) -> str:
    """Return a document that shares nothing with those of other numbers, below 1,024."""
    fields = ("__typename" if bit == "0" else "a: __typename" for bit in f"{number:010b}")
    return f"{{ {' '.join(fields)} }}"


async def test_a_flood_of_documents_leaves_the_good_ones() -> None:
    """Those that are asked again stay, however many others come, good or bad."""
    operations = Executor(CORE)
    good = "{ providers { key } }"
    known = operations.document(good)
    assert operations.document(good) is known
    for number in range(600):
        operations.document(f"{{ nothing{number} }}")
        operations.document(another(number))
    assert operations.document(good) is known


async def test_large_documents_are_kept_by_their_size() -> None:
    """500 of the longest would be too much to keep."""
    documents = Documents(CORE)
    for number in range(100):
        documents.read(another(number).ljust(MAX_CACHED_CHARACTERS))
    kept = list(documents._cache)  # noqa: SLF001  # nothing shows it
    assert sum(each.weight for each in kept) <= MAX_WEIGHT
    assert len(kept) == MAX_WEIGHT // MAX_CACHED_CHARACTERS
    before = len(kept)
    kept[-1].plan(None, None)  # a plan is as heavy as its document
    assert len(list(documents._cache)) == before - 1  # noqa: SLF001  # likewise
