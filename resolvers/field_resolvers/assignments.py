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
from resolvers.field_resolvers.segments import TOLD_IN_PART, Answers
from resolvers.global_ids import Kind
from resolvers.lookahead import FieldInfo
from resolvers.value_types import (
    LegalEntity,
)


async def assignment_segments(
    assignments: Sequence[entities.Assignment], info: FieldInfo
) -> Answers[entities.Segment]:
    """Return the segment of each; read where the assignment tells less of it than is shown."""
    suffices = info.selection.names() <= TOLD_IN_PART
    told = [
        each.segment
        if each.segment is not None and (suffices or not each.segment.is_partial)
        else None
        for each in assignments
    ]
    wanted = [
        Ref(each.ref.provider, each.ref.segment)
        for each, segment in zip(assignments, told, strict=True)
        if segment is None
    ]
    if not wanted:
        return told
    read = iter(await info.context.loaders.segment.load_results(wanted))
    return [next(read) if segment is None else segment for segment in told]


async def assignment_customers(
    assignments: Sequence[entities.Assignment], info: FieldInfo
) -> Answers[entities.Customer]:
    """Return the customer of each."""
    refs = [Ref(each.ref.provider, each.ref.customer) for each in assignments]
    return await info.context.loaders.customer.load_results(refs)


def are_whole(assignments: Sequence[entities.Assignment]) -> bool:
    """Tell whether nothing was left out of any of these."""
    return True not in [each.is_partial for each in assignments]


def completed(of: str | Callable[[entities.Assignment], Any], description: str) -> Any:
    """Declare an attribute, or what is computed, that a list of assignments may have left out."""
    path, show = (of, attrgetter(of)) if isinstance(of, str) else ("", of)

    async def shown(assignments: Sequence[entities.Assignment], info: FieldInfo) -> Answers[Any]:
        found = await info.context.loaders.complete(assignments)
        return [
            _known(show(own), each) if isinstance(each, GatewayError) else show(each)
            for own, each in zip(assignments, found, strict=True)
        ]

    return read_all(shown, description, shortcut=Shortcut(are_whole, path, show))


def _known(value: Any, error: GatewayError) -> Any:
    """Return what was told in part already; else why the rest could not be read."""
    return error if value is None or value is entities.AssignmentKind.UNKNOWN else value


def legal_entity(assignment: entities.Assignment) -> LegalEntity | None:
    """Return the legal entity that the customer is assigned through."""
    key = assignment.ref.legal_entity
    if key is None:
        return None
    ref = Ref(assignment.ref.provider, key)
    return LegalEntity(
        id=strawberry.ID(global_ids.of_ref(Kind.LEGAL_ENTITY, ref)),
        name=assignment.legal_entity_name,
        external_id=key,
    )
