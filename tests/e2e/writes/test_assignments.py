"""Who is in a segment of Emporix: put in and taken out, B2C and B2B, one by one and in bulk."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import pytest

from gateway.sandbox.people import person
from tests.e2e.known import HIRO_AT
from tests.e2e.serving import Front, assignment_id, customer_id, segment_id
from tests.e2e.writes.asking import EMPORIX, buyers, do, problem

STAFF = segment_id("emporix", "staff")
HIRO = HIRO_AT["emporix"]
CUSTOMERS = f"{EMPORIX}/staff/customers"
NOW = "2026-11-22T10:00:00.123Z"
NEW: Mapping[str, Any] = {
    "kind": "MANUAL",
    "state": "CONFIRMED",
    "origin": "LIVE",
    "version": 1,
    "createdAt": NOW,
    "updatedAt": NOW,
    "segment": {"externalId": "staff", "name": "Staff discount"},
    "legalEntity": None,
}
ENTITIES = """query($id: ID!) { customer(id: $id) { raw } }"""


def by_key(key: str) -> dict[str, Any]:
    """Return a row of input that names a customer by the provider's own id."""
    return {"identity": {"provider": "emporix", "externalId": key}}


async def entities(front: Front) -> list[Mapping[str, Any]]:
    """Return Hiro's legal entities, as Emporix tells them."""
    data = await front.data(ENTITIES, {"id": customer_id("emporix", HIRO)})
    front.forget()
    entities: list[Mapping[str, Any]] = data["customer"]["raw"]["b2b"]["legalEntities"]
    return entities


async def members(front: Front, segment: str = STAFF) -> list[str]:
    """Return the ids of a segment's assignments, as the provider has them now."""
    data = await front.data(
        "query($id: ID!) { segment(id: $id) { assignments(first: 250) { nodes { id } } } }",
        {"id": segment},
    )
    return [node["id"] for node in data["segment"]["assignments"]["nodes"]]


@pytest.mark.parametrize("named", ["by global id", "by the provider's id"])
async def test_create_and_delete(front: Front, named: str) -> None:
    """A customer is put in, is a member, is put in again, and is taken out by either name."""
    key = buyers(1)[0]
    who: dict[str, Any] = (
        {"customerId": customer_id("emporix", key)} if named == "by global id" else by_key(key)
    )
    mine = assignment_id("emporix", "staff", key)
    payload = await do(front, "assignmentCreate", {"segmentId": STAFF, **who})
    new = {**NEW, "id": mine, "customer": {"name": person(0).name}}
    assert payload == {"assignment": new, "userErrors": []}
    one = f"{CUSTOMERS}/{key}"
    # Read first, since Emporix would replace one that exists; then what else is shown.
    assert front.calls[:3] == [f"GET {one}", f"PUT {one}", f"GET {one}"]
    assert await members(front) == [mine]

    front.forget()
    payload = await do(front, "assignmentCreate", {"segmentId": STAFF, **who})
    # Not written again: Emporix would replace the whole of it.
    assert payload == {"assignment": new, "userErrors": []}
    assert front.calls[0] == f"GET {one}"
    assert not [call for call in front.calls if call.startswith("PUT")]

    front.forget()
    by = {"id": mine} if named == "by global id" else {"segmentId": STAFF, **who}
    payload = await do(front, "assignmentDelete", by)
    assert payload == {"deletedAssignmentId": mine, "userErrors": []}
    # 204 does not tell who was in: so it is looked at.
    looked = f"GET {CUSTOMERS}?q=customer.id:({key})&pageNumber=1&pageSize=200"
    assert [unquote(call) for call in front.calls] == [f"DELETE {one}", looked]
    assert await members(front) == []
    # Who is not in is no error there.
    payload = await do(front, "assignmentDelete", by)
    assert payload == {"deletedAssignmentId": mine, "userErrors": []}


async def test_legal_entities(front: Front) -> None:
    """In B2B the same customer is in once for each legal entity, apart from by themselves."""
    first, second = await entities(front)
    ids = [assignment_id("emporix", "staff", HIRO, each["id"]) for each in (first, second)]
    for entity, mine in zip((first, second), ids, strict=True):
        given = {"segmentId": STAFF, **by_key(HIRO), "legalEntityId": entity["id"]}
        payload = await do(front, "assignmentCreate", given)
        assert payload["assignment"] == {
            **NEW,
            "id": mine,
            "customer": {"name": person(1).name},
            "legalEntity": {"externalId": entity["id"], "name": entity["name"]},
        }
        one = f"{CUSTOMERS}/{HIRO}/{entity['id']}"
        assert front.calls[:3] == [f"GET {one}", f"PUT {one}", f"GET {one}"]
        front.forget()
    assert await members(front) == ids
    await do(front, "assignmentDelete", {"id": ids[0]})
    assert await members(front) == ids[1:]


