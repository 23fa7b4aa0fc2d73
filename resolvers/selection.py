"""What a query selects below a field: so that only what is shown is asked of a provider."""

from collections.abc import Iterator
from typing import Any

from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode, SelectionSetNode
from strawberry.types import Info


def _fields(info: Info[Any, Any], nodes: Iterator[FieldNode]) -> Iterator[FieldNode]:
    """Yield the fields selected directly below these, through fragments.

    `@skip` and `@include` are not weighed: what may be shown counts as shown.
    """
    fragments = info._raw_info.fragments  # noqa: SLF001  # Strawberry's own view costs 100 times as much
    waiting: list[SelectionSetNode] = [n.selection_set for n in nodes if n.selection_set]
    spread: set[str] = set()
    while waiting:
        for node in waiting.pop().selections:
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                waiting.append(node.selection_set)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                spread.add(node.name.value)
                waiting.append(fragments[node.name.value].selection_set)


def selected(info: Info[Any, Any], *path: str) -> frozenset[str]:
    """Return the names of the fields selected below the current one, or below a path of fields."""
    nodes = list(info._raw_info.field_nodes)  # noqa: SLF001  # as above
    for name in path:
        nodes = [node for node in _fields(info, iter(nodes)) if node.name.value == name]
    return frozenset(node.name.value for node in _fields(info, iter(nodes)))


def wants_total(info: Info[Any, Any]) -> bool:
    """Tell whether a connection's total is shown, its own or that of a source."""
    return "totalCount" in selected(info) or "totalCount" in selected(info, "sources")


def selected_of_nodes(info: Info[Any, Any]) -> frozenset[str]:
    """Return the fields selected of a connection's nodes, by either way to them."""
    return selected(info, "nodes") | selected(info, "edges", "node")
