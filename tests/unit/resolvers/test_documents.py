"""Documents are parsed and checked once, and their cache is limited."""

import pytest
from graphql import build_schema

from gateway.limits.settings import LimitSettings
from resolvers.execution import slru_cache
from resolvers.execution.documents import MAX_CACHED_CHARACTERS, Documents

LIMITS = LimitSettings()
SCHEMA = build_schema("type Query { a: Int b(x: [Int]): Int q: Query } type Mutation { a: Int }")


def test_a_document_is_read_once() -> None:
    """The same text is the same document, whether it may run or not."""
    known = Documents(SCHEMA)
    for text in ("{ a }", "{ c }", "{"):
        assert known.read(text) is known.read(text)
    assert known.read("{ a }") is not known.read("{ a  }")


def test_the_cache_is_limited_and_evicts_the_least_recently_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reading a document keeps it fresh."""
    monkeypatch.setattr(slru_cache, "MAX_DOCUMENTS", 3)
    known = Documents(SCHEMA)
    a, b, c = (known.read(f"{{ {name}: a }}") for name in "abc")
    assert known.read("{ a: a }") is a
    known.read("{ d: a }")
    assert known.read("{ a: a }") is a
    assert known.read("{ c: a }") is c
    assert known.read("{ b: a }") is not b


def test_a_long_document_is_not_cached() -> None:
    """One character beyond the limit: it runs, and is not cached."""
    known = Documents(SCHEMA)
    longest = "{ a }".ljust(MAX_CACHED_CHARACTERS)
    assert known.read(longest) is known.read(longest)
    longer = longest + " "
    assert known.read(longer).node is not None
    assert known.read(longer) is not known.read(longer)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="unfinished"),
        pytest.param("", id="empty"),
        pytest.param("{ c }", id="no such field"),
        pytest.param("{ a " * 20_000, id="too many tokens"),
        pytest.param("{ b(x: " + "[" * 1500 + "]" * 1500 + ") }", id="too deep a value"),
        pytest.param("{ q " * 1300 + "{ a }" + "}" * 1300, id="too deep a selection"),
        pytest.param('{ b(x: "\ud800") }', id="half a character"),
        pytest.param("{ a \x00 }", id="a control character"),
    ],
)
def test_what_may_not_run_says_why(text: str) -> None:
    """An error and no document, whatever the text is."""
    document = Documents(SCHEMA).read(text)
    assert document.node is None
    assert len(document.errors) >= 1


def test_a_document_of_the_largest_size_runs() -> None:
    """The bound is on tokens: braces, names and numbers count, spaces do not."""

    def of(tokens: int) -> str:
        return "{ b(x: [" + " 1" * (tokens - 9) + "]) }"

    known = Documents(SCHEMA)
    assert known.read(of(LIMITS.tokens)).node is not None
    assert known.read(of(LIMITS.tokens + 1)).node is None


@pytest.mark.parametrize(
    ("text", "name", "is_query"),
    [
        ("{ a }", None, True),
        ("query Q { a } mutation M { a }", "Q", True),
        ("query Q { a } mutation M { a }", "M", False),
        ("query Q { a } mutation M { a }", None, True),
        ("mutation { a }", None, False),
        ("mutation M { a }", "N", True),
    ],
    ids=["query", "named query", "named mutation", "which of both", "mutation", "no such name"],
)
def test_whether_an_operation_only_reads(text: str, name: str | None, *, is_query: bool) -> None:
    """Neither does an operation that does not exist."""
    assert Documents(SCHEMA).read(text).is_query(name) is is_query
