"""How a field gets its value: one declaration for both executors.

An object of the schema shows one value of the domain (a `View`), and its fields are declared by
what they do with that value. graphql-core calls the resolver that is made of a declaration here;
the compiled executor (`resolvers.execution`) reads the declaration itself and needs no views.

Functions that take arguments beyond the value and `info` make them arguments of the field.
`requirement` is what the field needs of its caller, where that is not what its type says.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from operator import attrgetter
from typing import Any, NamedTuple, Self

import strawberry
from aiodataloader import DataLoader
from graphql import GraphQLNonNull, GraphQLOutputType, get_named_type
from strawberry.types import Info

from gateway.context import RequestContext
from gateway.errors import Unsupported
from resolvers.field_permissions import Requirement, declared
from resolvers.lookahead import FieldInfo

DECLARATION = "resolvers.field_declarations"
"""The key of a declaration in a Strawberry field's metadata."""


class ResolverKind(Enum):
    """What a declaration does."""

    ATTRIBUTE = "attribute"
    COMPUTED = "computed"
    READ = "read"
    READ_ALL = "read_all"


class Shortcut(NamedTuple):
    """How a field that is read is got of values that tell it themselves."""

    of_all: Callable[[Sequence[Any]], bool]
    """True if these values all do."""
    path: str
    """The attribute that it is; empty where the function computes it."""
    function: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Declaration:
    """How one field gets its value of a value."""

    kind: ResolverKind
    path: str
    function: Callable[..., Any]
    takes_info: bool
    parameters: Sequence[inspect.Parameter]
    """Its arguments: what the function takes beyond the value and `info`."""
    many: Callable[..., Sequence[Any]] | None = None
    """Computes it for many values at once, in order, given what the function is."""
    shortcut: Shortcut | None = None
    """Of a field that is read: how it is got without reading, if the values suffice."""


class View:
    """Shows one value; every object type with declared fields is one."""

    value: Any

    def __init__(self, *, value: Any) -> None:
        """Show a value; Strawberry makes this anew for each type."""

    @classmethod
    def of(cls, value: Any) -> Self:
        """Show a value: the one crossing from the domain to the schema."""
        return cls(value=value)


def attribute(path: str, description: str, requirement: Requirement | None = None) -> Any:
    """Declare a field that is an attribute of the value, or one of those: `ref.key`."""
    if not all(part.isidentifier() for part in path.split(".")):
        raise ValueError(path)
    declaration = Declaration(ResolverKind.ATTRIBUTE, path, attrgetter(path), False, ())  # noqa: FBT003  # it takes no `info`
    return _field(declaration, description, requirement)


def computed(
    function: Callable[..., Any],
    description: str,
    requirement: Requirement | None = None,
    many: Callable[..., Sequence[Any]] | None = None,
) -> Any:
    """Declare a field by a function of the value: `(value[, info, …]) -> value`. No I/O.

    `many` computes the same for many values at once, in order.
    """
    return _field(
        replace(_declared(ResolverKind.COMPUTED, function), many=many), description, requirement
    )


def computed_all(
    many: Callable[..., Any], description: str, requirement: Requirement | None = None
) -> Any:
    """Declare a field that is computed for many values at once. No I/O.

    `(values, info, …) -> Sequence[value]`: one for each, in order, none depending on another.
    """

    def function(value: Any, *given: Any, **arguments: Any) -> Any:
        return many((value,), *given, **arguments)[0]

    declaration = replace(_declared(ResolverKind.COMPUTED, many), function=function, many=many)
    return _field(declaration, description, requirement)


def read(
    function: Callable[..., Any], description: str, requirement: Requirement | None = None
) -> Any:
    """Declare a field that is read for each value: `async (value, info, …) -> value`.

    Whatever reads for many values at once belongs in `read_all`.
    """
    return _field(_declared(ResolverKind.READ, function), description, requirement)


def read_all(
    function: Callable[..., Any],
    description: str,
    requirement: Requirement | None = None,
    shortcut: Shortcut | None = None,
) -> Any:
    """Declare a field that is read for all values of a level at once.

    `async (values, info, …) -> Sequence[value | Exception]`: one answer for each, in order.
    `shortcut` gives the same answers where the values tell them all themselves.
    """
    return _field(
        replace(_declared(ResolverKind.READ_ALL, function), shortcut=shortcut),
        description,
        requirement,
    )


