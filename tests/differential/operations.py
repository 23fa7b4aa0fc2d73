"""Made-up operations over a schema: valid, and using all that an executor must know."""

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLSchema,
    Undefined,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_leaf_type,
)

MAX_LENGTH = 2500
"""Characters: larger ones show nothing more."""

Choose = Callable[[Random, str, GraphQLNamedType], Any]
"""Chooses a value for an argument or input field of this name and named type."""


class Operation(NamedTuple):
    """A request: the document has one operation of this `name`, if any."""

    text: str
    variables: Mapping[str, Any]
    name: str | None


class Maker:
    """Makes operations; the same seed makes the same one."""

    def __init__(
        self,
        schema: GraphQLSchema,
        choose: Choose,
        is_valid: Callable[[str], bool],
        *,
        depth: int = 5,
        width: int = 4,
        without: frozenset[str] = frozenset(),
        roots: frozenset[str] | None = None,
    ) -> None:
        """Go so deep and so wide; `without` are fields that are never selected.

        `roots` are the fields that operations start with, if not all.
        """
        self._schema = schema
        self._choose = choose
        self._is_valid = is_valid
        self._depth = depth
        self._width = width
        self._without = without
        self._roots = roots

    def make(self, seed: int) -> Operation:
        """Return a valid operation."""
        random = Random(seed)  # noqa: S311  # it must be the same each time
        for _ in range(50):
            parts = _Draft(
                self._schema,
                self._choose,
                random,
                self._width,
                without=self._without,
                roots=self._roots,
            )
            operation = parts.operation(self._depth)
            if len(operation.text) > MAX_LENGTH:
                continue
            if self._is_valid(operation.text):
                return operation
        raise AssertionError(f"nothing valid came of seed {seed}")


