"""A document that shares the plan of another one is answered as if it had been parsed."""

import gc
import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from graphql import FieldNode, GraphQLNamedType, Visitor, parse, visit
from structlog.testing import capture_logs

from gateway.auth.permissions import Caller, Permission
from gateway.limits.settings import LimitSettings
from resolvers.execution.document import Document
from resolvers.execution.documents import Documents
from resolvers.execution.executor import Executor
from resolvers.execution.text_shapes import MAX_LITERALS, shape_of
from resolvers.schema import SCHEMA
from tests.differential.both import assert_equal, in_dicts
from tests.differential.operations import Maker, Operation
from tests.differential.sharing import MADE_UP, context, is_shared, run
from tests.sizes import size

RUNS = size("DIFFERENTIAL_RUNS", 60, 11_000)
CORE = SCHEMA._schema  # noqa: SLF001  # as gateway.asgi
PROVIDERS = ("emporix", "stuut")


def choose(random: Random, name: str, kind: GraphQLNamedType) -> Any:
    """Choose an argument: no trouble, some, much."""
    if name == "trouble":
        return random.choice([0, 3, 10, 40])
    return {"Int": random.randint(0, 5000), "Float": 0.5, "Boolean": True}.get(kind.name, "x")


def other_literals(random: Random, text: str) -> str:
    """Return a document with other integers and strings: some are invalid in their places."""
    numbers = ["0", "3", "7", "10", "40", "-5", "1200", "2147483648"]

    def other(match: re.Match[str]) -> str:
        return random.choice(['""', '"other"', '"größer"']) if match[1] else random.choice(numbers)

    return re.sub(r'("[^"]*")|(?<![\w.$-])-?\d+(?![\w.])', other, text)


class _Aliases(Visitor):
    """Collects the aliases of a document."""

    def __init__(self) -> None:
        self.found: list[tuple[int, int, str]] = []
        super().__init__()

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        """Note an alias and where it is."""
        if node.alias is not None and node.alias.loc is not None:
            self.found.append((node.alias.loc.start, node.alias.loc.end, node.alias.value))


def other_aliases(random: Random, text: str) -> str:
    """Return a document with other aliases: some are names of fields, or of other aliases."""
    aliases = _Aliases()
    visit(parse(text), aliases)
    known = sorted({alias for *_, alias in aliases.found})
    others = {
        alias: random.choice([alias, f"{alias}_", f"a{number}", f"long_{number}", f"b{number}"])
        for number, alias in enumerate(known)
    }
    if known and random.random() < 0.3:
        others[random.choice(known)] = random.choice(["things", "on", "__typename", *known])
    for start, end, alias in reversed(aliases.found):
        text = text[:start] + others[alias] + text[end:]
    return text


def other_name(random: Random, operation: Operation) -> Operation:
    """Return an operation whose document starts with another name: sometimes it occurs twice."""
    old = re.match(r"query (\w+)", operation.text)
    if old is None:
        return operation
    new = random.choice(["Asked", "Longer_than_any_other", "B"])
    return operation._replace(
        text=f"query {new}{operation.text[old.end() :]}",
        name=new if operation.name == old[1] else operation.name,
    )


# graphql-core leaves coroutines behind where a null takes an object with it.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_generated_documents() -> None:
    """Data, errors with their locations, and costs are those of a document that was parsed."""
    operations, plain = Executor(MADE_UP), Executor(MADE_UP, compiles=False)
    make = Maker(MADE_UP, choose, lambda text: plain.document(text).is_good, depth=4, width=3).make
    shared = renamed = refused = 0
    with capture_logs():  # of the bugs that it is full of
        for seed in range(RUNS):
            random = Random(seed)  # noqa: S311  # it must be the same each time
            made = make(seed)
            operations.document(made.text)
            for _ in range(4):
                text = other_aliases(random, other_literals(random, made.text))
                operation = other_name(random, made._replace(text=text))
                document, expected = (
                    each.document(operation.text) for each in (operations, plain)
                )
                assert document.errors == expected.errors
                if not expected.is_good:
                    refused += 1
                    continue
                shared += is_shared(document)
                renamed += document.own_keys is not None
                assert document.name(operation.name) == (operation.name or "")
                assert _cost(document, operation) == _cost(expected, operation)
                arguments = operation.variables, operation.name, context()
                assert_equal(
                    in_dicts(await operations.run(document, *arguments)),
                    await plain.run(expected, operation.variables, operation.name, context()),
                    operation,
                )
    gc.collect()  # what graphql-core left behind is this test's
    assert shared > RUNS // 2
    assert renamed > RUNS // 2
    assert refused > RUNS // 10


