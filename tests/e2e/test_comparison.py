"""`segmentsCompare`: who is in exactly which of several segments."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.limits.settings import LimitSettings
from tests.e2e.failures import answering
from tests.e2e.known import HIRO_AT, NEVER_BOUGHT
from tests.e2e.serving import Front, customer_id, segment_id, serving, settings_with
from tests.e2e.test_customer_sets import B2B, BETA, CIRCLE, GOLDEN, SILVER, members

COMPARE = """
query Compare($ids: [ID!]!, $first: Int = 250, $after: String) {
  segmentsCompare(segmentIds: $ids) {
    total
    asOf
    sets { segment { id } count unlinked asOf }
    regions {
      segmentIds
      count
      customers(first: $first, after: $after) {
        totalCount
        nodes { id }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}
"""
NEVER = segment_id("voucherify", NEVER_BOUGHT)


def regions(ids: Sequence[str], sets: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Return the regions by comparing every combination of segments."""
    regions = []
    for size in range(1, len(ids) + 1):
        for within in itertools.combinations(ids, size):
            inside = set.intersection(*(set(sets[each]) for each in within))
            others = [sets[each] for each in ids if each not in within]
            exactly = inside - {key for each in others for key in each}
            if exactly:
                regions.append({"segmentIds": [*within], "customers": exactly})
    return sorted(
        regions,
        key=lambda r: (-len(r["customers"]), [ids.index(each) for each in r["segmentIds"]]),
    )


@pytest.mark.parametrize(
    ("ids", "counts"),
    [
        ([SILVER, BETA], {"voucherify": 3}),
        ([BETA, SILVER], {"voucherify": 3}),
        ([NEVER, SILVER, BETA], {"voucherify": 4}),
        ([B2B, GOLDEN, CIRCLE], {"emporix": 5}),
    ],
    ids=str,
)
async def test_comparison(front: Front, ids: Sequence[str], counts: Mapping[str, int]) -> None:
    """Sets in the order given, exact regions from the largest, each customer in one of them."""
    sets = {each: list(await members(front, each)) for each in ids}
    front.forget()

    shown = (await front.data(COMPARE, {"ids": ids}))["segmentsCompare"]

    assert front.counts == counts
    assert shown["sets"] == [
        {
            "segment": {"id": each},
            "count": len(sets[each]),
            "unlinked": 0,
            "asOf": of["asOf"],
        }
        for each, of in zip(ids, shown["sets"], strict=True)
    ]
    assert shown["asOf"] == min(each["asOf"] for each in shown["sets"])
    assert shown["total"] == len({key for each in sets.values() for key in each})
    expected = regions(ids, sets)
    assert len(expected) > 1
    assert [each["segmentIds"] for each in shown["regions"]] == [
        each["segmentIds"] for each in expected
    ]
    for region, of in zip(shown["regions"], expected, strict=True):
        listed = [node["id"] for node in region["customers"]["nodes"]]
        assert len(listed) == len(set(listed))
        assert set(listed) == of["customers"]
        assert region["count"] == region["customers"]["totalCount"] == len(listed)
        order = sets[region["segmentIds"][0]]
        assert listed == sorted(listed, key=order.index)


async def test_pages_of_a_region(front: Front) -> None:
    """A region's customers come page by page, each once."""
    (whole, *_) = (await front.data(COMPARE, {"ids": [SILVER, BETA]}))["segmentsCompare"][
        "regions"
    ]
    result: list[Any] = []
    after = None
    while True:
        variables = {"ids": [SILVER, BETA], "first": 7, "after": after}
        answer = await front.ask(COMPARE, variables)
        page = answer["data"]["segmentsCompare"]["regions"][0]["customers"]
        # The cursor belongs to the first region: the others refuse it.
        assert {error["extensions"]["code"] for error in answer.get("errors", ())} == (
            {"BAD_USER_INPUT"} if after else set()
        )
        result += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert result == whole["customers"]["nodes"]


@pytest.mark.parametrize(
    ("ids", "message", "calls"),
    [
        ([], "Give from 2 to 6 ids in segmentIds, not 0.", False),
        ([SILVER], "Give from 2 to 6 ids in segmentIds, not 1.", False),
        (
            [segment_id("emporix", str(i)) for i in range(7)],
            "Give from 2 to 6 ids in segmentIds, not 7.",
            False,
        ),
        ([SILVER, BETA, SILVER], "segmentIds names a segment twice.", False),
        (
            [SILVER, customer_id("voucherify", HIRO_AT["voucherify"])],
            "segmentIds[1] is not the id of a segment.",
            False,
        ),
        ([GOLDEN, segment_id("emporix", "none")], "segmentIds[1] is the id of no segment.", True),
        (
            [segment_id("voucherify", "none"), SILVER],
            "segmentIds[0] is the id of no segment.",
            True,
        ),
        (
            [segment_id("gone", "a"), segment_id("gone", "b")],
            "segmentIds[0] is the id of no segment.",
            False,
        ),
    ],
    ids=str,
)
async def test_refused(front: Front, ids: Sequence[str], message: str, calls: object) -> None:
    """What cannot be compared is null and an error; only an id of nothing takes a call."""
    answer = await front.ask(COMPARE, {"ids": ids})

    assert answer["data"] == {"segmentsCompare": None}
    assert [(e["message"], e["path"], e["extensions"]) for e in answer["errors"]] == [
        (message, ["segmentsCompare"], {"code": "BAD_USER_INPUT"})
    ]
    assert bool(front.calls) is calls


async def test_provider_without_members(front: Front) -> None:
    """A provider that lists no members compares nothing."""
    data = await front.data(
        '{ segments(filter: {providers: "stuut"}, first: 2) { nodes { id } } }'
    )
    ids = [node["id"] for node in data["segments"]["nodes"]]
    answer = await front.ask(COMPARE, {"ids": ids})
    assert answer["data"] == {"segmentsCompare": None}
    assert [e["extensions"]["code"] for e in answer["errors"]] == ["UNSUPPORTED"]


async def test_provider_that_fails(front: Front) -> None:
    """A provider's failure is the field's error."""
    front.providers.instead["voucherify"] = answering(500, b"")
    answer = await front.ask(COMPARE, {"ids": [SILVER, BETA]})
    assert answer["data"] == {"segmentsCompare": None}
    assert [e["extensions"]["code"] for e in answer["errors"]] == ["PROVIDER_BROKEN"]


async def test_beyond_the_limit() -> None:
    """A segment beyond `limits.compare_members` is refused by its first page."""
    settings = settings_with().model_copy(update={"limits": LimitSettings(compare_members=3)})
    async with serving(settings=settings) as front:
        answer = await front.ask(COMPARE, {"ids": [SILVER, BETA]})
        assert answer["data"] == {"segmentsCompare": None}
        assert [e["extensions"]["code"] for e in answer["errors"]] == ["LIMIT_EXCEEDED"]
        assert front.counts == {"voucherify": 3}
