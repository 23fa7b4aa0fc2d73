"""Each bound exactly: what stands at it passes, one more is refused, and nothing was called."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from graphql import FieldNode, FragmentSpreadNode, SelectionSetNode, parse
from graphql.language import DocumentNode, FragmentDefinitionNode
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadInput, LimitExceeded
from gateway.limits.settings import LimitSettings
from resolvers.execution.document_limits import DocumentSize
from tests.security.bounded import ask, bounded, codes, errors_of

HUGE = LimitSettings(
    tokens=10**6,
    depth=10**9,
    introspection_depth=10**9,
    aliases=10**9,
    root_fields=10**9,
    directives=10**9,
    fragments=10**9,
    fields=10**9,
    repeated_fields=10**9,
)


def nested(names: Sequence[str], depth: int, leaf: str) -> str:
    """Return a document of so many levels of fields."""
    path = list(itertools.islice(itertools.cycle(names), depth - 1))
    return "{ " + " { ".join([*path, leaf]) + " }" * depth


def many(form: str, count: int) -> str:
    """Return so many of these, each with its number."""
    return " ".join(form.format(number) for number in range(count))


Case = tuple[str, int, Callable[[int], str], str]

DOCUMENTS: Sequence[Case] = [
    ("characters", 100, "{ __typename }".ljust, ""),
    ("tokens", 20, lambda n: f"{{ nodes(ids: [{'1 ' * (n - 12)}]) {{ id }} }}", " or more"),
    (
        "nesting",
        9,
        lambda n: f"{{ nodes(ids: {'[' * (n - 2)}{']' * (n - 2)}) {{ id }} }}",
        " or more",
    ),
    ("depth", 5, lambda n: nested(["segments", "nodes", "provider"], n, "__typename"), ""),
    (
        "introspection_depth",
        4,
        lambda n: nested(["__schema", "queryType", "ofType"][: n - 1] + ["ofType"] * 9, n, "name"),
        "",
    ),
    ("aliases", 5, lambda n: f"{{ {many('a{}: __typename', n)} }}", ""),
    ("root_fields", 5, lambda n: "{" + " __typename" * n + " }", ""),
    ("directives", 5, lambda n: "{ __typename" + " @skip(if: false)" * n + " }", ""),
    (
        "fragments",
        3,
        lambda n: (
            f"{{ {many('...F{}', n)} }} "
            + " ".join(f"fragment F{i} on Query {{ __typename }}" for i in range(n))
        ),
        "",
    ),
    ("operations", 3, lambda n: " ".join(f"query Q{i} {{ __typename }}" for i in range(n)), ""),
    ("fields", 8, lambda n: "{ providers { " + "key " * (n - 1) + "} }", ""),
    (
        "fields",
        8,
        lambda n: (
            "{ providers { key ...F ...F } } fragment F on Provider { "
            + "id " * 2
            + f"}} query B {{ {'__typename ' * (n - 6)} }}"
        ),
        "",
    ),
    ("list_items", 7, lambda n: f"{{ nodes(ids: [{'1 ' * n}]) {{ id }} }}", ""),
    ("list_items", 7, lambda n: f"query($a: [Int] = [{'1 ' * n}]) {{ __typename }}", ""),
]


@pytest.mark.parametrize(
    ("bound", "most", "document", "more"),
    DOCUMENTS,
    ids=[f"{place} {case[0]}" for place, case in enumerate(DOCUMENTS)],
)
async def test_bound_of_a_document(
    bound: str, most: int, document: Callable[[int], str], more: str
) -> None:
    """At the bound it is not refused for it; one above, the error names bound and figure."""
    async with bounded(**{bound: most}) as front:
        assert "LIMIT_EXCEEDED" not in codes(await ask(front, document(most)))
        front.forget()
        reply = await ask(front, document(most + 1))
    message = f"{bound} is {most + 1}{more}; at most {most} are allowed (limits.{bound})."
    assert errors_of(reply) == (400, [(message, "LIMIT_EXCEEDED")])
    assert front.calls == []


@pytest.mark.parametrize(
    "document",
    [
        lambda n: "{ providers { " + "key " * n + "} }",
        lambda n: "{ providers { key } " * 1 + "providers { key } " * (n - 1) + "}",
        lambda n: (
            "{ providers { key ...A ...A } } fragment A on Provider { "
            + "... { key } " * (n - 1)
            + "}"
        ),
        lambda n: (
            "{ "
            + "providers { ...A } " * (n // 2)
            + "x: providers { "
            + "key " * n
            + "} }"
            + " fragment A on Provider { id }"
        ),
    ],
    ids=["fields", "with selections", "through fragments", "one name alone"],
)
async def test_repeated_fields(document: Callable[[int], str]) -> None:
    """Mentions that become one field count, wherever they stand."""
    async with bounded(repeated_fields=6) as front:
        assert codes(await ask(front, document(6))) == set()
        front.forget()
        reply = await ask(front, document(7))
    name = "providers" if "key } prov" in document(7) else "key"
    message = f"repeated_fields of {name} is 7; at most 6 are allowed (limits.repeated_fields)."
    assert errors_of(reply) == (400, [(message, "LIMIT_EXCEEDED")])


@pytest.mark.parametrize(
    ("bound", "most", "value"),
    [
        ("variable_values", 6, lambda n: {"a": list(range(n - 1))}),
        ("variable_values", 6, lambda n: {f"a{i}": 1 for i in range(n)}),
        ("variable_depth", 3, lambda n: {"a": [[1], 1] if n == 3 else [[[1]]]}),
        ("variable_depth", 3, lambda n: {"a": {"b": 1 if n == 2 else [1] if n == 3 else [[1]]}}),
        ("list_items", 4, lambda n: {"a": {"b": list(range(n))}}),
    ],
    ids=["one list", "many variables", "lists", "objects", "list in an object"],
)
async def test_bound_of_the_variables(bound: str, most: int, value: Callable[[int], Any]) -> None:
    """Whether the document uses them or not."""
    async with bounded(**{bound: most}) as front:
        assert codes(await ask(front, "{ __typename }", value(most))) == set()
        reply = await ask(front, "{ __typename }", value(most + 1))
    more = "" if bound == "list_items" else " or more"
    message = f"{bound} is {most + 1}{more}; at most {most} are allowed (limits.{bound})."
    assert errors_of(reply) == (400, [(message, "LIMIT_EXCEEDED")])


def counted(text: str, limits: LimitSettings = HUGE) -> DocumentSize:
    """Count a document."""
    return DocumentSize(parse(text), limits)


def test_a_fragment_is_counted_wherever_it_is_spread() -> None:
    """40 fragments that each spread the next one twice: 2^40 fields, found at once."""
    bomb = "{ ...F0 } fragment F40 on Query { a: __typename @skip(if: true) } " + " ".join(
        f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(40)
    )
    figures = counted(
        bomb,
        HUGE.model_copy(
            update={"fields": 2**41, "aliases": 2**41, "root_fields": 2**41, "directives": 2**41}
        ),
    ).total
    assert (figures.fields, figures.aliases, figures.directives) == (2**40, 2**40, 2**40)
    assert (figures.depth, figures.root_fields) == (1, 2**40)


@pytest.mark.parametrize(
    ("text", "circle"),
    [
        ("{ ...A } fragment A on Query { ...A }", "A spreads A"),
        (
            "{ ...A } fragment A on T { ...B } fragment B on T { a { ...C } } "  # noqa: ISC004  # one text
            "fragment C on T { ...B }",
            "B spreads C spreads B",
        ),
        (
            "{ x } fragment A on Query { ... { ...B } } fragment B on Query { ...A }",
            "A spreads B spreads A",
        ),
    ],
)
def test_a_circle_is_named(text: str, circle: str) -> None:
    """By its fragments, whether an operation comes by them or not."""
    with pytest.raises(BadInput, match=f"^Fragments form a cycle: {circle}\\.$"):
        counted(text)


NAMES = ("a", "b", "c")


@st.composite
def documents(draw: Any) -> str:
    """Return a small document; each fragment spreads only later ones."""

    def selections(level: int, fragment: int) -> str:
        parts = ["x"]
        for _ in range(draw(st.integers(0, 3))):
            kind = draw(st.integers(0, 3))
            directive = draw(st.sampled_from(["", " @d", " @d @e"]))
            alias = draw(st.sampled_from(["", "n: ", "m: "]))
            if kind == 0 or level == 0:
                parts.append(alias + draw(st.sampled_from(NAMES)) + directive)
            elif kind == 1:
                below = selections(level - 1, fragment)
                name = draw(st.sampled_from([*NAMES, "__schema"]))
                parts.append(f"{alias}{name}{directive} {{ {below} }}")
            elif kind == 2:
                parts.append(f"...{directive} {{ {selections(level - 1, fragment)} }}")
            elif fragment < 3:
                parts.append(f"...F{draw(st.integers(fragment + 1, 3))}{directive}")
        return " ".join(parts)

    fragments = [f"fragment F{i} on T {{ {selections(2, i)} }}" for i in range(4)]
    spread = " ".join(f"...F{i}" for i in range(4))
    return f"{{ {selections(3, -1)} {spread} }} {' '.join(fragments)}"


def spread_out(selected: SelectionSetNode, fragments: dict[str, Any]) -> Iterator[Any]:
    """Return fields with their own spread out, and the directives on the way: the naive way."""
    for node in selected.selections:
        yield from (("directive", None, ()) for _ in node.directives or ())
        if isinstance(node, FieldNode):
            below = list(spread_out(node.selection_set, fragments)) if node.selection_set else []
            yield "field", node, below
        elif isinstance(node, FragmentSpreadNode):
            yield from spread_out(fragments[node.name.value].selection_set, fragments)
        else:
            yield from spread_out(node.selection_set, fragments)  # type: ignore[attr-defined]  # an inline fragment


def naive(document: DocumentNode) -> dict[str, int]:
    """Count by spreading everything out."""
    fragments = {
        d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
    }
    counts: Counter[str] = Counter()

    def walk(items: Any, depth: int, within: int) -> None:
        for kind, node, below in items:
            counts[kind] += 1
            if kind == "field":
                is_introspection = node.name.value == "__schema"
                counts["alias"] += node.alias is not None
                if within or is_introspection:
                    counts["introspection"] = max(counts["introspection"], within + 1)
                    walk(below, depth, within + 1)
                else:
                    walk(below, depth + 1, 0)
                if not within:
                    counts["depth"] = max(counts["depth"], depth + 1)

    root = document.definitions[0].selection_set  # type: ignore[attr-defined]  # an operation
    walk(list(spread_out(root, fragments)), 0, 0)
    return counts


@given(documents())
def test_counting_equals_spreading_out(text: str) -> None:
    """The linear figures are those of the document with every fragment written out."""
    document = parse(text)
    figures, expected = DocumentSize(document, HUGE).total, naive(document)
    assert figures.fields == expected["field"]
    assert figures.aliases == expected["alias"]
    assert figures.directives == expected["directive"]
    assert figures.depth == expected["depth"]


@given(documents(), st.integers(1, 6))
def test_repeated_fields_equal_those_of_graphql_core(text: str, most: int) -> None:
    """The mentions that are bounded are those that one field of the answer is made of."""
    document = parse(text)
    fragments = {
        d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
    }

    def largest(selected: Sequence[SelectionSetNode]) -> int:
        grouped: dict[str, list[FieldNode]] = {}
        spread: set[str] = set()

        def collect(one: SelectionSetNode) -> None:
            for node in one.selections:
                if isinstance(node, FieldNode):
                    grouped.setdefault((node.alias or node.name).value, []).append(node)
                elif not isinstance(node, FragmentSpreadNode):
                    collect(node.selection_set)  # type: ignore[attr-defined]  # an inline fragment
                elif node.name.value not in spread:
                    spread.add(node.name.value)
                    collect(fragments[node.name.value].selection_set)

        for each in selected:
            collect(each)
        return (
            max(
                max(len(nodes), largest([n.selection_set for n in nodes if n.selection_set]))
                for nodes in grouped.values()
            )
            if grouped
            else 0
        )

    size = largest([document.definitions[0].selection_set])  # type: ignore[attr-defined]  # an operation
    limits = HUGE.model_copy(update={"repeated_fields": most})
    if size <= most:
        DocumentSize(document, limits)
    else:
        with pytest.raises(LimitExceeded, match=r"^repeated_fields of "):
            DocumentSize(document, limits)
