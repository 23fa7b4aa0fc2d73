"""A provider one of whose rows does not keep to the documents, seen from the front door."""

import json
from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import Any

import pytest
import structlog

from tests.e2e.failures import SECRET, answering, signed_in
from tests.e2e.serving import Front, segment_id

LIST = """
query ($key: String!) {
  segments(filter: {providers: [$key]}) {
    nodes { externalId name priority version createdAt updatedAt status membership raw }
    totalCount
    sources { origin totalCount skipped error { code } }
  }
  provider(key: $key) { health { status circuit } }
}
"""

GOOD: Mapping[str, dict[str, Any]] = {
    "stuut": {
        "id": "seg_1",
        "name": "Good",
        "description": None,
        "priority": 3,
        "conditions": {},
        "created_at": "2026-01-01T00:00:00Z",
        "modified_at": None,
    },
    "voucherify": {
        "id": "seg_1",
        "name": "Good",
        "type": "static",
        "created_at": "2026-01-01T00:00:00.000Z",
    },
    "emporix": {
        "id": "seg_1",
        "name": {"en": "Good"},
        "status": "ACTIVE",
        "siteCode": "main",
        "metadata": {"createdAt": "2026-01-01T00:00:00.000Z", "version": 3},
    },
}

ODD: Mapping[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "a whole number as a fraction": ("stuut", {"priority": 5.0}, {"priority": 5}),
    "a fraction": ("stuut", {"priority": 5.5}, {"priority": None}),
    "a number beyond 32 bits": ("stuut", {"priority": 2**31}, {"priority": None}),
    "a null name": ("stuut", {"name": None}, {"name": "seg_2"}),
    "half a surrogate": ("stuut", {"name": "x\ud83d"}, {"name": "seg_2"}),
    "an empty date": ("stuut", {"created_at": ""}, {"createdAt": None}),
    "a number for a date": ("stuut", {"created_at": 1767225600}, {"createdAt": None}),
    "a leap second": (
        "stuut",
        {"created_at": "2016-12-31T23:59:60Z"},
        {"createdAt": "2017-01-01T00:00:00.000Z"},
    ),
    "a number for an id": ("stuut", {"id": 7}, {"externalId": "7"}),
    "no type": ("voucherify", {"type": None}, {"membership": "UNKNOWN"}),
    "no time at Voucherify's": ("voucherify", {"created_at": None}, {"createdAt": None}),
    "an unknown status": ("emporix", {"status": 7}, {"status": "UNKNOWN"}),
    "a version beyond 32 bits": (
        "emporix",
        {"metadata": {"version": 2**31}},
        {"version": None, "createdAt": None},
    ),
    "a text for the metadata": (
        "emporix",
        {"metadata": "none"},
        {"version": None, "createdAt": None},
    ),
    "a name in no language": ("emporix", {"name": {"en": 5}}, {"name": "seg_2"}),
}


def answer(key: str, *rows: Mapping[str, Any]) -> bytes:
    """Return a list of segments as a provider writes it."""
    body: Any = {"data": rows, "total": len(rows)} if key == "voucherify" else rows
    return json.dumps(body).encode()


def answers(front: Front, key: str, *rows: Mapping[str, Any]) -> None:
    """Let a provider answer everything but a sign-in with these rows."""
    real = front.providers.real(key)
    front.providers.instead[key] = signed_in(answering(200, answer(key, *rows)), real)


@pytest.mark.parametrize(("key", "part", "shown"), ODD.values(), ids=ODD)
async def test_an_odd_part_costs_nothing_else(
    front: Front, key: str, part: dict[str, Any], shown: dict[str, Any]
) -> None:
    """The row stays and the other one, too; the odd part is null, or what it must mean."""
    good = GOOD[key]
    answers(front, key, good, {**good, "id": "seg_2", **part})
    for _ in range(6):  # more than open a circuit
        data = await front.data(LIST, {"key": key})
    first, second = data["segments"]["nodes"]
    raw = second.pop("raw")
    expected = {**first, "externalId": "seg_2", **shown}
    del expected["raw"]
    assert second == expected
    assert (first["externalId"], first["name"]) == ("seg_1", "Good")
    assert raw.keys() == good.keys()
    assert data["segments"]["sources"] == [
        {
            "origin": "LIVE",
            "totalCount": 2,
            "skipped": 0,
            "error": None,
        }
    ]
    assert data["provider"] == {"health": {"status": "UP", "circuit": "CLOSED"}}


@pytest.mark.parametrize("value", [None, [SECRET]], ids=["missing", "retyped"])
@pytest.mark.parametrize(
    ("key", "part"), [(key, part) for key, row in GOOD.items() for part in row if part != "id"]
)
async def test_every_part_but_the_id_may_be_odd(
    front: Front, key: str, part: str, value: Any
) -> None:
    """Missing or of another type, it costs neither row its place."""
    odd = {**GOOD[key], "id": "seg_2", part: value}
    if value is None:
        del odd[part]
    answers(front, key, GOOD[key], odd)
    data = await front.data(LIST, {"key": key})
    assert [node["externalId"] for node in data["segments"]["nodes"]] == ["seg_1", "seg_2"]
    assert data["segments"]["sources"][0]["skipped"] == 0
    assert data["provider"]["health"]["circuit"] == "CLOSED"


