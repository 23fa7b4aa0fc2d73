"""The protocols of an adapter that write: one for each thing that a provider may support.

The methods `…_problems` run before anything is sent. They check what the provider's documents
state about the input alone, and return all problems at once, as user errors whose `field` is
relative to the caller's input object. The provider decides what depends on its state: the function
that reads its reply raises `Refused`, with a `Refusal` if the reply gives a documented reason.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from gateway.domain.entities import Customer, ItemKind, Segment
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
    """Creates segments."""

    def create_problems(self, draft: SegmentDraft) -> Sequence[UserError]:
        """Return what is wrong with this draft according to the documents."""

    def create_segment(self, draft: SegmentDraft) -> Exchange[Written]:
        """Create a segment. Not idempotent."""


@runtime_checkable
class ResolvesMembers(Protocol):
    """Creates segments from customer ids, although customers have other keys as well."""

    def members_to_resolve(self, draft: SegmentDraft) -> Sequence[str]:
        """Return the members to look up before the segment is created.

        These are the ones given by another key; if there are none, it may be one id, to make sure
        that the segment gets a member.
        """


@runtime_checkable
class DescribesWrites(Protocol):
    """Describes a segment after a write if the reply does not contain it.

    Both methods return a document for `segment_from`: the previous one with what was sent.
    """

    def sent_document(self, key: str, draft: SegmentDraft) -> bytes:
        """Return the document of a segment that was written as a whole."""

    def changed_document(self, current: Segment, changes: SegmentChanges) -> bytes:
        """Return the document of a segment after these changes."""


@runtime_checkable
class UpsertsSegments(Protocol):
    """Creates or replaces segments."""

    def upsert_problems(self, draft: SegmentDraft) -> Sequence[UserError]:
        """Return what is wrong with this draft according to the documents."""

    def upsert_segment(self, draft: SegmentDraft) -> Exchange[Written]:
        """Create a segment or replace it as a whole."""


@runtime_checkable
class UpdatesSegments(Protocol):
    """Changes parts of segments."""

    def update_problems(self, changes: SegmentChanges) -> Sequence[UserError]:
        """Return what is wrong with these changes according to the documents."""

    def update_segment(self, current: Segment, changes: SegmentChanges) -> Exchange[None]:
        """Change a segment, which was read as `current`.

        If `changes` have a version, the write succeeds only if the segment still has it.
        """


@runtime_checkable
class DeletesSegments(Protocol):
    """Deletes segments."""

    def delete_segment(self, key: str, *, force: bool) -> Exchange[None]:
        """Delete a segment. `force` deletes its assignments, too, if the provider requires it."""


@runtime_checkable
class WritesSegmentsInBulk(Protocol):
    """Writes many segments in one call. Each row succeeds or fails by itself.

    The methods return one result per row, in order.
    """

    rows_per_call: ClassVar[int]

    def create_segments(self, drafts: Sequence[SegmentDraft]) -> Exchange[Sequence[RowResult]]:
        """Create segments."""

    def upsert_segments(self, drafts: Sequence[SegmentDraft]) -> Exchange[Sequence[RowResult]]:
        """Create segments or replace them as a whole."""

    def delete_segments(
        self, keys: Sequence[str], *, force: bool
    ) -> Exchange[Sequence[RowResult]]:
        """Delete segments."""


@runtime_checkable
class ReordersSegments(Protocol):
    """Orders its segments by priority."""

    def reorder_segments(self, keys: Sequence[str]) -> Exchange[Sequence[Segment]]:
        """Give the segments the priorities 0, 1, … in this order; return them as they are now."""


@runtime_checkable
class AssignsCustomers(Protocol):
    """Assigns customers to segments and removes them, one or many in a call."""

    rows_per_call: ClassVar[int]

    def assign(self, segment: str, assignee: Assignee) -> Exchange[bool]:
        """Assign a customer to a segment; True if the assignment is new."""

    def unassign(self, segment: str, assignee: Assignee) -> Exchange[None]:
        """Remove a customer from a segment."""

    def assign_many(self, segment: str, rows: Sequence[Assignee]) -> Exchange[Sequence[RowResult]]:
        """Assign customers to a segment; return one result per row, in order."""

    def unassign_many(
        self, segment: str, rows: Sequence[Assignee]
    ) -> Exchange[Sequence[RowResult]]:
        """Remove customers from a segment; return one result per row, in order."""


@runtime_checkable
class UpdatesCustomerAttributes(Protocol):
    """Changes the custom attributes of customers."""

    def update_attributes(
        self, current: Customer, attributes: Mapping[str, Any]
    ) -> Exchange[Customer | None]:
        """Replace all attributes of a customer, who was read as `current`. Idempotent.

        It never creates a customer. Returns the customer after the write if the reply has all of
        it.
        """


@runtime_checkable
class ChecksCustomerAttributes(Protocol):
    """Refuses some attributes of customers by what it knows about the customer."""

    def attributes_problems(
        self, current: Customer, attributes: Mapping[str, Any]
    ) -> Sequence[UserError]:
        """Return what is wrong with these attributes of a customer; `field` starts below them."""


@runtime_checkable
class AssignsItems(Protocol):
    """Assigns items to segments and removes them."""

    rows_per_call: ClassVar[int]

    def assign_items(
        self, segment: str, kind: ItemKind, keys: Sequence[str]
    ) -> Exchange[Sequence[RowResult]]:
        """Assign items of one kind to a segment; return one result per row, in order."""

    def unassign_items(
        self, segment: str, kind: ItemKind, keys: Sequence[str]
    ) -> Exchange[Sequence[RowResult]]:
        """Remove items of one kind from a segment; return one result per row, in order."""


class ReplacedCustomers(NamedTuple):
    """The customers whose tags were replaced, as the provider reports them."""

    customers: Sequence[str]
    is_whole: bool = True
    """False if the reply has more ids, which cannot be read: any other customer may be meant."""


@runtime_checkable
class ReplacesTags(Protocol):
    """Replaces all tags of customers. What was sent is stored, as the provider cannot be read."""

    rows_per_call: int

    def tag_of(self, key: str) -> Tag:
        """Return the tag with this external id. Raises `BadInput` if it is not one."""

    def replace_problems(self, rows: Sequence[Replacement]) -> Sequence[UserError]:
        """Return what is wrong with these rows; `field` starts with the row's index."""

    def replace_tags(self, rows: Sequence[Replacement]) -> Exchange[ReplacedCustomers]:
        """Replace the tags of customers; return those that were changed. Idempotent."""


