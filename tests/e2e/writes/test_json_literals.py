"""JSON that is written out in a document, with variables and numbers of all kinds in it."""

from typing import Any

import pytest

from tests.e2e.serving import Front
from tests.e2e.writes.asking import EMPORIX

CREATE = """mutation{} {{
  segmentCreate(input: {{
    provider: "emporix", externalId: "spring", name: "Spring", siteCode: "main", attributes: {}
  }}) {{ segment {{ attributes }} userErrors {{ field code }} }}
}}"""


@pytest.mark.parametrize(
    ("literal", "variables", "attributes"),
    [
        ("{a: $a}", {}, {}),
        ("{a: $a, c: 1}", None, {"c": 1}),
        ("{a: $a}", {"a": None}, {"a": None}),
        ("{l: [$a, 1]}", {}, {"l": [None, 1]}),
        (
            "{l: [$a, {b: $a}]}",
            {"a": [1, 1.0, True]},
            {"l": [[1, 1.0, True], {"b": [1, 1.0, True]}]},
        ),
        (
            '{t: "x", e: NAME, n: null, b: true, i: 1, f: 1.5, l: [[]]}',
            {},
            {"t": "x", "e": "NAME", "n": None, "b": True, "i": 1, "f": 1.5, "l": [[]]},
        ),
        ("{i: 100000000000000000000000000000000000000000}", {}, {"i": 10**41}),
    ],
    ids=str,
)
async def test_literals(front: Front, literal: str, variables: Any, attributes: Any) -> None:
    """A variable without a value leaves out its member, and is null in a list."""
    defined = "($a: JSON)" if "$a" in literal else ""

    data = await front.data(CREATE.format(defined, literal), variables)

    assert data["segmentCreate"] == {"segment": {"attributes": attributes}, "userErrors": []}
    # 1, 1.0 and true are equal in Python.
    assert str(data["segmentCreate"]["segment"]["attributes"]) == str(attributes)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 5000], ids=["1e400", "-1e400", "9…"])
async def test_numbers_beyond_json(front: Front, number: str) -> None:
    """A number that would be written as null is refused where it stands, and nothing is sent."""
    answer = await front.ask(CREATE.format("", f"{{a: [{number}]}}"))

    assert answer == {
        "errors": [
            {
                "message": "A number in this JSON is too large.",
                "locations": [{"line": 3, "column": 94}],
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ]
    }
    assert front.calls == []


async def test_bulk_with_an_absent_variable(front: Front) -> None:
    """A row with an absent variable in its JSON is made, and so are those beside it."""
    data = await front.data(
        """mutation($a: JSON) { segmentBulkCreate(input: {provider: "emporix", segments: [
          {externalId: "a", name: "A", siteCode: "main", attributes: {a: $a}}
          {externalId: "b", name: "B", siteCode: "main", attributes: {b: 1}}
        ]}) { results { outcome segment { attributes } userErrors { code } } } }"""
    )

    assert data["segmentBulkCreate"]["results"] == [
        {"outcome": "CREATED", "segment": {"attributes": {}}, "userErrors": []},
        {"outcome": "CREATED", "segment": {"attributes": {"b": 1}}, "userErrors": []},
    ]
    assert [call for call in front.calls if call.startswith("POST")] == [f"POST {EMPORIX}/bulk"]


async def test_null_among_the_values_of_a_rule(front: Front) -> None:
    """A rule may compare with null: the segment that was made is shown with it."""
    tiers = {"metadata.tier": {"conditions": {"$in": ["Gold", None]}}}
    data = await front.data(
        """mutation($rule: JSON!) { segmentCreate(input: {
          provider: "voucherify", name: "New", rule: {native: $rule}
        }) { segment { rule { conditions { operator values } } } userErrors { code } } }""",
        {"rule": {"junction": "and", **tiers}},
    )

    condition = {"operator": "$in", "values": ["Gold", None]}
    assert data["segmentCreate"] == {
        "segment": {"rule": {"conditions": [condition]}},
        "userErrors": [],
    }


async def test_rule_of_nothing(front: Front) -> None:
    """A rule that only an absent variable would say is refused as the schema does."""
    answer = await front.ask(
        """mutation($a: JSON!) { segmentCreate(input: {
          provider: "stuut", name: "New", rule: {native: $a}
        }) { segment { id } } }"""
    )

    assert answer == {
        "errors": [
            {
                "message": "Variable '$a' has invalid value: Expected a value of non-null type "
                "'JSON!' to be provided.",
                "locations": [{"line": 1, "column": 10}],
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ]
    }
    assert front.calls == []
