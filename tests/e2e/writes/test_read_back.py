"""A write that was done and cannot be read back: what is known is shown, the rest alone fails."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.failures import FAILURES
from tests.e2e.serving import Front, Providers, segment_id, settings_with
from tests.e2e.writes.asking import buyers, document
from tests.e2e.writes.serving import serving

EMPORIX = "/customer-segment/sandbox/segments"
NEW = {"provider": "emporix", "externalId": "a", "name": "A", "siteCode": "main"}
KNOWN = "id externalId name names { language text } membership status siteCode origin"
BUYER = buyers(1)[0]
WAYS = ("unreachable", "timeout", "500", "HTML")


@contextlib.asynccontextmanager
async def unreadable(providers: Providers, url: str, way: str) -> AsyncIterator[Front]:
    """Serve an Emporix that does what it is sent and cannot be read afterwards."""
    failure, real = FAILURES[way], providers.real("emporix")
    written: list[str] = []

    async def only_writes(scope: Any, receive: Any, send: Any) -> None:
        is_read = scope["method"] == "GET"
        if not is_read and scope["path"] != "/oauth/token":
            written.append(scope["method"])
        await (failure.server if is_read and written else real)(scope, receive, send)

    async with serving(providers, url, settings_with(timeout_s=failure.timeout_s)) as front:
        providers.instead["emporix"] = only_writes
        yield front
        assert len(written) == 1


def assert_unread(answer: Any, way: str, *paths: list[str | int]) -> None:
    """Assert that exactly these fields failed, and that nothing is called retryable."""
    errors = answer["errors"]
    assert sorted(str(error["path"]) for error in errors) == sorted(map(str, paths))
    assert {error["extensions"]["code"] for error in errors} == {FAILURES[way].code}
    assert {error["extensions"]["retryable"] for error in errors} == {False}
    assert {error["extensions"]["retryAfterMs"] for error in errors} == {None}


@pytest.mark.parametrize("way", WAYS)
async def test_create(providers: Providers, url: str, way: str) -> None:
    """The new segment has its ids and what was sent; version, times and document fail alone."""
    async with unreadable(providers, url, way) as front:
        selection = f"segment {{ {KNOWN} version createdAt raw }}"
        answer = await front.ask(document("segmentCreate", selection=selection), {"m0": NEW})
    shown = answer["data"]["m0"]
    assert shown == {
        "segment": {
            "id": segment_id("emporix", "a"),
            "externalId": "a",
            "name": "A",
            "names": [{"language": "en", "text": "A"}],
            "membership": "MANUAL",
            "status": "UNKNOWN",
            "siteCode": "main",
            "origin": "RECORDED",
            "version": None,
            "createdAt": None,
            "raw": None,
        },
        "userErrors": [],
    }
    at: list[str | int] = ["m0", "segment"]
    assert_unread(answer, way, [*at, "version"], [*at, "createdAt"], [*at, "raw"])


@pytest.mark.parametrize("way", WAYS)
async def test_known_parts_alone(providers: Providers, url: str, way: str) -> None:
    """Who selects nothing that is unknown gets no error, from an upsert and a create alike."""
    async with unreadable(providers, url, way) as front:
        query = document("segmentUpsert", selection="created segment { id name }")
        answer = await front.ask(query, {"m0": NEW})
    segment = {"id": segment_id("emporix", "a"), "name": "A"}
    assert answer == {"data": {"m0": {"created": True, "segment": segment, "userErrors": []}}}


async def test_update(providers: Providers, url: str) -> None:
    """The parts that were changed are shown as changed, the others as they were before."""
    async with unreadable(providers, url, "500") as front:
        given = {"id": segment_id("emporix", "golden"), "name": "Gold"}
        selection = "segment { externalId name status origin version }"
        answer = await front.ask(document("segmentUpdate", selection=selection), {"m0": given})
    segment = {
        "externalId": "golden",
        "name": "Gold",
        "status": "ACTIVE",
        "origin": "RECORDED",
        "version": None,
    }
    assert answer["data"] == {"m0": {"segment": segment, "userErrors": []}}
    assert_unread(answer, "500", ["m0", "segment", "version"])


@pytest.mark.parametrize("field", ["segmentBulkCreate", "segmentBulkUpsert"])
async def test_bulk(providers: Providers, url: str, field: str) -> None:
    """Each row that was written has its segment."""
    rows = [{"externalId": key, "name": key.upper(), "siteCode": "main"} for key in "ab"]
    async with unreadable(providers, url, "500") as front:
        selection = "results { outcome segment { externalId name version } }"
        given = {"provider": "emporix", "segments": rows}
        answer = await front.ask(document(field, selection=selection), {"m0": given})
    assert answer["data"]["m0"]["results"] == [
        {
            "outcome": "CREATED",
            "segment": {"externalId": key, "name": key.upper(), "version": None},
        }
        for key in "ab"
    ]
    paths: list[list[str | int]] = [
        ["m0", "results", row, "segment", "version"] for row in range(2)
    ]
    assert_unread(answer, "500", *paths)


async def test_assignment(providers: Providers, url: str) -> None:
    """An assignment that was made has its id and kind; its version and times fail alone."""
    given = {
        "segmentId": segment_id("emporix", "staff"),
        "identity": {"provider": "emporix", "externalId": BUYER},
    }
    async with unreadable(providers, url, "500") as front:
        selection = "assignment { kind state version }"
        answer = await front.ask(document("assignmentCreate", selection=selection), {"m0": given})
    assignment = {"kind": "MANUAL", "state": "CONFIRMED", "version": None}
    assert answer["data"] == {"m0": {"assignment": assignment, "userErrors": []}}
    assert_unread(answer, "500", ["m0", "assignment", "version"])


async def test_bulk_of_assignments(providers: Providers, url: str) -> None:
    """The same in a bulk."""
    rows = [{"identity": {"provider": "emporix", "externalId": BUYER}}]
    given = {"segmentId": segment_id("emporix", "staff"), "assignments": rows}
    async with unreadable(providers, url, "500") as front:
        selection = "results { outcome assignment { kind version } }"
        answer = await front.ask(
            document("assignmentBulkCreate", selection=selection), {"m0": given}
        )
    (row,) = answer["data"]["m0"]["results"]
    assert row == {"outcome": "CREATED", "assignment": {"kind": "MANUAL", "version": None}}
    assert_unread(answer, "500", ["m0", "results", 0, "assignment", "version"])


async def test_the_key_shows_it_whole_later(providers: Providers, url: str) -> None:
    """A repeated request reads again: when that goes well, nothing is unknown any more."""
    given = {**NEW, "idempotencyKey": "k"}
    query = document("segmentCreate", selection="segment { name version origin }")
    async with unreadable(providers, url, "500") as front:
        first = await front.ask(query, {"m0": given})
        assert first["data"]["m0"]["segment"]["version"] is None
        providers.instead.clear()
        again = await front.data(query, {"m0": given})
    segment = {"name": "A", "version": 1, "origin": "LIVE"}
    assert again == {"m0": {"segment": segment, "userErrors": []}}