class _Draft:
    def __init__(
        self,
        schema: GraphQLSchema,
        choose: Choose,
        random: Random,
        width: int,
        *,
        without: frozenset[str],
        roots: frozenset[str] | None,
    ) -> None:
        self._schema = schema
        self._choose = choose
        self._random = random
        self._width = width
        self._without = without
        self._roots = roots
        self._fragments: list[str] = []
        self._declared: list[str] = []
        self._given: dict[str, Any] = {}

    def operation(self, depth: int) -> Operation:
        query = self._schema.query_type
        assert query is not None
        body = self._selections(query, depth)
        name = self._random.choice([None, "Asked"])
        declared = f"({', '.join(self._declared)})" if self._declared else ""
        head = f"query {name or ''}{declared} " if name or declared else ""
        others = ["query Other { __typename }"] if name and self._random.random() < 0.2 else []
        text = "\n".join([*others, head + body, *self._fragments])
        return Operation(text, self._given, name)

    def _selections(self, parent: Any, depth: int) -> str:
        random = self._random
        parts = []
        for _ in range(random.randint(1, self._width)):
            kind = random.random()
            if kind < 0.08:
                parts.append(random.choice(["", "kind: "]) + "__typename" + self._directives())
            elif kind < 0.2 and depth > 1:
                parts.append(self._inline(parent, depth))
            elif kind < 0.28 and depth > 1:
                parts.append(self._spread(parent, depth))
            else:
                parts.append(self._field(parent, depth))
        # Selections may all be skipped, but there must be one.
        return "{ " + " ".join(each for each in parts if each) + " __typename }"

    def _field(self, parent: Any, depth: int) -> str:
        random = self._random
        fields = getattr(parent, "fields", {})
        is_root = parent is self._schema.query_type
        known = [
            name
            for name, field in fields.items()
            if name not in self._without
            and (self._roots is None or not is_root or name in self._roots)
            and (depth > 1 or is_leaf_type(get_named_type(field.type)))
        ]
        if not known:
            return ""
        name = random.choice(known)
        field = fields[name]
        arguments = self._arguments(field.args)
        alias = random.choice(["", "", f"{name}A", f"{name}B", f"{parent.name}_{name}"])
        text = f"{alias}: {name}" if alias else name
        text += arguments + self._directives()
        kind = get_named_type(field.type)
        if is_composite_type(kind):
            text += " " + self._selections(kind, depth - 1)
            if random.random() < 0.1:  # a second mention of the same answer
                start = f"{alias}: {name}" if alias else name
                text += f" {start}{arguments} " + self._selections(kind, depth - 1)
        return text

    def _condition(self, parent: Any) -> Any:
        if not is_abstract_type(parent):
            around = [i for i in parent.interfaces if self._random.random() < 0.3]
            return self._random.choice([parent, *around])
        return self._random.choice([parent, *self._schema.get_possible_types(parent)])

    def _inline(self, parent: Any, depth: int) -> str:
        on = self._condition(parent)
        condition = "" if on is parent and self._random.random() < 0.5 else f" on {on.name}"
        return f"...{condition}{self._directives()} {self._selections(on, depth)}"

    def _spread(self, parent: Any, depth: int) -> str:
        on = self._condition(parent)
        name = f"F{len(self._fragments)}"
        self._fragments.append("")
        place = len(self._fragments) - 1
        body = self._selections(on, depth)
        self._fragments[place] = f"fragment {name} on {on.name} {body}"
        twice = f" ...{name}" if self._random.random() < 0.2 else ""
        return f"...{name}{self._directives()}{twice}"

    def _directives(self) -> str:
        random = self._random
        if random.random() > 0.15:
            return ""
        name = random.choice(["skip", "include"])
        if random.random() < 0.5:
            return f" @{name}(if: {random.choice(['true', 'false'])})"
        return f" @{name}(if: {self._variable('Boolean!', random.choice([True, False]))})"

    def _variable(self, kind: str, value: Any, default: str = "") -> str:
        name = f"v{len(self._declared)}"
        self._declared.append(f"${name}: {kind}{default}")
        if value is not Undefined:
            self._given[name] = value
        return f"${name}"

    def _arguments(self, arguments: Mapping[str, GraphQLArgument]) -> str:
        random = self._random
        given = []
        for name, argument in arguments.items():
            required = isinstance(argument.type, GraphQLNonNull) and not argument.default
            if not required and random.random() < 0.6:
                continue
            value = self._value(name, argument.type)
            literal = written(value, argument.type)
            if random.random() < 0.4:
                default = ""
                if not isinstance(argument.type, GraphQLNonNull) and random.random() < 0.5:
                    default, value = f" = {literal}", random.choice([value, Undefined])
                literal = self._variable(str(argument.type), value, default)
            given.append(f"{name}: {literal}")
        return f"({', '.join(given)})" if given else ""

    def _value(self, name: str, kind: GraphQLInputType) -> Any:
        random = self._random
        if isinstance(kind, GraphQLNonNull):
            return self._present(name, kind.of_type)
        return None if random.random() < 0.05 else self._present(name, kind)

    def _present(self, name: str, kind: GraphQLInputType) -> Any:
        random = self._random
        if isinstance(kind, GraphQLList):
            return [self._value(name, kind.of_type) for _ in range(random.randint(0, 3))]
        if isinstance(kind, GraphQLInputObjectType):
            chosen = {}
            for key, field in kind.fields.items():
                if isinstance(field.type, GraphQLNonNull) or random.random() < 0.3:
                    chosen[key] = self._value(key, field.type)
            return chosen
        if isinstance(kind, GraphQLEnumType):
            return random.choice(list(kind.values))
        return self._choose(random, name, get_named_type(kind))


def written(value: Any, kind: GraphQLInputType) -> str:
    """Return a value as a literal of GraphQL."""
    if isinstance(kind, GraphQLNonNull):
        return written(value, kind.of_type)
    if value is None:
        return "null"
    if isinstance(kind, GraphQLList):
        return "[" + ", ".join(written(each, kind.of_type) for each in value) + "]"
    if isinstance(kind, GraphQLInputObjectType):
        inside = (f"{key}: {written(each, kind.fields[key].type)}" for key, each in value.items())
        return "{" + ", ".join(inside) + "}"
    return str(value) if isinstance(kind, GraphQLEnumType) else json.dumps(value)
