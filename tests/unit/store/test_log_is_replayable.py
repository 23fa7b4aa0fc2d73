"""Whoever applies the log's changes in order knows what the gateway knows."""

import random
from datetime import timedelta

from gateway.domain.change_log import (
    AssignmentObservation,
    ChangeKind,
    ChangeSource,
    Observation,
    SegmentObservation,
)
from gateway.domain.entities import AssignmentRef, Ref
from gateway.store.store import Store
from tests.sizes import size
from tests.unit.store.conftest import Clock
from tests.unit.store.shop_writes import SHOP, soon

SEQUENCES = size("SEQUENCES", 25, 2000)
MEMBER = (ChangeKind.ENTERED, ChangeKind.LEFT, ChangeKind.UPDATED)
SEGMENT = (ChangeKind.CREATED, ChangeKind.UPDATED)


def reported(dice: random.Random, segment: str, clock: Clock) -> Observation:
    """Return what some source reports, in any order of times and versions."""
    source = dice.choice([*ChangeSource])
    at = None if source is ChangeSource.DIFF else clock.now - timedelta(seconds=dice.randint(0, 9))
    if dice.random() < 0.1:
        return SegmentObservation(
            ref=Ref(SHOP, segment), kind=dice.choice(SEGMENT), source=source, occurred_at=at
        )
    kind = dice.choice(MEMBER[:2] if source is ChangeSource.DIFF else MEMBER)
    entity = dice.choice([None, None, "x", "y"])
    return AssignmentObservation(
        ref=AssignmentRef(SHOP, segment, dice.choice("ab"), entity),
        kind=kind,
        source=source,
        occurred_at=at,
        version=dice.choice([None, 1, 2, 3]) if source is not ChangeSource.DIFF else None,
    )


def deleted(segment: str) -> SegmentObservation:
    """Return that a segment is gone."""
    return SegmentObservation(
        ref=Ref(SHOP, segment), kind=ChangeKind.DELETED, source=ChangeSource.WRITE
    )


async def append(record: Store, *seen: Observation) -> None:
    """Append in one transaction."""
    assert await record.changes.settle(seen, soon(30), soon(30)) is not None


async def test_members_of_a_segment_that_is_there_again(record: Store) -> None:
    """Who entered after the segment was deleted leaves again; who was in before does not."""
    for customer, kinds in (("a", "E"), ("", "D"), ("b", "E"), ("a", "L"), ("b", "L")):
        ref = AssignmentRef(SHOP, "s", customer)
        kind = ChangeKind.ENTERED if kinds == "E" else ChangeKind.LEFT
        member = AssignmentObservation(ref=ref, kind=kind, source=ChangeSource.WEBHOOK)
        await append(record, deleted("s") if kinds == "D" else member)
    changes = (await record.changes.read(None)).changes
    assert [(each.kind.value, getattr(each.ref, "customer", None)) for each in changes] == [
        ("ENTERED", "a"),
        ("DELETED", None),
        ("ENTERED", "b"),
        ("LEFT", "b"),
    ]


async def test_replay(record: Store, clock: Clock) -> None:
    """Nobody enters who is in or leaves who is out; in the end both agree on who is in."""
    dice = random.Random(SEQUENCES)  # noqa: S311  # a test's
    cursor = await record.changes.position()
    for number in range(SEQUENCES):
        segment = f"s{number}"
        is_in: dict[str, bool] = {}
        is_there: bool | None = None
        since = await record.changes.revision()
        for _ in range(dice.randint(1, 8)):
            clock.pass_by(seconds=1)
            seen = [reported(dice, segment, clock) for _ in range(dice.randint(1, 4))]
            await append(record, *seen)
        if dice.random() < 0.3:
            await append(record, deleted(segment))
        assert await record.changes.revision() > since
        page = await record.changes.read(cursor, limit=250)
        cursor = page.end
        for change in page.changes:
            if not isinstance(change.ref, AssignmentRef):
                assert (change.kind is ChangeKind.CREATED) <= (is_there is not True)
                assert (change.kind is ChangeKind.DELETED) <= (is_there is not False)
                is_there = change.kind is not ChangeKind.DELETED
                if not is_there:
                    is_in.clear()  # nothing is known of a new segment with the same id
                continue
            before = is_in.get(change.ref.customer)
            assert (change.kind is ChangeKind.ENTERED) <= (before is not True)
            assert (change.kind is not ChangeKind.ENTERED) <= (before is not False)
            is_in[change.ref.customer] = change.kind is not ChangeKind.LEFT
        members = {ref.customer for ref in await record.changes.members(SHOP, segment)}
        assert members == {customer for customer, holds in is_in.items() if holds}
