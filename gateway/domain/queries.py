"""Filters and sort keys of lists of segments and customers."""

from collections.abc import Container, Sequence
from datetime import datetime
from enum import Enum

import msgspec

from gateway.domain.entities import Customer, ItemKind, Membership, Ref, Segment, Status


class SegmentQuery(msgspec.Struct, frozen=True):
    """Conditions on segments; all given ones must hold.

    `name_contains` ignores case and searches every language. `native` is in the provider's own
    query language. All times are exclusive; a segment without the time does not satisfy them.
    """

    name_contains: str | None = None
    membership: frozenset[Membership] | None = None
    status: Status | None = None
    site_code: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None
    native: str | None = None

    def holds(self, segment: Segment) -> bool:
        """Return whether a segment satisfies all conditions; `native` is not evaluated."""
        if self.membership is not None and segment.membership not in self.membership:
            return False
        if self.status is not None and segment.status is not self.status:
            return False
        if self.site_code is not None and segment.site_code != self.site_code:
            return False
        if self.name_contains is not None:
            part = self.name_contains.casefold()
            if not any(part in text.casefold() for text in segment.names.by_language.values()):
                return False
        return _is_between(
            segment.created_at, self.created_after, self.created_before
        ) and _is_between(segment.updated_at, self.updated_after)

    @property
    def is_local(self) -> bool:
        """True if `holds` can evaluate any of the conditions."""
        return self is not EVERY_SEGMENT and any(
            getattr(self, name) is not None for name in self.__struct_fields__[:-1]
        )


def _is_between(
    moment: datetime | None, after: datetime | None, before: datetime | None = None
) -> bool:
    if moment is None:
        return after is None and before is None
    return (after is None or moment > after) and (before is None or moment < before)


EVERY_SEGMENT = SegmentQuery()


class SegmentFilter(msgspec.Struct, frozen=True):
    """The segments and providers of a list; all given conditions must hold."""

    query: SegmentQuery = EVERY_SEGMENT
    providers: tuple[str, ...] | None = None
    refs: tuple[Ref, ...] | None = None
    customer: Ref | None = None
    native_of: str | None = None
    """The provider whose query language `query.native` is in."""
    key: str | None = None
    """The provider's own id of the segment."""
    item: tuple[ItemKind, str] | None = None
    """The item that is assigned to the segment: its kind, and the provider's own id."""

    @property
    def is_named(self) -> bool:
        """True if segments are looked up instead of listed."""
        parts = (self.refs, self.customer, self.key, self.item)
        return any(part is not None for part in parts)


class SortKey(Enum):
    """The order of a list of segments; PROVIDER is each provider's own order."""

    PROVIDER = "PROVIDER"
    NAME = "NAME"
    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"
    PRIORITY = "PRIORITY"
    MEMBERS_COUNT = "MEMBERS_COUNT"


class CustomerQuery(msgspec.Struct, frozen=True):
    """Conditions on customers; all given ones must hold.

    The email address must match except for case, the phone number exactly. `name_contains` ignores
    case.
    """

    email: str | None = None
    name_contains: str | None = None
    phone: str | None = None

    def holds(self, customer: Customer) -> bool:
        """Return whether a customer satisfies all conditions."""
        email, part = self.email, self.name_contains
        return (
            (email is None or (customer.email or "").casefold() == email.casefold())
            and (part is None or part.casefold() in (customer.name or "").casefold())
            and (self.phone is None or customer.phone == self.phone)
        )


EVERY_CUSTOMER = CustomerQuery()


class MemberConditions(msgspec.Struct, frozen=True):
    """Conditions on the segments that a customer is in, all of one provider; all must hold.

    An empty tuple is no condition.
    """

    all_of: tuple[Ref, ...] = ()
    any_of: tuple[Ref, ...] = ()
    none_of: tuple[Ref, ...] = ()

    @property
    def refs(self) -> Sequence[Ref]:
        """The segments, each once."""
        return [*dict.fromkeys((*self.all_of, *self.any_of, *self.none_of))]

    @property
    def judging(self) -> Sequence[Ref]:
        """The segments without whose members nobody can be judged."""
        return [*self.all_of, *self.none_of]

    def hold(self, segments: Container[str]) -> bool:
        """Return whether they hold for a customer who is in the segments with these keys."""
        return (
            all(ref.key in segments for ref in self.all_of)
            and (not self.any_of or any(ref.key in segments for ref in self.any_of))
            and not any(ref.key in segments for ref in self.none_of)
        )


UNCONDITIONAL = MemberConditions()


class CustomerFilter(msgspec.Struct, frozen=True):
    """The customers and providers of a list; all given conditions must hold."""

    query: CustomerQuery = EVERY_CUSTOMER
    providers: tuple[str, ...] | None = None
    key: str | None = None
    """Any key by which the provider knows the customer."""
    segment: Ref | None = None
    members: MemberConditions = UNCONDITIONAL

    @property
    def conditions(self) -> MemberConditions:
        """All conditions on segments, including `segment`."""
        if self.segment is None:
            return self.members
        all_of = (self.segment, *self.members.all_of)
        return msgspec.structs.replace(self.members, all_of=all_of)
