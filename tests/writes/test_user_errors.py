"""The caller's mistakes: all of them at once, each at its field, and nothing is sent."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.front.known import APP_BETA, DACH_STRATEGIC
from tests.front.serving import Front, assignment_id, customer_id, segment_id
from tests.writes.asking import do, problem

STUUT = segment_id("stuut", DACH_STRATEGIC)
VOUCHERIFY = segment_id("voucherify", APP_BETA)
INSTALEAP = segment_id("instaleap", "membership:GOLD")
GOLDEN = segment_id("emporix", "golden")
LANGUAGES = [{"language": "en", "text": "A"}, {"language": "en", "text": "B"}]
EMPTY: Mapping[str, Mapping[str, Any]] = {
    "segmentCreate": {"segment": None},
    "segmentUpdate": {"segment": None},
    "segmentUpsert": {"segment": None, "created": None},
    "segmentDelete": {"deletedSegmentId": None},
    "segmentBulkCreate": {"results": [], "succeeded": 0, "failed": 0},
    "segmentBulkUpsert": {"results": [], "succeeded": 0, "failed": 0},
    "segmentBulkDelete": {"results": [], "succeeded": 0, "failed": 0},
    "segmentsReorder": {"segments": None},
    "assignmentCreate": {"assignment": None},
    "assignmentDelete": {"deletedAssignmentId": None},
    "assignmentBulkCreate": {"results": [], "succeeded": 0, "failed": 0},
    "assignmentBulkDelete": {"results": [], "succeeded": 0, "failed": 0},
    "customerSegmentsReplace": {"updatedCustomerIds": [], "results": []},
    "segmentItemsBulkAssign": {"results": [], "succeeded": 0, "failed": 0},
    "segmentItemsBulkUnassign": {"results": [], "succeeded": 0, "failed": 0},
}
"""What a payload has when nothing was done."""

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


BY_PROVIDER: Mapping[str, Mapping[str, Any]] = {
    "segmentCreate": {"provider": "{}", "name": "A"},
    "segmentUpdate": {"id": "segment", "name": "A"},
    "segmentUpsert": {"provider": "{}", "externalId": "a", "name": "A", "siteCode": "main"},
    "segmentDelete": {"id": "segment"},
    "segmentBulkCreate": {"provider": "{}", "segments": [{"name": "A"}]},
    "segmentBulkUpsert": {"provider": "{}", "segments": [{"externalId": "a"}]},
    "segmentsReorder": {"provider": "{}", "ids": []},
    "assignmentCreate": {"segmentId": "segment", "customerId": "customer"},
    "assignmentDelete": {"segmentId": "segment", "customerId": "customer"},
    "assignmentBulkCreate": {"segmentId": "segment", "assignments": [{"customerId": "customer"}]},
    "assignmentBulkDelete": {"segmentId": "segment", "assignments": [{"customerId": "customer"}]},
    "customerSegmentsReplace": {"provider": "{}", "customers": [{"externalId": "1"}]},
    "segmentItemsBulkAssign": {
        "segmentId": "segment",
        "items": [{"externalId": "p1001", "type": "PRODUCT"}],
    },
    "segmentItemsBulkUnassign": {
        "segmentId": "segment",
        "items": [{"externalId": "p1001", "type": "PRODUCT"}],
    },
}
"""A sound input of each mutation; `{}`, `segment` and `customer` are those of a provider."""
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
    "segmentItemsBulkAssign": "stuut voucherify instaleap",
    "segmentItemsBulkUnassign": "stuut voucherify instaleap",
}
SEGMENT_OF = {
    "stuut": STUUT,
    "voucherify": VOUCHERIFY,
    "instaleap": INSTALEAP,
    "emporix": GOLDEN,
}


def given_for(field: str, provider: str) -> Mapping[str, Any]:
    """Return a sound input of a mutation for a provider."""

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(part) for name, part in value.items()}
        if isinstance(value, list):
            return [filled(part) for part in value]
        words = {
            "{}": provider,
            "segment": SEGMENT_OF[provider],
            "customer": customer_id(provider, "1"),
        }
        return words.get(value, value)

    found: Mapping[str, Any] = filled(BY_PROVIDER[field])
    return found


@pytest.mark.parametrize(
    ("field", "provider"),
    [(field, each) for field, listed in UNSUPPORTED.items() for each in listed.split()],
)
async def test_unsupported(front: Front, field: str, provider: str) -> None:
    """What a provider cannot do is refused at the field that names it; nothing is sent."""
    given = given_for(field, provider)
    payload = await do(front, field, given)
    named = next(iter(given))
    told = [problem(named, "UNSUPPORTED", provider)]
    assert payload == {**EMPTY[field], "userErrors": told}
    assert front.calls == []


async def test_unsupported_agrees_with_the_capabilities(front: Front) -> None:
    """What is refused here is what `Provider.capabilities` says in advance."""
    data = await front.data("{ providers { key capabilities { operation supported } } }")
    told = {
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
        "segmentItemsBulkAssign": "ITEM_ASSIGN",
        "segmentItemsBulkUnassign": "ITEM_ASSIGN",
    }
    assert {
        field: " ".join(key for key in SEGMENT_OF if not told[key, operation])
        for field, operation in operations.items()
    } == UNSUPPORTED


async def test_unassign_by_the_id_of_an_unsupported_one(front: Front) -> None:
    """An assignment's own id leads to the same refusal."""
    payload = await do(front, "assignmentDelete", {"id": assignment_id("stuut", "seg", "ptn")})
    told = [problem("id", "UNSUPPORTED", "stuut")]
    assert payload == {"deletedAssignmentId": None, "userErrors": told}
    assert front.calls == []
