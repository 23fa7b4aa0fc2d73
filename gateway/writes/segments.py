"""Writes of single segments, and their order."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from gateway.domain.change_log import ChangeKind
from gateway.domain.entities import Ref, Segment
from gateway.domain.mutations import Reason, SegmentChanges, SegmentDraft, UserError, Written
from gateway.errors import settled
from gateway.providers.base.write_protocols import (
    CreatesSegments,
    DeletesSegments,
    DescribesWrites,
    ReordersSegments,
    UpdatesSegments,
    UpsertsSegments,
)
from gateway.upstream.provider import Provider
from gateway.writes import observations
from gateway.writes.dispatch import UserErrors, WriteDispatcher
from gateway.writes.receipts import DeletionReceipt, OrderReceipt, SegmentReceipt


class SegmentWrites:
    """What can be done to one segment at a time."""

    def __init__(self, desk: WriteDispatcher) -> None:
        """Work at this desk."""
        self._desk = desk

    async def create(
        self, provider: str, draft: SegmentDraft, known: Sequence[UserError] = ()
    ) -> SegmentReceipt:
        """Make a segment and return it as the provider has it now.

        `known` are mistakes that the input shows by itself: nothing is sent, and all are told.
        """
        chosen = self._desk.provider(provider, "provider", known=known)
        adapter = self._desk.wanted(
            chosen, CreatesSegments, "SEGMENT_CREATE", "provider", known=known
        )
        refuse([*known, *adapter.create_problems(draft)])
        draft = await self._desk.resolved(chosen, draft)
        written = await self._desk.send(chosen, adapter.create_segment(draft))
        return await self._receipt(
            chosen, written, lambda: sent(chosen, written.key, draft), draft.customers or ()
        )

    async def upsert(
        self, provider: str, draft: SegmentDraft, known: Sequence[UserError] = ()
    ) -> SegmentReceipt:
        """Write a whole segment, new or not."""
        chosen = self._desk.provider(provider, "provider", known=known)
        adapter = self._desk.wanted(
            chosen, UpsertsSegments, "SEGMENT_UPSERT", "provider", known=known
        )
        refuse([*known, *adapter.upsert_problems(draft)])
        try:
            written = await self._desk.send(chosen, adapter.upsert_segment(draft))
        except UserErrors as error:
            ref = Ref(provider, draft.key or "")
            raise await self._conflict(ref, draft.version, error) from error
        return await self._receipt(chosen, written, lambda: sent(chosen, written.key, draft))

    async def update(
        self, ref: Ref, changes: SegmentChanges, known: Sequence[UserError] = ()
    ) -> SegmentReceipt:
        """Change the parts given; with a version only if the segment still has it."""
        chosen = self._desk.provider(ref.provider, "id", known=known)
        adapter = self._desk.wanted(chosen, UpdatesSegments, "SEGMENT_UPDATE", "id", known=known)
        refuse([*known, *adapter.update_problems(changes)])
        current = await self._desk.current(ref)
        if current is None:
            raise UserErrors(missing(ref))
        if changes.version is not None and current.version != changes.version:
            raise UserErrors(outdated(ref, changes.version, current.version))
        try:
            await self._desk.send(chosen, adapter.update_segment(current, changes))
        except UserErrors as error:
            raise await self._conflict(ref, changes.version, error) from error
        written = Written(ref.key, is_new=False)
        return await self._receipt(chosen, written, lambda: changed(chosen, current, changes))

    async def delete(self, ref: Ref, *, force: bool) -> DeletionReceipt:
        """Delete a segment."""
        chosen = self._desk.provider(ref.provider, "id")
        adapter = self._desk.wanted(chosen, DeletesSegments, "SEGMENT_DELETE", "id")
        await self._desk.send(chosen, adapter.delete_segment(ref.key, force=force))
        await self._desk.settle([observations.segment(ref, ChangeKind.DELETED)])
        return DeletionReceipt(ref=ref)

    async def reorder(self, provider: str, refs: Sequence[Ref]) -> OrderReceipt:
        """Rank segments: the first wins."""
        chosen = self._desk.provider(provider, "provider")
        adapter = self._desk.wanted(chosen, ReordersSegments, "SEGMENT_REORDER", "provider")
        refuse(order_problems(provider, refs))
        ranked = await self._desk.send(chosen, adapter.reorder_segments([r.key for r in refs]))
        updated = {each.ref: each for each in ranked}
        await self._desk.settle(
            [observations.segment(ref, ChangeKind.UPDATED, updated.get(ref)) for ref in refs]
        )
        return OrderReceipt(
            provider=provider,
            documents=tuple(bytes(each.raw) for each in ranked if each.raw is not None),
        )

    async def _receipt(
        self,
        provider: Provider,
        written: Written,
        described: Callable[[], bytes | None],
        customers: Sequence[str] = (),
    ) -> SegmentReceipt:
        """Return the segment as it is now; `described` is what was sent, if it cannot be read.

        The change log gets it with the version that it was read with, so that the provider's own
        report of this write is no news; then the `customers` that it was made of.
        """
        ref, answered_at = Ref(provider.key, written.key), datetime.now(UTC)
        segment = written.segment
        if segment is None or segment.raw is None:
            segment = (await self._desk.written([ref])).get(ref)
        document = None if segment is None else bytes(segment.raw or b"")
        shown = described() if document is None else None
        kind = ChangeKind.CREATED if written.is_new else ChangeKind.UPDATED
        await self._desk.settle(
            [
                observations.segment(ref, kind, segment, answered_at),
                *observations.members(ref, customers, answered_at),
            ]
        )
        return SegmentReceipt(ref=ref, document=document, sent=shown, is_new=written.is_new)

    async def _conflict(self, ref: Ref, version: int | None, error: UserErrors) -> UserErrors:
        """Say in a version conflict which version the segment has by now."""
        if version is None or error.errors[0].reason is not Reason.VERSION_CONFLICT:
            return error
        current = await settled(self._desk.loaders.segment.load(ref))
        known = current.version if isinstance(current, Segment) else None
        return UserErrors(outdated(ref, version, known))


def sent(provider: Provider, key: str, draft: SegmentDraft) -> bytes | None:
    """Return the document of a segment that was written as a whole, as it was sent."""
    if not provider.offers(DescribesWrites):
        return None
    return provider.require(DescribesWrites, "SEGMENT_GET").sent_document(key, draft)


def changed(provider: Provider, current: Segment, changes: SegmentChanges) -> bytes | None:
    """Return the document of a segment of which parts were changed, as it must be now."""
    if not provider.offers(DescribesWrites):
        return None
    return provider.require(DescribesWrites, "SEGMENT_GET").changed_document(current, changes)


def refuse(problems: Iterable[UserError]) -> None:
    """Raise all the caller's mistakes at once; with none go on."""
    found = tuple(problems)
    if found:
        raise UserErrors(*found)


def order_problems(provider: str, refs: Sequence[Ref]) -> Iterable[UserError]:
    """Return an error for each segment of another provider, and for each that stands twice."""
    seen: set[Ref] = set()
    for index, ref in enumerate(refs):
        if ref.provider != provider:
            told = f"This is no segment of provider {provider!r}."
        elif ref in seen:
            told = "This segment stands in the order already."
        else:
            seen.add(ref)
            continue
        yield UserError(told, Reason.INVALID, ("ids", str(index)), provider)


def missing(ref: Ref) -> UserError:
    """Return the error for a segment that is not there."""
    return UserError("There is no such segment.", Reason.NOT_FOUND, ("id",), ref.provider)


def outdated(ref: Ref, version: int, current: int | None) -> UserError:
    """Return the error for a version that is no longer the segment's."""
    by_now = "another version" if current is None else f"version {current}"
    return UserError(
        f"The segment has {by_now} by now; version {version} was given.",
        Reason.VERSION_CONFLICT,
        ("version",),
        ref.provider,
    )
