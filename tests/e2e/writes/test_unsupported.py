"""What a provider cannot do: refused at the field that names it, before anything is sent."""

from collections.abc import Mapping

import pytest

from tests.e2e.serving import Front, assignment_id
from tests.e2e.writes.asking import do, problem
from tests.e2e.writes.inputs import EMPTY, SEGMENT_OF, given_for

UNSUPPORTED: Mapping[str, str] = {
    "segmentCreate": "instaleap",
    "segmentUpdate": "stuut voucherify instaleap",
    "segmentUpsert": "stuut voucherify instaleap",
    "segmentDelete": "stuut instaleap",
    "segmentBulkCreate": "instaleap",
    "segmentBulkUpsert": "stuut voucherify instaleap",
    "segmentsReorder": "voucherify instaleap emporix",
    "assignmentCreate": "stuut voucherify instaleap",
    "assignmentDelete": "stuut voucherify instaleap",
    "assignmentBulkCreate": "stuut voucherify instaleap",
    "assignmentBulkDelete": "stuut voucherify instaleap",
    "customerSegmentsReplace": "stuut voucherify",
    "customerAttributesUpdate": "stuut instaleap",
    "segmentItemsBulkAssign": "stuut voucherify instaleap",
    "segmentItemsBulkUnassign": "stuut voucherify instaleap",
}


@pytest.mark.parametrize(
    ("field", "provider"),
    [(field, each) for field, listed in UNSUPPORTED.items() for each in listed.split()],
)
async def test_unsupported(front: Front, field: str, provider: str) -> None:
    """What a provider cannot do is refused at the field that names it; nothing is sent."""
    given = given_for(field, provider)
    payload = await do(front, field, given)
    named = next(iter(given))
    problems = [problem(named, "UNSUPPORTED", provider)]
    assert payload == {**EMPTY[field], "userErrors": problems}
    assert front.calls == []


async def test_unsupported_agrees_with_the_capabilities(front: Front) -> None:
    """What is refused here is what `Provider.capabilities` says in advance."""
    data = await front.data("{ providers { key capabilities { operation supported } } }")
    supported = {
        (each["key"], capability["operation"]): capability["supported"]
        for each in data["providers"]
        for capability in each["capabilities"]
    }
    operations = {
        "segmentCreate": "SEGMENT_CREATE",
        "segmentUpdate": "SEGMENT_UPDATE",
        "segmentUpsert": "SEGMENT_UPSERT",
        "segmentDelete": "SEGMENT_DELETE",
        "segmentBulkCreate": "SEGMENT_CREATE",
        "segmentBulkUpsert": "SEGMENT_UPSERT",
        "segmentsReorder": "SEGMENT_REORDER",
        "assignmentCreate": "ASSIGNMENT_CREATE",
        "assignmentDelete": "ASSIGNMENT_DELETE",
        "assignmentBulkCreate": "ASSIGNMENT_CREATE",
        "assignmentBulkDelete": "ASSIGNMENT_DELETE",
        "customerSegmentsReplace": "ASSIGNMENT_REPLACE",
        "customerAttributesUpdate": "CUSTOMER_ATTRIBUTES_UPDATE",
        "segmentItemsBulkAssign": "ITEM_ASSIGN",
        "segmentItemsBulkUnassign": "ITEM_ASSIGN",
    }
    assert {
        field: " ".join(key for key in SEGMENT_OF if not supported[key, operation])
        for field, operation in operations.items()
    } == UNSUPPORTED


async def test_unassign_by_the_id_of_an_unsupported_one(front: Front) -> None:
    """An assignment's own id leads to the same refusal."""
    payload = await do(front, "assignmentDelete", {"id": assignment_id("stuut", "seg", "ptn")})
    problems = [problem("id", "UNSUPPORTED", "stuut")]
    assert payload == {"deletedAssignmentId": None, "userErrors": problems}
    assert front.calls == []