def _cost(document: Document, operation: Operation) -> Any:
    analysis = document.cost_analysis(operation.name)
    assert analysis is not None
    return analysis.cost(document.variables(operation.variables), PROVIDERS, None)


def both(template: Callable[[str], str], schema: Any, *values: str) -> tuple[Executor, str]:
    """Return an executor that knows the shape, and another text of it that is shared."""
    executor = Executor(schema)
    for value in values:
        document = executor.document(template(value))
    assert is_shared(document)
    return executor, template(values[-1])


async def test_errors_are_located_in_their_own_text() -> None:
    """Behind a longer literal, and on another line; also with permissions that lack."""
    executor, text = both(
        lambda value: (
            f'{{ segments(filter: {{ids: ["{value}"]}}) {{ totalCount }}\n'
            f'  customer(id: "{value}") {{ id }} }}'
        ),
        CORE,
        *("a", "b", "much longer"),
    )
    lacking = Caller("someone", {Permission.SEGMENTS_READ: None})
    body = await run(text, executor, lacking)
    assert body == await run(text, Executor(CORE, compiles=False), lacking)
    assert [each["locations"] for each in body["errors"]] == [[{"line": 2, "column": 3}]]

    executor, text = both(
        lambda value: (
            f'{{ thing(number: {value}) {{ labels(prefix: "{value}") }} '
            f"other: thing(number: {value}, trouble: 40) {{ must {{ own {{ sure }} }} }} }}"
        ),
        MADE_UP,
        *("4", "5", "1000"),
    )
    body = await run(text, executor)
    assert body == await run(text, Executor(MADE_UP, compiles=False))
    assert body["errors"]


NAMED = {
    "with literals": "query {name} {{ thing(number: 1, trouble: 40) {{ must {{ own {{ sure }} }}"
    " }} }}",
    "without": "# a comment\nquery\n{name} ($n: Int!) {{ thing(number: $n, trouble: $n) {{ must"
    " {{ own {{ sure }} }} }} }}",
}


