"""Customers selected by several segments: `inAll`, `inAny`, `inNone`."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.limits.settings import LimitSettings
from tests.e2e.known import APP_BETA, DACH_STRATEGIC, HIRO, HIRO_AT, SILVER_MEMBERS
from tests.e2e.serving import Front, Providers, customer_id, segment_id, serving, settings_with
from tests.e2e.test_customers import LIST, source

MEMBERS = """
query Members($id: ID!, $after: String) {
  segment(id: $id) {
    customers(first: 250, after: $after) { nodes { id name } pageInfo { hasNextPage endCursor } }
  }
}
"""
GOLDEN, B2B, CIRCLE = (segment_id("emporix", key) for key in ("golden", "b2b-partners", "staff"))
SILVER, BETA = (segment_id("voucherify", key) for key in (SILVER_MEMBERS, APP_BETA))
AT_STUUT = segment_id("stuut", DACH_STRATEGIC)
HIRO_HERE = customer_id("voucherify", HIRO_AT["voucherify"])


async def members(front: Front, segment: str) -> dict[str, Any]:
    """Return the members of a segment by id, in order, as `Segment.customers` lists them."""
    result: dict[str, Any] = {}
    after = None
    while True:
        data = await front.data(MEMBERS, {"id": segment, "after": after})
        page = data["segment"]["customers"]
        result.update((node["id"], node) for node in page["nodes"])
        if not page["pageInfo"]["hasNextPage"]:
            return result
        after = page["pageInfo"]["endCursor"]


async def expected(front: Front, wanted: Mapping[str, Sequence[str]]) -> list[Any]:
    """Return the customers for whom the conditions hold, by the lists of the segments."""
    sets = {name: [await members(front, each) for each in ids] for name, ids in wanted.items()}
    required, alternatives = sets.get("inAll", []), sets.get("inAny", [])
    candidates = dict(
        itertools.chain.from_iterable(each.items() for each in required[:1] or alternatives)
    )
    return [
        node
        for key, node in candidates.items()
        if all(key in each for each in required)
        and (not alternatives or any(key in each for each in alternatives))
        and not any(key in each for each in sets.get("inNone", []))
    ]


@pytest.mark.parametrize(
    ("wanted", "counts"),
    [
        ({"inAll": [SILVER, BETA]}, {"voucherify": 2}),
        ({"inAny": [SILVER, BETA]}, {"voucherify": 2}),
        ({"inAll": [SILVER], "inNone": [BETA]}, {"voucherify": 2}),
        ({"inAll": [SILVER], "inAny": [BETA, SILVER], "inNone": []}, {"voucherify": 2}),
        ({"inAny": [BETA], "inNone": [SILVER]}, {"voucherify": 2}),
        ({"inAll": [SILVER, SILVER], "inNone": [SILVER]}, {"voucherify": 1}),
        ({"inAny": [B2B, GOLDEN], "inNone": [CIRCLE]}, {"emporix": 4}),
    ],
    ids=str,
)
async def test_sets(
    front: Front, wanted: Mapping[str, Sequence[str]], counts: Mapping[str, int]
) -> None:
    """Every condition holds, each customer comes once, and the total is exact."""
    nodes = await expected(front, wanted)
    front.forget()

    shown = (await front.data(LIST, {"filter": wanted}))["customers"]

    (provider,) = counts
    assert shown == {
        "totalCount": len(nodes),
        "nodes": nodes,
        "pageInfo": shown["pageInfo"],
        "sources": [source(provider, len(nodes))],
    }
    assert shown["pageInfo"]["hasNextPage"] is False
    assert front.counts == counts


@pytest.mark.parametrize("first", [1, 3, 20])
async def test_pages_of_sets(front: Front, first: int) -> None:
    """Page by page the same customers come once, under one total."""
    wanted = {"inAny": [SILVER, BETA]}
    nodes = await expected(front, wanted)
    assert len(nodes) > 20
    result: list[Any] = []
    after = None
    for _ in range(-(-len(nodes) // first)):
        data = await front.data(LIST, {"filter": wanted, "first": first, "after": after})
        page = data["customers"]
        result += page["nodes"]
        assert page["totalCount"] == len(nodes)
        after = page["pageInfo"]["endCursor"]
    assert result == nodes
    assert page["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize(
    ("wanted", "total", "counts"),
    [
        ({"inAll": [SILVER], "email": HIRO.email}, 1, 2),
        ({"inAll": [SILVER], "externalId": HIRO.crm_id}, 1, 2),
        ({"inNone": [SILVER], "externalId": HIRO.crm_id, "providers": ["voucherify"]}, 0, 2),
        ({"inNone": [SILVER], "email": HIRO.email}, 0, 2),
        ({"inAny": [BETA], "email": HIRO.email, "externalId": HIRO.crm_id}, 1, 2),
        ({"inAny": [BETA], "segmentId": SILVER, "email": HIRO.email}, 1, 2),
        ({"inAny": [BETA], "providers": ["emporix"]}, None, 0),
        ({"inAny": [BETA], "segmentId": GOLDEN}, None, 0),
        ({"inAny": [segment_id("gone", "none")]}, None, 0),
    ],
    ids=str,
)
async def test_sets_with_other_conditions(
    front: Front, wanted: Mapping[str, Any], total: int | None, counts: int
) -> None:
    """The other conditions hold too; one customer is judged by their own segments."""
    shown = (await front.data(LIST, {"filter": wanted}))["customers"]

    assert [node["id"] for node in shown["nodes"]] == ([HIRO_HERE] if total else [])
    assert shown["sources"] == ([] if total is None else [source("voucherify", total)])
    assert front.counts == ({"voucherify": counts} if counts else {})


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {"inAll": [SILVER], "inNone": [GOLDEN]},
            "filter.inAll, inAny and inNone must name segments of one provider.",
        ),
        (
            {"inNone": [SILVER], "providers": ["voucherify"]},
            (
                "filter.inNone alone selects nobody: add inAll, inAny, segmentId, externalId, "
                "email or phone."
            ),
        ),
        ({"inAny": [HIRO_HERE]}, "filter.inAny[0] is not the id of a segment."),
        ({"inAny": [SILVER, "garbage"]}, "filter.inAny[1] is not an id of this gateway."),
    ],
    ids=str,
)
async def test_refused_sets(front: Front, wanted: Mapping[str, Any], message: str) -> None:
    """Conditions that cannot hold together are refused without a call."""
    answer = await front.ask(LIST, {"filter": wanted})

    assert answer["data"] is None
    assert [(e["message"], e["extensions"]) for e in answer["errors"]] == [
        (message, {"code": "BAD_USER_INPUT"})
    ]
    assert front.calls == []


async def test_empty_sets_are_no_condition(front: Front) -> None:
    """Empty lists change nothing."""
    empty = {"inAll": [], "inAny": [], "inNone": [], "providers": ["voucherify"]}
    shown = await front.data(LIST, {"filter": empty, "first": 5})
    assert shown == await front.data(LIST, {"filter": {"providers": ["voucherify"]}, "first": 5})


async def test_sets_of_a_provider_without_members(front: Front) -> None:
    """A provider that lists no members is reported in the sources."""
    shown = (await front.data(LIST, {"filter": {"inAny": [AT_STUUT]}}))["customers"]
    assert (shown["nodes"], shown["sources"]) == ([], [source("stuut", None, "UNSUPPORTED")])
    assert front.calls == []


class OneListFails:
    """Voucherify without the members of one segment."""

    def __init__(self, providers: Providers, segment: str) -> None:
        """Fail for this segment; otherwise the sandbox replies."""
        self._providers, self._segment = providers, segment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reply with 500 to requests that name the segment."""
        fails = self._segment in scope["query_string"].decode()
        app = PlainTextResponse("", 500) if fails else self._providers.real("voucherify")
        await app(scope, receive, send)


