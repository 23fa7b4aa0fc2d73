"""Customers: the merged list and its filters, and what each of them is in."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.e2e.known import (
    APP_BETA,
    DACH_STRATEGIC,
    HIRO,
    HIRO_AT,
)
from tests.e2e.serving import (
    READABLE,
    Front,
    customer_id,
    segment_id,
)

LIST = """
query List($filter: CustomerFilter, $first: Int = 250, $after: String) {
  customers(first: $first, after: $after, filter: $filter) {
    totalCount
    nodes { id name }
    pageInfo { hasNextPage endCursor }
    sources { provider { key } origin totalCount error { code } }
  }
}
"""
AT_ALL = [customer_id(key, HIRO_AT[key]) for key in READABLE]
AT_STUUT, AT_VOUCHERIFY, AT_EMPORIX = AT_ALL
B2B_PARTNERS = segment_id("emporix", "b2b-partners")


def source(key: str, total: int | None, error: str | None = None) -> dict[str, Any]:
    """Return the source of a provider that was called."""
    return {
        "provider": {"key": key},
        "origin": None if error else "LIVE",
        "totalCount": total,
        "error": {"code": error} if error else None,
    }


NO_EMAIL = source("instaleap", None, "UNSUPPORTED")


@pytest.mark.parametrize("first", [7, 50, 100, 250])
async def test_pages(front: Front, first: int) -> None:
    """All 515 customers come once, provider after provider, whatever the size of a page."""
    result: list[Any] = []
    after = None
    pages = 0
    while True:
        front.forget()
        page = (await front.data(LIST, {"first": first, "after": after}))["customers"]
        result += page["nodes"]
        pages += 1
        for key, largest in (("stuut", 200), ("voucherify", 100), ("emporix", 200)):
            # A part that begins in the middle of a numbered page may need one call more.
            assert front.counts.get(key, 0) <= math.ceil(first / largest) + 1
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]

    whole = [(await front.data(LIST, {"filter": {"providers": [key]}})) for key in READABLE]
    assert pages == math.ceil(515 / first)
    assert len(result) == len({node["id"] for node in result}) == 515
    assert result == [node for part in whole for node in part["customers"]["nodes"]]
    assert [part["customers"]["totalCount"] for part in whole] == [75, 240, 200]


@pytest.mark.parametrize(
    ("wanted", "result", "sources", "counts"),
    [
        (
            {"email": HIRO.email},
            [AT_VOUCHERIFY, AT_EMPORIX],
            [
                source("stuut", None, "UNSUPPORTED"),
                source("voucherify", 1),
                NO_EMAIL,
                source("emporix", 1),
            ],
            {"voucherify": 1, "emporix": 1},
        ),
        (
            {"externalId": HIRO.crm_id},
            [AT_STUUT, AT_VOUCHERIFY],
            [
                source("stuut", 1),
                source("voucherify", 1),
                {**source("instaleap", 0), "origin": "RECORDED"},
                source("emporix", 0),
            ],
            {"stuut": 1, "voucherify": 1, "emporix": 1},
        ),
        (
            {"externalId": HIRO_AT["emporix"], "providers": ["emporix", "voucherify"]},
            [AT_EMPORIX],
            [source("voucherify", 0), source("emporix", 1)],
            {"voucherify": 1, "emporix": 1},
        ),
        (
            {"externalId": HIRO.crm_id, "email": HIRO.email.upper(), "providers": ["voucherify"]},
            [AT_VOUCHERIFY],
            [source("voucherify", 1)],
            {"voucherify": 1},
        ),
        (
            {"externalId": HIRO.crm_id, "email": "x@example.com", "providers": ["voucherify"]},
            [],
            [source("voucherify", 0)],
            {"voucherify": 1},
        ),
        (
            {"segmentId": segment_id("stuut", DACH_STRATEGIC)},
            [],
            [source("stuut", None, "UNSUPPORTED")],
            {},
        ),
        (
            {"segmentId": segment_id("voucherify", APP_BETA), "email": HIRO.email},
            [AT_VOUCHERIFY],
            [source("voucherify", 1)],
            {"voucherify": 1},
        ),
        (
            {"segmentId": B2B_PARTNERS, "externalId": HIRO_AT["emporix"]},
            [AT_EMPORIX],
            [source("emporix", 1)],
            {"emporix": 2},
        ),
        (
            {"segmentId": segment_id("emporix", "golden"), "externalId": HIRO_AT["emporix"]},
            [],
            [source("emporix", 0)],
            {"emporix": 2},
        ),
        ({"segmentId": B2B_PARTNERS, "providers": ["voucherify"]}, [], [], {}),
        ({"segmentId": segment_id("emporix", "none")}, [], [source("emporix", 0)], {"emporix": 1}),
        ({"segmentId": segment_id("gone", "none")}, [], [], {}),
        ({"providers": []}, [], [], {}),
    ],
    ids=lambda value: str(value)[:90] if isinstance(value, dict) else "",
)
async def test_filter(
    front: Front,
    wanted: Mapping[str, Any],
    result: Sequence[str],
    sources: Sequence[Any],
    counts: Mapping[str, int],
) -> None:
    """All conditions hold; providers without this filter are reported in `sources`."""
    shown = (await front.data(LIST, {"filter": wanted}))["customers"]

    totals = [row["totalCount"] for row in sources]
    assert shown == {
        "totalCount": None if None in totals else sum(totals),
        "nodes": [{"id": id_, "name": shown_name(id_)} for id_ in result],
        "pageInfo": shown["pageInfo"],
        "sources": list(sources),
    }
    assert shown["pageInfo"]["hasNextPage"] is False
    assert front.counts == counts


def shown_name(id_: str) -> str | None:
    """Return Hiro's name at the provider of this id: Stuut tells none."""
    return None if id_ == AT_STUUT else HIRO.name


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"providers": ["nobody"]}, "filter.providers: no provider has the key 'nobody'."),
        ({"externalId": ""}, "filter.externalId is empty."),
        ({"segmentId": "garbage"}, "filter.segmentId is not an id of this gateway."),
        ({"segmentId": AT_EMPORIX}, "filter.segmentId is not the id of a segment."),
    ],
    ids=str,
)
async def test_refused_filter(front: Front, wanted: Mapping[str, Any], message: str) -> None:
    """A filter with an invalid id is refused without a call."""
    answer = await front.ask(LIST, {"filter": wanted})

    assert answer["data"] is None
    assert [(e["message"], e["path"], e["extensions"]) for e in answer["errors"]] == [
        (message, ["customers"], {"code": "BAD_USER_INPUT"})
    ]
    assert front.calls == []


