"""Upstream calls are the least that a provider's API allows: exact numbers, exact calls."""

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from tests.e2e.known import APP_BETA, HIRO_AT, HIRO_IN, NEVER_BOUGHT, SILVER_MEMBERS
from tests.e2e.serving import (
    READABLE,
    Front,
    customer_id,
    only_read,
    segment_id,
    serving,
    settings_with,
)

NEWEST_100 = "/v1/segments?limit=100&order=-created_at"
IN_EMPORIX = "/customer-segment/sandbox/segments"


async def test_emporix_segments_assignments_customers(front: Front) -> None:
    """All segments, five assignments of each, their customers: 1 + 16 + ⌈distinct / 100⌉."""
    shown = await front.data(
        """{ segments(first: 20, filter: {providers: ["emporix"]}) {
          nodes { assignments(first: 5) { nodes { customer { id name } } } }
        } }"""
    )

    customers = {
        row["customer"]["id"]
        for node in shown["segments"]["nodes"]
        for row in node["assignments"]["nodes"]
    }
    assert len(customers) == 42
    assert len(front.calls) == 1 + 16 + 1
    assert front.counts == {"emporix": 18}


async def test_more_customers_than_one_batch(front: Front) -> None:
    """Customers beyond a hundred take a call more for each further hundred."""
    shown = await front.data(
        """{ segments(filter: {providers: ["emporix"]}) {
          nodes { assignments(first: 60) { nodes { customer { id } } } }
        } }"""
    )

    customers = {
        row["customer"]["id"]
        for node in shown["segments"]["nodes"]
        for row in node["assignments"]["nodes"]
    }
    assert 100 < len(customers) <= 200
    assert len(front.calls) == 1 + 16 + 2


async def test_voucherify_customers_segments(front: Front) -> None:
    """The segments of 50 customers: one call for the list, one for each customer."""
    shown = await front.data(
        """{ customers(first: 50, filter: {providers: ["voucherify"]}) {
          nodes { segments { nodes { id name } } }
        } }"""
    )

    assert len(shown["customers"]["nodes"]) == 50
    assert front.counts == {"voucherify": 1 + 50}


async def test_voucherify_customers_segments_whole(front: Front) -> None:
    """Where more than names is shown, all their segments come in one call more."""
    shown = await front.data(
        """{ customers(first: 50, filter: {providers: ["voucherify"]}) {
          nodes { segments { nodes { name membership createdAt } } }
        } }"""
    )

    assert {
        segment["membership"]
        for node in shown["customers"]["nodes"]
        for segment in node["segments"]["nodes"]
    } == {"MANUAL", "RULE"}
    # Each customer's segments become known at different times, but are read together.
    assert front.counts == {"voucherify": 1 + 50 + 1}


@pytest.mark.parametrize("at_once", [1, 3, 20])
async def test_calls_in_flight_are_bounded(at_once: int) -> None:
    """However many calls a query takes, a provider has never more than its bound at once."""
    providers = only_read()
    voucherify = providers.real("voucherify")
    running, most = 0, 0

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            # Let every call that may start now do so.
            for _ in range(100):
                await asyncio.sleep(0)
            await voucherify(scope, receive, send)
        finally:
            running -= 1

    async with serving(settings=settings_with(max_concurrency=at_once)) as front:
        providers.instead["voucherify"] = watched
        await front.data(
            """{ customers(first: 50, filter: {providers: ["voucherify"]}) {
              nodes { segments { nodes { name } } }
            } }"""
        )

    assert most == at_once


