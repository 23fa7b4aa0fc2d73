"""Voucherify's replies as wire models, and their conversion to domain values.

Facts: docs.voucherify.io/api-reference and github.com/voucherifyio/voucherify-openapi, API
v2018-08-01, read 2026-11-21. The schemas mark hardly any part as required. Required here is what
every example has and the gateway cannot do without.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Generic, Self, SupportsBytes, TypeVar

import msgspec

from gateway.domain.entities import (
    Assignment,
    AssignmentRef,
    Condition,
    Customer,
    CustomerKey,
    Membership,
    Origin,
    Ref,
    Rule,
    Segment,
    Status,
)
from gateway.domain.json_depth import is_too_deep
from gateway.domain.lazy_rows import Columns, same
from gateway.domain.texts import NO_TEXTS, NOTHING, UNDETERMINED, LazyTexts, PlainText, plain
from gateway.providers.base.decoding import (
    Documented,
    Id,
    pointer_part,
    read_object,
    times,
    utc,
)

M = TypeVar("M")

Count = Annotated[int, msgspec.Meta(ge=0)]


class SegmentType(Enum):
    """A type of segments."""

    STATIC = "static", Membership.MANUAL
    AUTO_UPDATE = "auto-update", Membership.RULE
    PASSIVE = "passive", Membership.RULE
    UNKNOWN = "", Membership.UNKNOWN

    membership: Membership

    def __new__(cls, name: str, membership: Membership) -> Self:
        """Make one of Voucherify's name for it, and of how such segments get their members."""
        member = object.__new__(cls)
        member._value_ = name
        member.membership = membership
        return member

    @classmethod
    def _missing_(cls, _: object) -> "SegmentType":
        return cls.UNKNOWN


NO_FILTER = msgspec.Raw(b"null")
NO_CONDITIONS: Mapping[str, Any] = {}


class SegmentModel(msgspec.Struct, frozen=True, gc=False):
    """A segment. `initial_sync_status` is in the examples, but was removed in November 2025."""

    id: Id
    name: Documented[str]
    type: Documented[SegmentType]
    created_at: Documented[datetime]
    updated_at: datetime | None = None
    filter: msgspec.Raw = NO_FILTER
    """Decoding it takes as long as all the other parts: see `Filter`."""


class NamedSegmentModel(msgspec.Struct, frozen=True, gc=False):
    """A segment in the list of a customer's segments."""

    id: Id
    name: Documented[str]


class SegmentList(msgspec.Struct, Generic[M], frozen=True, gc=False):
    """A list of segments. The schema calls its rows `segments`, every example `data`."""

    data: list[M]
    total: Documented[Count]


class CustomerModel(msgspec.Struct, frozen=True, gc=False):
    """A customer."""

    id: Id
    source_id: str | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    metadata: dict[str, Any] | None = None
    created_at: datetime | None = None


class CustomerList(msgspec.Struct, frozen=True, gc=False):
    """A list of customers; `has_more` may be absent."""

    customers: list[CustomerModel]
    total: Documented[Count]
    has_more: bool | None = None


class Counted(msgspec.Struct, frozen=True, gc=False):
    """Any list, without its rows."""

    total: Documented[Count]


class TokenModel(msgspec.Struct, frozen=True, gc=False):
    """The reply of the token endpoint; `expires_in` is in seconds."""

    # The characters of RFC 6749, A.12, except the space: the token is sent in a header.
    access_token: Annotated[str, msgspec.Meta(pattern=r"^[!-~]+\Z")]
    expires_in: Annotated[float, msgspec.Meta(ge=0)]


class Filter(Rule, frozen=True, gc=False):
    """A rule that is decoded when it is needed: few queries select rules."""

    document: msgspec.Raw = NO_FILTER

    @property  # type: ignore[misc]  # in place of the field
    def native(self) -> Mapping[str, Any]:
        """The provider's own document; empty if it is no object."""
        return read_object(self.document) if self.is_readable else NO_CONDITIONS

    @property
    def is_readable(self) -> bool:
        """Whether the document is an object, and does not nest too deeply."""
        document = bytes(self.document)
        return document.startswith(b"{") and not is_too_deep(document)


