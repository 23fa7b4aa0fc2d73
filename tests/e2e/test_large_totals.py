"""Totals that GraphQL's Int cannot hold: null where they are shown, and all rows stand."""

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.settings.tables import StoreSettings
from tests.e2e.failures import answering, signed_in
from tests.e2e.known import APP_BETA, SEGMENT_OF, SILVER_MEMBERS
from tests.e2e.serving import Front, segment_id, serving, settings_with

INT = 2**31 - 1

ROW = b'{"id": "a", "name": %s, "type": "static", "created_at": "2026-01-01T00:00:00Z"}'
QUERY = """query($keys: [String!]) { segments(first: 1, filter: {providers: $keys}) {
    nodes { externalId } totalCount sources { error { code } } } }"""


@pytest.mark.parametrize("total", [2**31, 2**63, 10**30])
@pytest.mark.parametrize("provider", ["voucherify", "emporix"])
async def test_a_total_beyond_32_bits(front: Front, provider: str, total: int) -> None:
    """Neither the client's mistake nor a failure of the provider: the total alone is unknown."""
    if provider == "emporix":
        rows = b"[%s, %s]" % (ROW % b'{"en": "A"}', (ROW % b'{"en": "B"}').replace(b'"a"', b'"b"'))
        failing = answering(200, rows, x_total_count=str(total))
        front.providers.instead["emporix"] = signed_in(failing, front.providers.real("emporix"))
    else:
        rows = b"%s, %s" % (ROW % b'"A"', (ROW % b'"B"').replace(b'"a"', b'"b"'))
        body = b'{"object": "list", "data": [%s], "total": %d}' % (rows, total)
        front.providers.instead["voucherify"] = answering(200, body)
    assert await front.data(QUERY, {"keys": [provider]}) == {
        "segments": {
            "nodes": [{"externalId": "a"}],
            "totalCount": None,
            "sources": [{"error": None}],
        }
    }


def claiming(total: int, real: ASGIApp) -> ASGIApp:
    """Return a server whose lists have so many rows, as it says."""

    async def claim(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    (name, str(total).encode() if name == b"x-total-count" else value)
                    for name, value in message["headers"]
                    if name != b"content-length"
                ]
                await send({**message, "headers": headers})
            else:
                body = re.sub(rb'"total":\s*\d+', b'"total":%d' % total, message["body"])
                await send({**message, "body": body})

        await real(scope, receive, sent)

    return claim


SIZES = """query($id: ID!) { segment(id: $id) { externalId customersCount { count precision }
    customers(first: 1) { nodes { __typename } totalCount }
    assignments(first: 1) { nodes { __typename } totalCount } } }"""
CURRENT = '{ provider(key: "voucherify") { limits { name current } } }'
COUNT = "query($id: ID!) { segment(id: $id) { customersCount { count } } }"
TOTAL = "query($id: ID!) { segment(id: $id) { customers(first: 1) { totalCount } } }"
HISTORY = "query($id: ID!) { segment(id: $id) { sizeHistory { count precision } } }"


@pytest.mark.parametrize("total", [2**31, 2**63, 10**30])
@pytest.mark.parametrize(
    ("key", "count"),
    [
        ("voucherify", {"count": INT, "precision": "AT_LEAST"}),
        # Its header has more digits than any list has rows, so all that arrived are counted.
        ("emporix", {"count": 29, "precision": "EXACT"}),
    ],
)
async def test_more_members_than_an_int(front: Front, key: str, total: int, count: Any) -> None:
    """`customersCount` is the largest number that can be shown, as a lower bound."""
    segment = SEGMENT_OF[key]
    front.providers.instead[key] = claiming(total, front.providers.real(key))

    assert await front.data(SIZES, {"id": segment_id(key, segment)}) == {
        "segment": {
            "externalId": segment,
            "customersCount": count,
            "customers": {"nodes": [{"__typename": "Customer"}], "totalCount": None},
            "assignments": {"nodes": [{"__typename": "Assignment"}], "totalCount": None},
        }
    }


async def test_a_limit_used_beyond_32_bits(front: Front) -> None:
    """How much of it is used is unknown."""
    front.providers.instead["voucherify"] = claiming(2**31, front.providers.real("voucherify"))

    assert await front.data(CURRENT) == {
        "provider": {
            "limits": [
                {"name": "STATIC_SEGMENT_CUSTOMERS", "current": None},
                {"name": "DYNAMIC_SEGMENTS", "current": None},
            ]
        }
    }


@pytest.mark.parametrize("total", [2**31, 10**30])
@pytest.mark.parametrize("query", [COUNT, TOTAL], ids=["count", "total"])
async def test_sizes_beyond_32_bits(tmp_path: Path, query: str, total: int) -> None:
    """The history has what was shown, and other segments have theirs."""
    store = StoreSettings(url=f"sqlite:///{tmp_path}/gateway.db")
    settings = settings_with().model_copy(update={"store": store})
    silver, beta = (segment_id("voucherify", each) for each in (SILVER_MEMBERS, APP_BETA))
    async with serving(settings=settings) as front:
        real = front.providers.real("voucherify")
        front.providers.instead["voucherify"] = claiming(total, real)
        await front.data(query, {"id": silver})
        del front.providers.instead["voucherify"]
        await front.data(query, {"id": beta})

        shown = [{"count": INT, "precision": "AT_LEAST"}] if query == COUNT else []
        assert await front.data(HISTORY, {"id": silver}) == {"segment": {"sizeHistory": shown}}
        (point,) = (await front.data(HISTORY, {"id": beta}))["segment"]["sizeHistory"]
        assert point["precision"] == "EXACT"
