"""What loaders ask by: an adapter's methods, the questions put to them, and their answers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from gateway.domain.entities import Assignment, AssignmentKind, Membership, Ref, Segment
from gateway.errors import GatewayError
from gateway.providers.base.adapter import ReadBatch, ReadsCustomers, ReadsSegments
from gateway.upstream.provider import Provider

T = TypeVar("T")

ReadsByKey: TypeAlias = Callable[[Sequence[str]], Sequence[ReadBatch]]
"""A method of an adapter that reads things by their keys."""

Asking: TypeAlias = Callable[[Provider], ReadsByKey | None]
"""What returns that method of a provider's adapter; None: it has none."""

ReadsWhole: TypeAlias = Callable[[Provider], Awaitable[Mapping[str, Any]]]
"""What reads a provider's whole list, by key, where it does not read by keys."""

Question: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...]]
"""A method of an adapter, and what it is given."""

Answers: TypeAlias = Sequence[tuple[Sequence[str], Mapping[str, T] | GatewayError]]
"""Keys that one call asked for, and what it answered."""

KIND_BY_MEMBERSHIP = {
    Membership.MANUAL: AssignmentKind.MANUAL,
    Membership.RULE: AssignmentKind.AUTOMATIC,
}


def segments_by_key(provider: Provider) -> ReadsByKey | None:
    """Return what reads segments by their keys; None: nothing does."""
    return provider.adapter.segments_by_key if provider.offers(ReadsSegments) else None


def customers_by_key(provider: Provider) -> ReadsByKey | None:
    """Return what reads customers by their keys; None: nothing does."""
    return provider.adapter.customers_by_key if provider.offers(ReadsCustomers) else None


def of_kind(assignment: Assignment, segment: Segment) -> Assignment:
    """Return an assignment with the kind that its segment tells."""
    kind = KIND_BY_MEMBERSHIP.get(segment.membership, AssignmentKind.UNKNOWN)
    return msgspec.structs.replace(assignment, kind=kind, is_partial=False)


def ref_of_value(value: Any) -> Ref:
    """Return what names a value."""
    ref: Ref = value.ref
    return ref