def segments_of(
    provider: str, models: Iterable[SegmentModel], raw: Iterable[SupportsBytes]
) -> list[Segment]:
    """Convert segments. They are always active."""
    # Accessing an enum's member, or calling `utc`, takes 0.1 µs per row (Python 3.11).
    auto_update, unknown = SegmentType.AUTO_UPDATE, SegmentType.UNKNOWN
    return [
        Segment(
            ref=Ref(provider, each.id),
            names=PlainText(NOTHING, UNDETERMINED, each.name),
            membership=(each.type or unknown).membership,
            emits_membership_events=each.type is auto_update,
            rule=None
            if each.filter == NO_FILTER
            else Filter(NO_CONDITIONS, conditions, each.filter),
            created_at=at if (at := each.created_at) is None or at.tzinfo is UTC else utc(at),
            updated_at=at if (at := each.updated_at) is None or at.tzinfo is UTC else utc(at),
            raw=document,
        )
        for each, document in zip(models, raw, strict=True)
    ]


def _memberships(models: Sequence[SegmentModel]) -> Sequence[Membership]:
    unknown = SegmentType.UNKNOWN
    return [(each.type or unknown).membership for each in models]


def _emits_membership_events(models: Sequence[SegmentModel]) -> Sequence[bool]:
    auto_update = SegmentType.AUTO_UPDATE
    return [each.type is auto_update for each in models]


SEGMENT_COLUMNS: Columns[SegmentModel, Segment] = Columns(
    Segment,
    {
        "ref.key": lambda models: [each.id for each in models],
        "names": lambda models: LazyTexts(
            len(models),
            UNDETERMINED,
            lambda: [plain(each.name) for each in models],
            lambda _: [each.name for each in models],
        ),
        "descriptions": same(NO_TEXTS),
        "membership": _memberships,
        "emits_membership_events": _emits_membership_events,
        "status": same(Status.ACTIVE),
        "site_code": same(None),
        "priority": same(None),
        "version": same(None),
        "attributes": same(None),
        "created_at": lambda models: times([each.created_at for each in models]),
        "updated_at": lambda models: times([each.updated_at for each in models]),
        "origin": same(Origin.LIVE),
    },
)
"""How lists of segments are read by column."""


def customers_of(
    provider: str, models: Iterable[CustomerModel], raw: Iterable[SupportsBytes]
) -> list[Customer]:
    """Convert customers. Voucherify accepts either of their two ids everywhere."""
    return [
        Customer(
            ref=Ref(provider, each.id),
            keys=(
                (CustomerKey("id", each.id), CustomerKey("source_id", each.source_id))
                if each.source_id
                else (CustomerKey("id", each.id),)
            ),
            name=each.name,
            email=each.email,
            phone=each.phone,
            attributes=each.metadata,
            raw=document,
        )
        for each, document in zip(models, raw, strict=True)
    ]


def members_of(
    provider: str, segment: str, models: Iterable[CustomerModel], raw: Iterable[SupportsBytes]
) -> list[Assignment]:
    """Convert memberships, without their kind: it depends on the segment's type."""
    return [
        Assignment(
            ref=AssignmentRef(provider, segment, customer.ref.key),
            customer=customer,
            is_partial=True,
        )
        for customer in customers_of(provider, models, raw)
    ]


def assignments_of(
    provider: str,
    customer: str,
    models: Iterable[NamedSegmentModel],
    raw: Iterable[SupportsBytes],
) -> list[Assignment]:
    """Convert a customer's memberships; of the segments only the names are known."""
    unknown = Membership.UNKNOWN
    return [
        Assignment(
            ref=AssignmentRef(provider, each.id, customer),
            segment=Segment(
                ref=Ref(provider, each.id),
                names=plain(each.name),
                membership=unknown,
                raw=document,
                is_partial=True,
            ),
            is_partial=True,
        )
        for each, document in zip(models, raw, strict=True)
    ]


def conditions(native: Mapping[str, Any]) -> Sequence[Condition]:
    """Return the conditions in a segment's filter, in its order; a single value is a list of one.

    The grammar of filters is known from examples only. What does not have the form `{field:
    {"conditions": {operator: values}}}` is only in `Rule.native`.
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
