"""Mutations of many segments, with a result for each row of the input, in its order."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, TypeVar

import msgspec

from gateway.domain.change_log import ChangeKind, Observation
from gateway.domain.entities import Ref
from gateway.domain.mutations import Outcome, Reason, RowResult, SegmentDraft, UserError
from gateway.providers.base.exchange import Exchange
from gateway.providers.base.write_protocols import (
    CreatesSegments,
    DeletesSegments,
    UpsertsSegments,
    WritesSegmentsInBulk,
)
from gateway.upstream.provider import Provider
from gateway.writes import observations
from gateway.writes.dispatch import UserErrors, WriteDispatcher
from gateway.writes.receipts import SegmentRow, SegmentsReceipt
from gateway.writes.segments import sent_document

T = TypeVar("T")

KINDS = {Outcome.CREATED: ChangeKind.CREATED, Outcome.UPDATED: ChangeKind.UPDATED}
WRITTEN = KINDS.keys()


Drafted = SegmentDraft | tuple[UserError, ...]
"""A row of the input, or the mistakes in it: such a row is not sent."""


class Row(NamedTuple):
    """A valid row, and its position in the input."""

    position: int
    draft: SegmentDraft


class BulkWrites:
    """Mutations of many segments."""

    def __init__(self, dispatcher: WriteDispatcher) -> None:
        """Send writes with this dispatcher."""
        self._dispatcher = dispatcher

    async def create(self, provider: str, drafts: Sequence[Drafted]) -> SegmentsReceipt:
        """Create segments, in bulk if the provider supports it, else one call for each."""
        chosen = self._dispatcher.provider(provider, "provider")
        adapter = self._dispatcher.adapter(chosen, CreatesSegments, "SEGMENT_CREATE", "provider")
        good, bad = checked(drafts, adapter.create_problems)
        members: dict[int, Sequence[str]] = {}

        async def create(row: Row) -> RowResult:
            draft = await self._dispatcher.resolved(chosen, row.draft)
            written = await self._dispatcher.send(chosen, adapter.create_segment(draft))
            members[row.position] = draft.customers or ()
            return RowResult(Outcome.CREATED, written.key)

        results = await self._send(
            chosen, good, create, lambda bulk, part: bulk.create_segments(drafts_of(part))
        )
        return await self._receipt(chosen, good, results, bad, members)

    async def upsert(self, provider: str, drafts: Sequence[Drafted]) -> SegmentsReceipt:
        """Create or replace segments, in bulk if the provider supports it."""
        chosen = self._dispatcher.provider(provider, "provider")
        adapter = self._dispatcher.adapter(chosen, UpsertsSegments, "SEGMENT_UPSERT", "provider")
        good, bad = checked(drafts, adapter.upsert_problems)

        async def upsert(row: Row) -> RowResult:
            written = await self._dispatcher.send(chosen, adapter.upsert_segment(row.draft))
            outcome = Outcome.CREATED if written.is_new else Outcome.UPDATED
            return RowResult(outcome, written.key)

        results = await self._send(
            chosen, good, upsert, lambda bulk, part: bulk.upsert_segments(drafts_of(part))
        )
        return await self._receipt(chosen, good, results, bad, {})

    async def delete(self, refs: Sequence[Ref | UserError], *, force: bool) -> SegmentsReceipt:
        """Delete segments of one or more providers; a row that is an error is not sent."""
        by_provider: dict[str, list[tuple[int, Ref]]] = {}
        first: dict[Ref, int] = {}
        rows = []
        for index, ref in enumerate(refs):
            row = ref
            if isinstance(ref, Ref) and first.setdefault(ref, index) != index:
                row = UserError(f"Row {first[ref]} is the same.", Reason.INVALID)
            if isinstance(row, UserError):
                errors = (row.below("ids", str(index)),)
                rows.append(SegmentRow(index=index, outcome=Outcome.FAILED, errors=errors))
            else:
                by_provider.setdefault(row.provider, []).append((index, row))

        async def delete(key: str, refs: Sequence[tuple[int, Ref]]) -> Sequence[SegmentRow]:
            results = await self._delete(key, [ref.key for _, ref in refs], force=force)
            return [
                SegmentRow(
                    index=index,
                    outcome=result.outcome,
                    ref=ref if result.outcome is Outcome.DELETED else None,
                    errors=() if result.error is None else (at_id(result.error, index),),
                )
                for (index, ref), result in zip(refs, results, strict=True)
            ]

        parts = (delete(key, indexed_refs) for key, indexed_refs in by_provider.items())
        for part in await asyncio.gather(*parts):
            rows += part
        rows.sort(key=lambda row: row.index)
        await self._dispatcher.settle(
            [observations.segment(row.ref, ChangeKind.DELETED) for row in rows if row.ref]
        )
        return SegmentsReceipt(rows=tuple(rows))

    def visible(
        self, receipt: SegmentsReceipt, refs: Sequence[Ref | UserError]
    ) -> SegmentsReceipt:
        """Hide the rows of providers that the caller may no longer see.

        A stored receipt may contain such rows: they report that the provider does not exist.
        """
        rows = []
        for row in receipt.rows:
            ref = refs[row.index]
            try:
                if isinstance(ref, Ref):
                    self._dispatcher.provider(ref.provider)
                rows.append(row)
            except UserErrors as error:
                errors = (at_id(error.errors[0], row.index),)
                failed = SegmentRow(index=row.index, outcome=Outcome.FAILED, errors=errors)
                rows.append(failed)
        return msgspec.structs.replace(receipt, rows=tuple(rows))

    async def _delete(
        self, provider: str, keys: Sequence[str], *, force: bool
    ) -> Sequence[RowResult]:
        try:
            chosen = self._dispatcher.provider(provider)
            adapter = self._dispatcher.adapter(chosen, DeletesSegments, "SEGMENT_DELETE")
        except UserErrors as error:
            return [RowResult(Outcome.FAILED, error=error.errors[0])] * len(keys)

        async def delete(key: str) -> RowResult:
            await self._dispatcher.delete(chosen, adapter.delete_segment(key, force=force))
            return RowResult(Outcome.DELETED, key)

        return await self._send(
            chosen, keys, delete, lambda bulk, part: bulk.delete_segments(part, force=force)
        )

    async def _send(
        self,
        provider: Provider,
        rows: Sequence[T],
        write: Callable[[T], Awaitable[RowResult]],
        bulk_exchange: Callable[
            [WritesSegmentsInBulk, Sequence[T]], Exchange[Sequence[RowResult]]
        ],
    ) -> Sequence[RowResult]:
        """Write rows in bulk if the provider supports it, else each with its own call."""
        if not provider.offers(WritesSegmentsInBulk):
            return await self._dispatcher.send_rows(rows, write)
        bulk = provider.require(WritesSegmentsInBulk, "SEGMENT_BULK")
        return await self._dispatcher.send_batches(
            provider, rows, bulk.rows_per_call, partial(bulk_exchange, bulk)
        )

    async def _receipt(
        self,
        provider: Provider,
        good: Sequence[Row],
        results: Sequence[RowResult],
        bad: Mapping[int, tuple[UserError, ...]],
        members: Mapping[int, Sequence[str]],
    ) -> SegmentsReceipt:
        """Read the written segments back, and join all rows in the order of the input.

        The change log gets each segment in that order, followed by its initial customers
        (`members`, by row).
        """
        replied_at = datetime.now(UTC)
        refs = {
            row.position: Ref(provider.key, result.key or row.draft.key or "")
            for row, result in zip(good, results, strict=True)
            if result.outcome in WRITTEN
        }
        written = await self._dispatcher.read_back(list(dict.fromkeys(refs.values())))
        observed: list[Observation] = []
        for row, result in zip(good, results, strict=True):
            if (ref := refs.get(row.position)) is not None:
                kind = KINDS[result.outcome]
                observed.append(observations.segment(ref, kind, written.get(ref), replied_at))
                observed += observations.members(ref, members.get(row.position, ()), replied_at)
        await self._dispatcher.settle(observed)
        documents = {ref: bytes(segment.raw or b"") for ref, segment in written.items()}
        rows = [
            SegmentRow(index=index, outcome=Outcome.FAILED, errors=errors)
            for index, errors in bad.items()
        ] + [
            SegmentRow(
                index=row.position,
                outcome=result.outcome,
                ref=refs.get(row.position),
                document=documents.get(refs[row.position]) if row.position in refs else None,
                sent=sent_document(provider, refs[row.position].key, row.draft)
                if row.position in refs and refs[row.position] not in documents
                else None,
                errors=errors_of(result, "segments", row.position),
            )
            for row, result in zip(good, results, strict=True)
        ]
        return SegmentsReceipt(rows=tuple(sorted(rows, key=lambda row: row.index)))


def checked(
    drafts: Sequence[Drafted], problems: Callable[[SegmentDraft], Sequence[UserError]]
) -> tuple[list[Row], dict[int, tuple[UserError, ...]]]:
    """Separate the valid rows from the errors of the others, by index."""
    bad: dict[int, tuple[UserError, ...]] = {}
    good: list[Row] = []
    for index, draft in enumerate(drafts):
        errors = draft if isinstance(draft, tuple) else problems(draft)
        if errors:
            bad[index] = tuple(each.below("segments", str(index)) for each in errors)
        elif isinstance(draft, SegmentDraft):
            good.append(Row(index, draft))
    first: dict[str, int] = {}
    for row in good:
        key = row.draft.key
        if key is not None and first.setdefault(key, row.position) != row.position:
            # Providers do not document which of the two would win.
            error = UserError(
                f"Row {first[key]} has the same externalId.",
                Reason.INVALID,
                ("segments", str(row.position), "externalId"),
            )
            bad[row.position] = (error,)
    return [row for row in good if row.position not in bad], bad


def drafts_of(rows: Iterable[Row]) -> Sequence[SegmentDraft]:
    """Return the drafts of these rows."""
    return [row.draft for row in rows]


def at_id(error: UserError, index: int) -> UserError:
    """Return a row's error with the path of its id."""
    return msgspec.structs.replace(error, field=("ids", str(index)))


def errors_of(result: RowResult, field: str, index: int) -> tuple[UserError, ...]:
    """Return a row's error with its path in the input."""
    return () if result.error is None else (result.error.below(field, str(index)),)