INPUT_NAMES = {
    "key": "externalId",
    "emits_membership_events": "emitsMembershipEvents",
    "site_code": "siteCode",
}
"""The names in the caller's input of those parts of a draft that are called differently there."""


def unsupported_parts(
    provider: str, label: str, draft: SegmentDraft, supported: Collection[str]
) -> list[UserError]:
    """Return an error for each part of a draft that is given and not among `supported`."""
    given = [name for name in draft.__struct_fields__ if getattr(draft, name) is not None]
    fields = [INPUT_NAMES.get(name, name) for name in given if name not in supported]
    return [
        UserError(
            f"A segment of {label} cannot have {field}.", Reason.UNSUPPORTED, (field,), provider
        )
        for field in fields
    ]


class OnlyText(NamedTuple):
    """A text of a draft, for a provider whose texts have no language.

    `field` is the input field that it comes from.
    """

    text: str | None
    field: str
    languages: int = 1

    def problems(self, provider: str, label: str) -> list[UserError]:
        """Return an error if the text was given in several languages."""
        if self.languages <= 1:
            return []
        text = f"{label} does not support texts in several languages."
        return [UserError(text, Reason.UNSUPPORTED, (self.field,), provider)]


def only_name(draft: SegmentDraft) -> OnlyText:
    """Return the name of a draft, which was given without a language or in one."""
    return _only(draft.name, draft.names, "name")


def only_description(draft: SegmentDraft) -> OnlyText:
    """Return the description of a draft, which was given without a language or in one."""
    return _only(draft.description, draft.descriptions, "description")


def _only(text: str | None, texts: Mapping[str, str] | None, field: str) -> OnlyText:
    if texts is None:
        return OnlyText(text, field)
    return OnlyText(next(iter(texts.values()), None), f"{field}s", len(texts))
