"""The caller's mistakes: all of them at once, each at its field, and nothing is sent."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.e2e.serving import Front, customer_id, segment_id
from tests.e2e.writes.asking import do, problem
from tests.e2e.writes.inputs import EMPTY, GOLDEN, STUUT

LANGUAGES = [{"language": "en", "text": "A"}, {"language": "en", "text": "B"}]

Case = tuple[str, Mapping[str, Any], Sequence[Mapping[str, Any]]]


def unknown(field: str = "provider") -> dict[str, Any]:
    """Return the error of a provider that there is not."""
    return problem(field, "INVALID", None)


CHECKED: Mapping[str, Case] = {
    "create, unknown provider and another mistake": (
        "segmentCreate",
        {"provider": "acme", "names": LANGUAGES},
        [unknown(), problem("names.1.language", "INVALID", None)],
    ),
    "create at Stuut, everything wrong": (
        "segmentCreate",
        {
            "provider": "stuut",
            "externalId": "own",
            "name": "x" * 129,
            "priority": -1,
            "status": "ACTIVE",
            "validity": {},
            "siteCode": "main",
            "attributes": {},
            "customerExternalIds": ["ptn_1"],
            "emitsMembershipEvents": True,
        },
        [
            problem("externalId", "UNSUPPORTED", "stuut"),
            problem("customers", "UNSUPPORTED", "stuut"),
            problem("emitsMembershipEvents", "UNSUPPORTED", "stuut"),
            problem("status", "UNSUPPORTED", "stuut"),
            problem("validity", "UNSUPPORTED", "stuut"),
            problem("siteCode", "UNSUPPORTED", "stuut"),
            problem("attributes", "UNSUPPORTED", "stuut"),
            problem("name", "INVALID", "stuut"),
            problem("priority", "INVALID", "stuut"),
        ],
    ),
    "create at Stuut, nothing": (
        "segmentCreate",
        {"provider": "stuut"},
        [problem("name", "REQUIRED", "stuut"), problem("priority", "REQUIRED", "stuut")],
    ),
    "create at Stuut, two languages and a rule that is none": (
        "segmentCreate",
        {
            "provider": "stuut",
            "priority": 1,
            "names": [{"language": "en", "text": "A"}, {"language": "de", "text": "B"}],
            "rule": {"native": [1]},
        },
        [
            problem("rule.native", "INVALID", None),
            problem("names", "UNSUPPORTED", "stuut"),
        ],
    ),
    "create at Voucherify, nothing": (
        "segmentCreate",
        {"provider": "voucherify"},
        [problem("name", "REQUIRED", "voucherify"), problem("rule", "REQUIRED", "voucherify")],
    ),
    "create at Voucherify, rule and customers": (
        "segmentCreate",
        {
            "provider": "voucherify",
            "name": "A",
            "description": "none there",
            "customerExternalIds": [],
            "rule": {"native": {"junction": "xor"}},
        },
        [
            problem("description", "UNSUPPORTED", "voucherify"),
            problem("rule", "INVALID", "voucherify"),
            problem("rule", "INVALID", "voucherify"),
            problem("rule", "INVALID", "voucherify"),
        ],
    ),
    "create at Voucherify, events of a fixed list": (
        "segmentCreate",
        {
            "provider": "voucherify",
            "name": "A",
            "customerExternalIds": ["cust_1"],
            "emitsMembershipEvents": True,
        },
        [problem("emitsMembershipEvents", "INVALID", "voucherify")],
    ),
    "create at Voucherify, too many members": (
        "segmentCreate",
        {
            "provider": "voucherify",
            "name": "A",
            "customerExternalIds": [f"cust_{n}" for n in range(20_001)],
        },
        [problem("customers", "LIMIT_EXCEEDED", "voucherify")],
    ),
    "create at Voucherify, members of others and of none": (
        "segmentCreate",
        {
            "provider": "voucherify",
            "name": "A",
            "customers": [customer_id("emporix", "1"), "nonsense", GOLDEN],
        },
        [problem(f"customers.{n}", "INVALID", None) for n in range(3)],
    ),
    "create at Emporix, nothing": (
        "segmentCreate",
        {"provider": "emporix"},
        [problem("name", "REQUIRED", "emporix"), problem("siteCode", "REQUIRED", "emporix")],
    ),
    "create at Emporix, everything wrong": (
        "segmentCreate",
        {
            "provider": "emporix",
            "externalId": "bulk",
            "name": " ",
            "descriptions": [{"language": "english!", "text": "A"}],
            "siteCode": "",
            "status": "UNKNOWN",
            "validity": {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
            "priority": 1,
            "rule": {"native": {}},
        },
        [
            problem("rule", "UNSUPPORTED", "emporix"),
            problem("priority", "UNSUPPORTED", "emporix"),
            problem("externalId", "INVALID", "emporix"),
            problem("name", "INVALID", "emporix"),
            problem("descriptions.0.language", "INVALID", "emporix"),
            problem("siteCode", "INVALID", "emporix"),
            problem("status", "INVALID", "emporix"),
            problem("validity.to", "INVALID", "emporix"),
        ],
    ),
    "create, one text twice and no JSON object": (
        "segmentCreate",
        {
            "provider": "emporix",
            "name": "A",
            "names": [{"language": "en", "text": "A"}],
            "siteCode": "main",
            "attributes": "text",
        },
        [problem("names", "INVALID", None), problem("attributes", "INVALID", None)],
    ),
    "update, no id and nothing to change": (
        "segmentUpdate",
        {"id": "nonsense", "version": 3},
        [problem("id", "INVALID", None), problem(None, "REQUIRED", None)],
    ),
    "update of a customer": (
        "segmentUpdate",
        {"id": customer_id("emporix", "1"), "name": "A"},
        [problem("id", "INVALID", None)],
    ),
    "update of an unknown provider's": (
        "segmentUpdate",
        {"id": segment_id("acme", "1"), "name": "A", "names": []},
        [unknown("id"), problem("names", "INVALID", None)],
    ),
    "update, what cannot be cleared": (
        "segmentUpdate",
        {"id": GOLDEN, "name": None, "siteCode": None, "status": None},
        [
            problem("name", "REQUIRED", "emporix"),
            problem("siteCode", "REQUIRED", "emporix"),
            problem("status", "REQUIRED", "emporix"),
        ],
    ),
    "upsert, nothing": (
        "segmentUpsert",
        {"provider": "emporix", "externalId": ""},
        [
            problem("name", "REQUIRED", "emporix"),
            problem("siteCode", "REQUIRED", "emporix"),
            problem("externalId", "INVALID", "emporix"),
        ],
    ),
    "upsert, unknown provider": (
        "segmentUpsert",
        {"provider": "acme", "externalId": "1", "attributes": 1},
        [unknown(), problem("attributes", "INVALID", None)],
    ),
    "delete, no id": ("segmentDelete", {"id": ""}, [problem("id", "INVALID", None)]),
    "delete, unknown provider": (
        "segmentDelete",
        {"id": segment_id("acme", "1")},
        [unknown("id")],
    ),
    "bulk create, unknown provider": (
        "segmentBulkCreate",
        {"provider": "acme", "segments": [{}]},
        [unknown()],
    ),
    "bulk upsert, unknown provider": (
        "segmentBulkUpsert",
        {"provider": "acme", "segments": [{}]},
        [unknown()],
    ),
    "reorder, strangers and repetitions": (
        "segmentsReorder",
        {"provider": "stuut", "ids": [STUUT, GOLDEN, STUUT]},
        [problem("ids.1", "INVALID", "stuut"), problem("ids.2", "INVALID", "stuut")],
    ),
    "reorder, no ids": (
        "segmentsReorder",
        {"provider": "stuut", "ids": ["a", STUUT, "b"]},
        [problem("ids.0", "INVALID", None), problem("ids.2", "INVALID", None)],
    ),
    "reorder, unknown provider": (
        "segmentsReorder",
        {"provider": "acme", "ids": []},
        [unknown()],
    ),
    "assign nobody": (
        "assignmentCreate",
        {"segmentId": GOLDEN},
        [problem(None, "REQUIRED", None)],
    ),
    "assign one in two ways": (
        "assignmentCreate",
        {
            "segmentId": GOLDEN,
            "customerId": customer_id("emporix", "1"),
            "identity": {"provider": "emporix", "externalId": "1"},
        },
        [problem(None, "REQUIRED", None)],
    ),
    "assign another provider's customer": (
        "assignmentCreate",
        {"segmentId": GOLDEN, "customerId": customer_id("stuut", "ptn_1")},
        [problem("customerId", "INVALID", "emporix")],
    ),
    "assign another provider's identity": (
        "assignmentCreate",
        {"segmentId": GOLDEN, "identity": {"provider": "stuut", "externalId": "ptn_1"}},
        [problem("identity.provider", "INVALID", "emporix")],
    ),
    "assign to no segment": (
        "assignmentCreate",
        {"segmentId": "nonsense", "customerId": "nonsense"},
        [problem("segmentId", "INVALID", None)],
    ),
    "assign what is no customer": (
        "assignmentCreate",
        {"segmentId": GOLDEN, "customerId": GOLDEN},
        [problem("customerId", "INVALID", None)],
    ),
    "unassign nothing": (
        "assignmentDelete",
        {},
        [problem(None, "REQUIRED", None)],
    ),
    "unassign by the id of a segment": (
        "assignmentDelete",
        {"id": GOLDEN},
        [problem("id", "INVALID", None)],
    ),
    "unassign by no id": ("assignmentDelete", {"id": "x"}, [problem("id", "INVALID", None)]),
    "assign many to no segment": (
        "assignmentBulkCreate",
        {"segmentId": "x", "assignments": [{}]},
        [problem("segmentId", "INVALID", None)],
    ),
    "unassign many, unknown provider": (
        "assignmentBulkDelete",
        {"segmentId": segment_id("acme", "1"), "assignments": [{}]},
        [unknown("segmentId")],
    ),
    "replace, unknown provider": (
        "customerSegmentsReplace",
        {"provider": "acme", "customers": [{"externalId": "1"}]},
        [unknown()],
    ),
    "items of no kind": (
        "segmentItemsBulkAssign",
        {"segmentId": GOLDEN, "items": [{"externalId": "1", "type": "UNKNOWN"}]},
        [problem("items.0.type", "INVALID", None)],
    ),
    "items to no segment": (
        "segmentItemsBulkUnassign",
        {"segmentId": "x", "items": []},
        [problem("segmentId", "INVALID", None)],
    ),
}


@pytest.mark.parametrize("case", CHECKED)
async def test_checked_first(front: Front, case: str) -> None:
    """What the input shows to be wrong is told at once, and no provider is asked anything."""
    field, given, problems = CHECKED[case]
    payload = await do(front, field, given)
    assert payload == {**EMPTY[field], "userErrors": problems}
    assert front.calls == []
