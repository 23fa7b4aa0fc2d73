"""Documents that differ in their aliases share a plan, and are answered as if they did not."""

import re

import pytest

from resolvers.execution.executor import Executor
from resolvers.execution.text_shapes import shape_of
from tests.differential.sharing import MADE_UP, is_shared, run


async def test_new_aliases() -> None:
    """All share one plan; data and paths have the keys of each, wherever these come from."""
    executor, plain = Executor(MADE_UP), Executor(MADE_UP, compiles=False)
    rows = "n: json text_: text own_: own { n: number } home_: home { number first { ...F } }"
    template = (
        "{ all: things(number: 47, trouble: 10) { must_: must { nodes_: nodes { ...F number } "
        f"some_: some {{ {rows} }} }} {rows} }} }} fragment F on Numbered {{ n: number }}"
    )
    for number in range(5):
        text = template
        for old in ("all", "must_", "nodes_", "some_", "n", "text_", "own_", "home_"):
            text = re.sub(rf"\b{old}:", f"{'_' * number}{old * number or old}:", text)
        body = await run(text, executor)
        assert str(body) == str(await run(text, plain))  # with the order of keys
        assert body["errors"]
    assert executor.cache_uses.plan_misses == 2  # the first document, and the template


async def test_a_document_that_comes_again_has_a_plan_of_its_own() -> None:
    """Its rows are not made twice each time."""
    executor, plain = Executor(MADE_UP), Executor(MADE_UP, compiles=False)
    first, second, third = (f"{{ {key}: things(number: 3) {{ text }} }}" for key in "abc")
    shared = []
    for text in (first, first, second, third, third, third):
        body = await run(text, executor)
        assert body == await run(text, plain)
        shared.append(executor.cache_uses.plan_misses)
    # The first document, the template of the other two, and the third when it comes again.
    assert shared == [1, 1, 2, 2, 3, 3]


async def test_new_aliases_of_many_rows() -> None:
    """Rows that were made before are structs; those of another document have its keys."""
    executor, plain = Executor(MADE_UP), Executor(MADE_UP, compiles=False)
    for number in range(40):
        text = f"{{ things(number: 3) {{ a{number}: number b{number}: whole }} }}"
        assert await run(text, executor) == await run(text, plain)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{ a: thing { text } b: thing { text } }", "{ a: thing { text } a: thing { text } }"),
        ("{ a: thing { text } things { text } }", "{ things: thing { text } things { text } }"),
        ("{ a: __typename __typename }", "{ __typename: __typename __typename }"),
    ],
    ids=["equal aliases", "a field's name", "a field of every type"],
)
async def test_fields_that_are_merged_otherwise(first: str, second: str) -> None:
    """Such documents share nothing, whichever was first."""
    plain = Executor(MADE_UP, compiles=False)
    for texts in ((first, first, second), (second, second, first)):
        executor = Executor(MADE_UP)
        for text in texts:
            assert await run(text, executor) == await run(text, plain)
        assert not is_shared(executor.document(texts[-1]))


@pytest.mark.parametrize(
    ("text", "aliases"),
    [
        ("{ a: b c d : e }", ["a", "d"]),
        ("{ a: b c: a a: b }", ["a", "c"]),
        ("{ a # b: c\n , : # :\n b ...c }", ["a"]),
        ("query A($b: C = D) @e(f: G) { h(i: J, k: {l: M}) { n: o } }", ["n"]),
        ('{ a(b: "(c: d)" e: ") f: g") # ( h: i\n { j: k(l: 1) @m } }', ["j"]),
        ("{ kept: a b: kept }", ["b"]),
        ('{ a: b(c: "d) }', None),
        ("{ a: b(c: 1 }", None),
        ('{ a: b "c" }', None),
    ],
)
def test_aliases(text: str, aliases: list[str] | None) -> None:
    """Names before a colon, outside of arguments."""
    found = shape_of(text, {"kept"})
    assert (None if found is None else found[1].aliases) == aliases
