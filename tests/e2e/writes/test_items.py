"""Products and categories of Emporix's segments, and which items are in any of them."""

from typing import Any

from tests.e2e.serving import Front, segment_id
from tests.e2e.writes.asking import EMPORIX, do, problem

STAFF = segment_id("emporix", "staff")
ITEMS = f"{EMPORIX}/staff/items"
BOTH = [
    {"externalId": "p1001", "type": "PRODUCT"},
    {"externalId": "cat-tea", "type": "CATEGORY"},
    {"externalId": "p9999", "type": "PRODUCT"},
    {"externalId": "p1002", "type": "PRODUCT"},
    {"externalId": "cat-none", "type": "CATEGORY"},
]


def row(index: int, outcome: str, *errors: Any) -> dict[str, Any]:
    """Return one row of the payload."""
    return {"index": index, "outcome": outcome, "userErrors": list(errors)}


async def items(front: Front) -> list[tuple[str, str]]:
    """Return what is in the segment, as the provider has it now."""
    data = await front.data(
        "query($id: ID!) { segment(id: $id) { items { nodes { type externalId } } } }",
        {"id": STAFF},
    )
    front.forget()
    return [(node["type"], node["externalId"]) for node in data["segment"]["items"]["nodes"]]


async def test_both_kinds(front: Front) -> None:
    """One call for each kind; rows are told in the order of the input, refused ones too."""
    payload = await do(front, "segmentItemsBulkAssign", {"segmentId": STAFF, "items": BOTH})

    def refused(index: int) -> dict[str, Any]:
        error = problem(f"items.{index}", "PROVIDER_REFUSED", "emporix")
        return row(index, "FAILED", error)

    assert payload == {
        "results": [
            row(0, "CREATED"),
            row(1, "CREATED"),
            refused(2),
            row(3, "CREATED"),
            refused(4),
        ],
        "succeeded": 3,
        "failed": 2,
        "userErrors": [],
    }
    page = "pageNumber=1&pageSize=200"
    assert sorted(front.calls) == [
        f"GET {ITEMS}?q=item.id:(cat-tea,cat-none) type:CATEGORY&{page}",
        f"GET {ITEMS}?q=item.id:(p1001,p9999,p1002) type:PRODUCT&{page}",
        f"PUT {ITEMS}/CATEGORY/bulk",
        f"PUT {ITEMS}/PRODUCT/bulk",
    ]
    assert sorted(await items(front)) == [
        ("CATEGORY", "cat-tea"),
        ("PRODUCT", "p1001"),
        ("PRODUCT", "p1002"),
    ]

    given = {"segmentId": STAFF, "items": BOTH[:2]}
    payload = await do(front, "segmentItemsBulkUnassign", given)
    assert payload == {
        "results": [row(0, "DELETED"), row(1, "DELETED")],
        "succeeded": 2,
        "failed": 0,
        "userErrors": [],
    }
    assert sorted(front.calls) == [
        f"DELETE {ITEMS}/CATEGORY/bulk",
        f"DELETE {ITEMS}/PRODUCT/bulk",
    ]
    assert await items(front) == [("PRODUCT", "p1002")]


async def test_batches(front: Front) -> None:
    """450 items take three calls; one that is there already was changed, not made."""
    wanted = [{"externalId": "p1001", "type": "PRODUCT"}] * 450
    payload = await do(front, "segmentItemsBulkAssign", {"segmentId": STAFF, "items": wanted})
    outcomes = [each["outcome"] for each in payload["results"]]
    assert (outcomes.count("CREATED"), outcomes.count("UPDATED")) == (1, 449)
    assert front.calls[1:] == [f"PUT {ITEMS}/PRODUCT/bulk"] * 3
    assert await items(front) == [("PRODUCT", "p1001")]


async def test_no_such_segment(front: Front) -> None:
    """Rows of a segment that is not there are refused, each in its place."""
    given = {"segmentId": segment_id("emporix", "none"), "items": BOTH[:1]}
    payload = await do(front, "segmentItemsBulkAssign", given)
    refused = problem("items.0", "PROVIDER_REFUSED", "emporix")
    assert payload == {
        "results": [row(0, "FAILED", refused)],
        "succeeded": 0,
        "failed": 1,
        "userErrors": [],
    }


async def test_match_after_a_write(front: Front) -> None:
    """What is put into an active segment is matched from then on."""
    golden = segment_id("emporix", "golden")
    query = """query($input: SegmentItemsMatchInput!) {
      segmentItemsMatch(input: $input) { externalId }
    }"""
    variables = {
        "input": {
            "provider": "emporix",
            "siteCode": "main",
            "itemIds": ["p1007", "p1003", "p9999"],
            "segmentIds": [golden],
        }
    }
    before = await front.data(query, variables)
    assert before == {"segmentItemsMatch": [{"externalId": "p1003"}]}
    given = {"segmentId": golden, "items": [{"externalId": "p1007", "type": "PRODUCT"}]}
    await do(front, "segmentItemsBulkAssign", given)
    front.forget()
    after = await front.data(query, variables)
    matching = sorted(each["externalId"] for each in after["segmentItemsMatch"])
    assert matching == ["p1003", "p1007"]
    assert front.calls == [f"POST {EMPORIX}/match"]
