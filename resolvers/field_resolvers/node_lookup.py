"""Objects by their global ids."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

import strawberry

from gateway import context
from gateway.domain import change_log, entities
from gateway.domain.entities import AssignmentRef, Ref
from gateway.domain.pages import MAX_NODES
from gateway.errors import BadInput, Forbidden, GatewayError
from gateway.identity.graph import Edge
from resolvers import global_ids
from resolvers.field_permissions import Permission
from resolvers.global_ids import Kind
from resolvers.lookahead import FieldInfo

READ_PERMISSIONS = {
    Kind.SEGMENT: Permission.SEGMENTS_READ,
    Kind.CUSTOMER: Permission.CUSTOMERS_READ,
    Kind.ASSIGNMENT: Permission.ASSIGNMENTS_READ,
    Kind.PERSON: Permission.CUSTOMERS_READ,
    Kind.LINK: Permission.CUSTOMERS_READ,
}
"""The permission to look up a global id, even if no field of the object is selected."""

GlobalId = Annotated[strawberry.ID, strawberry.argument(name="id", description="A global id.")]


NodeValue = (
    context.Provider
    | entities.Segment
    | entities.Customer
    | entities.Assignment
    | change_log.Change
    | context.Person
    | Edge
)


async def node(_: None, info: FieldInfo, global_id: GlobalId) -> NodeValue | None:
    """Return the object with a global id; None if it does not exist."""
    parts = global_ids.read(global_id, "id")[1]
    result = (await look_up([global_id], info))[0]
    if isinstance(result, GatewayError):
        raise result
    if isinstance(result, entities.Customer):
        info.context.single_customers.add(result.ref)
    elif isinstance(result, context.Person):
        return await info.context.persons.of(Ref(*parts))
    return result


async def nodes(
    _: None,
    info: FieldInfo,
    ids: Annotated[
        list[strawberry.ID],
        strawberry.argument(name="ids", description=f"At most {MAX_NODES} global ids."),
    ],
) -> Sequence[NodeValue | GatewayError | None]:
    """Return the object with each global id, or its error."""
    if len(ids) > MAX_NODES:
        raise BadInput(f"{len(ids)} ids were given; at most {MAX_NODES} are read at once.")
    return await look_up(ids, info)


async def look_up(
    ids: Sequence[str], info: FieldInfo
) -> Sequence[NodeValue | GatewayError | None]:
    """Return the object with each global id, or its error; None: the caller may see none."""
    results: list[NodeValue | GatewayError | None] = [None] * len(ids)
    loaders = info.context.loaders
    by_kind: dict[Kind, list[tuple[int, tuple[str, ...]]]] = {}
    for index, text in enumerate(ids):
        try:
            kind, parts = global_ids.read(text, f"ids[{index}]")
        except BadInput as error:
            results[index] = error
        else:
            by_kind.setdefault(kind, []).append((index, parts))

    async def load(
        kind: Kind, load_results: Callable[[Any], Awaitable[Sequence[Any]]], ref: Any
    ) -> None:
        permission = READ_PERMISSIONS[kind]
        refs = {
            index: ref(*parts)
            for index, parts in by_kind.get(kind, ())
            if info.context.may_show(permission, parts[0])
        }
        if refs:
            for index, result in zip(refs, await load_results([*refs.values()]), strict=True):
                results[index] = result

    for index, parts in by_kind.get(Kind.PROVIDER, ()):
        results[index] = info.context.providers.get(parts[0])
    for index, parts in by_kind.get(Kind.CHANGE, ()):
        with suppress(Forbidden):  # then it is not there
            results[index] = await info.context.changes.change(parts[0], info.context.visibility)
    await asyncio.gather(
        load(Kind.SEGMENT, loaders.segment.load_results, Ref),
        load(Kind.CUSTOMER, loaders.customer.load_results, Ref),
        load(Kind.ASSIGNMENT, loaders.assignment.load_results, AssignmentRef),
        load(Kind.PERSON, _persons(info), Ref),
        load(Kind.LINK, _links(info), global_ids.link_of),
    )
    return results


def _persons(info: FieldInfo) -> Callable[[Sequence[Ref]], Awaitable[Sequence[Any]]]:
    async def load(refs: Sequence[Ref]) -> Sequence[Any]:
        return await info.context.persons.by_refs(refs)

    return load


def _links(info: FieldInfo) -> Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]:
    async def load(pairs: Sequence[Any]) -> Sequence[Any]:
        return await info.context.persons.links(pairs)

    return load