def _declared(kind: ResolverKind, function: Callable[..., Any]) -> Declaration:
    parameters = list(inspect.signature(function).parameters.values())
    takes_info = len(parameters) > 1 and parameters[1].name == "info"
    return Declaration(kind, "", function, takes_info, parameters[1 + takes_info :])


def _field(declaration: Declaration, description: str, requirement: Requirement | None) -> Any:
    return strawberry.field(
        resolver=_resolver(declaration),
        description=description,
        metadata={DECLARATION: declaration, **declared(requirement)},
    )


def _resolver(declaration: Declaration) -> Callable[..., Any]:
    """Return what graphql-core calls, with the arguments that Strawberry is to see."""
    function, takes_info = declaration.function, declaration.takes_info

    def compute(self: Any, info: Info[RequestContext, Any], **arguments: Any) -> Any:
        field_info = (FieldInfo.of(info),) if takes_info else ()
        return crossed(info, function(_value(self), *field_info, **arguments))

    async def read_one(self: Any, info: Info[RequestContext, Any], **arguments: Any) -> Any:
        try:
            return crossed(info, await function(_value(self), FieldInfo.of(info), **arguments))
        except Unsupported:
            return _lacking(info)

    async def read_many(self: Any, info: Info[RequestContext, Any], **arguments: Any) -> Any:
        # The same mentions of a field have the same arguments, wherever in the answer they stand.
        mentions = tuple(id(node) for node in info._raw_info.field_nodes)  # noqa: SLF001  # as in selection.py
        loader = info.context.batches.get(mentions)
        if loader is None:
            field_info = FieldInfo.of(info)

            async def batch(values: list[Any]) -> list[Any]:
                return list(await function(values, field_info, **arguments))

            loader = info.context.batches[mentions] = DataLoader(batch, cache=False)
        try:
            return crossed(info, await loader.load(_value(self)))
        except Unsupported:
            return _lacking(info)

    made: Callable[..., Any] = {ResolverKind.READ: read_one, ResolverKind.READ_ALL: read_many}.get(
        declaration.kind, compute
    )
    own = list(inspect.signature(made).parameters.values())[:2]
    named = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in declaration.parameters]
    made.__signature__ = inspect.Signature([*own, *named])  # type: ignore[attr-defined]  # functions take attributes
    made.__module__ = getattr(function, "__module__", None) or __name__
    return made


def lacks(kind: GraphQLOutputType, is_root: bool) -> bool:  # noqa: FBT001  # both by place
    """Tell whether a field of this type is null where its provider has no such thing.

    A provider that cannot do something by its nature has not failed: `capabilities` says so in
    advance, and an error would cost clients the rest of their data. At the root it is an error:
    there the caller has chosen the provider.
    """
    return not is_root and not isinstance(kind, GraphQLNonNull)


def _lacking(info: Info[RequestContext, Any]) -> None:
    """Return null for what a provider lacks, or raise what it raised: call it from `except`."""
    raw = info._raw_info  # noqa: SLF001  # as in selection.py
    if not lacks(raw.return_type, raw.parent_type is raw.schema.query_type):
        raise  # noqa: PLE0704  # as the docstring says


def _value(shown: Any) -> Any:
    return shown.value if isinstance(shown, View) else shown


def crossed(info: Info[RequestContext, Any], value: Any) -> Any:
    """Return a value as graphql-core wants it: in the view of the field's type, lists in depth."""
    kind: GraphQLOutputType = info._raw_info.return_type  # noqa: SLF001  # as in selection.py
    definition = get_named_type(kind).extensions.get("strawberry-definition")
    view = getattr(definition, "origin", None)
    if isinstance(view, type) and issubclass(view, View):
        return _shown(view, value)
    return value


def _shown(view: type[View], value: Any) -> Any:
    if value is None or isinstance(value, (View, Exception)):
        return value
    # Values of the domain may be tuples themselves: only lists of the schema are plain ones.
    if type(value) in {list, tuple}:
        return [_shown(view, each) for each in value]
    return view.of(value)
