"""What a query selects below a field: so that only what is shown is asked of a provider."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)
from strawberry.types import Info

from gateway.context import RequestContext


class Lookahead:
    """What is selected below one field, through fragments.

    `@skip` and `@include` are not weighed: what may be shown counts as shown.
    """

    def __init__(
        self,
        nodes: Sequence[FieldNode | OperationDefinitionNode],
        fragments: Mapping[str, FragmentDefinitionNode],
    ) -> None:
        """Look below these mentions of one field, or below an operation."""
        self.is_alone = False
        """True when the operation reads nothing else before the field's own value is there."""
        self._nodes = nodes
        self._fragments = fragments
        self._known: dict[tuple[str, ...], frozenset[str]] = {}

    def names(self, *path: str) -> frozenset[str]:
        """Return the names of the fields selected here, or below a path of fields."""
        found = self._known.get(path)
        if found is None:
            nodes = self._nodes
            for name in path:
                nodes = [node for node in self._below(nodes) if node.name.value == name]
            found = frozenset(node.name.value for node in self._below(nodes))
            self._known[path] = found
        return found

    @property
    def has_total(self) -> bool:
        """True when a connection's total is shown, its own or that of a source."""
        return "totalCount" in self.names() or "totalCount" in self.names("sources")

    @property
    def of_nodes(self) -> frozenset[str]:
        """The fields selected of a connection's nodes, by either way to them."""
        return self.names("nodes") | self.names("edges", "node")

    def _below(self, nodes: Sequence[FieldNode | OperationDefinitionNode]) -> Iterator[FieldNode]:
        return fields_of([n.selection_set for n in nodes if n.selection_set], self._fragments)


def fields_of(
    selected: Iterable[SelectionSetNode], fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[FieldNode]:
    """Return the fields of selections of one object; a fragment counts once.

    The document need not be valid: a fragment that it lacks is passed over.
    """
    waiting = list(selected)
    spread: set[str] = set()
    while waiting:
        for node in waiting.pop().selections:
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                waiting.append(node.selection_set)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                spread.add(node.name.value)
                if node.name.value in fragments:
                    waiting.append(fragments[node.name.value].selection_set)


class FieldInfo(NamedTuple):
    """What a field's function may use: the request, and what is selected below the field."""

    context: RequestContext
    selection: Lookahead

    @classmethod
    def of(cls, info: Info[RequestContext, Any]) -> Self:
        """Return what graphql-core asks."""
        raw = info._raw_info  # noqa: SLF001  # Strawberry's own view costs 100 times as much
        return cls(info.context, Lookahead(raw.field_nodes, raw.fragments))
