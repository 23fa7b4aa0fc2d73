"""Fields of persons and of the links between their customers."""

from collections.abc import Sequence
from typing import Annotated

import strawberry

from gateway import context
from gateway.context import Person
from gateway.domain import entities
from gateway.domain.entities import Ref
from gateway.domain.pages import DEFAULT_PAGE_SIZE
from gateway.errors import BadInput
from gateway.identity.graph import Edge
from resolvers import global_ids
from resolvers.field_permissions import Permission
from resolvers.field_resolvers.customers import identified, segments_of
from resolvers.field_resolvers.segments import OnlyActive, Results
from resolvers.global_ids import Kind
from resolvers.inputs.filters import CustomerIdentityInput, given
from resolvers.inputs.identity import (
    IdentityLinkFilter,
    PersonFilter,
    link_conditions,
    person_conditions,
)
from resolvers.inputs.paging import After, First, paging
from resolvers.lookahead import FieldInfo

UNREAD_CUSTOMER_FIELDS = frozenset({"__typename", "id", "assignments", "segments", "person"})
"""The fields of customers that depend on nothing but their ids."""


async def person(
    _: None,
    info: FieldInfo,
    global_id: Annotated[
        strawberry.ID | None,
        strawberry.argument(name="id", description="The global id of a person or a customer."),
    ] = strawberry.UNSET,
    identity: Annotated[
        CustomerIdentityInput | None,
        strawberry.argument(description="A provider, and any key by which it knows a customer."),
    ] = strawberry.UNSET,
    email: Annotated[
        str | None,
        strawberry.argument(
            description="An email address, compared trimmed and in lower case. Providers that "
            "search by address are asked for it trimmed, in the case given."
        ),
    ] = strawberry.UNSET,
) -> Person | None:
    """Return one person by an id, by a key of a provider, or by an email address."""
    if sum(given(each) is not None for each in (global_id, identity, email)) != 1:
        raise BadInput("Give exactly one of id, identity and email.")
    persons = info.context.persons
    if email:
        return await persons.with_email(email)
    if identity:
        return await persons.of(identified(identity, info))
    if not global_id:
        raise BadInput("email is blank." if given(email) is not None else "id is empty.")
    kind, parts = global_ids.read(global_id, "id")
    if kind not in {Kind.PERSON, Kind.CUSTOMER}:
        raise BadInput("id is not the id of a person or a customer.")
    return await persons.of(Ref(*parts))


async def people(
    _: None,
    info: FieldInfo,
    first: First = DEFAULT_PAGE_SIZE,
    after: After = strawberry.UNSET,
    where: Annotated[
        PersonFilter | None,
        strawberry.argument(name="filter", description="Only persons that match this filter."),
    ] = strawberry.UNSET,
) -> context.Connection[Person]:
    """List persons."""
    conditions = person_conditions(where)
    for ref in conditions.members.refs:
        info.context.require(Permission.ASSIGNMENTS_READ, ref.provider, "filter.in…")
    return await info.context.people.people(conditions, paging(info, first, after))


async def identity_links(
    _: None,
    info: FieldInfo,
    first: First = DEFAULT_PAGE_SIZE,
    after: After = strawberry.UNSET,
    where: Annotated[
        IdentityLinkFilter | None,
        strawberry.argument(name="filter", description="Only links that match this filter."),
    ] = strawberry.UNSET,
) -> context.Connection[Edge]:
    """List links."""
    return await info.context.people.links(link_conditions(where), paging(info, first, after))


async def customer_persons(
    customers: Sequence[entities.Customer], info: FieldInfo
) -> Results[Person]:
    """Return the person of each customer."""
    return await info.context.persons.persons_of(customers)


async def person_customers(person: Person, info: FieldInfo) -> list[entities.Customer]:
    """Return the customers of a person; read their records only if the selection requires it."""
    if info.selection.names() <= UNREAD_CUSTOMER_FIELDS:
        return [entities.Customer(ref=ref, keys=()) for ref in person.customers]
    return list(await info.context.persons.customers(person))


def person_links(person: Person) -> list[Edge]:
    """Return the links between the customers of a person."""
    return list(person.edges)


async def person_segments(
    person: Person,
    info: FieldInfo,
    first: First = DEFAULT_PAGE_SIZE,
    after: After = strawberry.UNSET,
    only_active: OnlyActive = False,
) -> context.Connection[entities.Segment]:
    """List the segments of all customers of a person, each once."""
    return await segments_of(person.customers, info, first, after, only_active=only_active)


async def person_assignments(
    person: Person,
    info: FieldInfo,
    first: First = DEFAULT_PAGE_SIZE,
    after: After = strawberry.UNSET,
) -> context.Connection[entities.Assignment]:
    """List the assignments of all customers of a person."""
    return await info.context.reads.assignments_of(person.customers, paging(info, first, after))


def person_sources(person: Person, info: FieldInfo) -> list[context.Source]:
    """Return how looking up customers of a person ended at each provider."""
    return list(info.context.persons.sources(person))


async def link_ends(
    links: Sequence[Edge], info: FieldInfo, place: int
) -> Results[entities.Customer]:
    """Return the customer at one end of each link."""
    return await info.context.persons.load([each.pair[place] for each in links])


async def link_a(links: Sequence[Edge], info: FieldInfo) -> Results[entities.Customer]:
    """Return the first customer of each link."""
    return await link_ends(links, info, 0)


async def link_b(links: Sequence[Edge], info: FieldInfo) -> Results[entities.Customer]:
    """Return the second customer of each link."""
    return await link_ends(links, info, 1)


def link_created_by(link: Edge, info: FieldInfo) -> str | None:
    """Return who decided; None for those who may not decide themselves."""
    may = info.context.caller.may
    is_shown = all(may(Permission.IDENTITY_WRITE, ref.provider) for ref in link.pair)
    return link.created_by if is_shown else None
