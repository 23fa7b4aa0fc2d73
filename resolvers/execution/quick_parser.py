"""Parse most documents in a fifth of the time that graphql-core takes.

graphql-core reads a document character by character. Here a regular expression reads a whole
field, argument or head of a definition, and nodes are filled without the `__init__` of frozen
dataclasses. The result is graphql-core's own syntax tree, with the same locations. Whatever is
wrong or unusual (type definitions, descriptions, block strings, escapes) is left to graphql-core,
which also writes all errors. `tests/differential/test_parser.py` compares both.
"""

import re
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableDefinitionNode,
)

from resolvers.execution.quick_values import IGNORED as _I
from resolvers.execution.quick_values import NAME as _N
from resolvers.execution.quick_values import Range, UnusualError, ValueReader, compiled, new

_DEFINITION = compiled(
    rf"{_I}(?:(\Z)|(\{{)|(query|mutation|subscription)(?!\w){_I}(?:{_N}{_I})?([({{@])"
    rf"|(fragment)(?!\w){_I}(?!on(?!\w)){_N}{_I}on(?!\w){_I}{_N}{_I}([{{@]))"
)
_VARIABLE_DEFINITION = compiled(rf"{_I}(?:(\$){_I}{_N}{_I}:|(\)))")
_DEFAULT = compiled(rf"{_I}=")
_SELECTION = compiled(rf"{_I}(?:{_N}{_I}(?::{_I}{_N}{_I})?([({{@])?|(\}}|\.\.\.))")
_SPREAD = compiled(rf"{_I}(?:on(?!\w){_I}{_N}|(?!on(?!\w)){_N}|){_I}([{{@])?")
_OPEN = compiled(rf"{_I}(\{{)")

_MARK, _NO_FIELD = 3, 4
"""Groups of a selection: what comes behind its names, and what is no field."""


def quick_parsed(text: str, nesting: int) -> DocumentNode | None:
    """Return the syntax tree of a document; None if graphql-core has to parse it.

    It has at most so many nested brackets.
    """
    try:
        return _Reader(text).document(nesting)
    except UnusualError:
        return None


