"""Single segments: made, changed, written whole, deleted, ranked."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.known import APP_BETA, HIRO_AT, STUUT
from tests.e2e.serving import Front, customer_id, segment_id
from tests.e2e.writes.asking import EMPORIX, do, problem

EVERYTHING: Mapping[str, Any] = {
    "externalId": "spring",
    "names": [{"language": "de", "text": "Frühling"}, {"language": "en", "text": "Spring"}],
    "descriptions": [{"language": "en", "text": "Until summer"}],
    "status": "ACTIVE",
    "validity": {"from": "2026-03-01T00:00:00Z", "to": "2026-05-31T23:59:59Z"},
    "siteCode": "main",
    "attributes": {"pricing": {"percent": 5}},
}
SHOWN: Mapping[str, Any] = {
    "names": [{"language": "und", "text": "New"}],
    "descriptions": [],
    "membership": "RULE",
    "emitsMembershipEvents": False,
    "status": "ACTIVE",
    "validity": None,
    "siteCode": None,
    "priority": None,
    "rule": None,
    "version": None,
    "attributes": None,
    "origin": "LIVE",
    "name": "New",
}
SPRING: Mapping[str, Any] = {
    **SHOWN,
    "externalId": "spring",
    "name": "Spring",
    "names": [{"language": "de", "text": "Frühling"}, {"language": "en", "text": "Spring"}],
    "descriptions": [{"language": "en", "text": "Until summer"}],
    "membership": "MANUAL",
    "validity": {"from": "2026-03-01T00:00:00.000Z", "to": "2026-05-31T23:59:59.000Z"},
    "siteCode": "main",
    "version": 1,
    "attributes": {"pricing": {"percent": 5}},
}
GERMANS = {"address": {"country": {"in": ["DE"]}}}
POINTS = {"junction": "and", "metadata.tier": {"conditions": {"$in": ["Gold"]}}}

CREATED: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any], list[str]]] = {
    "stuut": (
        {
            "provider": "stuut",
            "name": "New",
            "description": "Made here",
            "priority": 2,
            "rule": {"native": GERMANS},
        },
        {
            "descriptions": [{"language": "und", "text": "Made here"}],
            "priority": 2,
            "rule": {"native": GERMANS},
        },
        ["POST /v2/customer-segments"],
    ),
    "voucherify static": (
        {
            "provider": "voucherify",
            "name": "New",
            "customers": [customer_id("voucherify", HIRO_AT["voucherify"])],
            "customerExternalIds": [HIRO_AT["voucherify"], "cust_LJC5iWoVDNasRirHtQDAQpWN"],
        },
        {
            "membership": "MANUAL",
        },
        [f"GET /v1/customers/{HIRO_AT['voucherify']}", "POST /v1/segments"],
    ),
    "voucherify passive": (
        {
            "provider": "voucherify",
            "names": [{"language": "en", "text": "New"}],
            "rule": {"native": POINTS},
            "emitsMembershipEvents": False,
        },
        {
            "rule": {"native": POINTS},
        },
        ["POST /v1/segments"],
    ),
    "voucherify auto-update": (
        {
            "provider": "voucherify",
            "name": "New",
            "rule": {"native": POINTS},
            "emitsMembershipEvents": True,
        },
        {
            "rule": {"native": POINTS},
            "emitsMembershipEvents": True,
        },
        ["POST /v1/segments"],
    ),
    "emporix, all parts": (
        {"provider": "emporix", **EVERYTHING},
        SPRING,
        [f"POST {EMPORIX}", f"GET {EMPORIX}/spring"],
    ),
    "emporix, no id": (
        {"provider": "emporix", "name": "New", "siteCode": "outlet"},
        {
            "names": [{"language": "en", "text": "New"}],
            "membership": "MANUAL",
            "status": "INACTIVE",
            "siteCode": "outlet",
            "version": 1,
        },
        [f"POST {EMPORIX}", f"GET {EMPORIX}/*"],
    ),
}


@pytest.mark.parametrize("case", CREATED)
async def test_create(front: Front, case: str) -> None:
    """A new segment is shown as the provider has it, without a call more than that takes."""
    given, differs, calls = CREATED[case]
    payload = await do(front, "segmentCreate", given)

    segment = payload["segment"]
    key = segment["externalId"]
    assert payload == {"segment": {**SHOWN, "externalId": key, **differs}, "userErrors": []}
    paths = [call.partition("?")[0] for call in front.calls]
    assert paths == [call.replace("*", key) for call in calls]

    made = segment_id(given["provider"], key)
    again = await front.data("query($id: ID!) { segment(id: $id) { name version } }", {"id": made})
    assert again["segment"] == {"name": segment["name"], "version": segment["version"]}


async def test_members_are_sent_once(front: Front) -> None:
    """A customer given twice, by both ids, is one member; one of all members is looked up."""
    given, _, _ = CREATED["voucherify static"]
    payload = await do(front, "segmentCreate", given, "segment { externalId }")
    looked_up = f"GET /v1/customers/{HIRO_AT['voucherify']}"
    assert front.calls == [looked_up, "POST /v1/segments"]
    made = segment_id("voucherify", payload["segment"]["externalId"])
    members = await front.data(
        "query($id: ID!) { segment(id: $id) { customers { totalCount } } }", {"id": made}
    )
    assert members == {"segment": {"customers": {"totalCount": 2}}}


UPDATED: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "default language alone": (
        {"name": "Springtime"},
        {
            "name": "Springtime",
            "names": [
                {"language": "en", "text": "Springtime"},
                {"language": "de", "text": "Frühling"},
            ],
        },
    ),
    "whole map": (
        {"names": [{"language": "en", "text": "Only"}]},
        {"name": "Only", "names": [{"language": "en", "text": "Only"}]},
    ),
    "clears": (
        {"description": None, "validity": None, "attributes": None},
        {"descriptions": [], "validity": None, "attributes": None},
    ),
    "adds and replaces": (
        {
            "status": "INACTIVE",
            "siteCode": "outlet",
            "validity": {"to": "2027-01-01T00:00:00Z"},
            "attributes": {"other": {"x": 1}},
        },
        {
            "status": "INACTIVE",
            "siteCode": "outlet",
            "validity": {"from": None, "to": "2027-01-01T00:00:00.000Z"},
            "attributes": {"other": {"x": 1}},
        },
    ),
}


@pytest.fixture
async def spring(front: Front) -> str:
    """Make a segment of Emporix with all of its parts; return its global id."""
    await do(front, "segmentCreate", {"provider": "emporix", **EVERYTHING}, "segment { id }")
    front.forget()
    return segment_id("emporix", "spring")


@pytest.mark.parametrize("case", UPDATED)
@pytest.mark.parametrize("version", [None, 1], ids=["patched", "written over a version"])
async def test_update(front: Front, spring: str, case: str, version: int | None) -> None:
    """Only the parts given change, by a patch or, with a version, by a write over it."""
    given, differs = UPDATED[case]
    payload = await do(front, "segmentUpdate", {"id": spring, "version": version, **given})

    assert payload == {"segment": {**SPRING, "version": 2, **differs}, "userErrors": []}
    one = f"{EMPORIX}/spring"
    verb = "PATCH" if version is None else "PUT"
    assert front.calls == [f"GET {one}", f"{verb} {one}", f"GET {one}"]


async def test_update_of_nothing_there(front: Front, spring: str) -> None:
    """To clear what is not there is no error and changes nothing: the version stays."""
    await do(front, "segmentUpdate", {"id": spring, "validity": None}, "segment { id }")
    front.forget()
    payload = await do(
        front, "segmentUpdate", {"id": spring, "validity": None}, "segment { version }"
    )
    assert payload == {"segment": {"version": 2}, "userErrors": []}
    assert front.calls == [f"GET {EMPORIX}/spring"] * 3


async def test_update_of_a_missing_segment(front: Front) -> None:
    """What is not there cannot be changed, and nothing is written."""
    given = {"id": segment_id("emporix", "nobody"), "name": "X"}
    payload = await do(front, "segmentUpdate", given)
    assert payload == {"segment": None, "userErrors": [problem("id", "NOT_FOUND", "emporix")]}
    assert front.calls == [f"GET {EMPORIX}/nobody"]


async def test_upsert(front: Front) -> None:
    """A whole segment is made if missing, else replaced: what is left out is gone."""
    payload = await do(front, "segmentUpsert", {"provider": "emporix", **EVERYTHING})
    assert payload == {"created": True, "segment": SPRING, "userErrors": []}
    one = f"{EMPORIX}/spring"
    assert front.calls == [f"PUT {one}", f"GET {one}"]

    given = {"provider": "emporix", "externalId": "spring", "name": "S", "siteCode": "main"}
    payload = await do(front, "segmentUpsert", {**given, "version": 1})
    assert payload == {
        "created": False,
        "segment": {
            **SPRING,
            "name": "S",
            "names": [{"language": "en", "text": "S"}],
            "descriptions": [],
            "status": "INACTIVE",
            "validity": None,
            "attributes": None,
            "version": 2,
        },
        "userErrors": [],
    }


@pytest.mark.parametrize("field", ["segmentUpdate", "segmentUpsert"])
async def test_version_conflict(front: Front, spring: str, field: str) -> None:
    """A version that is no longer the segment's is refused, with the one it has by now."""
    await do(front, "segmentUpdate", {"id": spring, "name": "Second"}, "segment { id }")
    front.forget()
    given = (
        {"id": spring}
        if field == "segmentUpdate"
        else {"provider": "emporix", "externalId": "spring", "siteCode": "main"}
    )
    answer = await front.data(
        f"mutation($input: {field[0].upper()}{field[1:]}Input!) {{ {field}(input: $input) {{"
        " segment { id } userErrors { field code message provider } } }",
        {"input": {**given, "name": "Third", "version": 1}},
    )
    assert answer[field] == {
        "segment": None,
        "userErrors": [
            {
                "field": ["version"],
                "code": "VERSION_CONFLICT",
                "message": "The segment now has version 2; version 1 was given.",
                "provider": "emporix",
            }
        ],
    }
    one = f"{EMPORIX}/spring"
    assert front.calls == (
        [f"GET {one}"] if field == "segmentUpdate" else [f"PUT {one}", f"GET {one}"]
    )