@pytest.mark.parametrize("key", READABLE)
async def test_one_segment_under_three_aliases(front: Front, key: str) -> None:
    """A segment that is selected three times is read once, also as a node and by filter."""
    id_ = segment_id(
        key, {"stuut": "seg_ChSVXpe3", "voucherify": APP_BETA, "emporix": "staff"}[key]
    )

    shown = await front.data(
        """query($id: ID!) {
          a: segment(id: $id) { id } b: segment(id: $id) { name } c: segment(id: $id) { status }
          node(id: $id) { id } nodes(ids: [$id, $id]) { id }
          segments(filter: {ids: [$id]}) { nodes { id } }
        }""",
        {"id": id_},
    )

    assert shown["a"] == shown["node"] == {"id": id_}
    assert shown["nodes"] == shown["segments"]["nodes"] + shown["segments"]["nodes"]
    assert front.counts == {key: 1}


@pytest.mark.parametrize(
    ("key", "segments", "call"),
    [
        ("stuut", ["seg_ChSVXpe3", "seg_Qbb7vAJP"], "GET /v2/customer-segments?page=0&limit=500"),
        (
            "voucherify",
            [APP_BETA, NEVER_BOUGHT, SILVER_MEMBERS],
            f"GET {NEWEST_100}&ids={APP_BETA}&ids={NEVER_BOUGHT}&ids={SILVER_MEMBERS}",
        ),
        (
            "emporix",
            ["staff", "golden", "vip-2026"],
            f"GET {IN_EMPORIX}?q=id:(staff,golden,vip-2026)&pageNumber=1&pageSize=3",
        ),
    ],
)
async def test_several_segments_under_aliases(
    front: Front, key: str, segments: list[str], call: str
) -> None:
    """Different segments of one provider, selected by different root fields, come in one call."""
    fields = " ".join(
        f'f{place}: segment(id: "{segment_id(key, each)}") {{ externalId }}'
        for place, each in enumerate(segments)
    )

    shown = await front.data(f"{{ {fields} }}")

    assert [row["externalId"] for row in shown.values()] == segments
    assert front.calls == [call]


async def test_one_list_twice(front: Front) -> None:
    """The same list under two aliases, with other fields, is read once from each provider."""
    shown = await front.data(
        """{
          a: segments(first: 10) { nodes { id } }
          b: segments(first: 10) { nodes { id name } pageInfo { hasNextPage } }
        }"""
    )

    assert [node["id"] for node in shown["b"]["nodes"]] == [n["id"] for n in shown["a"]["nodes"]]
    assert front.counts == {"stuut": 1, "voucherify": 1, "emporix": 1}


async def test_list_primes_what_is_below_it(front: Front) -> None:
    """A segment or customer that a list has completely is not read again by its id."""
    await front.data(
        """{ segments(filter: {providers: ["voucherify"]}) {
          nodes { assignments(first: 2) { nodes { segment { status } customer { email } } } }
        } }"""
    )

    assert front.counts == {"voucherify": 1 + 16}


@pytest.mark.parametrize(
    ("selection", "calls"),
    [
        ("id name", {"stuut": 2, "voucherify": 2, "emporix": 2}),
        # Voucherify tells id and name of a customer's segment, and the rest of all at once.
        ("name status", {"stuut": 2, "voucherify": 3, "emporix": 2}),
    ],
)
async def test_segments_of_one_customer_at_each_provider(
    front: Front, selection: str, calls: dict[str, int]
) -> None:
    """What a customer is in: the customer and its segments, and no more than is shown."""
    fields = " ".join(
        f'{key}: customer(id: "{customer_id(key, HIRO_AT[key])}")'
        f" {{ segments {{ nodes {{ {selection} }} }} }}"
        for key in READABLE
    )

    shown: Any = await front.data(f"{{ {fields} }}")

    assert {
        key: [node["name"] for node in row["segments"]["nodes"]] for key, row in shown.items()
    } == HIRO_IN
    assert front.counts == calls


async def test_customer_by_its_second_key(front: Front) -> None:
    """A customer found by `source_id` is not read again for what hangs on it."""
    shown = await front.data(
        """{ customer(identity: {provider: "voucherify", externalId: "crm-00001"}) {
          segments { nodes { name } } assignments { totalCount }
        } }"""
    )

    assert shown["customer"]["assignments"] == {"totalCount": 4}
    assert front.counts == {"voucherify": 2}
