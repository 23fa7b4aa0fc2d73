"""Fields of assignments."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import strawberry

from gateway.domain import entities
from gateway.domain.entities import Ref
from gateway.errors import GatewayError
from resolvers import global_ids
from resolvers.field_declarations import Shortcut, read_all
from resolvers.field_resolvers.segments import PARTIAL_SEGMENT_FIELDS, Results
from resolvers.global_ids import Kind
from resolvers.lookahead import FieldInfo
from resolvers.value_types import LegalEntity


async def assignment_segments(
    assignments: Sequence[entities.Assignment], info: FieldInfo
) -> Results[entities.Segment]:
    """Return the segment of each assignment; read those that lack a selected field."""
    is_partial_enough = info.selection.names() <= PARTIAL_SEGMENT_FIELDS
    known = [
        each.segment
        if each.segment is not None and (is_partial_enough or not each.segment.is_partial)
        else None
        for each in assignments
    ]
    missing = [
        Ref(each.ref.provider, each.ref.segment)
        for each, segment in zip(assignments, known, strict=True)
        if segment is None
    ]
    if not missing:
        return known
    loaded = iter(await info.context.loaders.segment.load_results(missing))
    return [next(loaded) if segment is None else segment for segment in known]


async def assignment_customers(
    assignments: Sequence[entities.Assignment], info: FieldInfo
) -> Results[entities.Customer]:
    """Return the customer of each assignment."""
    refs = [Ref(each.ref.provider, each.ref.customer) for each in assignments]
    return await info.context.loaders.customer.load_results(refs)


def are_whole(assignments: Sequence[entities.Assignment]) -> bool:
    """Return whether all these assignments are complete."""
    return True not in [each.is_partial for each in assignments]


def completed(of: str | Callable[[entities.Assignment], Any], description: str) -> Any:
    """Declare a field that partial assignments lack: an attribute, or a function of them."""
    path, value_of = (of, attrgetter(of)) if isinstance(of, str) else ("", of)

    async def complete(
        assignments: Sequence[entities.Assignment], info: FieldInfo
    ) -> Results[Any]:
        results = await info.context.loaders.complete(assignments)
        return [
            _known_or(result, value_of(partial))
            if isinstance(result, GatewayError)
            else value_of(result)
            for partial, result in zip(assignments, results, strict=True)
        ]

    return read_all(complete, description, shortcut=Shortcut(are_whole, path, value_of))


def _known_or(error: GatewayError, value: Any) -> Any:
    """Return the value of a partial assignment, or the error if it has none."""
    return error if value is None or value is entities.AssignmentKind.UNKNOWN else value


def legal_entity(assignment: entities.Assignment) -> LegalEntity | None:
    """Return the legal entity through which the customer is assigned."""
    key = assignment.ref.legal_entity
    if key is None:
        return None
    ref = Ref(assignment.ref.provider, key)
    return LegalEntity(
        id=strawberry.ID(global_ids.of_ref(Kind.LEGAL_ENTITY, ref)),
        name=assignment.legal_entity_name,
        external_id=key,
    )