@pytest.mark.parametrize(
    ("wanted", "readable"),
    [
        ({"inAll": [SILVER, BETA]}, ()),
        ({"inAny": [SILVER], "inNone": [BETA]}, ()),
        ({"inAny": [BETA]}, ()),
        ({"inAll": [SILVER], "inAny": [BETA]}, ()),
        ({"inAny": [SILVER, BETA]}, (SILVER,)),
    ],
    ids=str,
)
async def test_a_segment_that_fails(
    front: Front, wanted: Mapping[str, Sequence[str]], readable: Sequence[str]
) -> None:
    """Without a decisive segment nobody is judged; alternatives that can be read are listed."""
    nodes = await expected(front, {"inAny": readable})
    front.providers.instead["voucherify"] = OneListFails(front.providers, APP_BETA)

    shown = (await front.data(LIST, {"filter": wanted}))["customers"]

    origin = "LIVE" if readable else None
    failed = {**source("voucherify", None, "PROVIDER_BROKEN"), "origin": origin}
    assert (shown["totalCount"], shown["nodes"], shown["sources"]) == (None, nodes, [failed])
    assert shown["pageInfo"]["hasNextPage"] is False


async def test_sets_beyond_the_limit() -> None:
    """A larger segment than `limits.compare_members` is refused after its first page."""
    settings = settings_with().model_copy(update={"limits": LimitSettings(compare_members=3)})
    async with serving(settings=settings) as front:
        size = len(await members(front, SILVER))
        front.forget()
        answer = await front.ask(LIST, {"filter": {"inAny": [SILVER, BETA]}})
        assert answer["data"] is None
        message = f"The segment {SILVER_MEMBERS!r} has {size} members or more; at most 3 are read "
        assert [(e["message"], e["extensions"]) for e in answer["errors"]] == [
            (message + "(limits.compare_members).", {"code": "LIMIT_EXCEEDED"})
        ]
        assert front.counts == {"voucherify": 2}
