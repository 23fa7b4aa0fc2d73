"""What Stuut answers, as wire models, and the domain values they become.

Facts: docs.api.stuut.co/api-reference (customer-segments, partners), read 2026-11-21.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, SupportsBytes

import msgspec

from gateway.domain.entities import (
    Assignment,
    AssignmentKind,
    AssignmentRef,
    Condition,
    Customer,
    CustomerKey,
    Membership,
    Ref,
    Rule,
    Segment,
)
from gateway.domain.texts import plain
from gateway.providers.base.decoding import Documented, Id, Int32, pointer_part, utc


class SegmentModel(msgspec.Struct, frozen=True, gc=False):
    """A segment; all its parts are always there."""

    id: Id
    name: Documented[str]
    description: str | None
    priority: Documented[Int32]
    conditions: Documented[dict[str, Any]]
    created_at: Documented[datetime]
    modified_at: datetime | None


class PartnerModel(msgspec.Struct, frozen=True, gc=False):
    """A partner. The list of its fields breaks off in the documents: only the id is sure."""

    id: Id
    remote_id: str | None = None
    account_number: str | None = None
    name: str | None = None
    custom_fields: dict[str, Any] | None = None


class PartnerList(msgspec.Struct, frozen=True, gc=False):
    """What a list of v1 is wrapped in."""

    data: list[PartnerModel]


def segments_of(
    provider: str, told: Iterable[SegmentModel], raw: Iterable[SupportsBytes]
) -> list[Segment]:
    """Return segments. Stuut switches none off."""
    by_rule = Membership.RULE  # naming an enum's member is dear (Python 3.11: 0.1 µs)
    return [
        Segment(
            ref=Ref(provider, each.id),
            names=plain(each.name),
            descriptions=plain(each.description),
            membership=by_rule,
            priority=each.priority,
            rule=None if each.conditions is None else Rule(each.conditions, conditions),
            created_at=utc(each.created_at),
            updated_at=utc(each.modified_at),
            raw=document,
        )
        for each, document in zip(told, raw, strict=True)
    ]


def assignment_of(
    provider: str, customer: str, told: SegmentModel, raw: SupportsBytes
) -> Assignment:
    """Return a partner's membership in the segment that matched them."""
    (segment,) = segments_of(provider, (told,), (raw,))
    return Assignment(
        ref=AssignmentRef(provider, told.id, customer),
        kind=AssignmentKind.AUTOMATIC,
        segment=segment,
    )


def customer_of(provider: str, told: PartnerModel, raw: SupportsBytes) -> Customer:
    """Return a partner, by as many of their three keys as were told."""
    keys = {"id": told.id, "remote_id": told.remote_id, "account_number": told.account_number}
    return Customer(
        ref=Ref(provider, told.id),
        keys=tuple(CustomerKey(kind, value) for kind, value in keys.items() if value),
        name=told.name,
        attributes=told.custom_fields,
        raw=raw,
    )


# The example writes `and` and `or`, the prose beside it `and_` and `or_`.
JUNCTIONS = frozenset({"and", "or", "and_", "or_"})


def conditions(native: Mapping[str, Any]) -> Sequence[Condition]:
    """Return the tests in a segment's conditions, in their order, those under and/or as well.

    A test is a list under `in` or `nin`; the names above it, from the last and/or on, are its
    field. What else a document holds has no documented meaning and is left to `Rule.native`.
    """
    found = []
    waiting: list[tuple[str, str, Any]] = [("", "", native)]
    while waiting:
        path, field, part = waiting.pop()
        if not isinstance(part, dict):
            continue
        below = []
        for name, value in part.items():
            at = f"{path}/{pointer_part(name)}"
            if isinstance(value, list) and name in {"in", "nin"} and field:
                found.append(Condition(at, field, name, tuple(value)))
            elif isinstance(value, list) and name in JUNCTIONS:
                below += [(f"{at}/{index}", "", each) for index, each in enumerate(value)]
            else:
                below.append((at, f"{field}.{name}" if field else name, value))
        waiting += reversed(below)
    return found