async def test_delete_at_voucherify(front: Front) -> None:
    """A segment is deleted by one call; a second time the provider says that it is not there."""
    given = {"id": segment_id("voucherify", APP_BETA)}
    payload = await do(front, "segmentDelete", given)
    assert payload == {"deletedSegmentId": given["id"], "userErrors": []}
    assert front.calls == [f"DELETE /v1/segments/{APP_BETA}"]
    payload = await do(front, "segmentDelete", given)
    missing = problem("id", "NOT_FOUND", "voucherify")
    assert payload == {"deletedSegmentId": None, "userErrors": [missing]}


async def test_delete_in_use(front: Front) -> None:
    """A segment of Emporix with assignments is deleted only by force, and with them."""
    given = {"id": segment_id("emporix", "golden")}
    payload = await do(front, "segmentDelete", given)
    in_use = problem("id", "SEGMENT_IN_USE", "emporix")
    assert payload == {"deletedSegmentId": None, "userErrors": [in_use]}
    payload = await do(front, "segmentDelete", {**given, "force": True})
    assert payload == {"deletedSegmentId": given["id"], "userErrors": []}
    one = f"DELETE {EMPORIX}/golden"
    assert front.calls == [one, f"{one}?forceDelete=true"]
    gone = await front.data("query($id: ID!) { segment(id: $id) { id } }", given)
    assert gone == {"segment": None}


async def test_reorder(front: Front) -> None:
    """The segments named come first in this order; the answer is how all stand."""
    listed = await front.data(
        '{ provider(key: "stuut") { segments { nodes { id name } } } }',
    )
    nodes = listed["provider"]["segments"]["nodes"]
    assert [node["name"] for node in nodes] == list(STUUT)
    front.forget()
    ids = [nodes[2]["id"], nodes[0]["id"]]
    payload = await do(front, "segmentsReorder", {"provider": "stuut", "ids": ids})
    order = [STUUT[2], STUUT[0], STUUT[1], *STUUT[3:]]
    assert payload == {
        "segments": [{"name": name, "priority": n} for n, name in enumerate(order)],
        "userErrors": [],
    }
    assert front.calls == ["POST /v2/customer-segments/reorder"]
