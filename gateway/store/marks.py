"""What is known of one customer's tags while a write is open: pure rules, no I/O.

Where no write is open the tags are `settled`; a customer is shown with every tag that has a mark.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.domain.mutations import Tag


class TagState(NamedTuple):
    """How one customer and one tag stand."""

    was: bool
    """The provider had it before the open write, or, after unknown outcomes, may have it."""
    wanted: bool
    """The open write wants it."""
    wanted_before: bool
    """A write of unknown outcome, whose place the open one took, wanted it."""
    position: int
    """Its place in the order of the newest write that wanted it."""
    position_before: int
    """Its place before the open write."""


TagStates = Mapping[Tag, TagState]


def begun(marks: TagStates, wanted: Sequence[Tag], *, is_open: bool) -> TagStates:
    """Return how the tags stand when a write begins, in the place of an open one if there is one.

    After an open one everything that it wanted may be there.
    """
    positions = {tag: position for position, tag in enumerate(dict.fromkeys(wanted))}
    absent = {tag: _absent(position) for tag, position in positions.items()}
    return {
        tag: TagState(
            was=mark.was or mark.wanted,
            wanted=tag in positions,
            wanted_before=is_open and mark.wanted,
            position=positions.get(tag, mark.position),
            position_before=mark.position,
        )
        for tag, mark in {**absent, **marks}.items()
    }


def _absent(position: int) -> TagState:
    return TagState(
        was=False,
        wanted=False,
        wanted_before=False,
        position=position,
        position_before=position,
    )


def confirmed(marks: TagStates) -> TagStates:
    """Return how the tags stand when the provider did what was wanted."""
    return settled({tag: mark.position for tag, mark in marks.items() if mark.wanted})


def undone(marks: TagStates, *, is_known: bool) -> TagStates:
    """Return how the tags stand when the write did nothing: as if it had never been.

    `is_known`: no write of unknown outcome came before it; else that one is open again.
    """
    if is_known:
        return settled({tag: mark.position_before for tag, mark in marks.items() if mark.was})
    return {
        tag: TagState(
            was=True,
            wanted=mark.wanted_before,
            wanted_before=False,
            position=mark.position_before,
            position_before=mark.position_before,
        )
        for tag, mark in marks.items()
        if mark.was
    }


def disturbed(marks: TagStates, late: Sequence[Tag]) -> TagStates:
    """Return how the tags stand when a write that was given up reached the provider after all."""
    may_be = {
        tag: marks.get(tag, _absent(position))._replace(was=True)
        for position, tag in enumerate(late)
    }
    return {**marks, **may_be}


def settled(positions: Mapping[Tag, int]) -> TagStates:
    """Return how the tags stand when exactly these are there, in this order."""
    return {
        tag: TagState(
            was=True,
            wanted=True,
            wanted_before=False,
            position=position,
            position_before=position,
        )
        for tag, position in positions.items()
    }


def in_order(marks: TagStates) -> Sequence[Tag]:
    """Return the tags that the newest write wants, in its caller's order."""
    wanted = ((mark.position, tag) for tag, mark in marks.items() if mark.wanted)
    return [tag for _, tag in sorted(wanted)]
