"""Entities by their representations: what a gateway in front knows of them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NewType

import strawberry

from gateway.domain import change_log
from gateway.domain.pages import MAX_NODES
from gateway.errors import BadInput, GatewayError
from resolvers import global_ids
from resolvers.field_resolvers.node_lookup import NodeValue, look_up
from resolvers.global_ids import Kind
from resolvers.lookahead import FieldInfo

Representation = NewType("Representation", object)
"""Any JSON; what is wrong with one is an error of its own entity."""

KINDS: Mapping[str, Kind] = {
    "Provider": Kind.PROVIDER,
    "Segment": Kind.SEGMENT,
    "Customer": Kind.CUSTOMER,
    "Assignment": Kind.ASSIGNMENT,
    "AssignmentChange": Kind.CHANGE,
    "SegmentChange": Kind.CHANGE,
    "Person": Kind.PERSON,
    "IdentityLink": Kind.LINK,
}
"""The kind of id of each entity, by the name of its type."""

CHANGES = {
    "AssignmentChange": change_log.AssignmentChange,
    "SegmentChange": change_log.SegmentChange,
}
"""Two types with one kind of id."""


async def entities(
    _: None,
    info: FieldInfo,
    representations: Annotated[
        list[Representation],
        strawberry.argument(description=f"At most {MAX_NODES}, each with `__typename` and `id`."),
    ],
) -> Sequence[NodeValue | GatewayError | None]:
    """Return the entity of each representation, or its error."""
    count = len(representations)
    if count > MAX_NODES:
        raise BadInput(
            f"{count} representations were given; at most {MAX_NODES} are read at once."
        )
    results: list[NodeValue | GatewayError | None] = [None] * count
    keys: dict[int, tuple[str, str]] = {}
    for index, each in enumerate(representations):
        try:
            keys[index] = _key(each)
        except BadInput as error:
            results[index] = error
    values = await look_up([global_id for _, global_id in keys.values()], info)
    for (index, (name, _id)), value in zip(keys.items(), values, strict=True):
        is_other = isinstance(value, change_log.Change) and not isinstance(value, CHANGES[name])
        results[index] = _wrong_type(name) if is_other else value
    return results


def _key(representation: Any) -> tuple[str, str]:
    """Return the type and the id of an entity. Raises `BadInput`."""
    if not isinstance(representation, dict):
        raise BadInput("A representation is an object with __typename and id.")
    name, global_id = representation.get("__typename"), representation.get("id")
    if not isinstance(name, str) or name not in KINDS:
        raise BadInput(f"__typename must be one of {', '.join(sorted(KINDS))}.")
    if not isinstance(global_id, str):
        raise BadInput("The id of a representation must be a string.")
    kind, _ = global_ids.read(global_id, "The id of a representation")
    if kind is not KINDS[name]:
        raise _wrong_type(name)
    return name, global_id


def _wrong_type(name: str) -> BadInput:
    return BadInput(f"This id is not that of an object of type {name}.")
