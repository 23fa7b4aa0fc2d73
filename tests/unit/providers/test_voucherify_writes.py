"""Bounds of Voucherify's segments, and what may be sent twice."""

import pytest

from gateway.domain.mutations import Reason, SegmentDraft, UserError
from gateway.providers.voucherify import writes


@pytest.mark.parametrize(
    ("customers", "distinct", "is_too_many"),
    [(20_000, 20_000, False), (20_001, 20_000, False), (20_001, 20_001, True)],
    ids=["at the limit", "one of them twice", "one more"],
)
def test_a_static_segment_has_twenty_thousand_customers_at_most(
    customers: int, distinct: int, *, is_too_many: bool
) -> None:
    """Those who are named twice count once."""
    named = tuple(f"cust_{number % distinct}" for number in range(customers))
    expected = UserError(
        "A segment of Voucherify can have up to 20000 customers, not 20001.",
        Reason.LIMIT_EXCEEDED,
        ("customers",),
        "loyalty",
    )
    problems = writes.problems("loyalty", SegmentDraft(name="All", customers=named))
    assert problems == ([expected] if is_too_many else [])


def test_only_what_changes_nothing_the_second_time_may_be_repeated() -> None:
    """Making a segment again would make another one; deleting it again deletes nothing."""
    assert not writes.create("loyalty", SegmentDraft(name="All", customers=())).is_idempotent
    assert writes.delete("loyalty", "seg_1").is_idempotent
