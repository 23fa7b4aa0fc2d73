"""What is in a segment: items, customers, and how many."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.e2e.known import SEGMENT_OF
from tests.e2e.serving import Front, names, segment_id

ITEMS = """
query($id: ID!, $type: ItemType, $first: Int, $after: String) {
  segment(id: $id) {
    items(type: $type, first: $first, after: $after) {
      totalCount
      nodes { externalId type code name names { language text } createdAt updatedAt }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""


async def test_items(front: Front) -> None:
    """Products and categories come with code, names and the times of their assignment."""
    shown = (await front.data(ITEMS, {"id": segment_id("emporix", "golden")}))["segment"]["items"]

    def item(key: str, kind: str, code: str, texts: tuple[str, str]) -> dict[str, Any]:
        return {
            "externalId": key,
            "type": kind,
            "code": code,
            "name": texts[0],
            "names": [
                {"language": language, "text": text}
                for language, text in zip(("en", "de"), texts, strict=True)
            ],
        }

    beans = ("Espresso beans, 1 kg", "Espressobohnen, 1 kg")
    cups = ("Espresso cups, set of 4", "Espressotassen, 4er-Set")
    times = [(node.pop("createdAt"), node.pop("updatedAt")) for node in shown["nodes"]]
    assert times == [(f"2025-03-04T09:4{minute}:00.000Z",) * 2 for minute in range(3)]
    assert shown["nodes"] == [
        item("p1003", "PRODUCT", "SKU-1003", beans),
        item("p1004", "PRODUCT", "SKU-1004", cups),
        item("cat-espresso", "CATEGORY", "espresso", ("Espresso", "Espresso")),
    ]
    assert shown["totalCount"] == 3
    assert front.counts == {"emporix": 2}


@pytest.mark.parametrize(
    ("kind", "result"),
    [("PRODUCT", ["p1003", "p1004"]), ("CATEGORY", ["cat-espresso"])],
)
@pytest.mark.parametrize("first", [1, 250])
async def test_items_of_a_type(front: Front, kind: str, result: Sequence[str], first: int) -> None:
    """Only items of the type are listed and counted."""
    given: dict[str, Any] = {
        "id": segment_id("emporix", "golden"),
        "type": kind,
        "first": first,
    }
    keys: list[str] = []
    while True:
        shown = (await front.data(ITEMS, given))["segment"]["items"]
        keys += [node["externalId"] for node in shown["nodes"]]
        assert shown["totalCount"] == len(result)
        if not shown["pageInfo"]["hasNextPage"]:
            break
        given["after"] = shown["pageInfo"]["endCursor"]

    assert keys == list(result)


@pytest.mark.parametrize("key", ["voucherify", "emporix"])
async def test_customers_of_a_segment(front: Front, key: str) -> None:
    """Customers, their total and their number agree; the number alone costs one call."""
    id_ = segment_id(key, SEGMENT_OF[key])
    shown = await front.data(
        """query($id: ID!) { segment(id: $id) {
          customers(first: 100) { totalCount nodes { id name } }
          customersCount { count precision }
        } }""",
        {"id": id_},
    )
    front.forget()
    counted = await front.data(
        "query($id: ID!) { segment(id: $id) { customersCount { count } } }", {"id": id_}
    )

    segment = shown["segment"]
    total = {"voucherify": 69, "emporix": 29}[key]
    assert len(names(segment["customers"])) == total
    assert segment["customers"]["totalCount"] == total
    assert segment["customersCount"] == {"count": total, "precision": "EXACT"}
    assert counted["segment"]["customersCount"] == {"count": total}
    assert front.counts == {key: 2}


@pytest.mark.parametrize("field", ["assignments", "customers", "items"])
@pytest.mark.parametrize("first", [0, 251])
async def test_first_out_of_range(front: Front, field: str, first: int) -> None:
    """A page below a segment has from 1 to 250 rows; the segment itself is shown."""
    query = f"""query($id: ID!, $first: Int) {{
      segment(id: $id) {{ name {field}(first: $first) {{ totalCount }} }}
    }}"""
    answer = await front.ask(query, {"id": segment_id("emporix", "golden"), "first": first})

    assert answer["data"] == {"segment": {"name": "Golden customers", field: None}}
    assert [(e["message"], e["path"], e["extensions"]) for e in answer["errors"]] == [
        (
            f"first is {first}; it must be from 1 to 250.",
            ["segment", field],
            {"code": "BAD_USER_INPUT"},
        )
    ]
    assert front.counts == {"emporix": 1}
