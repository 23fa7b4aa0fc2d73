"""Lists of segments are shown without an object for each, and show the same."""

from typing import Any

import pytest

from gateway.domain.lazy_rows import ModelRows
from resolvers.execution import columns
from tests.e2e.serving import Front
from tests.e2e.test_odd_rows import answers
from tests.switches import needs

QUERY = """
query($keys: [String!]) {
  segments(first: 100, filter: {providers: $keys}) { nodes { %s } }
}
"""
COMMON = "id externalId provider { key } name description membership status createdAt updatedAt"
NAMES = "id name"
MEMBERS = "id assignments(first: 2) { nodes { customer { id } kind createdAt } }"
ALL = f"{COMMON} emitsMembershipEvents siteCode priority version attributes origin"


@needs("compiled_queries")
@pytest.mark.parametrize("fields", [COMMON, NAMES, MEMBERS, ALL, "provider { key }"])
@pytest.mark.parametrize(
    "keys", [["voucherify"], ["emporix"], ["voucherify", "emporix"]], ids=" and ".join
)
async def test_segments_are_shown_by_column(
    front: Front, monkeypatch: pytest.MonkeyPatch, keys: list[str], fields: str
) -> None:
    """They become objects only for a field that needs one, for which nothing else changes."""
    made: list[int] = []
    make = ModelRows._made  # noqa: SLF001  # whether it is called is what matters

    def noted(rows: ModelRows[Any, Any]) -> list[Any]:
        made.append(len(rows))
        return make(rows)

    monkeypatch.setattr(ModelRows, "_made", noted)
    by_column = (await front.data(QUERY % fields, {"keys": keys}))["segments"]["nodes"]
    assert (len(by_column) > 1, made) == (True, [])

    whole = (await front.data(QUERY % f"isActive {fields}", {"keys": keys}))["segments"]["nodes"]
    assert [
        {**row, "isActive": each["isActive"]} for row, each in zip(by_column, whole, strict=True)
    ] == whole
    assert (len(made), sum(made) >= len(whole)) == (len(keys), True)


@pytest.mark.parametrize(("german", "name"), [("Zwei", "Zwei"), ("", "Two"), (None, "Two")])
async def test_names_are_shown_in_the_preferred_language(
    front: Front, german: str | None, name: str
) -> None:
    """Whether all rows of a list have one in it or not."""
    named = [{"en": "One", "de": "Eins"}, {"en": "Two", "de": german}]
    answers(front, "emporix", *({"id": str(i), "name": each} for i, each in enumerate(named)))
    query = QUERY % 'name english: name(language: "en")'
    data = await front.data(query, {"keys": ["emporix"]}, accept_language="de")
    assert data["segments"]["nodes"] == [
        {"name": "Eins", "english": "One"},
        {"name": name, "english": "Two"},
    ]


@needs("compiled_queries")
async def test_fields_below_lists_of_several_providers(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some lists are lazy, others are not; large ones are completed one after the other."""
    query = "{ providers { segments(first: 5) { nodes { id assignments(first: 1) { %s } } } } }"
    query %= "nodes { customer { id } }"
    together = await front.ask(query)
    monkeypatch.setattr(columns, "BATCH_ROWS", 1)
    assert await front.ask(query) == together
    lists = [each["segments"]["nodes"] for each in together["data"]["providers"]]
    assert [len(each) > 1 for each in lists] == [True, True, False, True]
