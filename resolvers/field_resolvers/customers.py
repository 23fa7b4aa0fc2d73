"""Fields of customers."""

from collections.abc import Sequence
from typing import NamedTuple

import strawberry

from gateway import context
from gateway.domain import entities
from gateway.domain.entities import Ref
from gateway.domain.pages import DEFAULT_PAGE_SIZE
from gateway.errors import BadInput
from resolvers.field_resolvers.segments import PARTIAL_SEGMENT_FIELDS, OnlyActive
from resolvers.inputs.filters import CustomerIdentityInput
from resolvers.inputs.paging import After, First, paging
from resolvers.lookahead import FieldInfo


def identified(identity: CustomerIdentityInput, info: FieldInfo) -> Ref:
    """Return the ref of the customer that an input names, by any key. Raises `BadInput`."""
    info.context.check_keys([identity.provider], "identity.provider")
    if not identity.external_id:
        raise BadInput("identity.externalId is empty.")
    return Ref(identity.provider, identity.external_id)


class Identity(NamedTuple):
    """A key of a customer, with the customer's ref."""

    ref: Ref
    key: entities.CustomerKey


def identities(customer: entities.Customer) -> list[Identity]:
    """Return the keys by which the provider knows a customer."""
    return [Identity(customer.ref, key) for key in customer.keys]


def unlinked(_: Identity) -> None:
    """Return None: an identity is a key of one record; links are those of persons."""


async def customer_assignments(
    customer: entities.Customer,
    info: FieldInfo,
    first: First = DEFAULT_PAGE_SIZE,
    after: After = strawberry.UNSET,
) -> context.Connection[entities.Assignment]:
    """List the assignments of a customer."""
    return await info.context.reads.assignments_of([customer.ref], paging(info, first, after))


async def customer_segments(
    customer: entities.Customer,
    info: FieldInfo,
    first: First = DEFAULT_PAGE_SIZE,
    after: After = strawberry.UNSET,
    only_active: OnlyActive = False,
) -> context.Connection[entities.Segment]:
    """List the segments of a customer."""
    return await segments_of([customer.ref], info, first, after, only_active=only_active)


async def segments_of(
    customers: Sequence[Ref],
    info: FieldInfo,
    first: First,
    after: After,
    *,
    only_active: OnlyActive,
) -> context.Connection[entities.Segment]:
    """List the segments of customers; read them completely only if the selection requires it."""
    now = info.context.now
    return await info.context.reads.segments_of(
        customers,
        paging(info, first, after),
        (lambda segment: segment.is_active(now)) if only_active else None,
        whole=not info.selection.of_nodes <= PARTIAL_SEGMENT_FIELDS,
    )


async def primary_segment(customer: entities.Customer, info: FieldInfo) -> entities.Segment | None:
    """Return the segment that wins by priority."""
    return await info.context.reads.primary_segment(customer.ref)