@pytest.mark.parametrize("id_", [None, "", 5.5, True, [], {}, "\ud83d"], ids=repr)
@pytest.mark.parametrize("key", GOOD)
async def test_a_row_whose_id_cannot_be_read_is_left_out_alone(
    front: Front, key: str, id_: Any
) -> None:
    """It is counted, the others stand, and the list still comes to its end."""
    good = GOOD[key]
    rows = [good, {**good, "id": id_}, {**good, "id": "seg_3"}]
    answers(front, key, *rows)
    for _ in range(6):
        data = await front.data(LIST, {"key": key})
    assert [node["externalId"] for node in data["segments"]["nodes"]] == ["seg_1", "seg_3"]
    assert data["segments"]["sources"] == [
        {"origin": "LIVE", "totalCount": 3, "skipped": 1, "error": None}
    ]
    assert data["provider"] == {"health": {"status": "UP", "circuit": "CLOSED"}}


@pytest.mark.parametrize("key", GOOD)
async def test_no_row_of_several_pages_is_lost_beside_one_without_an_id(
    front: Front, key: str
) -> None:
    """Paging one by one shows every readable row once, and counts the other once."""
    good = GOOD[key]
    answers(front, key, {**good, "id": None})
    query = """query ($key: String!) { segments(first: 1, filter: {providers: [$key]}) {
        nodes { externalId } pageInfo { hasNextPage } sources { skipped } } }"""
    data = await front.data(query, {"key": key})
    assert data["segments"] == {
        "nodes": [],
        "pageInfo": {"hasNextPage": False},
        "sources": [{"skipped": 1}],
    }


async def test_the_log_says_which_part_is_odd(front: Front) -> None:
    """By its path, under the request's id, without what stands there."""
    good = GOOD["stuut"]
    answers(front, "stuut", good, {**good, "id": "seg_2", "priority": "secret"}, {"id": None})
    with structlog.testing.capture_logs() as logged:
        await front.data(LIST, {"key": "stuut"})
    (line,) = [each for each in logged if each["event"] == "provider reply is odd"]
    assert line.pop("request_id")
    assert line == {
        "event": "provider reply is odd",
        "log_level": "warning",
        "provider": "stuut",
        "operation": "segments.list",
        "count": 2,
        "parts": ["[1].priority: null", "[2].id: the row is left out"],
    }


@pytest.mark.parametrize("key", GOOD)
async def test_a_byte_order_mark_before_a_list(front: Front, key: str) -> None:
    """One is ignored (RFC 8259, 8.1), in `raw` and where a row is odd, too; two are an error."""
    good = GOOD[key]
    for rows in ([good], [good, {**good, "id": None}]):
        answers(front, key, *rows)
        expected = (await front.data(LIST, {"key": key}))["segments"]
        body, real = answer(key, *rows), front.providers.real(key)
        front.providers.instead[key] = signed_in(answering(200, BOM_UTF8 + body), real)
        assert (await front.data(LIST, {"key": key}))["segments"] == expected
        front.providers.instead[key] = signed_in(answering(200, 2 * BOM_UTF8 + body), real)
        data = await front.data(LIST, {"key": key})
        assert data["segments"]["sources"][0]["error"] == {"code": "PROVIDER_MALFORMED"}


async def test_what_is_no_list_at_all_is_malformed(front: Front) -> None:
    """Only that is: an object where a list should be, as often as it takes, opens the circuit."""
    front.providers.instead["stuut"] = answering(200, b'{"message": "hello"}')
    codes = []
    for _ in range(6):
        data = await front.data(LIST, {"key": "stuut"})
        codes.append(data["segments"]["sources"][0]["error"]["code"])
    assert codes == ["PROVIDER_MALFORMED"] * 5 + ["PROVIDER_UNAVAILABLE"]
    assert data["provider"]["health"]["circuit"] == "OPEN"


async def test_one_thing_without_an_id_opens_no_circuit(front: Front) -> None:
    """Read by itself it is an error, which says nothing of the provider's health."""
    real = front.providers.real("emporix")
    body = json.dumps({**GOOD["emporix"], "id": None}).encode()
    front.providers.instead["emporix"] = signed_in(answering(200, body), real)
    query = """query ($id: ID!) { segment(id: $id) { name }
        provider(key: "emporix") { health { circuit } } }"""
    for _ in range(6):
        response = await front.ask(query, {"id": segment_id("emporix", "seg_1")})
    assert response["data"] == {"segment": None, "provider": {"health": {"circuit": "CLOSED"}}}
    assert [each["extensions"]["code"] for each in response["errors"]] == ["PROVIDER_MALFORMED"]
