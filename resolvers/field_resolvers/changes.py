"""Fields of changes."""

from collections.abc import Sequence
from typing import NamedTuple

import strawberry

from gateway.context import ChangePage
from gateway.domain.change_log import AssignmentChange, Change, ChangeKind
from gateway.domain.entities import Customer, Ref, Segment
from resolvers import global_ids
from resolvers.field_resolvers.segments import Results
from resolvers.global_ids import Kind
from resolvers.lookahead import FieldInfo
from resolvers.value_types import LegalEntity, PageInfo


class ChangeRow(NamedTuple):
    """A row of a page of changes."""

    change: Change

    @property
    def cursor(self) -> str:
        """The cursor of the change."""
        return self.change.cursor.text


def segment_ref(change: Change) -> Ref:
    """Return the segment that a change is about."""
    ref = change.ref
    return ref if isinstance(ref, Ref) else Ref(ref.provider, ref.segment)


def segment_id(change: Change) -> str:
    """Return the global id of the segment."""
    return global_ids.of_ref(Kind.SEGMENT, segment_ref(change))


def customer_id(change: AssignmentChange) -> str:
    """Return the global id of the customer."""
    return global_ids.of_ref(Kind.CUSTOMER, Ref(change.ref.provider, change.ref.customer))


async def segments(changes: Sequence[Change], info: FieldInfo) -> Results[Segment]:
    """Return the segment of each change; None if the change deleted it."""
    exists = [
        isinstance(each, AssignmentChange) or each.kind is not ChangeKind.DELETED
        for each in changes
    ]
    refs = [segment_ref(each) for each, has_one in zip(changes, exists, strict=True) if has_one]
    loaded = iter(await info.context.loaders.segment.load_results(refs) if refs else ())
    return [next(loaded) if has_one else None for has_one in exists]


async def customers(changes: Sequence[AssignmentChange], info: FieldInfo) -> Results[Customer]:
    """Return the customer of each change."""
    refs = [Ref(each.ref.provider, each.ref.customer) for each in changes]
    return await info.context.loaders.customer.load_results(refs)


def legal_entity(change: AssignmentChange) -> LegalEntity | None:
    """Return the legal entity of the assignment; the log does not have its name."""
    key = change.ref.legal_entity
    if key is None:
        return None
    ref = Ref(change.ref.provider, key)
    return LegalEntity(
        id=strawberry.ID(global_ids.of_ref(Kind.LEGAL_ENTITY, ref)), name=None, external_id=key
    )


def edges(page: ChangePage) -> list[ChangeRow]:
    """Return the rows of a page."""
    return [ChangeRow(each) for each in page.changes]


def nodes(page: ChangePage) -> list[Change]:
    """Return the changes of a page."""
    return list(page.changes)


def page_info(page: ChangePage) -> PageInfo:
    """Return the position of a page; its end is where the scan ended, even if it is empty."""
    return PageInfo(
        has_next_page=page.has_more,
        has_previous_page=page.start.position > 0,
        start_cursor=page.changes[0].cursor.text if page.changes else None,
        end_cursor=page.end.text,
    )
