"""A documented part may have a value that is not documented: it is UNKNOWN, and nothing odd."""

from typing import Any

import msgspec

from gateway.domain.entities import AssignmentKind, ItemKind, Membership, Status
from gateway.providers.base.decoding import decode
from gateway.providers.base.exchange import Reply
from gateway.providers.emporix.model import (
    Account,
    AssignmentModel,
    ItemAssignmentModel,
    assignments_of,
    items_of,
    segment_columns,
)
from gateway.providers.emporix.model import SegmentModel as EmporixSegment
from gateway.providers.emporix.model import segments_of as emporix_segments_of
from gateway.providers.voucherify.model import SEGMENT_COLUMNS, SegmentModel, segments_of

ACCOUNT = Account("emporix", "en")


def decoded(form: Any, *documents: Any) -> Any:
    """Return what a provider's list is decoded to, without any note."""
    reply = Reply(200, {}, msgspec.json.encode(documents))
    rows = decode("p", "list", reply, list[form])
    assert (type(rows), reply.oddities) == (list, [])
    return rows


def test_type_of_a_segment() -> None:
    """Voucherify's types, a new one, and one without a name."""
    types = ("static", "auto-update", "passive", "new", "")
    at = "2026-01-31T09:30:00Z"
    documents = [{"id": "1", "name": "A", "type": each, "created_at": at} for each in types]
    models = decoded(SegmentModel, *documents)
    segments = segments_of("voucherify", models, [b"{}"] * 5)
    expected = [
        (Membership.MANUAL, False),
        (Membership.RULE, True),
        (Membership.RULE, False),
        (Membership.UNKNOWN, False),
        (Membership.UNKNOWN, False),
    ]
    paths = ("membership", "emits_membership_events")
    assert [(each.membership, each.emits_membership_events) for each in segments] == expected
    assert [*zip(*(SEGMENT_COLUMNS.by_path[path](models) for path in paths), strict=True)] == (
        expected
    )


def test_status_of_a_segment() -> None:
    """Emporix' statuses, a new one, null, and none."""
    states: tuple[Any, ...] = ("ACTIVE", "INACTIVE", "NEW", None)
    documents: list[Any] = [{"id": "1", "name": {}, "status": each} for each in states]
    models = decoded(EmporixSegment, *documents, {"id": "1", "name": {}})
    segments = emporix_segments_of(ACCOUNT, models, [b"{}"] * 5)
    expected = [Status.ACTIVE, Status.INACTIVE, Status.UNKNOWN, Status.UNKNOWN, Status.UNKNOWN]
    assert [each.status for each in segments] == expected
    assert segment_columns("en").by_path["status"](models) == expected


def test_type_of_an_assignment() -> None:
    """Emporix' types, a new one, null, and none."""
    types: tuple[Any, ...] = ("MANUAL", "AUTOMATIC", "NEW", None)
    documents: list[Any] = [{"customer": {"id": "c"}, "assignmentType": each} for each in types]
    models = decoded(AssignmentModel, *documents, {"customer": {"id": "c"}})
    unknown = [AssignmentKind.UNKNOWN] * 3
    assert [each.kind for each in assignments_of(ACCOUNT, "s", models)] == [
        AssignmentKind.MANUAL,
        AssignmentKind.AUTOMATIC,
        *unknown,
    ]


def test_type_of_an_item() -> None:
    """Emporix' types, and a new one."""
    types = ("PRODUCT", "CATEGORY", "NEW")
    models = decoded(ItemAssignmentModel, *({"item": {"id": "i"}, "type": each} for each in types))
    kinds = [ItemKind.PRODUCT, ItemKind.CATEGORY, ItemKind.UNKNOWN]
    assert [each.kind for each in items_of(ACCOUNT, models, ())] == kinds
