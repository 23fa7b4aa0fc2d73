"""Bulks of segments: one result for each row, in order, whatever became of the others."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.known import APP_BETA, DACH_STRATEGIC, HIRO_AT, NEVER_BOUGHT
from tests.e2e.serving import Front, segment_id
from tests.e2e.writes.asking import EMPORIX, do, problem

BULK = f"{EMPORIX}/bulk"


def failed(index: int, *errors: Mapping[str, Any], outcome: str = "FAILED") -> dict[str, Any]:
    """Return the row of what was not done."""
    return {
        "index": index,
        "outcome": outcome,
        "segment": None,
        "deletedSegmentId": None,
        "userErrors": list(errors),
    }


def written(index: int, key: str, outcome: str, version: int | None = 1) -> dict[str, Any]:
    """Return the row of what was written."""
    return {
        "index": index,
        "outcome": outcome,
        "segment": {"externalId": key, "version": version},
        "deletedSegmentId": None,
        "userErrors": [],
    }


def deleted(index: int, key: str) -> dict[str, Any]:
    """Return the row of what was deleted."""
    return {**failed(index), "outcome": "DELETED", "deletedSegmentId": key}


def row(key: str, **parts: Any) -> dict[str, Any]:
    """Return a sound row of input for Emporix."""
    return {"externalId": key, "name": key.upper(), "siteCode": "main", **parts}


@pytest.mark.parametrize("verb", ["Create", "Upsert"])
async def test_more_than_one_batch(front: Front, verb: str) -> None:
    """450 rows take three calls of 200 at most, and are read again by a hundred a call."""
    rows = [row(f"s{n}") for n in range(450)]
    payload = await do(front, f"segmentBulk{verb}", {"provider": "emporix", "segments": rows})
    assert payload == {
        "results": [written(n, f"s{n}", "CREATED") for n in range(450)],
        "succeeded": 450,
        "failed": 0,
        "userErrors": [],
    }
    method = "POST" if verb == "Create" else "PUT"
    assert front.calls[:3] == [f"{method} {BULK}"] * 3
    assert [call.partition("?")[0] for call in front.calls[3:]] == [f"GET {EMPORIX}"] * 5


async def test_mixed_rows_of_a_create(front: Front) -> None:
    """A bad row spoils no other, whether we see it or the provider does."""
    rows = [
        row("a"),
        {"externalId": "b", "names": [{"language": "en", "text": ""}]},
        row("golden"),
        row("a"),
        row("c", version=3),
        row("d", status="UNKNOWN", attributes=[1]),
        {"name": "No id", "siteCode": "main"},
        row("e", names=[{"language": "fi", "text": "A"}], name=None),
    ]
    payload = await do(front, "segmentBulkCreate", {"provider": "emporix", "segments": rows})
    made = payload["results"][6]["segment"]["externalId"]
    assert payload == {
        "results": [
            written(0, "a", "CREATED"),
            failed(
                1,
                problem("segments.1.siteCode", "REQUIRED", "emporix"),
                problem("segments.1.names.0.text", "INVALID", "emporix"),
            ),
            failed(2, problem("segments.2.externalId", "TAKEN", "emporix")),
            failed(3, problem("segments.3.externalId", "INVALID", None)),
            failed(4, problem("segments.4.version", "UNSUPPORTED", "emporix")),
            failed(5, problem("segments.5.attributes", "INVALID", None)),
            written(6, made, "CREATED"),
            failed(7, problem("segments.7", "PROVIDER_REFUSED", "emporix")),
        ],
        "succeeded": 2,
        "failed": 6,
        "userErrors": [],
    }
    assert len(made) == 24
    assert [call.partition("?")[0] for call in front.calls] == [f"POST {BULK}", f"GET {EMPORIX}"]


async def test_mixed_rows_of_an_upsert(front: Front) -> None:
    """New, changed, outdated and nameless rows stand beside each other."""
    rows = [
        row("golden", version=4),
        row("vip-2026", version=1),
        row("new"),
        {"name": "No id", "siteCode": "main"},
    ]
    payload = await do(front, "segmentBulkUpsert", {"provider": "emporix", "segments": rows})
    assert payload == {
        "results": [
            written(0, "golden", "UPDATED", 5),
            failed(1, problem("segments.1.version", "VERSION_CONFLICT", "emporix")),
            written(2, "new", "CREATED"),
            failed(3, problem("segments.3.externalId", "REQUIRED", "emporix")),
        ],
        "succeeded": 2,
        "failed": 2,
        "userErrors": [],
    }
    assert [call.partition("?")[0] for call in front.calls] == [f"PUT {BULK}", f"GET {EMPORIX}"]


async def test_no_rows(front: Front) -> None:
    """No rows are no call."""
    nothing = {"results": [], "succeeded": 0, "failed": 0, "userErrors": []}
    for verb in ("Create", "Upsert"):
        given: dict[str, Any] = {"provider": "emporix", "segments": []}
        assert await do(front, f"segmentBulk{verb}", given) == nothing
    assert await do(front, "segmentBulkDelete", {"ids": []}) == nothing
    assert front.calls == []


async def test_create_where_there_is_no_bulk(front: Front) -> None:
    """Each row is a call of its own; a refusal spoils no other."""
    rows: list[dict[str, Any]] = [
        {"name": "One", "customerExternalIds": [HIRO_AT["voucherify"]]},
        {"name": "App beta testers", "customerExternalIds": [HIRO_AT["voucherify"]]},
        {"name": "Two", "rule": {"native": {"city": {"conditions": {"$is": ["Bonn"]}}}}},
        {"name": "Three", "customers": [segment_id("voucherify", APP_BETA)], "version": 1},
    ]
    payload = await do(front, "segmentBulkCreate", {"provider": "voucherify", "segments": rows})
    one, _, two, _ = payload["results"]
    assert payload == {
        "results": [
            written(0, one["segment"]["externalId"], "CREATED", None),
            failed(1, problem("segments.1.name", "TAKEN", "voucherify")),
            written(2, two["segment"]["externalId"], "CREATED", None),
            failed(3, problem("segments.3.customers.0", "INVALID", None)),
        ],
        "succeeded": 2,
        "failed": 2,
        "userErrors": [],
    }
    paths = [call.partition("?")[0] for call in front.calls]
    looked_up = f"GET /v1/customers/{HIRO_AT['voucherify']}"
    assert sorted(paths) == sorted([looked_up] + ["POST /v1/segments"] * 3 + ["GET /v1/segments"])

    rows = [{"name": f"S{n}", "priority": n - 1} for n in range(3)]
    front.forget()
    payload = await do(front, "segmentBulkCreate", {"provider": "stuut", "segments": rows})
    assert [row["outcome"] for row in payload["results"]] == ["FAILED", "CREATED", "CREATED"]
    wrong = problem("segments.0.priority", "INVALID", "stuut")
    assert payload["results"][0] == failed(0, wrong)
    paths = [call.partition("?")[0] for call in front.calls]
    path = "/v2/customer-segments"
    assert paths == [f"POST {path}", f"POST {path}", f"GET {path}"]


async def test_rows_that_lack_everything(front: Front) -> None:
    """Where every row is wrong nothing is sent."""
    names = [{"name": f"N{n}"} for n in range(3)]
    payload = await do(front, "segmentBulkCreate", {"provider": "voucherify", "segments": names})
    problems = [problem(f"segments.{n}.rule", "REQUIRED", "voucherify") for n in range(3)]
    assert payload["results"] == [failed(n, problems[n]) for n in range(3)]
    assert front.calls == []

    payload = await do(front, "segmentBulkCreate", {"provider": "stuut", "segments": names})
    problems = [problem(f"segments.{n}.priority", "REQUIRED", "stuut") for n in range(3)]
    assert payload["results"] == [failed(n, problems[n]) for n in range(3)]
    assert front.calls == []


async def test_delete_across_providers(front: Front) -> None:
    """Ids of all providers in one bulk: each provider is asked once, or row by row."""
    ids = [
        segment_id("voucherify", APP_BETA),
        segment_id("emporix", "staff"),
        segment_id("stuut", DACH_STRATEGIC),
        "nonsense",
        segment_id("emporix", "golden"),
        segment_id("voucherify", "seg_none"),
        segment_id("voucherify", APP_BETA),
        segment_id("acme", "1"),
        segment_id("voucherify", NEVER_BOUGHT),
        segment_id("instaleap", "a:b"),
    ]
    payload = await do(front, "segmentBulkDelete", {"ids": ids})
    assert payload == {
        "results": [
            deleted(0, ids[0]),
            deleted(1, ids[1]),
            failed(2, problem("ids.2", "UNSUPPORTED", "stuut")),
            failed(3, problem("ids.3", "INVALID", None)),
            failed(4, problem("ids.4", "SEGMENT_IN_USE", "emporix")),
            failed(5, problem("ids.5", "NOT_FOUND", "voucherify")),
            failed(6, problem("ids.6", "INVALID", None)),
            failed(7, problem("ids.7", "INVALID", None)),
            deleted(8, ids[8]),
            failed(9, problem("ids.9", "UNSUPPORTED", "instaleap")),
        ],
        "succeeded": 3,
        "failed": 7,
        "userErrors": [],
    }
    assert sorted(front.calls) == sorted(
        [
            f"DELETE {BULK}",
            f"DELETE /v1/segments/{APP_BETA}",
            "DELETE /v1/segments/seg_none",
            f"DELETE /v1/segments/{NEVER_BOUGHT}",
        ]
    )
    front.forget()
    payload = await do(front, "segmentBulkDelete", {"ids": [ids[4]], "force": True})
    assert payload["results"] == [deleted(0, ids[4])]
    assert front.calls == [f"DELETE {BULK}?forceDelete=true"]


async def test_many_single_calls(front: Front) -> None:
    """Hundreds of single calls wait for their turn instead of overrunning the provider's bound."""
    ids = [segment_id("voucherify", f"seg_{n}") for n in range(700)]
    payload = await do(front, "segmentBulkDelete", {"ids": ids})
    problems = [problem(f"ids.{n}", "NOT_FOUND", "voucherify") for n in range(700)]
    assert payload["results"] == [failed(n, problems[n]) for n in range(700)]
    assert front.counts == {"voucherify": 700}


