"""The text of the schema as a subgraph, for composition.

It is the schema itself with the directives of Federation 2, without `_entities` and `_service`,
as the subgraph specification has it.
"""

from dataclasses import replace

from graphql import ConstDirectiveNode, DefinitionNode, ObjectTypeDefinitionNode, parse, print_ast

from resolvers.schema import ENTITIES, sdl

LINK = (
    # v2.0 is the oldest version that has these directives; later ones read it, too.
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.0", '
    'import: ["@key", "@shareable"])'
)

SHAREABLE = frozenset({"DateTimeRange", "LocalizedText", "PageInfo"})
"""Value types that other subgraphs may well have, too, with the same meaning."""


def _directives(text: str) -> tuple[ConstDirectiveNode, ...]:
    [definition] = parse(f"type X {text}").definitions
    return definition.directives  # type: ignore[attr-defined,no-any-return]  # a type has them


DIRECTIVES = {
    **dict.fromkeys((each.__name__ for each in ENTITIES), _directives('@key(fields: "id")')),
    **dict.fromkeys(SHAREABLE, _directives("@shareable")),
}
"""The directives of each object type, by its name."""


def _annotated(definition: DefinitionNode) -> DefinitionNode:
    if isinstance(definition, ObjectTypeDefinitionNode) and definition.name.value in DIRECTIVES:
        return replace(definition, directives=DIRECTIVES[definition.name.value])
    return definition


_SCHEMA = parse(sdl())
SUBGRAPH_SDL = "\n\n".join([LINK, *(print_ast(_annotated(each)) for each in _SCHEMA.definitions)])
