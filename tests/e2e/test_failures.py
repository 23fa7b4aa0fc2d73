"""A provider that fails: named in the sources of merged lists, an error at the path elsewhere."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.e2e.failures import (
    FAILURES,
    SECRET,
    Failure,
    signed_in,
)
from tests.e2e.known import EMPORIX, STUUT, VOUCHERIFY
from tests.e2e.serving import (
    READABLE,
    Front,
    customer_id,
    names,
    segment_id,
    serving,
    settings_with,
    without_cost,
)
from tests.four_kinds import CREDENTIALS

LIST = """{
  segments(first: 100) {
    totalCount
    nodes { name }
    sources {
      provider { key } origin totalCount
      error { code message retryable retryAfterMs upstreamStatus requestId }
    }
  }
}"""
NAMES = {"stuut": STUUT, "voucherify": VOUCHERIFY, "emporix": EMPORIX}
EVERYWHERE = """
query($s: ID!, $c: ID!, $cs: [ID!]!, $ss: [ID!]!, $key: String!, $healthy: String!) {
  provider(key: $key) { key segments { nodes { id } } }
  segment(id: $s) { id }
  customer(id: $c) { id }
  segmentMemberships(customerIds: $cs, segmentIds: $ss) { isMember }
  healthy: provider(key: $healthy) { segments(first: 100) { nodes { name } } }
}
"""
SECRETS = [
    SECRET,
    *(
        secret
        for expected in CREDENTIALS.values()
        for secret in expected.values()
        if len(secret) > 8
    ),
]


@asynccontextmanager
async def failing(key: str, failure: Failure) -> AsyncIterator[Front]:
    """Serve the gateway while one provider fails at everything but its sign-in."""
    async with serving(settings=settings_with(timeout_s=failure.timeout_s)) as front:
        real = front.providers.real(key)
        front.providers.instead[key] = signed_in(failure.server, real)
        yield front


async def query_failing(
    front: Front, query: str, variables: Mapping[str, Any] | None = None
) -> Any:
    """Return the answer beside the request's id; no secret may stand in either."""
    reply = await front.client.post("/graphql", json={"query": query, "variables": variables})
    assert reply.status_code == 200
    expected = f"{reply.text} {reply.headers}"
    assert [secret for secret in SECRETS if secret in expected] == []
    return without_cost(reply.json()), reply.headers["x-request-id"]


async def assert_stands_in_sources(front: Front, key: str, failure: Failure) -> None:
    """Assert that the failure stands in the sources alone, and that the rest is whole."""
    answer, request_id = await query_failing(front, LIST)

    assert answer.keys() == {"data"}
    segments = answer["data"]["segments"]
    assert names(segments) == [name for each in READABLE if each != key for name in NAMES[each]]
    assert segments["totalCount"] is None
    by_key = {row["provider"]["key"]: row for row in segments["sources"]}
    assert list(by_key) == ["stuut", "voucherify", "instaleap", "emporix"]
    assert by_key.pop("instaleap")["error"] is None
    assert by_key.pop(key) == {
        "provider": {"key": key},
        "origin": None,
        "totalCount": None,
        "error": {**failure.extensions(key), "requestId": request_id},
    }
    assert by_key == {
        each: {
            "provider": {"key": each},
            "origin": "LIVE",
            "totalCount": len(NAMES[each]),
            "error": None,
        }
        for each in READABLE
        if each != key
    }


async def assert_stands_at_paths(front: Front, key: str, failure: Failure) -> None:
    """Assert that each field of the provider's is null with an error, and no other is."""
    healthy = next(each for each in READABLE if each != key)
    segment, customer = segment_id(key, "seg_1"), customer_id(key, "cust_1")
    answer, request_id = await query_failing(
        front,
        EVERYWHERE,
        {
            "s": segment,
            "c": customer,
            "cs": [customer],
            "ss": [segment],
            "key": key,
            "healthy": healthy,
        },
    )

    expected = dict(failure.extensions(key))
    message = expected.pop("message")
    data, errors = answer["data"], answer["errors"]
    assert names(data.pop("healthy")["segments"]) == list(NAMES[healthy])
    assert data == {
        "provider": {"key": key, "segments": None},
        "segment": None,
        "customer": None,
        "segmentMemberships": [{"isMember": None}],
    }
    assert sorted(error["path"] for error in errors) == [
        ["customer"],
        ["provider", "segments"],
        ["segment"],
        ["segmentMemberships", 0, "isMember"],
    ]
    for error in errors:
        assert error["message"] == message
        assert error["extensions"] == {**expected, "provider": key, "requestId": request_id}
        assert error.keys() == {"message", "locations", "path", "extensions"}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("key", READABLE)