async def test_read_again_in_the_same_document(front: Front) -> None:
    """What a later mutation of a document shows is what an earlier one has written."""
    selection = """results { segment { name(language: "en") } } """
    first = {"provider": "emporix", "segments": [row("golden", name="Once")]}
    second = {"provider": "emporix", "externalId": "other", "name": "O", "siteCode": "main"}
    data = await front.data(
        "mutation($a: SegmentBulkUpsertInput!, $b: SegmentUpsertInput!, $c: SegmentDeleteInput!) {"
        f" a: segmentBulkUpsert(input: $a) {{ {selection} }}"
        " b: segmentUpsert(input: $b) { segment { provider { segments(first: 1) { nodes {"
        ' name(language: "en") } } } } }'
        " c: segmentDelete(input: $c) { deletedSegmentId }"
        " d: segmentUpsert(input: $b) { created segment { provider { segments(first: 1) {"
        ' nodes { name(language: "en") } } } } } }',
        {"a": first, "b": second, "c": {"id": segment_id("emporix", "golden"), "force": True}},
    )
    assert data["a"] == {"results": [{"segment": {"name": "Once"}}]}

    def first_of(root: str) -> Any:
        return data[root]["segment"]["provider"]["segments"]["nodes"][0]["name"]

    assert first_of("b") == "Once"
    assert first_of("d") == "VIP 2026"
    assert data["d"]["created"] is False