async def test_email_that_a_provider_cannot_be_asked_for(front: Front) -> None:
    """An email address that Emporix's `q` cannot say fails Emporix alone, unasked."""
    wanted = {"email": "o(brien@example.com", "providers": ["voucherify", "emporix"]}

    shown = (await front.data(LIST, {"filter": wanted}))["customers"]

    assert shown["sources"] == [
        source("voucherify", 0),
        source("emporix", None, "BAD_USER_INPUT"),
    ]
    assert front.counts == {"voucherify": 1}


@pytest.mark.parametrize("first", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("field", ["customers", "segment"])
async def test_customer_of_two_legal_entities_comes_once(
    front: Front, first: int, field: str
) -> None:
    """A customer who is in a segment twice stands in its customers once, on whatever page."""
    page = "nodes { id } pageInfo { hasNextPage endCursor }"
    query = {
        "customers": "customers(first: $first, after: $after, filter: {segmentId: $id})"
        f" {{ {page} }}",
        "segment": f"segment(id: $id) {{ customers(first: $first, after: $after) {{ {page} }} }}",
    }[field]
    result: list[str] = []
    after = None
    while True:
        shown = await front.data(
            f"query($id: ID!, $first: Int, $after: String) {{ {query} }}",
            {"id": B2B_PARTNERS, "first": first, "after": after},
        )
        connection = shown.get("customers") or shown["segment"]["customers"]
        result += [node["id"] for node in connection["nodes"]]
        if not connection["pageInfo"]["hasNextPage"]:
            break
        after = connection["pageInfo"]["endCursor"]

    # 40 assignments of 32 customers, 8 of whom buy for two companies.
    assert len(result) == len(set(result)) == 32
    assert result[0] == AT_EMPORIX
