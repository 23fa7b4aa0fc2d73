"""Make the pages of the schema, from `schema.graphql`: one for each sort of type."""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_specified_directive,
    is_specified_scalar_type,
    print_ast,
)

SORTS: Mapping[str, str] = {
    "queries": "Queries",
    "mutations": "Mutations",
    "subscriptions": "Subscriptions",
    "objects": "Objects",
    "interfaces": "Interfaces and unions",
    "inputs": "Inputs",
    "enums": "Enums",
    "scalars": "Scalars",
}
"""The pages, in the order of the navigation."""

NULLS = "../../how-to/errors.md#which-nulls-are-errors"
"""The page about `@semanticNonNull`, from these pages."""


def sort_of(each: GraphQLNamedType) -> str:
    """Return the page of a type."""
    names = {"Query": "queries", "Mutation": "mutations", "Subscription": "subscriptions"}
    if each.name in names:
        return names[each.name]
    if isinstance(each, GraphQLObjectType):
        return "objects"
    if isinstance(each, GraphQLInterfaceType | GraphQLUnionType):
        return "interfaces"
    if isinstance(each, GraphQLInputObjectType):
        return "inputs"
    return "enums" if isinstance(each, GraphQLEnumType) else "scalars"


def link(kind: Any) -> str:
    """Return a type's name, linked to its place; the scalars of GraphQL itself have none."""
    named = get_named_type(kind)
    if is_specified_scalar_type(named):
        return f"`{kind}`"
    return f"[`{kind}`]({sort_of(named)}.md#{named.name.lower()})"


def cell(text: str | None) -> str:
    """Return a description as a cell of a table."""
    return " ".join((text or "").split()).replace("|", r"\|")


def default_of(value: Any) -> str:
    """Return the default of an argument or an input field."""
    literal = value.ast_node.default_value
    return "" if literal is None else f" Default: `{print_ast(literal)}`."


def null(field: Any) -> str:
    """Return what the schema promises about a null of a field, as an addition to its meaning."""
    directives = () if field.ast_node is None else field.ast_node.directives or ()
    is_error = any(each.name.value == "semanticNonNull" for each in directives)
    return f" [Null only with an error]({NULLS})." if is_error else ""


def inputs(values: Mapping[str, Any], heading: str) -> Iterator[str]:
    """Yield the table of arguments or input fields; nothing if there are none."""
    if values:
        yield f"| {heading} | Type | Meaning |\n| --- | --- | --- |"
        for name, value in values.items():
            meaning = cell(value.description) + default_of(value)
            yield f"| `{name}` | {link(value.type)} | {meaning} |"


def fields(kind: Any) -> Iterator[str]:
    """Yield the table of an object's fields, with their arguments."""
    yield "| Field | Type | Meaning |\n| --- | --- | --- |"
    for name, field in kind.fields.items():
        parts = [cell(field.description) + null(field)]
        parts += [
            f"<br>`{argument}` ({link(value.type)}): {cell(value.description)}{default_of(value)}"
            for argument, value in field.args.items()
        ]
        yield f"| `{name}` | {link(field.type)} | {''.join(parts)} |"


def operations(kind: GraphQLObjectType) -> Iterator[str]:
    """Yield a section for each field of a root type."""
    for name, field in kind.fields.items():
        yield f"\n## {name}\n\n{field.description}\n\nReturns {link(field.type)}.{null(field)}\n"
        yield from inputs(field.args, "Argument")


def section(kind: Any) -> Iterator[str]:
    """Yield the section of a type."""
    yield f"\n## {kind.name}\n\n{kind.description or ''}\n"
    if isinstance(kind, GraphQLInputObjectType):
        yield from inputs(kind.fields, "Field")
    elif isinstance(kind, GraphQLEnumType):
        yield "| Value | Meaning |\n| --- | --- |"
        for name, value in kind.values.items():
            yield f"| `{name}` | {cell(value.description)} |"
    elif isinstance(kind, GraphQLUnionType):
        yield f"One of {', '.join(link(each) for each in kind.types)}.\n"
    elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        if kind.interfaces:
            yield f"Implements {', '.join(link(each) for each in kind.interfaces)}.\n"
        yield from fields(kind)


def schema_pages(text: str) -> Mapping[str, str]:
    """Return the pages of a schema, and an index of them, by file name."""
    schema: GraphQLSchema = build_schema(text)
    by_sort: dict[str, list[str]] = {sort: [] for sort in SORTS}
    for kind in sorted(schema.type_map.values(), key=lambda each: each.name.lower()):
        if kind.name.startswith("__") or is_specified_scalar_type(kind):
            continue
        sort = sort_of(kind)
        is_root = sort in {"queries", "mutations", "subscriptions"}
        by_sort[sort] += operations(kind) if is_root else section(kind)  # type: ignore[arg-type]
    pages = {
        f"{sort}.md": f"# {SORTS[sort]}\n" + "\n".join(lines) + "\n"
        for sort, lines in by_sort.items()
    }
    lists = "\n".join(f"- [{title}]({sort}.md)" for sort, title in SORTS.items())
    contents = "\n".join(SORTS)
    directives = "\n".join(
        f"- `@{each.name}`: {cell(each.description)} [More]({NULLS})"
        for each in schema.directives
        if not is_specified_directive(each)
    )
    pages["index.md"] = (
        "# Schema\n\nEvery type and field of the schema; `gateway schema` prints it.\n\n"
        f"{lists}\n\n## Directives of fields\n\n{directives}\n\n"
        f"```{{toctree}}\n:hidden:\n\n{contents}\n```\n"
    )
    return pages
