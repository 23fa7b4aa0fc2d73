"""Track the states of one customer's tags while a write is open: pure functions, no I/O.

Without an open write the tags are `settled`. A customer is shown with every tag that has a state.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.domain.mutations import Tag


class TagState(NamedTuple):
    """The state of one tag of one customer."""

    was: bool
    """The provider had it before the open write, or may have it after unknown outcomes."""
    wanted: bool
    """The open write sets it."""
    wanted_before: bool
    """A write of unknown outcome, which the open one replaced, sets it."""
    position: int
    """Its position in the newest write that sets it."""
    position_before: int
    """Its position before the open write."""


TagStates = Mapping[Tag, TagState]


def started(states: TagStates, wanted: Sequence[Tag], *, is_open: bool) -> TagStates:
    """Return the states when a write starts; `is_open`: it replaces an open write.

    Every tag that the replaced write sets may be there.
    """
    positions = {tag: position for position, tag in enumerate(dict.fromkeys(wanted))}
    absent = {tag: _absent(position) for tag, position in positions.items()}
    return {
        tag: TagState(
            was=state.was or state.wanted,
            wanted=tag in positions,
            wanted_before=is_open and state.wanted,
            position=positions.get(tag, state.position),
            position_before=state.position,
        )
        for tag, state in {**absent, **states}.items()
    }


def _absent(position: int) -> TagState:
    return TagState(
        was=False,
        wanted=False,
        wanted_before=False,
        position=position,
        position_before=position,
    )


def confirmed(states: TagStates) -> TagStates:
    """Return the states after the provider confirmed the write."""
    return settled({tag: state.position for tag, state in states.items() if state.wanted})


def reverted(states: TagStates, *, is_known: bool) -> TagStates:
    """Return the states after a write that was not applied: those before it.

    `is_known`: no write of unknown outcome came before it; otherwise that one is open again.
    """
    if is_known:
        return settled({tag: state.position_before for tag, state in states.items() if state.was})
    return {
        tag: TagState(
            was=True,
            wanted=state.wanted_before,
            wanted_before=False,
            position=state.position_before,
            position_before=state.position_before,
        )
        for tag, state in states.items()
        if state.was
    }


def possibly_applied(states: TagStates, late: Sequence[Tag]) -> TagStates:
    """Return the states after a replaced write may have reached the provider late."""
    possible = {
        tag: states.get(tag, _absent(position))._replace(was=True)
        for position, tag in enumerate(late)
    }
    return {**states, **possible}


def settled(positions: Mapping[Tag, int]) -> TagStates:
    """Return the states when the customer has exactly these tags, at these positions."""
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


def in_order(states: TagStates) -> Sequence[Tag]:
    """Return the tags that the newest write sets, in its caller's order."""
    wanted = ((state.position, tag) for tag, state in states.items() if state.wanted)
    return [tag for _, tag in sorted(wanted)]
