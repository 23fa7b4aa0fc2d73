"""What an adapter supports, by its methods."""

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.providers.base.capabilities import capabilities


def method(*_: object) -> None:
    """Stand for any method."""


ASSIGNS = dict.fromkeys(("assign", "unassign", "assign_many", "unassign_many"), method)
LISTS = {"segments_of": method, "confirms_customer": True}


@pytest.mark.parametrize(
    ("parts", "supported"),
    [
        ({}, []),
        ({"members": method}, ["SEGMENT_MEMBERS"]),
        ({"members": method, "member_count": method}, ["SEGMENT_MEMBERS"]),
        ({"member_count": method}, []),
        (LISTS, ["CUSTOMER_SEGMENTS"]),
        # The difference to what a customer should be in needs what the customer is in.
        ({**ASSIGNS, "rows_per_call": 1}, ["ASSIGNMENT_CREATE", "ASSIGNMENT_DELETE"]),
        (
            {**ASSIGNS, "rows_per_call": 1, **LISTS},
            ["CUSTOMER_SEGMENTS", "ASSIGNMENT_CREATE", "ASSIGNMENT_DELETE", "ASSIGNMENT_REPLACE"],
        ),
    ],
)
def test_methods_are_abilities(parts: Mapping[str, Any], supported: list[str]) -> None:
    """Nothing is claimed that the gateway would refuse."""
    adapter: Any = type("Some", (), {"notes": {}, **parts})()
    assert [each.operation for each in capabilities(adapter) if each.supported] == supported
