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
    """Mutations of one segment, and of their order."""

    def __init__(self, dispatcher: WriteDispatcher) -> None:
        """Send writes with this dispatcher."""
        self._dispatcher = dispatcher

    async def create(
        self, provider: str, draft: SegmentDraft, known: Sequence[UserError] = ()
    ) -> SegmentReceipt:
        """Create a segment, and read it back.

        If there are mistakes in the input (`known`), nothing is sent and all are raised.
        """
        chosen = self._dispatcher.provider(provider, "provider", known=known)
        adapter = self._dispatcher.adapter(
            chosen, CreatesSegments, "SEGMENT_CREATE", "provider", known=known
        )
        refuse([*known, *adapter.create_problems(draft)])
        draft = await self._dispatcher.resolved(chosen, draft)
        written = await self._dispatcher.send(chosen, adapter.create_segment(draft))
        return await self._receipt(
            chosen,
            written,
            lambda: sent_document(chosen, written.key, draft),
            draft.customers or (),
        )

    async def upsert(
        self, provider: str, draft: SegmentDraft, known: Sequence[UserError] = ()
    ) -> SegmentReceipt:
        """Create or replace a segment."""
        chosen = self._dispatcher.provider(provider, "provider", known=known)
        adapter = self._dispatcher.adapter(
            chosen, UpsertsSegments, "SEGMENT_UPSERT", "provider", known=known
        )
        refuse([*known, *adapter.upsert_problems(draft)])
        try:
            written = await self._dispatcher.send(chosen, adapter.upsert_segment(draft))
        except UserErrors as error:
            ref = Ref(provider, draft.key or "")
            raise await self._conflict(ref, draft.version, error) from error
        return await self._receipt(
            chosen, written, lambda: sent_document(chosen, written.key, draft)
        )

    async def update(
        self, ref: Ref, changes: SegmentChanges, known: Sequence[UserError] = ()
    ) -> SegmentReceipt:
        """Change parts of a segment; `changes.version` must be its version, if given."""
        chosen = self._dispatcher.provider(ref.provider, "id", known=known)
        adapter = self._dispatcher.adapter(
            chosen, UpdatesSegments, "SEGMENT_UPDATE", "id", known=known
        )
        refuse([*known, *adapter.update_problems(changes)])
        current = await self._dispatcher.current(ref)
        if current is None:
            raise UserErrors(missing(ref))
        if changes.version is not None and current.version != changes.version:
            raise UserErrors(outdated(ref, changes.version, current.version))
        try:
            await self._dispatcher.send(chosen, adapter.update_segment(current, changes))
        except UserErrors as error:
            raise await self._conflict(ref, changes.version, error) from error
        written = Written(ref.key, is_new=False)
        return await self._receipt(
            chosen, written, lambda: changed_document(chosen, current, changes)
        )

    async def delete(self, ref: Ref, *, force: bool) -> DeletionReceipt:
        """Delete a segment."""
        chosen = self._dispatcher.provider(ref.provider, "id")
        adapter = self._dispatcher.adapter(chosen, DeletesSegments, "SEGMENT_DELETE", "id")
        await self._dispatcher.delete(chosen, adapter.delete_segment(ref.key, force=force))
        await self._dispatcher.settle([observations.segment(ref, ChangeKind.DELETED)])
        return DeletionReceipt(ref=ref)

    async def reorder(self, provider: str, refs: Sequence[Ref]) -> OrderReceipt:
        """Set the order of segments; the first takes precedence."""
        chosen = self._dispatcher.provider(provider, "provider")
        adapter = self._dispatcher.adapter(chosen, ReordersSegments, "SEGMENT_REORDER", "provider")
        refuse(order_problems(provider, refs))
        ranked = await self._dispatcher.send(
            chosen, adapter.reorder_segments([ref.key for ref in refs])
        )
        updated = {each.ref: each for each in ranked}
        await self._dispatcher.settle(
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
        """Read the segment back; if that fails, use `described`, the document that was sent.

        The version that was read goes into the change log, so that the provider's webhook about
        this write adds no entry. The segment's initial `customers` follow.
        """
        ref, replied_at = Ref(provider.key, written.key), datetime.now(UTC)
        segment = written.segment
        if segment is None or segment.raw is None:
            segment = (await self._dispatcher.read_back([ref])).get(ref)
        document = None if segment is None else bytes(segment.raw or b"")
        sent = described() if document is None else None
        kind = ChangeKind.CREATED if written.is_new else ChangeKind.UPDATED
        await self._dispatcher.settle(
            [
                observations.segment(ref, kind, segment, replied_at),
                *observations.members(ref, customers, replied_at),
            ]
        )
        return SegmentReceipt(ref=ref, document=document, sent=sent, is_new=written.is_new)

    async def _conflict(self, ref: Ref, version: int | None, error: UserErrors) -> UserErrors:
        """Add the segment's current version to the error of a version conflict."""
        if version is None or error.errors[0].reason is not Reason.VERSION_CONFLICT:
            return error
        current = await settled(self._dispatcher.loaders.segment.load(ref))
        current_version = current.version if isinstance(current, Segment) else None
        return UserErrors(outdated(ref, version, current_version))


def sent_document(provider: Provider, key: str, draft: SegmentDraft) -> bytes | None:
    """Return the document of a segment as it was sent; None if the adapter has none."""
    if not provider.offers(DescribesWrites):
        return None
    return provider.require(DescribesWrites, "SEGMENT_GET").sent_document(key, draft)


def changed_document(
    provider: Provider, current: Segment, changes: SegmentChanges
) -> bytes | None:
    """Return the document of a segment after these changes; None if the adapter has none."""
    if not provider.offers(DescribesWrites):
        return None
    return provider.require(DescribesWrites, "SEGMENT_GET").changed_document(current, changes)


def refuse(problems: Iterable[UserError]) -> None:
    """Raise `UserErrors` if there are any problems."""
    errors = tuple(problems)
    if errors:
        raise UserErrors(*errors)


def order_problems(provider: str, refs: Sequence[Ref]) -> Iterable[UserError]:
    """Return an error for each segment of another provider, and for each duplicate."""
    seen: set[Ref] = set()
    for index, ref in enumerate(refs):
        if ref.provider != provider:
            message = f"This is not a segment of provider {provider!r}."
        elif ref in seen:
            message = "This segment occurs twice."
        else:
            seen.add(ref)
            continue
        yield UserError(message, Reason.INVALID, ("ids", str(index)), provider)


def missing(ref: Ref) -> UserError:
    """Return the error for a segment that does not exist."""
    return UserError("There is no such segment.", Reason.NOT_FOUND, ("id",), ref.provider)


def outdated(ref: Ref, version: int, current: int | None) -> UserError:
    """Return the error for a version that is not the segment's current one."""
    now = "another version" if current is None else f"version {current}"
    return UserError(
        f"The segment now has {now}; version {version} was given.",
        Reason.VERSION_CONFLICT,
        ("version",),
        ref.provider,
    )
