"""A protocol that an adapter has in part is named, with what is missing."""

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.testing.protocols import incomplete_protocols


def method(*_: object) -> None:
    """Stand for any method."""


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, []),
        ({"members": method, "member_count": method}, []),
        # It is of several protocols, so that it does not show which one is meant.
        ({"rows_per_call": 1}, []),
        ({"member_count": method}, ["ListsMembers", "member_count", "members"]),
        ({"segments_of": method}, ["ListsSegmentsOfCustomer", "segments_of", "confirms_customer"]),
        (
            {"rows_per_call": 1, "assign": method, "unassign": method},
            ["AssignsCustomers", "rows_per_call, assign, unassign", "assign_many, unassign_many"],
        ),
    ],
)
def test_what_is_missing_is_named(parts: Mapping[str, Any], expected: list[str]) -> None:
    """Some parts of a protocol call for the others; all or none are as they should be."""
    sentences = incomplete_protocols(type("Some", (), dict(parts))())
    if not expected:
        assert sentences == []
        return
    protocol, present, missing = expected
    assert sentences == [f"{protocol} is not supported: there is {present}, but not {missing}."]
