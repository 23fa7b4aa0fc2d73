"""Writes of many segments: every row of the input gets its result, in the input's order."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

import msgspec

from gateway.domain.change_log import ChangeKind, Observation
from gateway.domain.entities import Ref
from gateway.domain.mutations import Outcome, Reason, RowResult, SegmentDraft, UserError
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
from gateway.writes.segments import sent

T = TypeVar("T")

KINDS = {Outcome.CREATED: ChangeKind.CREATED, Outcome.UPDATED: ChangeKind.UPDATED}
WRITTEN = KINDS.keys()


Drafted = SegmentDraft | tuple[UserError, ...]
"""A row of the input, or what is wrong with it by itself: such a row is not sent."""


class Row(NamedTuple):
    """A row that may be sent, and where it stands in the input."""

    at: int
    draft: SegmentDraft


class BulkWrites:
    """What can be done to many segments at once."""

    def __init__(self, desk: WriteDispatcher) -> None:
        """Work at this desk."""
        self._desk = desk

    async def create(self, provider: str, drafts: Sequence[Drafted]) -> SegmentsReceipt:
        """Make segments; where the provider has no bulk, one by one side by side."""
        chosen = self._desk.provider(provider, "provider")
        adapter = self._desk.wanted(chosen, CreatesSegments, "SEGMENT_CREATE", "provider")
        good, bad = sifted(drafts, adapter.create_problems)
        members: dict[int, Sequence[str]] = {}
        if chosen.offers(WritesSegmentsInBulk):
            bulk = chosen.require(WritesSegmentsInBulk, "SEGMENT_BULK")
            found = await self._desk.rows(
                chosen, [row.draft for row in good], bulk.rows_per_call, bulk.create_segments
            )
        else:

            async def one(row: Row) -> RowResult:
                draft = await self._desk.resolved(chosen, row.draft)
                written = await self._desk.send(chosen, adapter.create_segment(draft))
                members[row.at] = draft.customers or ()
                return RowResult(Outcome.CREATED, written.key)

            found = await self._desk.singly(good, one)
        return await self._receipt(chosen, good, found, bad, members)

    async def upsert(self, provider: str, drafts: Sequence[Drafted]) -> SegmentsReceipt:
        """Write whole segments, new or not."""
        chosen = self._desk.provider(provider, "provider")
        adapter = self._desk.wanted(chosen, UpsertsSegments, "SEGMENT_UPSERT", "provider")
        good, bad = sifted(drafts, adapter.upsert_problems)
        if chosen.offers(WritesSegmentsInBulk):
            bulk = chosen.require(WritesSegmentsInBulk, "SEGMENT_BULK")
            found = await self._desk.rows(
                chosen, [row.draft for row in good], bulk.rows_per_call, bulk.upsert_segments
            )
        else:

            async def one(row: Row) -> RowResult:
                written = await self._desk.send(chosen, adapter.upsert_segment(row.draft))
                return RowResult(
                    Outcome.CREATED if written.is_new else Outcome.UPDATED, written.key
                )

            found = await self._desk.singly(good, one)
        return await self._receipt(chosen, good, found, bad, {})

    async def delete(self, refs: Sequence[Ref | UserError], *, force: bool) -> SegmentsReceipt:
        """Delete segments, of several providers if need be; an error is not sent."""
        places: dict[str, list[tuple[int, Ref]]] = {}
        first: dict[Ref, int] = {}
        rows = []
        for index, ref in enumerate(refs):
            found = ref
            if isinstance(ref, Ref) and first.setdefault(ref, index) != index:
                found = UserError(f"Row {first[ref]} is the same.", Reason.INVALID)
            if isinstance(found, UserError):
                told = (found.below("ids", str(index)),)
                rows.append(SegmentRow(index=index, outcome=Outcome.FAILED, errors=told))
            else:
                places.setdefault(found.provider, []).append((index, found))

        async def of(key: str, wanted: Sequence[tuple[int, Ref]]) -> Sequence[SegmentRow]:
            found = await self._deleted(key, [ref.key for _, ref in wanted], force=force)
            return [
                SegmentRow(
                    index=index,
                    outcome=result.outcome,
                    ref=ref if result.outcome is Outcome.DELETED else None,
                    errors=() if result.error is None else (at_id(result.error, index),),
                )
                for (index, ref), result in zip(wanted, found, strict=True)
            ]

        for part in await asyncio.gather(*(of(key, each) for key, each in places.items())):
            rows += part
        rows.sort(key=lambda row: row.index)
        await self._desk.settle(
            [observations.segment(row.ref, ChangeKind.DELETED) for row in rows if row.ref]
        )
        return SegmentsReceipt(rows=tuple(rows))

    def visible(
        self, receipt: SegmentsReceipt, refs: Sequence[Ref | UserError]
    ) -> SegmentsReceipt:
        """Return the receipt of a deletion as its caller may see it now.

        It may be of a time when they saw more providers: rows of others read as if the provider
        did not exist.
        """
        rows = []
        for row in receipt.rows:
            ref = refs[row.index]
            try:
                if isinstance(ref, Ref):
                    self._desk.provider(ref.provider)
                rows.append(row)
            except UserErrors as error:
                told = (at_id(error.errors[0], row.index),)
                failed = SegmentRow(index=row.index, outcome=Outcome.FAILED, errors=told)
                rows.append(failed)
        return msgspec.structs.replace(receipt, rows=tuple(rows))

    async def _deleted(
        self, provider: str, keys: Sequence[str], *, force: bool
    ) -> Sequence[RowResult]:
        try:
            chosen = self._desk.provider(provider)
            adapter = self._desk.wanted(chosen, DeletesSegments, "SEGMENT_DELETE")
        except UserErrors as error:
            return [RowResult(Outcome.FAILED, error=error.errors[0])] * len(keys)
        if chosen.offers(WritesSegmentsInBulk):
            bulk = chosen.require(WritesSegmentsInBulk, "SEGMENT_BULK")
            return await self._desk.rows(
                chosen,
                keys,
                bulk.rows_per_call,
                lambda part: bulk.delete_segments(part, force=force),
            )

        async def one(key: str) -> RowResult:
            await self._desk.send(chosen, adapter.delete_segment(key, force=force))
            return RowResult(Outcome.DELETED, key)

        return await self._desk.singly(keys, one)

    async def _receipt(
        self,
        provider: Provider,
        good: Sequence[Row],
        found: Sequence[RowResult],
        bad: Mapping[int, tuple[UserError, ...]],
        members: Mapping[int, Sequence[str]],
    ) -> SegmentsReceipt:
        """Join the rows that were sent with those that were not; read again what was written.

        The change log gets all of it in the order of the input: each segment, then the customers
        that it was made of (`members`, by row).
        """
        answered_at = datetime.now(UTC)
        refs = {
            row.at: Ref(provider.key, result.key or row.draft.key or "")
            for row, result in zip(good, found, strict=True)
            if result.outcome in WRITTEN
        }
        written = await self._desk.written(list(dict.fromkeys(refs.values())))
        seen: list[Observation] = []
        for row, result in zip(good, found, strict=True):
            if (ref := refs.get(row.at)) is not None:
                kind = KINDS[result.outcome]
                seen.append(observations.segment(ref, kind, written.get(ref), answered_at))
                seen += observations.members(ref, members.get(row.at, ()), answered_at)
        await self._desk.settle(seen)
        documents = {ref: bytes(segment.raw or b"") for ref, segment in written.items()}
        rows = [
            SegmentRow(index=index, outcome=Outcome.FAILED, errors=errors)
            for index, errors in bad.items()
        ] + [
            SegmentRow(
                index=row.at,
                outcome=result.outcome,
                ref=refs.get(row.at),
                document=documents.get(refs[row.at]) if row.at in refs else None,
                sent=sent(provider, refs[row.at].key, row.draft)
                if row.at in refs and refs[row.at] not in documents
                else None,
                errors=errors_of(result, "segments", row.at),
            )
            for row, result in zip(good, found, strict=True)
        ]
        return SegmentsReceipt(rows=tuple(sorted(rows, key=lambda row: row.index)))


def sifted(
    drafts: Sequence[Drafted], problems: Callable[[SegmentDraft], Sequence[UserError]]
) -> tuple[list[Row], dict[int, tuple[UserError, ...]]]:
    """Part the rows that may be sent from those that have problems, by their index."""
    bad: dict[int, tuple[UserError, ...]] = {}
    good: list[Row] = []
    for index, draft in enumerate(drafts):
        found = draft if isinstance(draft, tuple) else problems(draft)
        if found:
            bad[index] = tuple(each.below("segments", str(index)) for each in found)
        elif isinstance(draft, SegmentDraft):
            good.append(Row(index, draft))
    first: dict[str, int] = {}
    for row in good:
        key = row.draft.key
        if key is not None and first.setdefault(key, row.at) != row.at:
            # Which of the two would win is not documented.
            told = UserError(
                f"Row {first[key]} has the same externalId.",
                Reason.INVALID,
                ("segments", str(row.at), "externalId"),
            )
            bad[row.at] = (told,)
    return [row for row in good if row.at not in bad], bad


def at_id(error: UserError, index: int) -> UserError:
    """Return a row's error at its id, of which nothing is the part that it is about."""
    return msgspec.structs.replace(error, field=("ids", str(index)))


def errors_of(result: RowResult, field: str, index: int) -> tuple[UserError, ...]:
    """Return a row's error below its place in the input."""
    return () if result.error is None else (result.error.below(field, str(index)),)
