"""The `q` language: what a condition means, and what is none."""

from http import HTTPStatus
from typing import Any

import pytest

from gateway.sandbox.emporix import q
from gateway.sandbox.emporix.faults import RefusedError

ROW: dict[str, Any] = {
    "id": "GOLD-1",
    "name": {"en": "Gold segment", "de": "Gold"},
    "siteCode": "main",
    "published": True,
    "validity": None,
    "metadata": {"version": 2, "createdAt": "2026-01-15T10:00:00.000Z"},
    "mixins": {"loyalty": {"level": 3}},
    "b2b": {"legalEntities": [{"id": "one"}, {"id": "two"}]},
}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", True),
        ("   ", True),
        ("siteCode:main", True),
        ("siteCode:Main", False),
        ("siteCode:mai", False),
        ("name.de:Gold", True),
        ("name.en:Gold", False),
        ('name.en:"Gold segment"', True),
        ("published:true", True),
        ("published:false", False),
        ("metadata.version:2", True),
        ("metadata.version:>1", True),
        ("metadata.version:>2", False),
        ("metadata.version:>=2", True),
        ("metadata.version:<2", False),
        ("metadata.version:<=2", True),
        ("metadata.version:(>=1 AND <=3)", True),
        ("metadata.version:( >2 AND <=3 )", False),
        ("siteCode:>1", False),
        ("published:>0", False),
        ('metadata.createdAt:>"2026-01-15T10:30:00.000+01:00"', True),
        (
            'metadata.createdAt:(>="2026-01-01T00:00:00.000Z" AND <"2026-02-01T00:00:00.000Z")',
            True,
        ),
        ('metadata.createdAt:<"2026-01-01T00:00:00.000Z"', False),
        ('metadata.createdAt:"2026-01-15T10:00:00.000Z"', True),
        ("description:null", True),
        ("validity:null", True),
        ("siteCode:null", False),
        ("description.en:missing", True),
        ("mixins.loyalty:missing", False),
        ("mixins.loyalty:exists", True),
        ("mixins.other:exists", False),
        ("id:(GOLD-1,x)", True),
        ('id:(x, "GOLD-1")', True),
        ("id:(x,y)", False),
        ("id:~GOLD", True),
        ("id:~^OLD", False),
        ("id:~G(O|X)LD-[0-9]", True),
        ("name.en:~(Gold seg)", True),
        ("name.en:~(Gold (seg|x))", True),
        ("metadata.version:~2", True),
        ("name:~Gold", False),
        ("b2b.legalEntities.id:two", True),
        ("b2b.legalEntities.id:three", False),
        ("siteCode:main published:true", True),
        ("siteCode:main published:false", False),
        ("  siteCode:main   id:(GOLD-1)  ", True),
        ("unknown:x", False),
        ("siteCode.deeper:x", False),
        ("id:urn:x", False),
    ],
)
def test_conditions(query: str, *, expected: bool) -> None:
    """Every documented form of condition matches what it should, and nothing else."""
    assert q.matches(ROW, q.parse(query)) is expected


@pytest.mark.parametrize(
    "query",
    [
        "siteCode",
        "siteCode:",
        "siteCode: main",
        ":main",
        "siteCode:main AND id:x",
        "siteCode:main,id:x y",
        'name.en:"Gold',
        'name.en:"Gold"x',
        "id:(a,b",
        "id:()",
        "id:(a,,b)",
        "id:(a)(b)",
        "metadata.version:>",
        "metadata.version:>two",
        "metadata.version:(>=1 OR <=3)",
        "metadata.version:(>=1 AND)",
        "metadata.version:(>=1",
        "metadata.createdAt:>2026-01-01T00:00:00.000Z",
        'metadata.createdAt:>"2026-01-01T00:00:00.000"',
        'metadata.createdAt:>"yesterday"',
        "id:~",
        "id:~()",
        "id:~(Gold seg",
        "id:~[",
        "compoundLogicalQuery:(siteCode:main)",
    ],
)
def test_malformed(query: str) -> None:
    """What is not in the language is 400."""
    with pytest.raises(RefusedError) as refused:
        q.parse(query)

    assert (refused.value.status, refused.value.field) == (HTTPStatus.BAD_REQUEST, "q")


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("id:a", ("a",)),
        ('id:"a b"', ("a b",)),
        ('id:(a, "b c",d)', ("a", "b c", "d")),
        ('id:"null"', ("null",)),
        ("id:null", None),
        ("id:~a", None),
        ("id:>1", None),
    ],
)
def test_values(query: str, values: tuple[str, ...] | None) -> None:
    """Equality offers its values to an index; nothing else does."""
    assert [condition.values for condition in q.parse(query)] == [values]
