"""What may be sent to Stuut twice."""

from gateway.domain.mutations import SegmentDraft
from gateway.providers.stuut import writes


def test_only_what_changes_nothing_the_second_time_may_be_repeated() -> None:
    """Making a segment again would make another one; the same order again is the same order."""
    assert not writes.create("receivables", SegmentDraft(name="All", priority=0)).is_idempotent
    assert writes.reorder("receivables", ["seg_1"]).is_idempotent
