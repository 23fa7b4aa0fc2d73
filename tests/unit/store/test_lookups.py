from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.errors import BadInput
from gateway.providers.base.store_lookup import CustomerRow, Lookup, Rows, TaggingRow, TagRow
from gateway.store.store import Store
from tests.unit.store.shop_writes import CONFIRMED, SHOP, wanted, write

NOW = datetime(2026, 11, 22, tzinfo=UTC)
# By code points: capitals first, an accent behind all of ASCII, what UTF-16 splits last of all.
NAMES = ["B", "Z", "a", "b", "é", "\uffff", "\U0001f600"]


def tag(value: str) -> TagRow:
    """Return a row of a tag."""
    return TagRow("t", value, NOW, NOW)


def tagging(customer: str, value: str, position: int = 0) -> TaggingRow:
    """Return a row of an assignment."""
    return TaggingRow(customer, "t", value, CONFIRMED, NOW, NOW, position)


AFTER: Mapping[str, Callable[[Any], Any]] = {
    "segments": lambda row: (row.type, row.value),
    "members": lambda row: (row.customer,),
    "customers": lambda row: (row.customer,),
    "assignments": lambda row: (row.position, row.type, row.value),
}


@pytest.fixture
async def filled(record: Store) -> Store:
    """Return a record in which every name is a customer with the tag x, and Z has all tags."""
    rows = [wanted(name, "x") for name in NAMES if name != "Z"]
    await write(record, *rows, wanted("Z", "x", *reversed(NAMES)))
    return record


@pytest.mark.parametrize("size", [1, 2, 6, 7, 8])
async def test_pages(filled: Store, size: int) -> None:
    """Lists page through without loss, by code points or as written; each page has the total."""
    whole: dict[Lookup, Sequence[TagRow | TaggingRow | CustomerRow]] = {
        Lookup("segments"): [tag(value) for value in sorted([*NAMES, "x"])],
        Lookup("members", (("t", "x"),)): [tagging(name, "x") for name in NAMES],
        Lookup("customers"): [CustomerRow(name) for name in NAMES],
        Lookup("assignments", (("Z",),)): [
            tagging("Z", value, place) for place, value in enumerate(["x", *reversed(NAMES)])
        ],
    }
    for whole_lookup, expected in whole.items():
        collected: list[TagRow | TaggingRow | CustomerRow] = []
        after = None
        is_last = False
        while not is_last:
            lookup = Lookup(whole_lookup.what, whole_lookup.keys, after, size, with_total=True)
            page = await filled.look_up(SHOP, lookup)
            assert page.total == len(expected)
            collected += page.rows
            is_last = page.is_last
            after = AFTER[whole_lookup.what](page.rows[-1])
            assert len(page.rows) == size or is_last
        assert collected == expected
        assert await filled.look_up(SHOP, whole_lookup) == Rows(expected)


async def test_single(filled: Store) -> None:
    """What is asked by its keys is answered by those that are there, in any number."""
    result = await filled.look_up(SHOP, Lookup("segment", (("t", "b"), ("u", "b"), ("t", "x"))))
    assert sorted(result.rows, key=lambda row: row.value) == [tag("b"), tag("x")]
    result = await filled.look_up(SHOP, Lookup("customer", (("b",), ("c",), ("B",))))
    assert sorted(row.customer for row in result.rows) == ["B", "b"]
    assert await filled.look_up(SHOP, Lookup("member_count", (("t", "x"),))) == len(NAMES)


@pytest.mark.parametrize("text", ["nobody", "", "a\0", "\ud800", "x" * 5000, "%", "'"])
@pytest.mark.parametrize("what", ["segment", "members", "customer", "assignments"])
async def test_absent(filled: Store, what: str, text: str) -> None:
    """What is not there, and what could not be, is answered by no rows."""
    key = (text,) if what in {"customer", "assignments"} else ("t", text)
    assert (await filled.look_up(SHOP, Lookup(what, (key,)))).rows in ([], ())
    assert (await filled.look_up("other", Lookup(what, (key,)))).rows in ([], ())


async def test_no_keys(filled: Store) -> None:
    """No keys, no rows."""
    assert await filled.look_up(SHOP, Lookup("members", with_total=True)) == Rows((), total=0)
    assert await filled.look_up(SHOP, Lookup("member_count")) == 0


async def test_forged_position(filled: Store) -> None:
    """A position that no row can have is the caller's mistake."""
    with pytest.raises(BadInput):
        await filled.look_up(SHOP, Lookup("customers", after=("\0",)))
