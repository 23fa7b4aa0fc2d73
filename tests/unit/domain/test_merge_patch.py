"""JSON Merge Patch: the cases of RFC 7396, and what is sent in place of a patch."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.merge_patch import is_same, merge, replacement

# RFC 7396, appendix A, as far as both sides are objects.
RFC = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    (
        {
            "title": "Goodbye!",
            "author": {"givenName": "John", "familyName": "Doe"},
            "tags": ["example", "sample"],
            "content": "This will be unchanged",
        },
        {
            "title": "Hello!",
            "phoneNumber": "+01-123-456-7890",
            "author": {"familyName": None},
            "tags": ["example"],
        },
        {
            "title": "Hello!",
            "author": {"givenName": "John"},
            "tags": ["example"],
            "content": "This will be unchanged",
            "phoneNumber": "+01-123-456-7890",
        },
    ),
]

VALUES = st.recursive(
    st.booleans()
    | st.integers(0, 2)
    | st.text("ab", max_size=1)
    | st.lists(st.none(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@pytest.mark.parametrize(("target", "patch", "merged"), RFC, ids=str)
def test_merging(target: Any, patch: Any, merged: Any) -> None:
    """The standard's own cases; neither side is changed."""
    before = repr((target, patch))
    assert merge(target, patch) == merged
    assert repr((target, patch)) == before


@given(OBJECTS, OBJECTS)
def test_a_replacement_that_is_merged(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Merged into what was before, at any depth, it gives exactly what is to be."""
    assert is_same(merge(before, replacement(before, after)), after)


@given(OBJECTS, OBJECTS)
def test_a_replacement_that_is_merged_by_its_members(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    """With depth 0, members are replaced as a whole; only null removes one."""
    sent = replacement(before, after, depth=0)
    merged = {name: value for name, value in {**before, **sent}.items() if value is not None}
    assert is_same(merged, after)


@given(OBJECTS, OBJECTS)
def test_a_replacement_in_place(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Without its nulls it is what is to be."""

    def without_nulls(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: without_nulls(each) for k, each in value.items() if each is not None}

    assert is_same(without_nulls(replacement(before, after)), after)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 0}, {"a": False}, False),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": None}, {}, False),
        ([1, 2], [2, 1], False),
    ],
)
def test_sameness(one: Any, other: Any, *, same: bool) -> None:
    """Two values are the same if their JSON is, whatever the order of members."""
    assert is_same(one, other) is same