async def test_failure(key: str, name: str) -> None:
    """A failing provider costs its own part only, and says nothing of its own in the answer."""
    failure = FAILURES[name]
    async with failing(key, failure) as front:
        await assert_stands_in_sources(front, key, failure)
    # Stuut's null is a partner without a segment; a provider that requests a delay is not called.
    if (key, name) != ("stuut", "null") and failure.retry_after_ms is None:
        async with failing(key, failure) as front:
            await assert_stands_at_paths(front, key, failure)


@pytest.mark.parametrize("name", ["unreachable", "500", "HTML"])
async def test_failed_part_is_asked_again_by_the_next_page(name: str) -> None:
    """A provider that failed has no next page; it is called again for the next request."""
    failure = FAILURES[name]
    query = """query($after: String) { segments(first: 30, after: $after) {
      nodes { name } pageInfo { hasNextPage endCursor } sources { error { code } }
    } }"""
    async with failing("voucherify", failure) as front:
        first = (await front.data(query))["segments"]
        cursor = first["pageInfo"]["endCursor"]
        del front.providers.instead["voucherify"]
        second = (await front.data(query, {"after": cursor}))["segments"]

    assert names(first) == [*STUUT, *EMPORIX]
    assert first["pageInfo"]["hasNextPage"] is False
    assert [row["error"] and row["error"]["code"] for row in first["sources"]] == [
        None,
        failure.code,
        None,
        None,
    ]
    assert names(second) == list(VOUCHERIFY)
    assert [row["error"] for row in second["sources"]] == [None] * 4


@pytest.mark.parametrize("key", READABLE)
async def test_failure_in_an_order(key: str) -> None:
    """A list in another order shows the healthy providers' rows in that order."""
    async with failing(key, FAILURES["500"]) as front:
        shown = await front.data(
            "{ segments(first: 250, sortKey: NAME) { nodes { name } totalCount } }"
        )

    healthy = [name for each in READABLE if each != key for name in NAMES[each]]
    assert names(shown["segments"]) == sorted(healthy, key=str.casefold)
    assert shown["segments"]["totalCount"] is None


@pytest.mark.parametrize(
    ("field", "operation"),
    [
        ("assignments { nodes { id } }", "customers"),
        ("customers { nodes { id } }", "customers"),
        ("customersCount { count }", "customers"),
        ("items { nodes { externalId } }", "items"),
    ],
)
async def test_failure_below_a_segment(front: Front, field: str, operation: str) -> None:
    """What hangs on a segment fails alone: the segment and its fields are shown."""
    real = front.providers.real("emporix")
    broken = FAILURES["500"].server

    async def partly(scope: Any, receive: Any, send: Any) -> None:
        is_below = scope["path"].endswith(f"/{operation}")
        await (broken if is_below else real)(scope, receive, send)

    front.providers.instead["emporix"] = partly
    answer, request_id = await query_failing(
        front,
        f"query($id: ID!) {{ segment(id: $id) {{ name {field} }} }}",
        {"id": segment_id("emporix", "golden")},
    )

    path = ["segment", field.partition(" ")[0]]
    assert answer["data"] == {"segment": {"name": "Golden customers", path[1]: None}}
    expected = dict(FAILURES["500"].extensions("emporix"))
    message = expected.pop("message")
    assert [(e["path"], e["message"], e["extensions"]) for e in answer["errors"]] == [
        (path, message, {**expected, "provider": "emporix", "requestId": request_id})
    ]
