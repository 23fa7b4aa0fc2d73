"""Filters and sort keys of lists of segments and customers."""

from collections.abc import Container, Sequence
from datetime import datetime
from enum import Enum

import msgspec

from gateway.domain.entities import Membership, Ref, Segment, Status


class SegmentQuery(msgspec.Struct, frozen=True):
    """Conditions on segments; all given ones must hold.

    `name_contains` ignores case and searches every language. `native` is in the provider's own
    query language. Both times are exclusive.
    """

    name_contains: str | None = None
    membership: frozenset[Membership] | None = None
    status: Status | None = None
    site_code: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
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
        created = segment.created_at
        if self.created_after is not None and (created is None or created <= self.created_after):
            return False
        return self.created_before is None or (
            created is not None and created < self.created_before
        )

    @property
    def is_local(self) -> bool:
        """True if `holds` can evaluate any of the conditions."""
        return any(getattr(self, name) is not None for name in self.__struct_fields__[:-1])


EVERY_SEGMENT = SegmentQuery()


class SegmentFilter(msgspec.Struct, frozen=True):
    """The segments and providers of a list; all given conditions must hold."""

    query: SegmentQuery = EVERY_SEGMENT
    providers: tuple[str, ...] | None = None
    refs: tuple[Ref, ...] | None = None
    customer: Ref | None = None
    native_of: str | None = None
    """The provider whose query language `query.native` is in."""


class SortKey(Enum):
    """The order of a list of segments; PROVIDER is each provider's own order."""

    PROVIDER = "PROVIDER"
    NAME = "NAME"
    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"
    PRIORITY = "PRIORITY"


class CustomerQuery(msgspec.Struct, frozen=True):
    """Conditions on customers; the email must match exactly."""

    email: str | None = None


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
