"""Write a plan's functions: Python that reads attributes and builds the answer.

Why generated code, and why it is safe: docs/decisions/0003. Names from a document stand in it only
as literals (`repr`); all else are numbers and attribute paths of our own declarations.

Where one object stands, it is made field by field; the rows of lists, and all objects of a level
that is read, by column: each field for all of them at once (`columns`).

Generated code checks every value and raises on the first that is not as the schema says; nothing
is told of the place. The caller then makes the same objects again by `careful`, which is slow and
knows the place of each error.
"""

from collections.abc import Callable, Collection, Mapping
from itertools import chain, repeat
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    is_leaf_type,
)

from resolvers.execution import codegen_runtime as runtime
from resolvers.execution.codegen_runtime import leaf, leaves
from resolvers.execution.planner import FieldPlan, Plan, SelectionPlan, UnplannableError
from resolvers.field_declarations import Shortcut
from resolvers.field_permissions import STRAWBERRY

PLAIN = {
    GraphQLString: "type({0}) is not str",
    GraphQLID: "type({0}) is not str",
    GraphQLInt: "(type({0}) is not int or not -2147483648 <= {0} <= 2147483647)",
    GraphQLBoolean: "{0} is not True and {0} is not False",
}
"""Of the scalars that mostly are what is sent: when they are not."""

ALWAYS = {
    "UnexpectedNull": runtime.UnexpectedNullError,
    "flat": chain.from_iterable,
    "repeat": repeat,
    "in_batches": runtime.in_batches,
    "parted": runtime.parted,
    "present": runtime.present,
    "scattered": runtime.scattered,
    "objects": runtime.objects,
    "one_each": runtime.one_each,
}
"""What generated code calls by name."""


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