@pytest.mark.parametrize("template", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("is_asked_for", [False, True])
async def test_new_names_of_one_operation(template: str, *, is_asked_for: bool) -> None:
    """All share one plan; each has its own name, and errors have their own locations."""
    executor, plain = Executor(MADE_UP), Executor(MADE_UP, compiles=False)
    given = {"n": 40} if "$n" in template else {}
    for number in range(5):
        name = f"{number * 'longer_'}A"
        text = template.format(name=name)
        document = executor.document(text)
        assert is_shared(document) is (number > 0)
        assert [document.name(each) for each in (None, name, "B")] == [name, name, ""]
        asked = name if is_asked_for else None
        with capture_logs():
            result, expected = [
                (await each.run(each.document(text), given, asked, context())).body
                for each in (executor, plain)
            ]
        assert result == expected
        assert result["errors"]
    assert executor.cache_uses.plan_misses == 2  # the first document, and the template


async def test_an_operation_that_does_not_exist() -> None:
    """The name of another document of the shape is none of this one."""
    executor = Executor(CORE)
    for name in ("A", "B", "C"):
        document = executor.document(f"query {name} {{ providers {{ key }} }}")
    result = await executor.run(document, {}, "A", context())
    assert [each["message"] for each in result.body["errors"]] == ["Unknown operation named 'A'."]


def test_one_of_several_operations_has_a_new_name() -> None:
    """The others are found by their names; a name that occurs twice is refused."""
    documents, plain = Documents(CORE), Documents(CORE, compiles=False)
    template = "query {} {{ __typename }} query Other {{ providers {{ key }} }}"
    names = ["A", "B", "C", "Other"]
    texts = [template.format(name) for name in names]
    *good, bad = [documents.read(text) for text in texts]
    assert [is_shared(each) for each in (*good, bad)] == [False, True, True, False]
    assert [[each.name(name) for name in ("A", "B", "C", "Other", None)] for each in good] == [
        ["A", "", "", "Other", ""],
        ["", "B", "", "Other", ""],
        ["", "", "C", "Other", ""],
    ]
    assert bad.errors == plain.read(texts[-1]).errors
    assert [each.message for each in bad.errors] == [
        "There can be only one operation named 'Other'."
    ]


async def test_wrong_variables_beside_literals() -> None:
    """graphql-core reports them, in the text of the document."""
    executor, text = both(
        lambda value: (
            f'query ($n: Int) {{ all_{value}: segments(first: $n, filter: {{ids: ["{value}"]}}) '
            "{ totalCount } }"
        ),
        CORE,
        *("a", "b", "longer"),
    )
    body = await run(text, executor, n="many")
    assert body == await run(text, Executor(CORE, compiles=False), n="many")
    assert body["errors"]


def test_a_variable_of_a_client_is_no_literal() -> None:
    """Not even one of the same name; a document that uses such names is parsed."""
    _, text = both(lambda value: f'{{ segment(id: "{value}") {{ id }} }}', CORE, *"abc")
    documents = Documents(CORE)
    for value in "ab":
        document = documents.read(text.replace("c", value))
    assert document.variables({"__literal0": "x", "y": 1}) == {"__literal0": "b", "y": 1}
    assert shape_of('query ($__literal0: ID!) { segment(id: "a") { id } }') is None


@pytest.mark.parametrize(
    ("text", "literals"),
    [
        ('{ a(b: "c", d: 5) }', ["c", 5]),
        ("{ a1(b2: -7) c_3 }", [-7]),
        ("{ a(b: [1 2,3]) }", [1, 2, 3]),
        ('{ a(b: "") }', [""]),
        ('{ a(b: "# no comment") # a "comment" 7\n b(c: 1) }', ["# no comment", 1]),
        ("{ a(b: 1.5, c: 1e3, d: -0, e: 007, f: 10000000000) g(h: 1) }", [1]),
        ("{ a(b: $1) c(d: 1x) }", None),
        (r'{ a(b: "\u0041") }', None),
        ('{ a(b: """c""") }', None),
        ('{ a(b: "c) }', None),
        ('{ a(b: "\n") }', None),
        ('{ a(b: "\ud800") }', None),
        ("{ a\0i }", None),
        (f"{{ a(b: [{'1 ' * (MAX_LITERALS + 1)}]) }}", None),
        ("{ a }", None),
        ("query { a }", None),
        ("mutation A { a }", None),
        ('query A { a(b: "c") }', ["c"]),
        ('# "comment" 1\n, query # 2\n, A { a(b: 3) }', [3]),
    ],
)
def test_literals(text: str, literals: list[Any] | None) -> None:
    """Strings without escapes and integers, wherever they stand in a text."""
    found = shape_of(text)
    assert (None if found is None else [*found[1].values.values()]) == literals
    if found is not None:
        spans = [text[start:end] for start, end in found[1].spans]
        if found[1].name is not None:
            assert spans.pop(0) == found[1].name == "A"
        assert [each.strip('"') for each in spans] == [str(each) for each in literals or ()]


@pytest.mark.parametrize(
    "text",
    [
        'query ($a: ID = "%d") { segment(id: $a) { id } }',
        '"%d" query A { providers { key } }',
        'mutation { assignmentConfirm(input: {id: "%d"}) { __typename } }',
        'subscription { changed(after: "%d") { __typename } }',
        '{ __type(name: "%d") { name } }',
        '{ segments(filter: {ids: "%d"}) { totalCount } }',
        '{ a: segment(id: "%d") { id } a: segment(id: "%d") { id } }',
    ],
)
def test_what_is_not_shared(text: str) -> None:
    """Literals that no variable can stand for; each document is read as it is."""
    documents, plain = Documents(CORE), Documents(CORE, compiles=False)
    for number in range(4):
        document = documents.read(text.replace("%d", str(number)))
        expected = plain.read(text.replace("%d", str(number)))
        assert not is_shared(document)
        assert (document.errors, document.is_good) == (expected.errors, expected.is_good)


def test_limits_hold_for_each_document() -> None:
    """A longer one of a known shape is refused."""
    documents = Documents(CORE, LimitSettings(characters=60))
    for value in ("a", "b"):
        assert documents.read(f'{{ segment(id: "{value}") {{ id }} }}').is_good
    assert is_shared(documents.read('{ segment(id: "c") { id } }'))
    document = documents.read(f'{{ segment(id: "{"c" * 60}") {{ id }} }}')
    assert [str(error).partition(" is ")[0] for error in document.errors] == ["characters"]
