"""Writes of assignments and items: who and what belongs to a segment."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from gateway.domain.change_log import ChangeKind, version_of
from gateway.domain.entities import Assignment, AssignmentKind, AssignmentRef, ItemKind, Ref
from gateway.domain.mutations import Assignee, Outcome, Reason, RowResult, UserError
from gateway.errors import GatewayError, settled
from gateway.providers.base.adapter import ListsAssignmentsOfCustomers
from gateway.providers.base.write_protocols import AssignsCustomers, AssignsItems
from gateway.upstream.provider import Provider
from gateway.writes import observations
from gateway.writes.bulk import WRITTEN, errors_of
from gateway.writes.dispatch import UserErrors, WriteDispatcher, failed_row
from gateway.writes.existing_assignments import existing_assignment, existing_assignments
from gateway.writes.receipts import (
    AssignmentFacts,
    AssignmentReceipt,
    AssignmentRow,
    AssignmentsReceipt,
    ItemRow,
    ItemsReceipt,
)


class AssignmentWrites:
    """What can be done about who and what is in a segment."""

    def __init__(self, desk: WriteDispatcher) -> None:
        """Work at this desk."""
        self._desk = desk

    async def create(self, segment: Ref, who: Assignee, field: str) -> AssignmentReceipt:
        """Put a customer into a segment, unless they are in; `field` names it in the input."""
        chosen = self._desk.provider(segment.provider, field)
        adapter = self._desk.wanted(chosen, AssignsCustomers, "ASSIGNMENT_CREATE", field)
        ref = reference(segment, who)
        existing = await existing_assignment(self._desk, chosen, ref)
        if existing is not None:
            return AssignmentReceipt(assignment=facts(existing))
        await self._desk.send(chosen, adapter.assign(segment.key, who))
        answered_at = datetime.now(UTC)
        found = await settled(self._desk.loaders.assignment.load(ref))
        version = version_of(found) if isinstance(found, Assignment) else None
        await self._desk.settle(
            [observations.assignment(ref, ChangeKind.ENTERED, version, answered_at)]
        )
        if isinstance(found, Assignment):
            return AssignmentReceipt(assignment=facts(found))
        return AssignmentReceipt(assignment=made(ref))

    async def delete(self, segment: Ref, who: Assignee, field: str) -> AssignmentReceipt:
        """Take a customer out of a segment; `field` is where the caller named it."""
        chosen = self._desk.provider(segment.provider, field)
        adapter = self._desk.wanted(chosen, AssignsCustomers, "ASSIGNMENT_DELETE", field)
        await self._desk.send(chosen, adapter.unassign(segment.key, who))
        left = (await self._left(chosen, segment, [who])).get(who)
        if left is not None:
            raise UserErrors(left)
        ref = reference(segment, who)
        await self._desk.settle([observations.assignment(ref, ChangeKind.LEFT)])
        return AssignmentReceipt(deleted=ref)

    async def _left(
        self, provider: Provider, segment: Ref, gone: Sequence[Assignee]
    ) -> Mapping[Assignee, UserError]:
        """Say who is in a segment still, though the provider answered that they are not.

        It says so, too, of an assignment that never was: of a customer who is in the segment
        through legal entities. Where it cannot be looked at again, its answer is believed.
        """
        if not gone or not provider.offers(ListsAssignmentsOfCustomers):
            return {}
        customers = tuple(dict.fromkeys(who.customer for who in gone))
        rows = await settled(self._desk.loaders.within(provider, segment.key, customers))
        if isinstance(rows, GatewayError):
            return {}
        through: dict[str, list[str]] = {}
        there = {row.ref for row in rows}
        for row in rows:
            if row.ref.legal_entity is not None:
                through.setdefault(row.ref.customer, []).append(row.ref.legal_entity)
        left = {}
        for who in gone:
            entities = through.get(who.customer, ())
            if reference(segment, who) in there:
                text, reason = "The customer is in the segment still.", Reason.PROVIDER_FAILED
            elif who.legal_entity is None and entities:
                named = ", ".join(sorted(entities))
                text = (
                    f"The customer is in the segment through legal entities: name one of {named}."
                )
                reason = Reason.NOT_FOUND
            else:
                continue
            left[who] = UserError(
                text, reason, ("legalEntityId",), provider.key, self._desk.request_id
            )
        return left

    async def create_many(
        self, segment: Ref, rows: Sequence[Assignee | UserError]
    ) -> AssignmentsReceipt:
        """Put customers into a segment; a row that is an error or assigned already is not sent."""
        chosen = self._desk.provider(segment.provider, "segmentId")
        adapter = self._desk.wanted(chosen, AssignsCustomers, "ASSIGNMENT_CREATE", "segmentId")
        good = {
            index: reference(segment, row)
            for index, row in enumerate(rows)
            if isinstance(row, Assignee)
        }
        existing = await existing_assignments(self._desk, chosen, segment, list(good.values()))
        new = [
            Assignee(ref.customer, ref.legal_entity)
            for ref in good.values()
            if ref not in existing
        ]
        written = iter(
            await self._desk.rows(
                chosen,
                new,
                adapter.rows_per_call,
                lambda part: adapter.assign_many(segment.key, part),
                lambda who, result: (
                    observations.assignment(reference(segment, who), ChangeKind.ENTERED)
                    if result.outcome in WRITTEN
                    else None
                ),
            )
        )
        done = {}
        for index, ref in good.items():
            assignment = existing.get(ref)
            if isinstance(assignment, Assignment):
                result, shown = RowResult(Outcome.UPDATED), facts(assignment)
            elif assignment is not None:
                result, shown = failed_row(assignment, self._desk.request_id), None
            else:
                result = next(written)
                shown = made(ref) if result.outcome in WRITTEN else None
            done[index] = AssignmentRow(
                index=index,
                outcome=result.outcome,
                assignment=shown,
                errors=errors_of(result, "assignments", index),
            )
        return AssignmentsReceipt(rows=joined(rows, done))

    async def delete_many(
        self, segment: Ref, rows: Sequence[Assignee | UserError]
    ) -> AssignmentsReceipt:
        """Take customers out of a segment; a row that is an error already is not sent."""
        chosen = self._desk.provider(segment.provider, "segmentId")
        adapter = self._desk.wanted(chosen, AssignsCustomers, "ASSIGNMENT_DELETE", "segmentId")
        good = [(index, row) for index, row in enumerate(rows) if isinstance(row, Assignee)]
        found = await self._desk.rows(
            chosen,
            [who for _, who in good],
            adapter.rows_per_call,
            lambda part: adapter.unassign_many(segment.key, part),
        )
        gone = [
            who
            for (_, who), result in zip(good, found, strict=True)
            if result.outcome is Outcome.DELETED
        ]
        answered_at = datetime.now(UTC)
        left = await self._left(chosen, segment, gone)
        kind = ChangeKind.LEFT
        await self._desk.settle(
            [
                observations.assignment(reference(segment, who), kind, occurred_at=answered_at)
                for who in gone
                if who not in left
            ]
        )
        found = [
            RowResult(Outcome.FAILED, error=left[who]) if who in left else result
            for (_, who), result in zip(good, found, strict=True)
        ]
        done = {
            index: AssignmentRow(
                index=index,
                outcome=result.outcome,
                deleted=reference(segment, who) if result.outcome is Outcome.DELETED else None,
                errors=errors_of(result, "assignments", index),
            )
            for (index, who), result in zip(good, found, strict=True)
        }
        return AssignmentsReceipt(rows=joined(rows, done))

    async def assign_items(
        self, segment: Ref, items: Sequence[tuple[ItemKind, str]]
    ) -> ItemsReceipt:
        """Put items into a segment."""
        return await self._items(segment, items, "assign_items")

    async def unassign_items(
        self, segment: Ref, items: Sequence[tuple[ItemKind, str]]
    ) -> ItemsReceipt:
        """Take items out of a segment."""
        return await self._items(segment, items, "unassign_items")

    async def _items(
        self, segment: Ref, items: Sequence[tuple[ItemKind, str]], method: str
    ) -> ItemsReceipt:
        chosen = self._desk.provider(segment.provider, "segmentId")
        adapter = self._desk.wanted(chosen, AssignsItems, "ITEM_ASSIGN", "segmentId")
        write = getattr(adapter, method)
        done: dict[int, ItemRow] = {}

        async def of(kind: ItemKind) -> None:
            places = [index for index, (each, _) in enumerate(items) if each is kind]
            found = await self._desk.rows(
                chosen,
                [items[index][1] for index in places],
                adapter.rows_per_call,
                lambda part: write(segment.key, kind, part),
            )
            for index, result in zip(places, found, strict=True):
                errors = errors_of(result, "items", index)
                done[index] = ItemRow(index=index, outcome=result.outcome, errors=errors)

        await asyncio.gather(*(of(kind) for kind in dict.fromkeys(kind for kind, _ in items)))
        if any(row.outcome not in {Outcome.FAILED, Outcome.UNKNOWN} for row in done.values()):
            await self._desk.settle([observations.segment(segment, ChangeKind.UPDATED)])
        return ItemsReceipt(rows=tuple(done[index] for index in sorted(done)))


def reference(segment: Ref, who: Assignee) -> AssignmentRef:
    """Return the reference of an assignment."""
    return AssignmentRef(segment.provider, segment.key, who.customer, who.legal_entity)


def made(ref: AssignmentRef) -> AssignmentFacts:
    """Return what is known of an assignment that was just made and not read again."""
    return AssignmentFacts(ref=ref, kind=AssignmentKind.MANUAL, is_partial=True)


def facts(assignment: Assignment) -> AssignmentFacts:
    """Return what a receipt keeps of an assignment."""
    told = {name: getattr(assignment, name) for name in AssignmentFacts.__struct_fields__}
    return AssignmentFacts(**told)


def joined(
    rows: Sequence[Assignee | UserError], done: dict[int, AssignmentRow]
) -> tuple[AssignmentRow, ...]:
    """Return the rows that were sent and those that were not, in the order of the input."""
    return tuple(
        AssignmentRow(
            index=index,
            outcome=Outcome.FAILED,
            errors=(row.below("assignments", str(index)),),
        )
        if isinstance(row, UserError)
        else done[index]
        for index, row in enumerate(rows)
    )
