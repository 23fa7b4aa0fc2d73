"""Mark values read from a cached reply with their origin."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from gateway.domain.entities import Assignment, Customer, Origin, Segment
from gateway.domain.pages import Page

T = TypeVar("T")


def with_origin(value: T, origin: Origin, fetched_at: datetime) -> T:
    """Return the value with its origin and the time of its reply."""
    result: Any = _with_origin(value, origin, fetched_at)
    return result  # type: ignore[no-any-return]  # the same type: only origins differ


def _with_origin(value: Any, origin: Origin, fetched_at: datetime) -> Any:
    if isinstance(value, Segment | Customer):
        return msgspec.structs.replace(value, origin=origin, fetched_at=fetched_at)
    if isinstance(value, Assignment):
        return msgspec.structs.replace(
            value,
            origin=origin,
            fetched_at=fetched_at,
            segment=_with_origin(value.segment, origin, fetched_at),
            customer=_with_origin(value.customer, origin, fetched_at),
        )
    if isinstance(value, Page):
        rows = [_with_origin(row, origin, fetched_at) for row in value.rows]
        return msgspec.structs.replace(value, rows=rows, origin=origin, fetched_at=fetched_at)
    if isinstance(value, Mapping):
        return {key: _with_origin(each, origin, fetched_at) for key, each in value.items()}
    return value
