"""The shape of a text: all but its aliases, its literals and the name of its first operation.

Two valid documents of one shape have the same syntax tree but for these. Equal aliases have equal
placeholders, and different ones different: a shape says which fields are merged.
"""

import re
from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

from resolvers.execution.quick_values import IGNORED as _I
from resolvers.execution.quick_values import NAME as _N
from resolvers.execution.quick_values import compiled

PREFIX = "__literal"
"""The start of the names of variables that stand for literals."""

MAX_LITERALS = 100
"""With more, coercing variables would take as long as parsing."""

_OPERATION = compiled(rf"{_I}query(?!\w){_I}{_N}")
"""The start of a text up to the name of its first operation, if that is a query with a name."""

_ALIAS = compiled(
    rf'(?:[^\w#("]++|#[^\n\r]*+|\w++(?!{_I}:)|\([^)"#0-9-]*+\))*+(?:(\w++)|(\()|(\Z))'
)
"""All up to the next alias, to arguments or variables that may have literals, or to the end."""

_ARGUMENTS, _TEXT_END = 2, 3

# It starts with a set of characters, which `re` looks for without trying the rest.
_LITERAL = re.compile(
    r'[)#"0-9-](?:(?<=#)[^\n\r]*+|(?<=")(?:([^"\\\n\r\ud800-\udfff]*+)"|())|(?<=\))()'
    r"|(?<![\w.$-].)(?:(?<=-)[1-9][0-9]{0,9}|(?<=0)|(?<=[1-9])[0-9]{0,9})(?![\w.])())",
    re.ASCII,
)
"""A comment, a string without escapes, any other string, the end of arguments, or an integer."""

_STRING, _OTHER_STRING, _END = 1, 2, 3


class OwnParts(NamedTuple):
    """What other documents of the same shape have differently."""

    text: str
    name: str | None
    """That of the first operation, if it is a query with a name."""
    aliases: Sequence[str]
    """Each once, in the order of the text."""
    values: Mapping[str, Any]
    """The literals, by the variables that stand for them: `PREFIX` and the number of the span."""
    spans: Sequence[tuple[int, int]]
    """The starts and ends in the text: of the name, if there is one, the aliases and literals."""

    def position(self, of: int, template: "OwnParts") -> int:
        """Return the position of a node in this text that has position `of` in another."""
        moved = 0
        for (_, end), (_, other_end) in zip(self.spans, template.spans, strict=True):
            if other_end <= of:
                moved = end - other_end
        return of + moved


def shape_of(text: str, kept: Container[str] = ()) -> tuple[str, OwnParts] | None:
    """Return the shape of a text, and its own parts; None if it has none, many or unusual ones.

    The aliases in `kept` belong to the shape.
    """
    if '"""' in text or PREFIX in text or "\0" in text:
        return None
    reader = _Reader(text, kept)
    named = _OPERATION(text, 0)
    if named is not None:
        reader.replace(named.span(1), "\0n")
    if not reader.reads() or not reader.spans or len(reader.values) > MAX_LITERALS:
        return None
    name = None if named is None else named[1]
    own = OwnParts(text, name, [*reader.aliases], reader.values, reader.spans)
    return reader.shape(), own


class _Reader:
    """Replaces the parts of one text."""

    def __init__(self, text: str, kept: Container[str]) -> None:
        self.aliases: dict[str, str] = {}
        """Their placeholders."""
        self.values: dict[str, Any] = {}
        self.spans: list[tuple[int, int]] = []
        self._text = text
        self._kept = kept
        self._parts: list[str] = []
        self._end = 0
        """Of what is replaced."""

    def replace(self, span: tuple[int, int], placeholder: str) -> None:
        start, end = span
        self._parts += self._text[self._end : start], placeholder
        self.spans.append(span)
        self._end = end

    def shape(self) -> str:
        return "".join(self._parts) + self._text[self._end :]

    def reads(self) -> bool:
        """Replace aliases and literals; return False if something is unusual."""
        at: int | None = self._end
        while at is not None and (match := _ALIAS(self._text, at)) is not None:
            kind, at = match.lastindex, match.end()
            if kind == _TEXT_END:
                return True
            if kind == _ARGUMENTS:
                at = self._literals(at)
            elif match[1] not in self._kept:
                number = len(self.aliases)
                self.replace(match.span(1), self.aliases.setdefault(match[1], f"\0a{number}"))
        return False

    def _literals(self, at: int) -> int | None:
        """Replace the literals up to the end of arguments; return it, None if it is unusual."""
        for match in _LITERAL.finditer(self._text, at):
            kind = match.lastindex
            if kind is None:
                continue
            if kind == _END:
                return match.end()
            if kind == _OTHER_STRING:
                return None
            is_string = kind == _STRING
            value = match[1] if is_string else int(match[0])
            self.values[f"{PREFIX}{len(self.spans)}"] = value
            self.replace(match.span(), "\0s" if is_string else "\0i")
        return None
