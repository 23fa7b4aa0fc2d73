"""The schema with the fields and types that the subgraph specification adds.

https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec
(read 2026-11-29)
"""

from typing import Annotated, Union

import strawberry

from gateway.domain.pages import MAX_NODES
from gateway.errors import Forbidden
from resolvers import query
from resolvers.federation.entities import Representation, entities
from resolvers.federation.sdl import SUBGRAPH_SDL
from resolvers.field_declarations import computed, read
from resolvers.field_permissions import OPEN, Permission, requires
from resolvers.json_scalar import json_scalar
from resolvers.lookahead import FieldInfo
from resolvers.schema import ENTITIES, schema_of

FEDERATION = requires(Permission.FEDERATION_READ)

REPRESENTATION = json_scalar(
    "_Any", 'An entity by its key: `{"__typename": "Customer", "id": "…"}`.'
)

Entity = Annotated[
    Union[ENTITIES],  # type: ignore[valid-type]  # noqa: UP007  # a tuple has no other way
    strawberry.union("_Entity", description="Every type with a global id."),
]


@strawberry.type(name="_Service", description="This subgraph.")
class Service:
    """See the description."""

    requirement = FEDERATION

    sdl: str = strawberry.field(description="The schema, with the directives of Federation 2.")


def service(_: None, info: FieldInfo) -> Service:
    """Return the subgraph. Raises `Forbidden` if the caller may not introspect."""
    if not info.context.caller.may_explore:
        raise Forbidden("Introspection is not allowed: _service.")
    return Service(sdl=SUBGRAPH_SDL)


@strawberry.type(name="Query", description=query.Query.__strawberry_definition__.description)  # type: ignore[attr-defined]  # Strawberry adds it
class Query(query.Query):
    """The queries of a subgraph."""

    entities: list[Entity | None] = read(
        entities,
        f"Entities for the gateway in front, at most {MAX_NODES}, in the order given; null as "
        "`nodes` has it.",
        requirement=OPEN,
        name="_entities",
    )
    service: Service = computed(
        service,
        "The schema for composition, where introspection is allowed.",
        requirement=FEDERATION,
        name="_service",
    )


SUBGRAPH = schema_of(Query, {Representation: REPRESENTATION})
