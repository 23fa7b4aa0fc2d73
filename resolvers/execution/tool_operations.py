"""Show an operation as a tool: its variables become a JSON Schema (2020-12)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from graphql import (
    ArgumentNode,
    DocumentNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLType,
    Node,
    ObjectFieldNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    get_named_type,
    is_required_input_field,
    type_from_ast,
    value_from_ast_untyped,
    visit,
)

from gateway.errors import BadInput

SCALARS: Mapping[str, Mapping[str, Any]] = {
    "Boolean": {"type": "boolean"},
    "DateTime": {"type": "string", "format": "date-time"},
    "Float": {"type": "number"},
    "ID": {"type": "string"},
    "Int": {"type": "integer"},
    "String": {"type": "string"},
}
"""Other scalars may be any JSON."""


class ToolOperation(NamedTuple):
    """An operation, as a tool."""

    name: str
    description: str
    kind: str
    """`query`, `mutation` or `subscription`."""
    input_schema: Mapping[str, Any]


def tool_operation(schema: GraphQLSchema, document: DocumentNode) -> ToolOperation:
    """Return the only operation of a valid document. Raises `BadInput` if it cannot be a tool."""
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    if len(operations) != 1:
        raise BadInput(f"a tool is one operation, not {len(operations)}")
    (operation,) = operations
    if operation.name is None or operation.description is None:
        raise BadInput("the operation of a tool needs a name and a description")
    described = _Descriptions(TypeInfo(schema))
    visit(document, TypeInfoVisitor(described.types, described))
    properties: dict[str, Any] = {}
    required = []
    for each in operation.variable_definitions or ():
        name = each.variable.name.value
        kind = type_from_ast(schema, each.type)
        if kind is None:
            raise TypeError(each)  # the document is not valid
        shown = dict(_schema_of(kind))
        text = described.of.get(name) if each.description is None else each.description.value
        if text:
            shown["description"] = text
        if each.default_value is not None:
            shown["default"] = value_from_ast_untyped(each.default_value)
        elif isinstance(kind, GraphQLNonNull):
            required.append(name)
        properties[name] = shown
    return ToolOperation(
        operation.name.value,
        operation.description.value,
        operation.operation.value,
        _object(properties, required),
    )


def _object(properties: Mapping[str, Any], required: list[str]) -> Mapping[str, Any]:
    of_object: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        of_object["required"] = required
    return {**of_object, "additionalProperties": False}


def _schema_of(kind: GraphQLType, within: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """Return the JSON Schema of an input type; null is left out: an absent value says the same."""
    if isinstance(kind, GraphQLNonNull):
        return _schema_of(kind.of_type, within)
    if isinstance(kind, GraphQLList):
        return {"type": "array", "items": _schema_of(kind.of_type, within)}
    if isinstance(kind, GraphQLEnumType):
        return {"type": "string", "enum": [*kind.values]}
    if not isinstance(kind, GraphQLInputObjectType):
        return SCALARS.get(get_named_type(kind).name, {})
    if kind.name in within:  # recursive
        return {"type": "object"}
    properties = {}
    for name, field in kind.fields.items():
        shown = _schema_of(field.type, (*within, kind.name))
        properties[name] = {
            **shown,
            **({"description": field.description} if field.description else {}),
        }
    required = [name for name, field in kind.fields.items() if is_required_input_field(field)]
    return _object(properties, required)


class _Descriptions(Visitor):
    """Collects for each variable the description of the first argument or field that it sets."""

    def __init__(self, types: TypeInfo) -> None:
        self.types = types
        self.of: dict[str, str] = {}
        super().__init__()

    def enter_variable(self, node: VariableNode, _: Any, parent: Node | None, *__: Any) -> None:
        text: str | None = None
        if isinstance(parent, ArgumentNode):
            argument = self.types.get_argument()
            text = None if argument is None else argument.description
        elif isinstance(parent, ObjectFieldNode):
            of = get_named_type(self.types.get_parent_input_type())
            if isinstance(of, GraphQLInputObjectType):
                text = of.fields[parent.name.value].description
        if text:
            self.of.setdefault(node.name.value, text)
