"""Mark what was read from a kept answer with where it comes from."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from gateway.domain.entities import Assignment, Customer, Origin, Segment
from gateway.domain.pages import Page

T = TypeVar("T")


def marked(value: T, origin: Origin, fetched_at: datetime) -> T:
    """Return what an exchange read, saying where it comes from and when that was told."""
    found: Any = _marked(value, origin, fetched_at)
    return found  # type: ignore[no-any-return]  # of the same type: only origins differ


def _marked(value: Any, origin: Origin, fetched_at: datetime) -> Any:
    if isinstance(value, Segment | Customer):
        return msgspec.structs.replace(value, origin=origin, fetched_at=fetched_at)
    if isinstance(value, Assignment):
        return msgspec.structs.replace(
            value,
            origin=origin,
            fetched_at=fetched_at,
            segment=_marked(value.segment, origin, fetched_at),
            customer=_marked(value.customer, origin, fetched_at),
        )
    if isinstance(value, Page):
        rows = [_marked(row, origin, fetched_at) for row in value.rows]
        return msgspec.structs.replace(value, rows=rows, origin=origin, fetched_at=fetched_at)
    if isinstance(value, Mapping):
        return {key: _marked(each, origin, fetched_at) for key, each in value.items()}
    return value