class _Reader(ValueReader):
    """Reads one document. Each method returns a node, and where its text ends."""

    def document(self, room: int) -> DocumentNode:
        """Read all definitions."""
        definitions: list[Any] = []
        at = 0
        while True:
            match = _DEFINITION(self._text, at)
            if match is None:
                raise UnusualError
            if match[1] is not None:
                break
            definition, at = self._definition(match, room)
            definitions.append(definition)
        if not definitions:
            raise UnusualError
        return self._node(DocumentNode, 0, len(self._text), definitions=tuple(definitions))

    def _definition(self, match: "re.Match[str]", room: int) -> tuple[Any, int]:
        if match[2] is not None:
            start = match.start(2)
            selection_set, at = self._selection_set(start, room)
            node: Any = self._node(
                OperationDefinitionNode,
                start,
                at,
                operation=OperationType.QUERY,
                selection_set=selection_set,
            )
            return node, at
        if match[6] is not None:
            return self._fragment_definition(match, room)
        parts: dict[str, Any] = {"operation": OperationType(match[3])}
        if match[4] is not None:
            parts["name"] = self._name(match[4], *match.span(4))
        at = match.start(5)
        if match[5] == "(":
            parts["variable_definitions"], at = self._variable_definitions(at + 1, room - 1)
        parts["directives"], at = self._directives(at, room, is_const=False)
        parts["selection_set"], at = self._selection_set(self._open(at), room)
        return self._node(OperationDefinitionNode, match.start(3), at, **parts), at

    def _fragment_definition(self, match: "re.Match[str]", room: int) -> tuple[Any, int]:
        name = self._name(match[7], *match.span(7))
        condition = self._named_type(match[8], *match.span(8))
        directives, at = self._directives(match.start(9), room, is_const=False)
        selection_set, at = self._selection_set(self._open(at), room)
        node = self._node(
            FragmentDefinitionNode,
            match.start(6),
            at,
            name=name,
            variable_definitions=(),
            type_condition=condition,
            directives=directives,
            selection_set=selection_set,
        )
        return node, at

    def _open(self, at: int) -> int:
        """Return where the next brace is."""
        match = _OPEN(self._text, at)
        if match is None:
            raise UnusualError
        return match.start(1)

    # Variables.

    def _variable_definitions(self, at: int, room: int) -> tuple[tuple[Any, ...], int]:
        nodes: list[Any] = []
        if room < 0:
            raise UnusualError
        while True:
            match = _VARIABLE_DEFINITION(self._text, at)
            if match is None:
                raise UnusualError
            if match[3] is not None:
                break
            start = match.start(1)
            variable = self._variable(match[2], start, *match.span(2))
            kind, at = self._type(match.end(), room)
            parts: dict[str, Any] = {"variable": variable, "type": kind}
            default = _DEFAULT(self._text, at)
            if default is not None:
                parts["default_value"], at = self._default(default.end(), room)
            parts["directives"], at = self._directives(at, room, is_const=True)
            nodes.append(self._node(VariableDefinitionNode, start, at, **parts))
        if not nodes:
            raise UnusualError
        return tuple(nodes), match.end()

    # Selections.

    def _selection_set(self, start: int, room: int) -> tuple[SelectionSetNode, int]:
        """Read the selections behind the brace at `start`."""
        if room < 1:
            raise UnusualError
        text, source, read = self._text, self._source, _SELECTION
        nodes: list[Any] = []
        at = start + 1
        while True:
            match = read(text, at)
            if match is None:
                raise UnusualError
            last = match.lastindex
            if last == _NO_FIELD:
                if match[last] == "}":
                    break
                node, at = self._spread(match.start(last), match.end(), room - 1)
                nodes.append(node)
                continue
            field = new(FieldNode)
            parts = field.__dict__
            begin, end = match.span(1)
            first = self._name(match[1], begin, end)
            if match[2] is None:
                parts["name"] = first
            else:
                name_begin, end = match.span(2)
                parts["alias"] = first
                parts["name"] = self._name(match[2], name_begin, end)
            at = match.end()
            if last == _MARK:
                end = at = self._field_rest(parts, match[last], at - 1, room - 1)
            parts["loc"] = Range(begin, end, source)
            nodes.append(field)
        if not nodes:
            raise UnusualError
        node = new(SelectionSetNode)
        parts = node.__dict__
        at = match.end()
        parts["selections"] = tuple(nodes)
        parts["loc"] = Range(start, at, source)
        return node, at

    def _field_rest(self, parts: dict[str, Any], mark: str, at: int, room: int) -> int:
        """Read the arguments, directives and selections of a field; return where they end."""
        if mark == "(":
            parts["arguments"], at = self._arguments(at + 1, room - 1, is_const=False)
            match = _OPEN(self._text, at)
        elif mark == "@":
            match = None
        else:
            parts["selection_set"], at = self._selection_set(at, room)
            return at
        if match is None:
            parts["directives"], at = self._directives(at, room, is_const=False)
            match = _OPEN(self._text, at)
        if match is not None:
            parts["selection_set"], at = self._selection_set(match.start(1), room)
        return at

    def _spread(self, start: int, at: int, room: int) -> tuple[Any, int]:
        match = _SPREAD(self._text, at)
        if match is None:
            raise UnusualError
        parts: dict[str, Any] = {}
        end = at if match[3] is None else match.start(3)
        if match[2] is not None:
            parts["name"] = self._name(match[2], *match.span(2))
            parts["directives"], end = self._directives(match.end(2), room, is_const=False)
            return self._node(FragmentSpreadNode, start, end, **parts), end
        if match[1] is not None:
            parts["type_condition"] = self._named_type(match[1], *match.span(1))
        if match[3] is None:
            raise UnusualError
        parts["directives"], end = self._directives(end, room, is_const=False)
        parts["selection_set"], end = self._selection_set(self._open(end), room)
        return self._node(InlineFragmentNode, start, end, **parts), end
