"""What a provider may offer on the write side, as small protocols beside those of `adapter`.

`…_problems` check, before anything is sent, what the provider's documents state of the input
itself: all problems at once, as user errors whose `field` is below the caller's input object. What
depends on the provider's state is left to the provider: a reader raises `Refused` with a `Refusal`
where the provider's answer says why in a documented way, and plain `Refused` elsewhere.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from gateway.domain.entities import ItemKind, Segment
from gateway.domain.mutations import (
    Assignee,
    Reason,
    Replacement,
    RowResult,
    SegmentChanges,
    SegmentDraft,
    Tag,
    UserError,
    Written,
)
from gateway.providers.base.exchange import Exchange


@runtime_checkable
class CreatesSegments(Protocol):
    """Makes segments."""

    def create_problems(self, draft: SegmentDraft) -> Sequence[UserError]:
        """Return what the documents forbid of this draft."""

    def create_segment(self, draft: SegmentDraft) -> Exchange[Written]:
        """Make a segment. Not idempotent."""


@runtime_checkable
class ResolvesMembers(Protocol):
    """Makes segments of customers by one of their keys alone, though it knows them by others."""

    def other_names(self, draft: SegmentDraft) -> Sequence[str]:
        """Return the members to look up first: those named by another key, or one to be sure."""


@runtime_checkable
class DescribesWrites(Protocol):
    """Says what a segment looks like after a write whose answer does not show it.

    Both return a document that `segment_from` reads: what was sent, over what was there before.
    """

    def sent_document(self, key: str, draft: SegmentDraft) -> bytes:
        """Return the document of a segment that was written as a whole."""

    def changed_document(self, current: Segment, changes: SegmentChanges) -> bytes:
        """Return the document of a segment of which parts were changed."""


@runtime_checkable
class UpsertsSegments(Protocol):
    """Writes whole segments, new or not."""

    def upsert_problems(self, draft: SegmentDraft) -> Sequence[UserError]:
        """Return what the documents forbid of this draft."""

    def upsert_segment(self, draft: SegmentDraft) -> Exchange[Written]:
        """Write a segment as a whole."""


@runtime_checkable
class UpdatesSegments(Protocol):
    """Changes parts of segments."""

    def update_problems(self, changes: SegmentChanges) -> Sequence[UserError]:
        """Return what the documents forbid of these changes."""

    def update_segment(self, current: Segment, changes: SegmentChanges) -> Exchange[None]:
        """Change a segment that is known as it is now. With a version: only if it still has it."""


@runtime_checkable
class DeletesSegments(Protocol):
    """Deletes segments."""

    def delete_segment(self, key: str, *, force: bool) -> Exchange[None]:
        """Delete a segment; `force`: with its assignments, where the provider asks for that."""


@runtime_checkable
class WritesSegmentsInBulk(Protocol):
    """Writes many segments in one call; every row stands alone."""

    rows_per_call: ClassVar[int]

    def create_segments(self, drafts: Sequence[SegmentDraft]) -> Exchange[Sequence[RowResult]]:
        """Make segments: one result a row, in order."""

    def upsert_segments(self, drafts: Sequence[SegmentDraft]) -> Exchange[Sequence[RowResult]]:
        """Write whole segments: one result a row, in order."""

    def delete_segments(
        self, keys: Sequence[str], *, force: bool
    ) -> Exchange[Sequence[RowResult]]:
        """Delete segments: one result a row, in order."""


@runtime_checkable
class ReordersSegments(Protocol):
    """Ranks its segments."""

    def reorder_segments(self, keys: Sequence[str]) -> Exchange[Sequence[Segment]]:
        """Give the segments the priorities 0, 1, … in this order; the answer is how they stand."""


@runtime_checkable
class AssignsCustomers(Protocol):
    """Puts customers into segments and takes them out, one or many in a call."""

    rows_per_call: ClassVar[int]

    def assign(self, segment: str, who: Assignee) -> Exchange[bool]:
        """Put a customer into a segment; True when they were not there before."""

    def unassign(self, segment: str, who: Assignee) -> Exchange[None]:
        """Take a customer out of a segment."""

    def assign_many(self, segment: str, rows: Sequence[Assignee]) -> Exchange[Sequence[RowResult]]:
        """Put customers into a segment: one result a row, in order."""

    def unassign_many(
        self, segment: str, rows: Sequence[Assignee]
    ) -> Exchange[Sequence[RowResult]]:
        """Take customers out of a segment: one result a row, in order."""


@runtime_checkable
class AssignsItems(Protocol):
    """Puts items of one kind into a segment and takes them out."""

    rows_per_call: ClassVar[int]

    def assign_items(
        self, segment: str, kind: ItemKind, keys: Sequence[str]
    ) -> Exchange[Sequence[RowResult]]:
        """Put items into a segment: one result a row, in order."""

    def unassign_items(
        self, segment: str, kind: ItemKind, keys: Sequence[str]
    ) -> Exchange[Sequence[RowResult]]:
        """Take items out of a segment: one result a row, in order."""


class Replaced(NamedTuple):
    """The customers that a provider says it changed."""

    customers: Sequence[str]
    is_whole: bool = True
    """False when the reply names more that cannot be read: it may mean any of the others."""


@runtime_checkable
class ReplacesTags(Protocol):
    """Replaces all tags of customers at once; it cannot be read, so the gateway keeps a record."""

    rows_per_call: int

    def tag_of(self, key: str) -> Tag:
        """Return the pair that an external id of a segment means; `BadInput` if none."""

    def replace_problems(self, rows: Sequence[Replacement]) -> Sequence[UserError]:
        """Return what the documents forbid of these rows; `field` starts with the row's index."""

    def replace_tags(self, rows: Sequence[Replacement]) -> Exchange[Replaced]:
        """Replace; the answer names the customers that were changed. Idempotent."""


INPUT_NAMES = {
    "key": "externalId",
    "emits_membership_events": "emitsMembershipEvents",
    "site_code": "siteCode",
}
"""Parts of a draft whose names in the caller's input are others."""


def foreign_parts(
    provider: str, label: str, draft: SegmentDraft, known: Collection[str]
) -> list[UserError]:
    """Return an error for each part given of a draft that a provider has no notion of."""
    given = [name for name in draft.__struct_fields__ if getattr(draft, name) is not None]
    fields = [INPUT_NAMES.get(name, name) for name in given if name not in known]
    return [
        UserError(
            f"A segment of {label} cannot have {field}.", Reason.UNSUPPORTED, (field,), provider
        )
        for field in fields
    ]


class OnlyText(NamedTuple):
    """A text of a draft for a provider that keeps one, in no language; `field`: where it stood."""

    text: str | None
    field: str
    languages: int = 1

    def problems(self, provider: str, label: str) -> list[UserError]:
        """Return an error when there were several languages."""
        if self.languages <= 1:
            return []
        text = f"A segment of {label} has one text, not one in each language."
        return [UserError(text, Reason.UNSUPPORTED, (self.field,), provider)]


def only_name(draft: SegmentDraft) -> OnlyText:
    """Return the name of a draft, given without a language or in one."""
    return _only(draft.name, draft.names, "name")


def only_description(draft: SegmentDraft) -> OnlyText:
    """Return the description of a draft, given without a language or in one."""
    return _only(draft.description, draft.descriptions, "description")


def _only(text: str | None, texts: Mapping[str, str] | None, field: str) -> OnlyText:
    if texts is None:
        return OnlyText(text, field)
    return OnlyText(next(iter(texts.values()), None), f"{field}s", len(texts))
