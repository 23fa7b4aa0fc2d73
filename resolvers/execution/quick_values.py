"""Names, types, values and directives, for the quick parser."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from graphql import (
    ArgumentNode,
    BooleanValueNode,
    DirectiveNode,
    EnumValueNode,
    FloatValueNode,
    IntValueNode,
    ListTypeNode,
    ListValueNode,
    Location,
    NamedTypeNode,
    NameNode,
    Node,
    NonNullTypeNode,
    NullValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    Source,
    StringValueNode,
    VariableNode,
)

# Quantifiers are possessive (`*+`): a match never goes back, so that its time is linear.
# A comment ends at half a character, which no token starts with.
IGNORED = _I = r"(?:[ \t\n\r,\ufeff]++|#[^\n\r\ud800-\udfff]*+)*+"
"""What is ignored between tokens."""
NAME = _N = r"([A-Za-z_]\w*+)"
_VALUE = (
    rf"(?:(\$){_I}{_N}|{_N}|(-?(?:0|[1-9]\d*+)(?![\w.]))|(-?(?:0|[1-9]\d*+)(?:\.\d++)?"
    r'(?:[eE][+-]?\d++)?(?![\w.]))|("[^"\\\n\r\ud800-\udfff]*+"(?!"))|(\[)|(\{))'
)
_VARIABLE, _WORD, _INT, _FLOAT, _STRING, _LIST, _OBJECT, _CLOSE = range(2, 10)
"""The last group of each kind of value, and that of what ends them."""
_NUMBERS: dict[int, type[Any]] = {_INT: IntValueNode, _FLOAT: FloatValueNode}


def compiled(pattern: str) -> Callable[[str, int], "re.Match[str] | None"]:
    """Return the function that matches a pattern at a position of a text."""
    return re.compile(pattern, re.ASCII).match


_TYPE = compiled(rf"{_I}(?:{_N}|(\[))")
_TYPE_END = compiled(rf"{_I}(\])")
_BANG = compiled(rf"{_I}(!)")
_DIRECTIVE = compiled(rf"{_I}(@){_I}{_N}(?:{_I}(\())?")
_NAMED_VALUE = compiled(rf"{_I}(?:{_N}{_I}:{_I}{_VALUE}|([)}}]))")
_ITEM = compiled(rf"{_I}(?:{_VALUE}|(\]))")

new = object.__new__
T = TypeVar("T", bound=Node)


class UnusualError(Exception):
    """The document is wrong or unusual."""


class Range(Location):
    """A location without tokens: nothing reads those."""

    __slots__ = ()

    def __init__(self, start: int, end: int, source: Source) -> None:
        self.start, self.end, self.source = start, end, source


class ValueReader:
    """Reads parts of one document. Each method returns a node, and where its text ends."""

    def __init__(self, text: str) -> None:
        """Read this text."""
        self._text = text
        self._source = Source(text)

    def _node(self, kind: type[T], start: int, end: int, **parts: Any) -> T:
        """Return a node; what a part of it has by default may be left out.

        Nodes are frozen dataclasses, whose `__init__` takes four times as long.
        """
        node = new(kind)
        parts["loc"] = Range(start, end, self._source)
        node.__dict__.update(parts)
        return node

    def _name(self, value: str, start: int, end: int) -> NameNode:
        node = new(NameNode)
        into = node.__dict__
        into["loc"] = Range(start, end, self._source)
        into["value"] = value
        return node

    # Types.

    def _type(self, at: int, room: int) -> tuple[Any, int]:
        match = _TYPE(self._text, at)
        if match is None:
            raise UnusualError
        kind: Any
        if match[1] is not None:
            start, at = match.span(1)
            kind = self._named_type(match[1], start, at)
        else:
            if room < 1:
                raise UnusualError
            start = match.start(2)
            inner, at = self._type(match.end(), room - 1)
            end = _TYPE_END(self._text, at)
            if end is None:
                raise UnusualError
            at = end.end()
            kind = self._node(ListTypeNode, start, at, type=inner)
        bang = _BANG(self._text, at)
        if bang is not None:
            at = bang.end()
            kind = self._node(NonNullTypeNode, start, at, type=kind)
        return kind, at

    def _variable(self, name: str, start: int, name_start: int, end: int) -> VariableNode:
        return self._node(VariableNode, start, end, name=self._name(name, name_start, end))

    def _named_type(self, name: str, start: int, end: int) -> NamedTypeNode:
        return self._node(NamedTypeNode, start, end, name=self._name(name, start, end))

    def _directives(self, at: int, room: int, *, is_const: bool) -> tuple[Any, int]:
        """Read directives, if there are any; else None."""
        nodes: list[Any] = []
        while (match := _DIRECTIVE(self._text, at)) is not None:
            name = self._name(match[2], *match.span(2))
            arguments, at = None, match.end(2)
            if match[3] is not None:
                arguments, at = self._arguments(match.end(), room - 1, is_const=is_const)
            nodes.append(
                self._node(DirectiveNode, match.start(1), at, name=name, arguments=arguments)
            )
        return tuple(nodes) or None, at

    # Values.

    def _default(self, at: int, room: int) -> tuple[Any, int]:
        match = _ITEM(self._text, at)
        if match is None or match.lastindex == _CLOSE:
            raise UnusualError
        return self._value(match, 0, room, is_const=True)

    def _arguments(self, at: int, room: int, *, is_const: bool) -> tuple[tuple[Any, ...], int]:
        arguments, end = self._named_values(ArgumentNode, ")", at, room, is_const=is_const)
        if not arguments:
            raise UnusualError
        return arguments, end

    def _named_values(
        self, kind: type[Node], close: str, at: int, room: int, *, is_const: bool
    ) -> tuple[tuple[Any, ...], int]:
        """Read arguments or the fields of an object, up to the closing bracket."""
        if room < 0:
            raise UnusualError
        nodes: list[Any] = []
        while True:
            match = _NAMED_VALUE(self._text, at)
            if match is None:
                raise UnusualError
            if match.lastindex == _CLOSE + 1:
                break
            start, end = match.span(1)
            value, at = self._value(match, 1, room, is_const=is_const)
            node = new(kind)
            parts = node.__dict__
            parts["loc"] = Range(start, at, self._source)
            parts["name"] = self._name(match[1], start, end)
            parts["value"] = value
            nodes.append(node)
        if match[match.lastindex] != close:
            raise UnusualError
        return tuple(nodes), match.end()

    def _value(
        self, match: "re.Match[str]", before: int, room: int, *, is_const: bool
    ) -> tuple[Any, int]:
        """Read a value that has begun: its groups come behind so many others."""
        last = match.lastindex or 0
        kind, text = last - before, match[last]
        start, end = match.span(last)
        if kind in _NUMBERS:
            return self._node(_NUMBERS[kind], start, end, value=text), end
        if kind == _STRING:
            return self._node(StringValueNode, start, end, value=text[1:-1], block=False), end
        if kind == _VARIABLE and not is_const:
            return self._variable(text, match.start(last - 1), start, end), end
        if kind == _WORD:
            return self._word(text, start, end), end
        if kind == _LIST:
            values, end = self._items(end, room - 1, is_const=is_const)
            return self._node(ListValueNode, start, end, values=values), end
        if kind == _OBJECT:
            values, end = self._named_values(
                ObjectFieldNode, "}", end, room - 1, is_const=is_const
            )
            return self._node(ObjectValueNode, start, end, fields=values), end
        raise UnusualError

    def _word(self, text: str, start: int, end: int) -> Any:
        if text in {"true", "false"}:
            return self._node(BooleanValueNode, start, end, value=text == "true")
        if text == "null":
            return self._node(NullValueNode, start, end)
        return self._node(EnumValueNode, start, end, value=text)

    def _items(self, at: int, room: int, *, is_const: bool) -> tuple[tuple[Any, ...], int]:
        if room < 0:
            raise UnusualError
        nodes: list[Any] = []
        while True:
            match = _ITEM(self._text, at)
            if match is None:
                raise UnusualError
            if match.lastindex == _CLOSE:
                return tuple(nodes), match.end()
            value, at = self._value(match, 0, room, is_const=is_const)
            nodes.append(value)