async def test_bulk(front: Front) -> None:
    """450 rows take three writes each way, and two reads of who is in; each has its result."""
    made = [{"externalId": f"s{n}", "name": "A", "siteCode": "main"} for n in range(1)]
    await do(front, "segmentBulkCreate", {"provider": "emporix", "segments": made}, "__typename")
    segment, keys = segment_id("emporix", "s0"), buyers(190)
    path = f"{EMPORIX}/s0/customers/bulk"
    rows = [by_key(keys[n % 190]) for n in range(450)]
    front.forget()
    payload = await do(
        front,
        "assignmentBulkCreate",
        {"segmentId": segment, "assignments": rows},
        "results { index outcome userErrors { code } } succeeded failed",
    )
    # Read first, a hundred customers at a time: who is in already is not written again.
    assert len(front.calls) == 5
    assert front.calls[2:] == [f"PUT {path}"] * 3
    assert [row["index"] for row in payload["results"]] == list(range(450))
    outcomes = [row["outcome"] for row in payload["results"]]
    assert (outcomes.count("CREATED"), outcomes.count("UPDATED")) == (190, 260)
    assert (payload["succeeded"], payload["failed"]) == (450, 0)
    assert len(await members(front, segment)) == 190

    front.forget()
    payload = await do(
        front,
        "assignmentBulkDelete",
        {"segmentId": segment, "assignments": rows},
        "results { deletedAssignmentId } succeeded failed",
    )
    gone = [
        {"deletedAssignmentId": assignment_id("emporix", "s0", keys[n % 190])} for n in range(450)
    ]
    assert payload == {"results": gone, "succeeded": 450, "failed": 0, "userErrors": []}
    deletes = [call for call in front.calls if call.startswith("DELETE")]
    assert deletes == [f"DELETE {path}"] * 3
    # 204 does not tell who was in: so it is looked at, a hundred customers at a time.
    assert len(front.calls) == len(deletes) + 2
    assert await members(front, segment) == []


async def test_mixed_rows(front: Front) -> None:
    """Good, bad and refused rows stand beside each other; only what may be sent is."""
    first, _ = await entities(front)
    key = buyers(1)[0]
    rows: list[dict[str, Any]] = [
        {"customerId": customer_id("emporix", key)},
        {},
        {"customerId": customer_id("stuut", "ptn_1")},
        by_key("nobody"),
        {**by_key(HIRO), "legalEntityId": first["id"]},
        {**by_key(HIRO), "legalEntityId": "another"},
        {"identity": {"provider": "voucherify", "externalId": "1"}},
        {"customerId": "nonsense"},
        by_key(key),
    ]

    def failed(index: int, field: str, code: str, provider: str | None) -> dict[str, Any]:
        return {
            "index": index,
            "outcome": "FAILED",
            "assignment": None,
            "deletedAssignmentId": None,
            "userErrors": [problem(f"assignments.{index}{field}", code, provider)],
        }

    def done(index: int, *parts: str, outcome: str, version: int) -> dict[str, Any]:
        mine = assignment_id("emporix", "staff", *parts)
        return {
            "index": index,
            "outcome": outcome,
            "assignment": {"id": mine, "state": "CONFIRMED", "version": version},
            "deletedAssignmentId": None,
            "userErrors": [],
        }

    given = {"segmentId": STAFF, "assignments": rows}
    payload = await do(front, "assignmentBulkCreate", given)
    assert payload == {
        "results": [
            done(0, key, outcome="CREATED", version=2),
            failed(1, "", "REQUIRED", None),
            failed(2, ".customerId", "INVALID", "emporix"),
            failed(3, "", "PROVIDER_REFUSED", "emporix"),
            done(4, HIRO, first["id"], outcome="CREATED", version=1),
            failed(5, "", "PROVIDER_REFUSED", "emporix"),
            failed(6, ".identity.provider", "INVALID", "emporix"),
            failed(7, ".customerId", "INVALID", None),
            done(8, key, outcome="UPDATED", version=2),
        ],
        "succeeded": 3,
        "failed": 6,
        "userErrors": [],
    }
    # One call reads who is in, one writes; `version` is read, each assignment by itself and once.
    looked = f"GET {CUSTOMERS}?q=customer.id:({key},nobody,{HIRO})&pageNumber=1&pageSize=200"
    assert [unquote(call) for call in front.calls[:2]] == [looked, f"PUT {CUSTOMERS}/bulk"]
    assert sorted(front.calls[2:]) == sorted(
        [f"GET {CUSTOMERS}/{key}", f"GET {CUSTOMERS}/{HIRO}/{first['id']}"]
    )


async def test_read_in_the_same_document(front: Front) -> None:
    """A later mutation of the document shows whom an earlier one has put in and taken out."""
    key = buyers(1)[0]
    shown = "segment { assignments { nodes { id } } }"
    data = await front.data(
        "mutation($a: AssignmentCreateInput!, $d: AssignmentDeleteInput!, "
        "$u: SegmentUpdateInput!) {"
        f" first: assignmentCreate(input: $a) {{ assignment {{ {shown} }} }}"
        " second: assignmentDelete(input: $d) { deletedAssignmentId }"
        f" third: segmentUpdate(input: $u) {{ {shown} }} }}",
        {
            "a": {"segmentId": STAFF, **by_key(key)},
            "d": {"segmentId": STAFF, **by_key(key)},
            "u": {"id": STAFF, "status": "ACTIVE"},
        },
    )
    mine = assignment_id("emporix", "staff", key)

    def of(payload: Mapping[str, Any]) -> Any:
        return [node["id"] for node in payload["segment"]["assignments"]["nodes"]]

    assert of(data["first"]["assignment"]) == [mine]
    assert data["second"] == {"deletedAssignmentId": mine}
    assert of(data["third"]) == []
