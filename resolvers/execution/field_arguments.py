"""Arguments of fields, as the functions of declared fields take them."""

import inspect
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    GraphQLBoolean,
    GraphQLField,
    GraphQLID,
    GraphQLInputType,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    ListValueNode,
    NameNode,
    ObjectValueNode,
    ValueNode,
    VariableNode,
    get_argument_values,
    get_nullable_type,
    is_required_argument,
)
from strawberry.types.arguments import convert_arguments

from resolvers.field_declarations import DECLARATION

STRAWBERRY = "strawberry-definition"
"""The key of Strawberry's definitions in graphql-core's `extensions`."""

PLAIN = frozenset({GraphQLID, GraphQLString, GraphQLInt, GraphQLBoolean})
"""Argument types whose values Strawberry passes on as graphql-core coerces them."""


class Parameter(NamedTuple):
    """A parameter of a field's function."""

    name: str
    """Its argument's."""
    type: GraphQLInputType
    is_plain: bool
    default: Any
    """Its value without the argument; `inspect.Parameter.empty` if it is required."""


@lru_cache(maxsize=4096)  # more than a schema has fields
def parameters_of(
    schema: GraphQLSchema, parent: GraphQLObjectType, name: str
) -> Sequence[Parameter]:
    """Return the parameters of a field's function, in its order."""
    field: Any = schema.get_field(parent, name)
    strawberry_field = field.extensions[STRAWBERRY]
    strawberry_schema = schema.extensions[STRAWBERRY]
    name_of = strawberry_schema.config.name_converter.from_argument
    names = {each.python_name: name_of(each) for each in strawberry_field.arguments}
    optional = {key: each for key, each in field.args.items() if not is_required_argument(each)}
    defaults = converted(
        schema,
        field,
        get_argument_values(
            GraphQLField(field.type, optional), FieldNode(name=NameNode(value=name))
        ),
    )
    parameters = []
    for each in strawberry_field.metadata[DECLARATION].parameters:
        argument = field.args[names[each.name]]
        default = inspect.Parameter.empty
        if not is_required_argument(argument):
            default = defaults.get(each.name, each.default)
        is_plain = get_nullable_type(argument.type) in PLAIN
        parameters.append(Parameter(names[each.name], argument.type, is_plain, default))
    return parameters


def converted(
    schema: GraphQLSchema, field: GraphQLField, given: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the arguments that Strawberry passes to a resolver, by their names in Python."""
    strawberry_schema = schema.extensions[STRAWBERRY]
    return convert_arguments(
        dict(given),
        field.extensions[STRAWBERRY].arguments,
        scalar_registry=strawberry_schema.schema_converter.scalar_registry,
        config=strawberry_schema.config,
    )


def has_variable(node: FieldNode) -> bool:
    """Return whether an argument of a field contains a variable."""
    return any(varies(argument.value) for argument in node.arguments or ())


def varies(value: ValueNode) -> bool:
    """Return whether a literal contains a variable."""
    if isinstance(value, ListValueNode):
        return any(map(varies, value.values))
    if isinstance(value, ObjectValueNode):
        return any(varies(each.value) for each in value.fields)
    return isinstance(value, VariableNode)
