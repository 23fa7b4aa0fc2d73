"""The entries of a replacement, one for each customer, and their outcomes."""

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
    """A customer's new segments, as pairs or as refs; without either the customer has none."""

    customer: str
    tags: tuple[Tag, ...] | None = None
    segments: tuple[Ref, ...] | None = None
    errors: tuple[UserError, ...] = ()
    """Mistakes in the entry; such an entry is not sent."""

    def foreign_segments(self, provider: str) -> tuple[UserError, ...]:
        """Return an error for each segment of another provider than this one."""
        message = f"This is not a segment of provider {provider!r}."
        return tuple(
            UserError(message, Reason.INVALID, ("segmentIds", str(index)), provider)
            for index, ref in enumerate(self.segments or ())
            if ref.provider != provider
        )


class RowOutcome(NamedTuple):
    """The outcome of an entry; the paths of its errors start below it."""

    outcome: str
    errors: Sequence[UserError] = ()
