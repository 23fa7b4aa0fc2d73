"""Generate non-null types for fields that are null only with an error (`@semanticNonNull`).

The generated client raises an exception if a response has any error, so nobody sees such a null.
"""

from ariadne_codegen.plugins.base import Plugin
from graphql import GraphQLField, GraphQLNonNull, GraphQLObjectType, GraphQLSchema


class NullOnlyOnError(Plugin):
    """Changes the schema before the client is generated from it."""

    def process_schema(self, schema: GraphQLSchema) -> GraphQLSchema:
        """Return the schema with the types that such fields have for this client."""
        for kind in schema.type_map.values():
            for field in kind.fields.values() if isinstance(kind, GraphQLObjectType) else ():
                if is_null_only_on_error(field):
                    field.type = GraphQLNonNull(field.type)
        return schema


def is_null_only_on_error(field: GraphQLField) -> bool:
    """Return whether a field has the directive; the schema has it for whole fields only."""
    directives = field.ast_node.directives if field.ast_node else ()
    return any(each.name.value == "semanticNonNull" for each in directives)
