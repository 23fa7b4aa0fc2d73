"""Declarations of fields: one declaration serves both executors.

An object type shows one domain value (it is a `View` of it), and its fields are declared by what
they do with that value. graphql-core calls a resolver that is created from the declaration here;
the compiled executor (`resolvers.execution`) uses the declaration itself, without views.

Parameters of a function after the value and `info` become arguments of the field. `requirement`
overrides the requirement of the type.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple, Self

import strawberry
from aiodataloader import DataLoader
from graphql import GraphQLNonNull, GraphQLOutputType, get_named_type
from strawberry.types import Info
from strawberry.types.union import StrawberryUnion

from gateway.context import RequestContext
from gateway.domain.lazy_rows import is_lazy
from gateway.errors import Unsupported
from resolvers.field_permissions import Requirement, permission_metadata
from resolvers.lookahead import FieldInfo
from resolvers.schema_directives import NULL_ONLY_ON_ERROR

DECLARATION = "resolvers.field_declarations"
"""The key of a declaration in a Strawberry field's metadata."""


class ResolverKind(Enum):
    """How a field gets its value."""

    ATTRIBUTE = "attribute"
    COMPUTED = "computed"
    READ = "read"
    READ_ALL = "read_all"


class Shortcut(NamedTuple):
    """How a field is computed without a read, if the values already have what it needs."""

    of_all: Callable[[Sequence[Any]], bool]
    """Return whether all of these values have it."""
    path: str
    """The attribute path; empty if the function computes the value."""
    function: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Declaration:
    """How one field gets its value from a domain value."""

    kind: ResolverKind
    path: str
    function: Callable[..., Any]
    takes_info: bool
    parameters: Sequence[inspect.Parameter]
    """Its arguments: the function's parameters after the value and `info`."""
    many: Callable[..., Sequence[Any]] | None = None
    """Compute the field for many values at once, in order, with the function's other arguments."""
    shortcut: Shortcut | None = None
    """For a field that is read: how to get it without a read."""


class View:
    """The base class of object types with declared fields: a view of one domain value."""

    value: Any

    def __init__(self, *, value: Any) -> None:
        """Wrap a value; Strawberry generates this for each type."""

    @classmethod
    def of(cls, value: Any) -> Self:
        """Wrap a domain value; the only way from the domain to the schema."""
        return cls(value=value)


def attribute(
    path: str,
    description: str,
    requirement: Requirement | None = None,
    *,
    null_only_on_error: bool = False,
) -> Any:
    """Declare a field that is an attribute of the value; the path may be dotted: `ref.key`.

    `null_only_on_error`: it is nullable, but no value is null (`@semanticNonNull`).
    """
    if not all(part.isidentifier() for part in path.split(".")):
        raise ValueError(path)
    declaration = Declaration(ResolverKind.ATTRIBUTE, path, attrgetter(path), False, ())  # noqa: FBT003  # it takes no `info`
    return _field(declaration, description, requirement, null_only_on_error=null_only_on_error)


def computed(
    function: Callable[..., Any],
    description: str,
    requirement: Requirement | None = None,
    many: Callable[..., Sequence[Any]] | None = None,
    deprecated: str | None = None,
    *,
    name: str | None = None,
    null_only_on_error: bool = False,
) -> Any:
    """Declare a field by a function of the value: `(value[, info, …]) -> value`. No I/O.

    `many` computes the same for many values at once, in order. `deprecated` says what to use.
    `name` and `null_only_on_error`: as in `read`.
    """
    declaration = replace(_declared(ResolverKind.COMPUTED, function), many=many)
    return _field(
        declaration,
        description,
        requirement,
        deprecated,
        name,
        null_only_on_error=null_only_on_error,
    )


def computed_all(
    many: Callable[..., Any], description: str, requirement: Requirement | None = None
) -> Any:
    """Declare a field that is computed for many values at once. No I/O.

    `(values, info, …) -> Sequence[value]`: one per value, in order, independent of each other.
    """

    def function(value: Any, *args: Any, **arguments: Any) -> Any:
        return many((value,), *args, **arguments)[0]

    declaration = replace(_declared(ResolverKind.COMPUTED, many), function=function, many=many)
    return _field(declaration, description, requirement)


def read(
    function: Callable[..., Any],
    description: str,
    requirement: Requirement | None = None,
    *,
    name: str | None = None,
    null_only_on_error: bool = False,
) -> Any:
    """Declare a field that is read for each value: `async (value, info, …) -> value`.

    Use `read_all` for a function that can read for many values at once. `name`: the field's name
    in the schema, if it does not follow from that of the attribute. `null_only_on_error`: the
    function returns no null, and raises no `Unsupported` below the root (`@semanticNonNull`).
    """
    return _field(
        _declared(ResolverKind.READ, function),
        description,
        requirement,
        name=name,
        null_only_on_error=null_only_on_error,
    )


