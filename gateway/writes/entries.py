"""The entries of a replacement, one customer each, and what becomes of them."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from gateway.domain.entities import Ref
from gateway.domain.mutations import Reason, Tag, UserError

UPDATED = "UPDATED"
NOT_UPDATED = "NOT_UPDATED"
DISCARDED_DUPLICATE = "DISCARDED_DUPLICATE"
UNKNOWN = "UNKNOWN"


class ReplacementEntry(msgspec.Struct, frozen=True):
    """What one customer is to have: as pairs or as segments; neither clears."""

    customer: str
    tags: tuple[Tag, ...] | None = None
    segments: tuple[Ref, ...] | None = None
    errors: tuple[UserError, ...] = ()
    """What is wrong with the entry by itself; such an entry is not sent."""

    def strangers(self, provider: str) -> tuple[UserError, ...]:
        """Return an error for each segment of another provider than this one."""
        told = f"This is no segment of provider {provider!r}."
        return tuple(
            UserError(told, Reason.INVALID, ("segmentIds", str(place)), provider)
            for place, ref in enumerate(self.segments or ())
            if ref.provider != provider
        )


class RowOutcome(NamedTuple):
    """What became of an entry; the fields of its errors are below it."""

    outcome: str
    errors: Sequence[UserError] = ()
