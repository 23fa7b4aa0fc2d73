"""How loaders read by key: an adapter's methods, calls of them, and the results."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from gateway.domain.entities import Assignment, AssignmentKind, Membership, Ref, Segment
from gateway.errors import GatewayError
from gateway.providers.base.adapter import ReadBatch, ReadsCustomers, ReadsSegments
from gateway.upstream.provider import Provider

T = TypeVar("T")

ReadByKeys: TypeAlias = Callable[[Sequence[str]], Sequence[ReadBatch]]
"""An adapter's method that builds the calls to read values by key."""

MethodOf: TypeAlias = Callable[[Provider], ReadByKeys | None]
"""Returns that method of a provider's adapter; None: it has none."""

ReadAll: TypeAlias = Callable[[Provider], Awaitable[Mapping[str, Any]]]
"""Reads a provider's whole list as a mapping, for providers that cannot read by key."""

MethodCall: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...]]
"""An adapter's method and its arguments."""

BatchResults: TypeAlias = Sequence[tuple[Sequence[str], Mapping[str, T] | GatewayError]]
"""The keys of each upstream call, and its values or its error."""

KIND_BY_MEMBERSHIP = {
    Membership.MANUAL: AssignmentKind.MANUAL,
    Membership.RULE: AssignmentKind.AUTOMATIC,
}


def segments_by_key(provider: Provider) -> ReadByKeys | None:
    """Return the method that reads segments by key; None: there is none."""
    return provider.adapter.segments_by_key if provider.offers(ReadsSegments) else None


def customers_by_key(provider: Provider) -> ReadByKeys | None:
    """Return the method that reads customers by key; None: there is none."""
    return provider.adapter.customers_by_key if provider.offers(ReadsCustomers) else None


def with_kind(assignment: Assignment, segment: Segment) -> Assignment:
    """Return the assignment with the kind that follows from its segment."""
    kind = KIND_BY_MEMBERSHIP.get(segment.membership, AssignmentKind.UNKNOWN)
    return msgspec.structs.replace(assignment, kind=kind, is_partial=False)


def ref_of_value(value: Any) -> Ref:
    """Return the ref of a segment or customer."""
    ref: Ref = value.ref
    return ref
