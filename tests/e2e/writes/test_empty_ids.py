"""Empty ids: in a path they would name another thing, or all of them, so nothing is sent."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.serving import Front, customer_id, segment_id
from tests.e2e.writes.asking import do, problem

GOLDEN = segment_id("emporix", "golden")
WHO = {"customerId": customer_id("emporix", "1")}
NOBODY = {"identity": {"provider": "emporix", "externalId": ""}}

WHOLE: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "a customer to assign": ("assignmentCreate", NOBODY, "identity.externalId"),
    "a customer to take out": ("assignmentDelete", NOBODY, "identity.externalId"),
    "a legal entity to assign through": (
        "assignmentCreate",
        {**WHO, "legalEntityId": ""},
        "legalEntityId",
    ),
    "a legal entity to take out": (
        "assignmentDelete",
        {**WHO, "legalEntityId": ""},
        "legalEntityId",
    ),
    "an item to assign": (
        "segmentItemsBulkAssign",
        {"items": [{"externalId": "", "type": "PRODUCT"}]},
        "items.0.externalId",
    ),
    "an item to take out": (
        "segmentItemsBulkUnassign",
        {"items": [{"externalId": "", "type": "PRODUCT"}]},
        "items.0.externalId",
    ),
}


@pytest.mark.parametrize(("field", "given", "at"), WHOLE.values(), ids=WHOLE)
async def test_an_empty_id_is_refused_before_anything_is_sent(
    front: Front, field: str, given: Mapping[str, Any], at: str
) -> None:
    """The error names the part of the input."""
    payload = await do(front, field, {"segmentId": GOLDEN, **given}, "__typename")
    assert payload["userErrors"] == [problem(at, "INVALID", None)]
    assert front.calls == []


@pytest.mark.parametrize("provider", ["stuut", "voucherify", "emporix"])
async def test_a_new_segment_has_no_empty_id(front: Front, provider: str) -> None:
    """Neither its own nor one of its customers."""
    given = {
        "provider": provider,
        "name": "A",
        "externalId": "",
        "customerExternalIds": ["cust_1", ""],
    }
    payload = await do(front, "segmentCreate", given, "segment { name }")
    assert payload["segment"] is None
    codes = {".".join(each["field"]): each["code"] for each in payload["userErrors"]}
    assert codes["customerExternalIds.1"] == "INVALID"
    # Where the provider chooses its ids, there is none to give.
    assert codes["externalId"] == ("INVALID" if provider == "emporix" else "UNSUPPORTED")
    assert front.calls == []


async def test_a_written_segment_has_no_empty_id(front: Front) -> None:
    """An upsert names what it writes."""
    given = {"provider": "emporix", "name": "A", "externalId": "", "siteCode": "main"}
    payload = await do(front, "segmentUpsert", given, "created")
    problems = [problem("externalId", "INVALID", "emporix")]
    assert payload == {"created": None, "userErrors": problems}
    assert front.calls == []


@pytest.mark.parametrize("field", ["assignmentBulkCreate", "assignmentBulkDelete"])
async def test_an_empty_id_costs_its_own_row_of_a_bulk(front: Front, field: str) -> None:
    """The others are sent."""
    rows = [NOBODY, {**WHO, "legalEntityId": ""}]
    given = {"segmentId": GOLDEN, "assignments": rows}
    payload = await do(front, field, given, "results { outcome userErrors { field code } }")
    assert payload["results"] == [
        {
            "outcome": "FAILED",
            "userErrors": [
                {"field": ["assignments", "0", "identity", "externalId"], "code": "INVALID"}
            ],
        },
        {
            "outcome": "FAILED",
            "userErrors": [{"field": ["assignments", "1", "legalEntityId"], "code": "INVALID"}],
        },
    ]
    assert front.calls == []


@pytest.mark.parametrize("provider", ["instaleap", "emporix"])
async def test_nobody_is_given_segments(front: Front, provider: str) -> None:
    """A replacement names whose segments they are."""
    given = {"provider": provider, "customers": [{"externalId": "", "segmentIds": []}]}
    payload = await do(
        front, "customerSegmentsReplace", given, "results { outcome userErrors { field code } }"
    )
    problems = [{"field": ["customers", "0", "externalId"], "code": "REQUIRED"}]
    assert payload["results"] == [{"outcome": "NOT_UPDATED", "userErrors": problems}]
    assert front.calls == []