def read_all(
    function: Callable[..., Any],
    description: str,
    requirement: Requirement | None = None,
    shortcut: Shortcut | None = None,
    *,
    null_only_on_error: bool = False,
) -> Any:
    """Declare a field that is read for all values of a level at once.

    `async (values, info, …) -> Sequence[value | Exception]`: one result per value, in order.
    `shortcut` gives the same results without a read, if the values have them.
    `null_only_on_error`: as in `read`, of each result.
    """
    return _field(
        replace(_declared(ResolverKind.READ_ALL, function), shortcut=shortcut),
        description,
        requirement,
        null_only_on_error=null_only_on_error,
    )


def _declared(kind: ResolverKind, function: Callable[..., Any]) -> Declaration:
    parameters = list(inspect.signature(function).parameters.values())
    takes_info = len(parameters) > 1 and parameters[1].name == "info"
    return Declaration(kind, "", function, takes_info, parameters[1 + takes_info :])


def _field(
    declaration: Declaration,
    description: str,
    requirement: Requirement | None,
    deprecated: str | None = None,
    name: str | None = None,
    *,
    null_only_on_error: bool = False,
) -> Any:
    return strawberry.field(
        name=name,
        resolver=_resolver(declaration),
        description=description,
        deprecation_reason=deprecated,
        directives=[NULL_ONLY_ON_ERROR] if null_only_on_error else (),
        metadata={DECLARATION: declaration, **permission_metadata(requirement)},
    )


def _resolver(declaration: Declaration) -> Callable[..., Any]:
    """Return the resolver for graphql-core, with the signature that Strawberry reads."""
    function, takes_info = declaration.function, declaration.takes_info

    def compute(self: Any, info: Info[RequestContext, Any], **arguments: Any) -> Any:
        field_info = (FieldInfo.of(info),) if takes_info else ()
        return wrap(info, function(_value(self), *field_info, **arguments))

    async def read_one(self: Any, info: Info[RequestContext, Any], **arguments: Any) -> Any:
        try:
            return wrap(info, await function(_value(self), FieldInfo.of(info), **arguments))
        except Unsupported:
            return _unsupported(info)

    async def read_many(self: Any, info: Info[RequestContext, Any], **arguments: Any) -> Any:
        # The same field nodes have the same arguments, wherever they occur in the response.
        nodes = tuple(id(node) for node in info._raw_info.field_nodes)  # noqa: SLF001  # as in lookahead.py
        loader = info.context.batches.get(nodes)
        if loader is None:
            field_info = FieldInfo.of(info)

            async def batch(values: list[Any]) -> list[Any]:
                return list(await function(values, field_info, **arguments))

            loader = info.context.batches[nodes] = DataLoader(batch, cache=False)
        try:
            return wrap(info, await loader.load(_value(self)))
        except Unsupported:
            return _unsupported(info)

    resolver: Callable[..., Any] = {
        ResolverKind.READ: read_one,
        ResolverKind.READ_ALL: read_many,
    }.get(declaration.kind, compute)
    fixed = list(inspect.signature(resolver).parameters.values())[:2]
    named = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in declaration.parameters]
    resolver.__signature__ = inspect.Signature([*fixed, *named])  # type: ignore[attr-defined]  # functions take attributes
    resolver.__module__ = getattr(function, "__module__", None) or __name__
    return resolver


def is_null_if_unsupported(kind: GraphQLOutputType, is_root: bool) -> bool:  # noqa: FBT001  # both are positional
    """Return whether a field of this type is null if the provider does not support it.

    A provider without a capability has not failed: `capabilities` says so in advance, and an error
    could cost clients the rest of their data. At the root it is an error: there the caller chose
    the provider.
    """
    return not is_root and not isinstance(kind, GraphQLNonNull)


def _unsupported(info: Info[RequestContext, Any]) -> None:
    """Return null for an unsupported field, or raise the error again: call it from `except`."""
    raw = info._raw_info  # noqa: SLF001  # as in lookahead.py
    if not is_null_if_unsupported(raw.return_type, raw.parent_type is raw.schema.query_type):
        raise  # noqa: PLE0704  # as the docstring says


def _value(view: Any) -> Any:
    return view.value if isinstance(view, View) else view


def wrap(info: Info[RequestContext, Any], value: Any) -> Any:
    """Wrap a value, or the values of a list at any depth, in the view of the field's type."""
    kind: GraphQLOutputType = info._raw_info.return_type  # noqa: SLF001  # as in lookahead.py
    definition = get_named_type(kind).extensions.get("strawberry-definition")
    if isinstance(definition, StrawberryUnion):
        return _wrap(partial(_of_union, definition.types), value)
    view = getattr(definition, "origin", None)
    if isinstance(view, type) and issubclass(view, View):
        return _wrap(view.of, value)
    return value


def value_class(view: type) -> type:
    """Return the class of the values that a view shows."""
    shown: type = view.__annotations__["value"].__origin__
    return shown


def _of_union(views: Sequence[Any], value: Any) -> View:
    """Wrap a value in the view of a union that shows its class."""
    view: View = next(each.of(value) for each in views if isinstance(value, value_class(each)))
    return view


def _wrap(of: Callable[[Any], View], value: Any) -> Any:
    if value is None or isinstance(value, (View, Exception)):
        return value
    # Domain values may be named tuples: only plain lists and tuples are lists of the schema.
    if type(value) in {list, tuple} or is_lazy(value):
        return [_wrap(of, each) for each in value]
    return of(value)
