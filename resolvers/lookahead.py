"""Lookahead: what a query selects below a field, to request nothing else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import msgspec
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
    """The selection below one field, with fragments expanded.

    `@skip` and `@include` are ignored: a field that may be selected counts as selected.
    """

    def __init__(
        self,
        nodes: Sequence[FieldNode | OperationDefinitionNode],
        fragments: Mapping[str, FragmentDefinitionNode],
    ) -> None:
        """Look below the nodes of one field, or below an operation."""
        self.is_alone = False
        """True if the operation reads nothing else before this field's value is available."""
        self._nodes = nodes
        self._fragments = fragments
        self._cache: dict[tuple[str, ...], frozenset[str]] = {}

    def names(self, *path: str) -> frozenset[str]:
        """Return the names of the fields selected here, or below a path of fields."""
        names = self._cache.get(path)
        if names is None:
            nodes = self._nodes
            for name in path:
                nodes = [node for node in self._below(nodes) if node.name.value == name]
            names = frozenset(node.name.value for node in self._below(nodes))
            self._cache[path] = names
        return names

    @property
    def has_total(self) -> bool:
        """True if a `totalCount` is selected: the connection's or that of a source."""
        return "totalCount" in self.names() or "totalCount" in self.names("sources")

    @property
    def of_nodes(self) -> frozenset[str]:
        """The fields selected below a connection's `nodes` and `edges { node }`."""
        return self.names("nodes") | self.names("edges", "node")

    def _below(self, nodes: Sequence[FieldNode | OperationDefinitionNode]) -> Iterator[FieldNode]:
        return fields_of([n.selection_set for n in nodes if n.selection_set], self._fragments)


def fields_of(
    selected: Iterable[SelectionSetNode], fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[FieldNode]:
    """Yield the fields in selection sets of one object; each fragment is visited once.

    The document may be invalid: missing fragments are ignored.
    """
    pending = list(selected)
    spread: set[str] = set()
    while pending:
        for node in pending.pop().selections:
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                pending.append(node.selection_set)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                spread.add(node.name.value)
                if node.name.value in fragments:
                    pending.append(fragments[node.name.value].selection_set)


class FieldInfo(msgspec.Struct, frozen=True):
    """What a field's function may use: the request context and the selection below the field."""

    context: RequestContext
    selection: Lookahead

    @classmethod
    def of(cls, info: Info[RequestContext, Any]) -> Self:
        """Return the field info of a resolver that graphql-core calls."""
        raw = info._raw_info  # noqa: SLF001  # Strawberry's own view costs 100 times as much
        return cls(info.context, Lookahead(raw.field_nodes, raw.fragments))