class CodeGenerator:
    """Writes all functions of a plan."""

    def __init__(self, plan: Plan) -> None:
        """Write for this plan."""
        self._plan = plan
        self._names: dict[str, Any] = dict(ALWAYS)
        self._done: list[_Function] = []
        self._count = 0

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
                if selection is self._plan.root:
                    function.write(0, "for x, made in zip(answers, objects):")
                    value = self._value(function, field.type, "x", field, 1)
                else:
                    value = self._column(function, field.type, "answers", field, 0)
                    function.write(0, f"for x, made in zip({value}, objects):")
                    value = "x"
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

    # One value.

    def _value(
        self, to: _Function, kind: GraphQLOutputType, x: str, field: FieldPlan, depth: int
    ) -> str:
        """Write what makes a value of this kind of `x`; return the variable that has it."""
        is_nullable, inner = _parts(kind)
        if is_leaf_type(inner):
            self._leaf(to, inner, x, depth, is_nullable=is_nullable)
            return x
        made = self._variable()
        if is_nullable:
            to.write(depth, f"if {x} is None: {made} = None")
            to.write(depth, "else:")
            depth += 1
        else:
            to.write(depth, f"if {x} is None: raise UnexpectedNull")
        if isinstance(inner, GraphQLList):
            to.write(depth, f"[{made}] = in_batches({self._lists(inner, field)}, ({x},), r)")
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
        enum = runtime.names_of(kind)
        if enum is not None:
            to.write(depth, f"if type({x}) is {self._constant(enum)}: {x} = {x}._name_")
            to.write(depth, f"elif {present}: {x} = {coerce}({x})")
            return
        to.write(depth, f"if {present}: {x} = {coerce}({x})")

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
        if _has_no_attributes(selection) and x != "None":
            # An error may stand for an object; where attributes are read it has none of them.
            to.write(depth, f"if isinstance({x}, Exception): raise {x}")
        parts = []
        for field in selection.fields:
            if field.name == "__typename":
                value = repr(selection.type.name)
            elif field.is_read:
                value = "None"
            else:
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
        if field.info_slot >= 0:
            given.append(to.slot(field.info_slot))
        given += [to.slot(number) for number in field.arguments]
        return f"{self._constant(function)}({', '.join(given)})"

    # Columns.

    def _column(
        self, to: _Function, kind: GraphQLOutputType, xs: str, field: FieldPlan, depth: int
    ) -> str:
        """Write what makes the values `xs` of this kind; return the variable of their list."""
        is_nullable, inner = _parts(kind)
        if is_leaf_type(inner):
            complete = self._constant(leaves(inner, is_nullable=is_nullable))
            enum = runtime.names_of(inner)
            if enum is None:
                return self._let(to, depth, f"{complete}({xs})")
            are_members = self._constant(frozenset({enum}).issuperset)
            names = f"[x._name_ for x in {xs}] if {are_members}(map(type, {xs}))"
            return self._let(to, depth, f"{names} else {complete}({xs})")
        there = self._let(to, depth, f"present({xs})") if is_nullable else xs
        if isinstance(inner, GraphQLList):
            made = f"in_batches({self._lists(inner, field)}, {there}, r)"
        elif isinstance(inner, GraphQLObjectType):
            made = self._objects(to, field.selections[inner], there, depth)
        else:
            if not is_nullable:
                to.write(depth, f"if None in {xs}: raise UnexpectedNull")
            made = f"[{self._abstract(field)}(x, r) for x in {there}]"
        if is_nullable:
            made = self._let(to, depth, made)
            made = f"{made} if {there} is {xs} else scattered({made}, {xs})"
        return self._let(to, depth, made)

    def _let(self, to: _Function, depth: int, value: str) -> str:
        if value.isidentifier():
            return value
        made = self._variable()
        to.write(depth, f"{made} = {value}")
        return made

    def _lists(self, kind: GraphQLList[Any], field: FieldPlan) -> str:
        """Write a function that makes lists of lists; return its name."""
        function = self._function("lists, r")
        function.write(0, "xs = lists[0] if len(lists) == 1 else [*flat(lists)]")
        made = self._column(function, kind.of_type, "xs", field, 0)
        function.write(0, f"return parted({made}, lists)")
        return _name(function)

    def _objects(self, to: _Function, selection: SelectionPlan, xs: str, depth: int) -> str:
        """Write what makes the objects of the values `xs`; return the variable of their list."""
        if selection.waits or not _are_few(selection.type):
            return self._rows(to, selection, xs, depth)
        few = self._let(to, depth, f"dict.fromkeys({xs})")
        rows = self._rows(to, selection, self._let(to, depth, f"[*{few}]"), depth)
        rows = self._let(to, depth, f"dict(zip({few}, {rows}))")
        return self._let(to, depth, f"[*map({rows}.__getitem__, {xs})]")

    def _rows(self, to: _Function, selection: SelectionPlan, xs: str, depth: int) -> str:
        if _has_no_attributes(selection):
            to.write(depth, f"objects({xs})")
        got = {
            field: self._column(to, field.type, self._all(to, field, xs, depth), field, depth)
            for field in selection.fields
            if field.name != "__typename" and not field.is_read
        }
        made = self._variable()
        if not selection.reads:
            to.write(depth, f"{made} = {self._made(selection, got, xs)}")
            return made
        known = _known(selection)
        if known:
            tests = dict.fromkeys(told.of_all for told in known.values())
            suffices = " and ".join(f"{self._constant(test)}({xs})" for test in tests)
            to.write(depth, f"if {suffices}:")
            depth += 1
            told = {
                field: self._column(to, field.type, self._told(to, each, xs, depth), field, depth)
                for field, each in known.items()
            }
            to.write(depth, f"{made} = {self._made(selection, got | told, xs)}")
            to.write(depth - 1, "else:")
        to.write(depth, f"{made} = {self._made(selection, got, xs)}")
        to.write(depth, f"{to.slot(selection.values)}.extend({xs})")
        to.write(depth, f"{to.slot(selection.made)}.extend({made})")
        return made

    def _all(self, to: _Function, field: FieldPlan, xs: str, depth: int) -> str:
        """Write what gets a field of all the values `xs`; return the variable that has them."""
        if field.path:
            return self._let(to, depth, f"[x.{field.path} for x in {xs}]")
        if field.declaration is None:
            raise UnplannableError
        if field.declaration.many is None:
            call = self._call(to, field.declaration.function, "x", field)
            return self._let(to, depth, f"[{call} for x in {xs}]")
        call = self._call(to, field.declaration.many, xs, field)
        return self._let(to, depth, f"one_each({call}, {xs})")

    def _told(self, to: _Function, told: Shortcut, xs: str, depth: int) -> str:
        if told.path:
            return self._let(to, depth, f"[x.{told.path} for x in {xs}]")
        return self._let(to, depth, f"[*map({self._constant(told.function)}, {xs})]")

    def _made(self, selection: SelectionPlan, got: Mapping[FieldPlan, str], xs: str) -> str:
        """Write the rows of their columns: structs where nothing is put into them later."""
        is_whole = all(field in got for field in selection.reads)
        if got and is_whole and not any(each.waits for field in got for each in _below(field)):
            row = self._constant(runtime.row_of(tuple(field.key for field in selection.fields)))
            typename = f"repeat({selection.type.name!r}, len({xs}))"
            return f"[*map({row}, {', '.join(got.get(f, typename) for f in selection.fields)})]"
        names = {field: f"a{number}" for number, field in enumerate(got)}
        parts = []
        for field in selection.fields:
            other = repr(selection.type.name) if field.name == "__typename" else "None"
            parts.append(f"{field.key!r}: {names.get(field, other)}")
        rows = f"zip({', '.join(got.values())})" if got else xs
        row = ", ".join([*names.values(), ""]) or "_"
        return f"[{{{', '.join(parts)}}} for {row} in {rows}]"


def _name(function: _Function) -> str:
    return function.head.removeprefix("def ").partition("(")[0]


def _parts(kind: Any) -> tuple[bool, Any]:
    """Return whether a type may be null, and the type without that."""
    return (False, kind.of_type) if isinstance(kind, GraphQLNonNull) else (True, kind)


def _below(field: FieldPlan) -> Collection[SelectionPlan]:
    return field.selections.values()


def _has_no_attributes(selection: SelectionPlan) -> bool:
    return not any(field.path for field in selection.fields)


def _known(selection: SelectionPlan) -> Mapping[FieldPlan, Shortcut]:
    """Return how each read of a selection may be told by the values; empty if one never is."""
    found = {
        field: field.declaration.shortcut
        for field in selection.reads
        if field.declaration and field.declaration.shortcut and not field.below
    }
    return found if len(found) == len(selection.reads) else {}


def _are_few(kind: GraphQLObjectType) -> bool:
    """Tell whether values of a type are compared by identity: one may stand for many rows."""
    try:
        shown: Any = class_of(kind)
    except (AttributeError, KeyError):  # it shows no value but itself
        return False
    return isinstance(shown, type) and getattr(shown, "__eq__", None) is object.__eq__
