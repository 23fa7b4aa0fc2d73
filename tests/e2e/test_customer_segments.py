"""The segments of a customer: active or not, ranked or not, in pages."""

import pytest

from gateway.sandbox.people import person
from tests.e2e.known import HIRO_AT, HIRO_IN
from tests.e2e.serving import READABLE, Front, customer_id, names

SEGMENTS = """
query($id: ID!, $onlyActive: Boolean, $first: Int, $after: String) {
  customer(id: $id) {
    segments(first: $first, after: $after, onlyActive: $onlyActive) {
      totalCount nodes { name isActive } pageInfo { hasNextPage endCursor }
    }
    primarySegment { name priority }
  }
}
"""


@pytest.mark.parametrize("only_active", [True, False, None])
@pytest.mark.parametrize("key", READABLE)
async def test_segments_of_a_customer(front: Front, key: str, *, only_active: bool | None) -> None:
    """A customer's segments, all of them active; one has a rank at Stuut alone."""
    given = {"id": customer_id(key, HIRO_AT[key]), "onlyActive": only_active}

    shown = (await front.data(SEGMENTS, given))["customer"]

    assert shown["segments"]["nodes"] == [{"name": n, "isActive": True} for n in HIRO_IN[key]]
    assert shown["segments"]["totalCount"] == len(HIRO_IN[key])
    ranked = {"name": "DACH strategic", "priority": 1}
    assert shown["primarySegment"] == (ranked if key == "stuut" else None)


SHOPPER = person(40)
"""Was in last summer's sale, and is in a segment that is switched off."""


@pytest.mark.parametrize(
    ("only_active", "result"),
    [
        (
            False,
            [
                "Newsletter readers",
                "Summer sale 2025",
                "Dormant accounts",
                "German-speaking shoppers",
            ],
        ),
        (True, ["Newsletter readers", "German-speaking shoppers"]),
    ],
)
async def test_only_active_minds_validity(
    front: Front, result: list[str], *, only_active: bool
) -> None:
    """`onlyActive` means switched on and valid now: the rest is neither row nor total."""
    given = {"id": customer_id("emporix", SHOPPER.emporix_id or ""), "onlyActive": only_active}

    shown = (await front.data(SEGMENTS, given))["customer"]["segments"]

    assert names(shown) == result
    assert shown["totalCount"] == len(result)


async def test_cursor_of_all_segments_is_none_of_the_active(front: Front) -> None:
    """With and without `onlyActive` are two lists."""
    given = {"id": customer_id("emporix", HIRO_AT["emporix"]), "first": 1}
    shown = (await front.data(SEGMENTS, {**given, "onlyActive": True}))["customer"]
    cursor = shown["segments"]["pageInfo"]["endCursor"]

    answer = await front.ask(SEGMENTS, {**given, "after": cursor})

    assert answer["data"]["customer"] == {"segments": None, "primarySegment": None}
    assert [(e["path"], e["extensions"]["code"]) for e in answer["errors"]] == [
        (["customer", "segments"], "BAD_USER_INPUT")
    ]
