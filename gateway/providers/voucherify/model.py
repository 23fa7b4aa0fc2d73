"""What Voucherify answers, as wire models, and the domain values they become.

Facts: docs.voucherify.io/api-reference and github.com/voucherifyio/voucherify-openapi, API
v2018-08-01, read 2026-11-21. The schemas mark hardly a part as required: required here is what
every example has and the gateway cannot do without.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, SupportsBytes, TypeVar

import msgspec

from gateway.domain import (
    Assignment,
    AssignmentRef,
    Condition,
    Customer,
    CustomerKey,
    Membership,
    Ref,
    Rule,
    Segment,
    plain,
)
from gateway.reading import pointer_part, utc

M = TypeVar("M")

Id = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]

STATIC, AUTO_UPDATE, PASSIVE = "static", "auto-update", "passive"
TYPES: Mapping[Membership, tuple[str, ...]] = {
    Membership.MANUAL: (STATIC,),
    Membership.RULE: (AUTO_UPDATE, PASSIVE),
}
MEMBERSHIPS = {name: membership for membership, names in TYPES.items() for name in names}


class SegmentModel(msgspec.Struct, frozen=True):
    """A segment. `initial_sync_status`, still in the examples, is gone since November 2025."""

    id: Id
    name: str
    type: str
    created_at: datetime
    updated_at: datetime | None = None
    filter: dict[str, Any] | None = None


class NamedSegmentModel(msgspec.Struct, frozen=True):
    """What the list of a customer's segments tells of each."""

    id: Id
    name: str


class Listed(msgspec.Struct, Generic[M], frozen=True):
    """A list of segments. The schema calls its rows `segments`, every example `data`."""

    data: list[M]
    total: Count


class CustomerModel(msgspec.Struct, frozen=True):
    """A customer."""

    id: Id
    source_id: str | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    metadata: dict[str, Any] | None = None
    created_at: datetime | None = None


class CustomerList(msgspec.Struct, frozen=True):
    """A list of customers; `has_more` is not always told."""

    customers: list[CustomerModel]
    total: Count
    has_more: bool | None = None


class Counted(msgspec.Struct, frozen=True):
    """Any list, for its length alone."""

    total: Count


class TokenModel(msgspec.Struct, frozen=True):
    """The answer of the token endpoint; `expires_in` in seconds."""

    # The characters that RFC 6749, A.12, allows, without the blank: it goes into a header.
    access_token: Annotated[str, msgspec.Meta(pattern=r"^[!-~]+\Z")]
    expires_in: Annotated[float, msgspec.Meta(ge=0)]


def segment_of(provider: str, told: SegmentModel, raw: SupportsBytes) -> Segment:
    """Return a segment. Voucherify switches none off."""
    return Segment(
        ref=Ref(provider, told.id),
        names=plain(told.name),
        membership=MEMBERSHIPS.get(told.type, Membership.UNKNOWN),
        emits_membership_events=told.type == AUTO_UPDATE,
        rule=None if told.filter is None else Rule(told.filter, conditions),
        created_at=utc(told.created_at),
        updated_at=told.updated_at and utc(told.updated_at),
        raw=raw,
    )


def customer_of(provider: str, told: CustomerModel, raw: SupportsBytes) -> Customer:
    """Return a customer. Voucherify takes either of its two ids wherever it takes one."""
    keys: tuple[CustomerKey, ...] = (CustomerKey("id", told.id),)
    if told.source_id:
        keys += (CustomerKey("source_id", told.source_id),)
    return Customer(
        ref=Ref(provider, told.id),
        keys=keys,
        name=told.name,
        email=told.email,
        phone=told.phone,
        attributes=told.metadata,
        raw=raw,
    )


def member_of(provider: str, segment: str, told: CustomerModel, raw: SupportsBytes) -> Assignment:
    """Return a customer's membership; who made it depends on the segment's type, not told here."""
    return Assignment(
        ref=AssignmentRef(provider, segment, told.id),
        customer=customer_of(provider, told, raw),
        is_partial=True,
    )


def assignment_of(
    provider: str, customer: str, told: NamedSegmentModel, raw: SupportsBytes
) -> Assignment:
    """Return a customer's membership in a segment of which only the name is told."""
    segment = Segment(
        ref=Ref(provider, told.id),
        names=plain(told.name),
        membership=Membership.UNKNOWN,
        raw=raw,
        is_partial=True,
    )
    ref = AssignmentRef(provider, told.id, customer)
    return Assignment(ref=ref, segment=segment, is_partial=True)


def conditions(native: Mapping[str, Any]) -> Sequence[Condition]:
    """Return the tests in a segment's filter, in its order; a bare value counts as a list of one.

    The grammar of filters is known from examples only: what is not of the form `{field:
    {"conditions": {operator: values}}}` is left to `Rule.native`.
    """
    return [
        Condition(
            path=f"/{pointer_part(field)}/conditions/{pointer_part(operator)}",
            field=field,
            operator=operator,
            values=tuple(values) if isinstance(values, list) else (values,),
        )
        for field, part in native.items()
        if isinstance(part, dict) and isinstance(part.get("conditions"), dict)
        for operator, values in part["conditions"].items()
    ]
