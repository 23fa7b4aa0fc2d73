"""What is recorded of Instaleap: ids of pairs, and lists of them read to their end."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.entities import AssignmentRef, AssignmentState, Ref
from gateway.domain.mutations import Replacement, Tag
from gateway.domain.pages import PageRequest
from gateway.domain.queries import EVERY_CUSTOMER, EVERY_SEGMENT, SegmentQuery
from gateway.providers.base.store_lookup import (
    CustomerRow,
    Lookup,
    Recall,
    Rows,
    TaggingRow,
    TagRow,
)
from gateway.providers.instaleap.adapter import Instaleap, InstaleapSettings
from gateway.providers.instaleap.stored import tag_of

SHOP = Instaleap(
    InstaleapSettings.model_validate(
        {"key": "shop", "kind": "instaleap", "base_url": "https://shop.test", "token": "t"}
    )
)
NOW = datetime(2026, 11, 21, tzinfo=UTC)

texts = st.text(st.characters(codec="utf-8"), max_size=8)
tags = st.builds(Tag, texts, texts)


@given(tags, tags)
def test_a_pair_has_one_id_of_its_own(one: Tag, other: Tag) -> None:
    """An id names the pair that it was made of; two pairs never share one."""
    assert tag_of(one.key) == one
    assert (one.key == other.key) == (one == other)


@given(st.text("ab:%/2Ff ", max_size=8))
def test_an_id_has_one_spelling(key: str) -> None:
    """Whatever names a pair is the very id of that pair."""
    tag = tag_of(key)
    assert tag is None or tag.key == key


def answered(lookup: Lookup, rows: Sequence[Any], order: Sequence[str]) -> Rows[Any]:
    """Answer a lookup as the record does: the rows behind `after`, `size` of them."""
    place = {tuple(getattr(row, name) for name in order): row for row in rows}
    behind = [key for key in sorted(place) if lookup.after is None or key > lookup.after]
    shown = [place[key] for key in behind[: lookup.size]]
    return Rows(shown, len(shown) == len(behind), len(rows) if lookup.with_total else None)


@given(st.sets(tags, max_size=9), st.integers(1, 4))
def test_a_list_of_pairs_is_read_to_its_end(recorded: set[Tag], size: int) -> None:
    """Page by page each pair comes once, in order, and the last page says that it is."""
    rows = [TagRow(*tag, NOW, NOW) for tag in recorded]
    collected: list[Ref] = []
    position = None
    for _ in range(len(rows) // size + 1):
        recall = SHOP.segments(EVERY_SEGMENT, PageRequest(size, position, with_total=True))
        page = recall.read(answered(recall.lookup, rows, ("type", "value")))
        collected += [segment.ref for segment in page.rows]
        assert page.total == len(rows)
        if page.is_last:
            break
        position = page.next_position
    assert collected == [Ref("shop", tag.key) for tag in sorted(recorded)]


@pytest.mark.parametrize("what", ["members", "customers"])
@given(st.sets(texts, max_size=9), st.integers(1, 4))
def test_a_list_of_customers_is_read_to_its_end(what: str, recorded: set[str], size: int) -> None:
    """Likewise; a document id may be any text."""
    collected: list[str] = []
    position = None
    for _ in range(len(recorded) // size + 1):
        request = PageRequest(size, position)
        recall: Recall[Any]
        rows: Sequence[Any]
        if what == "members":
            state = AssignmentState.CONFIRMED
            recall = SHOP.members("a:b", request)
            rows = [TaggingRow(each, "a", "b", state, NOW, NOW, 0) for each in recorded]
        else:
            recall = SHOP.customers(EVERY_CUSTOMER, request)
            rows = [CustomerRow(each) for each in recorded]
        page = recall.read(answered(recall.lookup, rows, ("customer",)))
        refs = [row.ref for row in page.rows]
        collected += [ref.customer if isinstance(ref, AssignmentRef) else ref.key for ref in refs]
        if page.is_last:
            break
        position = page.next_position
    assert collected == sorted(recorded)


@pytest.mark.parametrize(
    "query", [SegmentQuery(name_contains="x"), SegmentQuery(created_after=NOW)]
)
def test_a_total_is_never_that_of_another_list(query: SegmentQuery) -> None:
    """What the record cannot judge is left to the caller, and no total is asked for."""
    recall = SHOP.segments(query, PageRequest(2, None, with_total=True))
    assert recall.lookup == Lookup("segments", size=2)


@given(st.lists(st.builds(Replacement, texts, st.lists(tags, max_size=4)), max_size=4))
def test_a_replacement_sends_each_pair_once(rows: list[Replacement]) -> None:
    """Each row is sent, in order, with its pairs in order and none of them twice."""
    body = SHOP.replace_tags(rows).call.body
    assert body is not None
    sent = [
        (row["document_id"], [(tag["type"], tag["value"]) for tag in row["segments"]])
        for row in msgspec.json.decode(body)["customers"]
    ]
    assert sent == [(row.customer, list(dict.fromkeys(row.tags))) for row in rows]


def test_a_batch_is_as_large_as_the_settings_say() -> None:
    """A hundred rows, unless `batch_size` says another number; replacing may be repeated."""
    assert SHOP.rows_per_call == 100
    account = {"key": "shop", "kind": "instaleap", "base_url": "https://shop.test", "token": "t"}
    small = InstaleapSettings.model_validate({**account, "batch_size": 7})
    assert Instaleap(small).rows_per_call == 7
    assert SHOP.replace_tags([]).is_idempotent
