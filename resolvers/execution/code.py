"""Write a plan's functions: Python that reads attributes and builds the answer's dicts.

Why generated code, and why it is safe: docs/decisions/0003. Names from a document stand in it only
as literals (`repr`); all else are numbers and attribute paths of our own declarations.

Generated code checks every value and raises on the first that is not as the schema says; nothing
is told of the place. The caller then makes the same objects again by `careful`, which is slow and
knows the place of each error.
"""

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNamedOutputType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    Undefined,
    is_leaf_type,
)

from resolvers.execution.plan import STRAWBERRY, FieldPlan, Plan, SelectionPlan, UnplannableError
from resolvers.leaves import ALL_AT_ONCE

PLAIN = {
    GraphQLString: "type({0}) is not str",
    GraphQLID: "type({0}) is not str",
    GraphQLInt: "(type({0}) is not int or not -2147483648 <= {0} <= 2147483647)",
    GraphQLBoolean: "{0} is not True and {0} is not False",
}
"""Of the scalars that mostly are what is sent: when they are not."""


class UnexpectedNullError(Exception):
    """Something is null that must not be."""


def leaf(kind: GraphQLNamedOutputType) -> Callable[[Any], Any]:
    """Return what makes a scalar or enum of a value; it raises for one that is none."""
    coerce: Callable[[Any], Any] = kind.coerce_output_value  # type: ignore[union-attr]  # a leaf

    def coerced(value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        shown = coerce(value)
        if shown is None or shown is Undefined:
            raise TypeError(f"{kind} has nothing for a value of {type(value)}")
        return shown

    return coerced


def class_of(kind: GraphQLObjectType) -> type:
    """Return the class of the values that a type shows."""
    found: type = kind.extensions[STRAWBERRY].origin.__annotations__["value"].__origin__
    return found


def selector(field: FieldPlan) -> Callable[[Any], SelectionPlan]:
    """Return what finds the selection for a value where several types may stand."""
    by_class = {class_of(kind): selection for kind, selection in field.selections.items()}

    def select(value: Any) -> SelectionPlan:
        for known, selection in by_class.items():
            if isinstance(value, known):
                return selection
        raise TypeError(f"no type shows a {type(value)}")

    return select


class _Function:
    """One function that is being written."""

    def __init__(self, head: str) -> None:
        self.head = head
        self.lines: list[str] = []
        self.slots: dict[int, str] = {}

    def slot(self, number: int) -> str:
        """Return the local name of a slot."""
        return self.slots.setdefault(number, f"s{number}")

    def write(self, depth: int, line: str) -> None:
        """Add a line."""
        self.lines.append(" " * (depth + 1) + line)

    def source(self) -> str:
        """Return the whole function."""
        taken = [f" {name} = r[{number}]" for number, name in self.slots.items()]
        return "\n".join([self.head, *taken, *self.lines])


class Writer:
    """Writes all functions of a plan."""

    def __init__(self, plan: Plan) -> None:
        """Write for this plan."""
        self._plan = plan
        self._names: dict[str, Any] = {"UnexpectedNull": UnexpectedNullError}
        self._done: list[_Function] = []
        self._count = 0
        self._columns: dict[FieldPlan, str] = {}
        """Fields that all rows of a list get at once, by the variable of one row."""
        self._complete: set[FieldPlan] = set()
        """Those whose values were completed at once, too."""

    def write(self) -> None:
        """Give the plan and its fields their functions. Raises `UnplannableError`."""
        start = self._function("r")
        self._object(start, self._plan.root, "None", "made", 0)
        start.write(0, "return made")
        reads: list[tuple[FieldPlan, _Function]] = []
        self._waves(self._plan.below, reads)
        try:
            source = "\n".join(each.source() for each in self._done)
            exec(compile(source, "<plan>", "exec"), self._names)  # noqa: S102  # decision 0003
        except (SyntaxError, MemoryError, RecursionError) as error:
            raise UnplannableError from error
        self._plan.start = self._names[_name(start)]
        for field, function in reads:
            field.complete = self._names[_name(function)]

    def _waves(self, below: list[SelectionPlan], reads: list[tuple[FieldPlan, _Function]]) -> None:
        for selection in below:
            for field in selection.reads:
                function = self._function("answers, objects, r")
                many = self._many(field.type)
                if many:
                    self._complete.add(field)
                    function.write(0, f"answers = {many}(answers)")
                function.write(0, "for x, made in zip(answers, objects):")
                value = self._value(function, field.type, "x", field, 1)
                function.write(1, f"made[{field.key!r}] = {value}")
                reads.append((field, function))
                self._waves(field.below, reads)

    def _function(self, parameters: str) -> _Function:
        self._count += 1
        made = _Function(f"def f{self._count}({parameters}):")
        self._done.append(made)
        return made

    def _variable(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def _constant(self, value: Any) -> str:
        self._count += 1
        self._names[f"c{self._count}"] = value
        return f"c{self._count}"

    def _value(
        self, to: _Function, kind: GraphQLOutputType, x: str, field: FieldPlan, depth: int
    ) -> str:
        """Write what makes a value of this kind of `x`; return the variable that has it."""
        is_nullable = not isinstance(kind, GraphQLNonNull)
        inner: Any = kind if is_nullable else kind.of_type  # type: ignore[union-attr]  # it is NonNull then
        if is_leaf_type(inner):
            if field not in self._complete:
                self._leaf(to, inner, x, depth, is_nullable=is_nullable)
            elif not is_nullable:
                to.write(depth, f"if {x} is None: raise UnexpectedNull")
            return x
        made = self._variable()
        if is_nullable:
            to.write(depth, f"if {x} is None: {made} = None")
            to.write(depth, "else:")
            depth += 1
        else:
            to.write(depth, f"if {x} is None: raise UnexpectedNull")
        if isinstance(inner, GraphQLList):
            to.write(depth, f"{made} = {self._list(inner.of_type, field)}({x}, r)")
        elif isinstance(inner, GraphQLObjectType):
            self._object(to, field.selections[inner], x, made, depth)
        else:
            to.write(depth, f"{made} = {self._abstract(field)}({x}, r)")
        return made

    def _leaf(self, to: _Function, kind: Any, x: str, depth: int, *, is_nullable: bool) -> None:
        coerce = self._constant(leaf(kind))
        present = f"{x} is not None" if is_nullable else "True"
        if kind in PLAIN:
            to.write(depth, f"if {PLAIN[kind].format(x)}:")
            to.write(depth + 1, f"if {present}: {x} = {coerce}({x})")
            return
        if _shows_names(kind):
            members = self._constant(kind.wrapped_cls)
            to.write(depth, f"if type({x}) is {members}: {x} = {x}._name_")
            to.write(depth, f"elif {present}: {x} = {coerce}({x})")
            return
        to.write(depth, f"if {present}: {x} = {coerce}({x})")

    def _list(self, kind: GraphQLOutputType, field: FieldPlan) -> str:
        function = self._function("xs, r")
        function.write(0, "if isinstance(xs, (str, dict)): raise TypeError")
        names, lists = ["x"], ["xs"]
        for each, column in self._at_once(function, kind, field, "x"):
            self._columns[each] = self._variable()
            names.append(self._columns[each])
            lists.append(column)
        if len(lists) > 1:
            function.write(0, "xs = list(xs)")
            lists = [f"zip({', '.join(lists)}, strict=True)"]
        function.write(0, "out = []")
        function.write(0, f"for {', '.join(names)} in {lists[0]}:")
        function.write(1, f"out.append({self._value(function, kind, 'x', field, 1)})")
        function.write(0, "return out")
        return _name(function)

    def _at_once(
        self, to: _Function, kind: GraphQLOutputType, field: FieldPlan, x: str
    ) -> Iterator[tuple[FieldPlan, str]]:
        """Find the fields that the rows `xs` get at once; write what makes a column of each."""
        rows = kind.of_type if isinstance(kind, GraphQLNonNull) else None
        if not isinstance(rows, GraphQLObjectType):
            return
        for each in field.selections[rows].fields:
            many, column = self._many(each.type), self._column(to, each, x)
            if column and many:
                self._complete.add(each)
                yield each, f"{many}({column})"
            elif each.path:
                yield from self._at_once(to, each.type, each, f"{x}.{each.path}")
            elif column:
                yield each, column

    def _column(self, to: _Function, field: FieldPlan, x: str) -> str | None:
        """Write what makes a field of the rows `xs`, where it need not go row by row."""
        if field.path:
            return f"[{x}.{field.path} for x in xs]"
        if field.declaration is None or field.declaration.many is None:
            return None
        rows = "xs" if x == "x" else f"[{x} for x in xs]"
        return self._call(to, field.declaration.many, rows, field)

    def _many(self, kind: GraphQLOutputType) -> str | None:
        """Return what completes many values of this type at once, if anything does."""
        inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        many = ALL_AT_ONCE.get(getattr(inner, "coerce_output_value", None))
        return many and self._constant(many)

    def _abstract(self, field: FieldPlan) -> str:
        one = {}
        for selection in field.selections.values():
            function = self._function("x, r")
            self._object(function, selection, "x", "made", 0)
            function.write(
                0, f"{function.slot(self._plan.kinds)}[id(made)] = {self._constant(selection)}"
            )
            function.write(0, "return made")
            one[id(selection)] = function
        function = self._function("x, r")
        select = self._constant(selector(field))
        function.write(0, f"selection = {select}(x)")
        for selection in field.selections.values():
            mark = self._constant(selection)
            function.write(0, f"if selection is {mark}: return {_name(one[id(selection)])}(x, r)")
        return _name(function)

    def _object(
        self, to: _Function, selection: SelectionPlan, x: str, made: str, depth: int
    ) -> None:
        if not any(field.path for field in selection.fields) and x != "None":
            # An error may stand for an object; where attributes are read it has none of them.
            to.write(depth, f"if isinstance({x}, Exception): raise {x}")
        parts = []
        for field in selection.fields:
            if field.name == "__typename":
                value = repr(selection.type.name)
            elif field.is_read:
                value = "None"
            else:
                got = self._columns.get(field, "")
                if not got:
                    got = self._variable()
                    to.write(depth, f"{got} = {self._got(to, field, x)}")
                value = self._value(to, field.type, got, field, depth)
            parts.append(f"{field.key!r}: {value}")
        to.write(depth, f"{made} = {{{', '.join(parts)}}}")
        if selection.reads:
            to.write(depth, f"{to.slot(selection.values)}.append({x})")
            to.write(depth, f"{to.slot(selection.made)}.append({made})")

    def _got(self, to: _Function, field: FieldPlan, x: str) -> str:
        if field.path:
            return f"{x}.{field.path}"
        if field.declaration is None:
            raise UnplannableError
        return self._call(to, field.declaration.function, x, field)

    def _call(self, to: _Function, function: Callable[..., Any], x: str, field: FieldPlan) -> str:
        """Write the call of a field's function for `x`."""
        given = [x]
        if field.asked >= 0:
            given.append(to.slot(field.asked))
        given += [to.slot(number) for number in field.arguments]
        return f"{self._constant(function)}({', '.join(given)})"


def _name(function: _Function) -> str:
    return function.head.removeprefix("def ").partition("(")[0]


def _shows_names(kind: Any) -> bool:
    """Tell whether an enum of the schema shows its members by their Python names."""
    if not isinstance(kind, GraphQLEnumType):
        return False
    members: Any = getattr(kind, "wrapped_cls", ())
    return (
        isinstance(members, type)
        and issubclass(members, Enum)
        and all(kind.coerce_output_value(member) == member.name for member in members)
    )
