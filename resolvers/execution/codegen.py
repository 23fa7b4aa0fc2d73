"""Generate the Python functions of a plan: they read attributes and build the response.

Why code is generated, and why that is safe: docs/decisions/0003. Names from a document appear in
it only as literals (`repr`); everything else is numbers and attribute paths of our own
declarations.

A single object is built field by field. The rows of lists, and all objects of one level, are built
by column: one field for all objects at once.

Generated code checks every value and raises on the first that does not match the schema, without
its path. The caller then builds the same objects again by `SlowPathCompletion`, which is slower
and knows the path of each error.
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
from resolvers.execution.codegen_runtime import class_of, column_serializer, selector, serializer
from resolvers.execution.planner import FieldPlan, Plan, SelectionPlan, UnplannableError
from resolvers.field_declarations import Shortcut

PLAIN = {
    GraphQLString: "type({0}) is not str",
    GraphQLID: "type({0}) is not str",
    GraphQLInt: "(type({0}) is not int or not -2147483648 <= {0} <= 2147483647)",
    GraphQLBoolean: "{0} is not True and {0} is not False",
}
"""For scalars whose values mostly need no serializing: the condition under which they do."""

GLOBALS = {
    "UnexpectedNull": runtime.UnexpectedNullError,
    "flat": chain.from_iterable,
    "repeat": repeat,
    "in_batches": runtime.in_batches,
    "split": runtime.split,
    "non_null": runtime.non_null,
    "scatter": runtime.scatter,
    "check_objects": runtime.check_objects,
    "check_length": runtime.check_length,
}
"""The globals of generated code."""


class _Function:
    """One generated function."""

    def __init__(self, head: str) -> None:
        self.head = head
        self.lines: list[str] = []
        self.slots: dict[int, str] = {}

    def slot(self, number: int) -> str:
        """Return the local variable of a slot."""
        return self.slots.setdefault(number, f"s{number}")

    def write(self, depth: int, line: str) -> None:
        """Add a line."""
        self.lines.append(" " * (depth + 1) + line)

    def source(self) -> str:
        """Return the source of the function."""
        slots = [f" {name} = r[{number}]" for number, name in self.slots.items()]
        return "\n".join([self.head, *slots, *self.lines])


class CodeGenerator:
    """Generates all functions of a plan."""

    def __init__(self, plan: Plan) -> None:
        """Generate code for this plan."""
        self._plan = plan
        self._names: dict[str, Any] = dict(GLOBALS)
        self._functions: list[_Function] = []
        self._count = 0

    def write(self) -> None:
        """Set the functions of the plan and its fields. Raises `UnplannableError`."""
        start = self._function("r")
        self._object(start, self._plan.root, "None", "result", 0)
        start.write(0, "return result")
        reads: list[tuple[FieldPlan, _Function]] = []
        self._read_fields(self._plan.below, reads)
        try:
            source = "\n".join(each.source() for each in self._functions)
            exec(compile(source, "<plan>", "exec"), self._names)  # noqa: S102  # decision 0003
        except (SyntaxError, MemoryError, RecursionError) as error:
            raise UnplannableError from error
        self._plan.start = self._names[_name(start)]
        for field, function in reads:
            field.complete = self._names[_name(function)]

    def _read_fields(
        self, below: list[SelectionPlan], reads: list[tuple[FieldPlan, _Function]]
    ) -> None:
        for selection in below:
            for field in selection.reads:
                function = self._function("results, objects, r")
                if selection is self._plan.root:
                    function.write(0, "for x, parent in zip(results, objects):")
                    value = self._value(function, field.type, "x", field, 1)
                else:
                    value = self._column(function, field.type, "results", field, 0)
                    function.write(0, f"for x, parent in zip({value}, objects):")
                    value = "x"
                function.write(1, f"parent[{field.key!r}] = {value}")
                reads.append((field, function))
                self._read_fields(field.below, reads)

    def _function(self, parameters: str) -> _Function:
        self._count += 1
        function = _Function(f"def f{self._count}({parameters}):")
        self._functions.append(function)
        return function

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
        """Write the completion of `x` as this type; return the variable of the result."""
        is_nullable, inner = _parts(kind)
        if is_leaf_type(inner):
            self._leaf(to, inner, x, depth, is_nullable=is_nullable)
            return x
        result = self._variable()
        if is_nullable:
            to.write(depth, f"if {x} is None: {result} = None")
            to.write(depth, "else:")
            depth += 1
        else:
            to.write(depth, f"if {x} is None: raise UnexpectedNull")
        if isinstance(inner, GraphQLList):
            to.write(depth, f"[{result}] = in_batches({self._lists(inner, field)}, ({x},), r)")
        elif isinstance(inner, GraphQLObjectType):
            self._object(to, field.selections[inner], x, result, depth)
        else:
            to.write(depth, f"{result} = {self._abstract(field)}({x}, r)")
        return result

    def _leaf(self, to: _Function, kind: Any, x: str, depth: int, *, is_nullable: bool) -> None:
        serialize = self._constant(serializer(kind))
        is_present = f"{x} is not None" if is_nullable else "True"
        if kind in PLAIN:
            to.write(depth, f"if {PLAIN[kind].format(x)}:")
            to.write(depth + 1, f"if {is_present}: {x} = {serialize}({x})")
            return
        enum = runtime.names_of(kind)
        if enum is not None:
            to.write(depth, f"if type({x}) is {self._constant(enum)}: {x} = {x}._name_")
            to.write(depth, f"elif {is_present}: {x} = {serialize}({x})")
            return
        to.write(depth, f"if {is_present}: {x} = {serialize}({x})")

    def _abstract(self, field: FieldPlan) -> str:
        one = {}
        for selection in field.selections.values():
            function = self._function("x, r")
            self._object(function, selection, "x", "result", 0)
            function.write(
                0, f"{function.slot(self._plan.kinds)}[id(result)] = {self._constant(selection)}"
            )
            function.write(0, "return result")
            one[id(selection)] = function
        function = self._function("x, r")
        select = self._constant(selector(field))
        function.write(0, f"selection = {select}(x)")
        for selection in field.selections.values():
            constant = self._constant(selection)
            function.write(
                0, f"if selection is {constant}: return {_name(one[id(selection)])}(x, r)"
            )
        return _name(function)

    def _object(
        self, to: _Function, selection: SelectionPlan, x: str, result: str, depth: int
    ) -> None:
        if _has_no_attributes(selection) and x != "None":
            # An error may be in place of an object; reading an attribute of it would raise anyway.
            to.write(depth, f"if isinstance({x}, Exception): raise {x}")
        parts = []
        for field in selection.fields:
            if field.name == "__typename":
                value = repr(selection.type.name)
            elif field.is_read:
                value = "None"
            else:
                variable = self._variable()
                to.write(depth, f"{variable} = {self._get(to, field, x)}")
                value = self._value(to, field.type, variable, field, depth)
            parts.append(f"{field.key!r}: {value}")
        to.write(depth, f"{result} = {{{', '.join(parts)}}}")
        if selection.reads:
            to.write(depth, f"{to.slot(selection.values)}.append({x})")
            to.write(depth, f"{to.slot(selection.objects)}.append({result})")

    def _get(self, to: _Function, field: FieldPlan, x: str) -> str:
        if field.path:
            return f"{x}.{field.path}"
        if field.declaration is None:
            raise UnplannableError
        return self._call(to, field.declaration.function, x, field)

    def _call(self, to: _Function, function: Callable[..., Any], x: str, field: FieldPlan) -> str:
        """Write the call of a field's function for `x`."""
        arguments = [x]
        if field.info_slot >= 0:
            arguments.append(to.slot(field.info_slot))
        arguments += [to.slot(number) for number in field.arguments]
        return f"{self._constant(function)}({', '.join(arguments)})"

    # Columns.

    def _column(
        self, to: _Function, kind: GraphQLOutputType, xs: str, field: FieldPlan, depth: int
    ) -> str:
        """Write the completion of the values `xs` as this type; return their variable."""
        is_nullable, inner = _parts(kind)
        if is_leaf_type(inner):
            complete = self._constant(column_serializer(inner, is_nullable=is_nullable))
            enum = runtime.names_of(inner)
            if enum is None:
                return self._let(to, depth, f"{complete}({xs})")
            are_members = self._constant(frozenset({enum}).issuperset)
            names = f"[x._name_ for x in {xs}] if {are_members}(map(type, {xs}))"
            return self._let(to, depth, f"{names} else {complete}({xs})")
        non_null = self._let(to, depth, f"non_null({xs})") if is_nullable else xs
        if isinstance(inner, GraphQLList):
            result = f"in_batches({self._lists(inner, field)}, {non_null}, r)"
        elif isinstance(inner, GraphQLObjectType):
            result = self._objects(to, field.selections[inner], non_null, depth)
        else:
            if not is_nullable:
                to.write(depth, f"if None in {xs}: raise UnexpectedNull")
            result = f"[{self._abstract(field)}(x, r) for x in {non_null}]"
        if is_nullable:
            result = self._let(to, depth, result)
            result = f"{result} if {non_null} is {xs} else scatter({result}, {xs})"
        return self._let(to, depth, result)

    def _let(self, to: _Function, depth: int, value: str) -> str:
        if value.isidentifier():
            return value
        result = self._variable()
        to.write(depth, f"{result} = {value}")
        return result

    def _lists(self, kind: GraphQLList[Any], field: FieldPlan) -> str:
        """Write a function that completes several lists at once; return its name."""
        function = self._function("lists, r")
        function.write(0, "xs = lists[0] if len(lists) == 1 else [*flat(lists)]")
        result = self._column(function, kind.of_type, "xs", field, 0)
        function.write(0, f"return split({result}, lists)")
        return _name(function)

    def _objects(self, to: _Function, selection: SelectionPlan, xs: str, depth: int) -> str:
        """Write the objects of the values `xs`; return the variable of their list."""
        if selection.waits or not _is_shared(selection.type):
            return self._rows(to, selection, xs, depth)
        distinct = self._let(to, depth, f"dict.fromkeys({xs})")
        rows = self._rows(to, selection, self._let(to, depth, f"[*{distinct}]"), depth)
        rows = self._let(to, depth, f"dict(zip({distinct}, {rows}))")
        return self._let(to, depth, f"[*map({rows}.__getitem__, {xs})]")

    def _rows(self, to: _Function, selection: SelectionPlan, xs: str, depth: int) -> str:
        if _has_no_attributes(selection):
            to.write(depth, f"check_objects({xs})")
        columns = {
            field: self._column(
                to, field.type, self._field_column(to, field, xs, depth), field, depth
            )
            for field in selection.fields
            if field.name != "__typename" and not field.is_read
        }
        result = self._variable()
        if not selection.reads:
            to.write(depth, f"{result} = {self._zip_rows(selection, columns, xs)}")
            return result
        shortcuts = _shortcuts(selection)
        if shortcuts:
            tests = dict.fromkeys(each.of_all for each in shortcuts.values())
            suffices = " and ".join(f"{self._constant(test)}({xs})" for test in tests)
            to.write(depth, f"if {suffices}:")
            depth += 1
            known = {
                field: self._column(
                    to, field.type, self._shortcut_column(to, each, xs, depth), field, depth
                )
                for field, each in shortcuts.items()
            }
            to.write(depth, f"{result} = {self._zip_rows(selection, columns | known, xs)}")
            to.write(depth - 1, "else:")
        to.write(depth, f"{result} = {self._zip_rows(selection, columns, xs)}")
        to.write(depth, f"{to.slot(selection.values)}.extend({xs})")
        to.write(depth, f"{to.slot(selection.objects)}.extend({result})")
        return result

    def _field_column(self, to: _Function, field: FieldPlan, xs: str, depth: int) -> str:
        """Write one field of all the values `xs`; return the variable of the column."""
        if field.path:
            return self._let(to, depth, f"[x.{field.path} for x in {xs}]")
        if field.declaration is None:
            raise UnplannableError
        if field.declaration.many is None:
            call = self._call(to, field.declaration.function, "x", field)
            return self._let(to, depth, f"[{call} for x in {xs}]")
        call = self._call(to, field.declaration.many, xs, field)
        return self._let(to, depth, f"check_length({call}, {xs})")

    def _shortcut_column(self, to: _Function, shortcut: Shortcut, xs: str, depth: int) -> str:
        if shortcut.path:
            return self._let(to, depth, f"[x.{shortcut.path} for x in {xs}]")
        return self._let(to, depth, f"[*map({self._constant(shortcut.function)}, {xs})]")

    def _zip_rows(
        self, selection: SelectionPlan, columns: Mapping[FieldPlan, str], xs: str
    ) -> str:
        """Write the rows of these columns: structs, unless fields are added to them later."""
        is_whole = all(field in columns for field in selection.reads)
        if (
            columns
            and is_whole
            and not any(each.waits for field in columns for each in _below(field))
        ):
            row = self._constant(runtime.row_of(tuple(field.key for field in selection.fields)))
            typename = f"repeat({selection.type.name!r}, len({xs}))"
            return (
                f"[*map({row}, {', '.join(columns.get(f, typename) for f in selection.fields)})]"
            )
        names = {field: f"a{number}" for number, field in enumerate(columns)}
        parts = []
        for field in selection.fields:
            other = repr(selection.type.name) if field.name == "__typename" else "None"
            parts.append(f"{field.key!r}: {names.get(field, other)}")
        rows = f"zip({', '.join(columns.values())})" if columns else xs
        row = ", ".join([*names.values(), ""]) or "_"
        return f"[{{{', '.join(parts)}}} for {row} in {rows}]"


def _name(function: _Function) -> str:
    return function.head.removeprefix("def ").partition("(")[0]


def _parts(kind: Any) -> tuple[bool, Any]:
    """Return whether a type is nullable, and its nullable type."""
    return (False, kind.of_type) if isinstance(kind, GraphQLNonNull) else (True, kind)


def _below(field: FieldPlan) -> Collection[SelectionPlan]:
    return field.selections.values()


def _has_no_attributes(selection: SelectionPlan) -> bool:
    return not any(field.path for field in selection.fields)


def _shortcuts(selection: SelectionPlan) -> Mapping[FieldPlan, Shortcut]:
    """Return the shortcuts of the fields to read; empty unless every one has a shortcut."""
    shortcuts = {
        field: field.declaration.shortcut
        for field in selection.reads
        if field.declaration and field.declaration.shortcut and not field.below
    }
    return shortcuts if len(shortcuts) == len(selection.reads) else {}


def _is_shared(kind: GraphQLObjectType) -> bool:
    """Return whether values of a type compare by identity, so that many rows may share one."""
    try:
        value_type: Any = class_of(kind)
    except (AttributeError, KeyError):  # not a view
        return False
    return isinstance(value_type, type) and getattr(value_type, "__eq__", None) is object.__eq__
