"""What is known of one customer's tags while a write is open: pure rules, no I/O.

Where no write is open every tag is `SETTLED`; a customer is shown with every tag that has a mark.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
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


TagStates = Mapping[Tag, TagState]
SETTLED = TagState(was=True, wanted=True, wanted_before=False)


def begun(marks: TagStates, wanted: AbstractSet[Tag], *, is_open: bool) -> TagStates:
    """Return how the tags stand when a write begins, in the place of an open one if there is one.

    After an open one everything that it wanted may be there.
    """
    return {
        tag: TagState(
            was=mark.was or mark.wanted,
            wanted=tag in wanted,
            wanted_before=is_open and mark.wanted,
        )
        for tag, mark in {**dict.fromkeys(wanted, _ABSENT), **marks}.items()
    }


_ABSENT = TagState(was=False, wanted=False, wanted_before=False)


def confirmed(marks: TagStates) -> TagStates:
    """Return how the tags stand when the provider did what was wanted."""
    return settled(tag for tag, mark in marks.items() if mark.wanted)


def undone(marks: TagStates, *, is_known: bool) -> TagStates:
    """Return how the tags stand when the write did nothing: as if it had never been.

    `is_known`: no write of unknown outcome came before it; else that one is open again.
    """
    if is_known:
        return settled(tag for tag, mark in marks.items() if mark.was)
    return {
        tag: TagState(was=True, wanted=mark.wanted_before, wanted_before=False)
        for tag, mark in marks.items()
        if mark.was
    }


def disturbed(marks: TagStates, late: Iterable[Tag]) -> TagStates:
    """Return how the tags stand when a write that was given up reached the provider after all."""
    may_be = {tag: marks.get(tag, _ABSENT)._replace(was=True) for tag in late}
    return {**marks, **may_be}


def settled(tags: Iterable[Tag]) -> TagStates:
    """Return how the tags stand when exactly these are there."""
    return dict.fromkeys(tags, SETTLED)
