"""Mutations of assignments and items: the customers and items of a segment."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from gateway.domain.change_log import ChangeKind, version_of
from gateway.domain.entities import Assignment, AssignmentKind, AssignmentRef, ItemKind, Ref
from gateway.domain.mutations import Assignee, Outcome, Reason, RowResult, UserError
from gateway.errors import GatewayError, ProviderError, settled
from gateway.providers.base.adapter import ListsAssignmentsOfCustomers
from gateway.providers.base.exchange import Exchange
from gateway.providers.base.write_protocols import AssignsCustomers, AssignsItems
from gateway.upstream.provider import Provider
from gateway.writes import observations
from gateway.writes.bulk import WRITTEN, errors_of
from gateway.writes.dispatch import UserErrors, WriteDispatcher, failed_row
from gateway.writes.existing_assignments import (
    existing_assignment,
    existing_assignments,
    existing_items,
)
from gateway.writes.receipts import (
    AssignmentReceipt,
    AssignmentRow,
    AssignmentsReceipt,
    ItemRow,
    ItemsReceipt,
    WrittenAssignment,
)


class AssignmentFields(NamedTuple):
    """The paths of an assignment's parts in the input that names it."""

    segment: str = "segmentId"
    customer: tuple[str, ...] = ("customerId",)
    legal_entity: str = "legalEntityId"

    @contextmanager
    def in_errors(self) -> Iterator[None]:
        """Raise user errors at these fields; providers know them by their defaults."""
        paths: dict[tuple[str, ...] | None, tuple[str, ...]] = {
            ("segmentId",): (self.segment,),
            ("customerId",): self.customer,
            ("legalEntityId",): (self.legal_entity,),
        }
        try:
            yield
        except UserErrors as errors:
            raise UserErrors(
                *(
                    msgspec.structs.replace(each, field=paths.get(each.field, each.field))
                    for each in errors.errors
                )
            ) from errors


class AssignmentWrites:
    """Mutations of a segment's customers and items."""

    def __init__(self, dispatcher: WriteDispatcher) -> None:
        """Send writes with this dispatcher."""
        self._dispatcher = dispatcher

    def _chosen(
        self, segment: Ref, operation: str, field: str
    ) -> tuple[Provider, AssignsCustomers]:
        """Return the provider of a segment; `field` is the input's name of the segment."""
        provider = self._dispatcher.provider(segment.provider, field)
        return provider, self._dispatcher.adapter(provider, AssignsCustomers, operation, field)

    async def create(
        self, segment: Ref, assignee: Assignee, fields: AssignmentFields
    ) -> AssignmentReceipt:
        """Assign a customer unless they are assigned."""
        provider, adapter = self._chosen(segment, "ASSIGNMENT_CREATE", fields.segment)
        ref = reference(segment, assignee)
        existing = await existing_assignment(self._dispatcher, provider, ref)
        if existing is not None:
            return AssignmentReceipt(assignment=written_assignment(existing))
        with fields.in_errors():
            await self._dispatcher.send(provider, adapter.assign(segment.key, assignee))
        replied_at = datetime.now(UTC)
        assignment = await settled(self._dispatcher.loaders.assignment.load(ref))
        version = version_of(assignment) if isinstance(assignment, Assignment) else None
        await self._dispatcher.settle(
            [observations.assignment(ref, ChangeKind.ENTERED, version, replied_at)]
        )
        if isinstance(assignment, Assignment):
            return AssignmentReceipt(assignment=written_assignment(assignment))
        return AssignmentReceipt(assignment=unread_assignment(ref))

    async def delete(
        self, segment: Ref, assignee: Assignee, fields: AssignmentFields
    ) -> AssignmentReceipt:
        """Remove a customer from a segment."""
        provider, adapter = self._chosen(segment, "ASSIGNMENT_DELETE", fields.segment)
        with fields.in_errors():
            await self._dispatcher.delete(provider, adapter.unassign(segment.key, assignee))
            error = (await self._still_assigned(provider, segment, [assignee])).get(assignee)
            if error is not None:
                raise UserErrors(error)
        ref = reference(segment, assignee)
        await self._dispatcher.settle([observations.assignment(ref, ChangeKind.LEFT)])
        return AssignmentReceipt(deleted=ref)

    async def _still_assigned(
        self, provider: Provider, segment: Ref, removed: Sequence[Assignee]
    ) -> Mapping[Assignee, UserError]:
        """Return an error for each assignee who is still in a segment after a removal.

        Emporix also reports success for an assignment that never existed, such as that of a
        customer who is in the segment through legal entities. If the assignments cannot be read
        again, its reply is believed.
        """
        if not removed or not provider.offers(ListsAssignmentsOfCustomers):
            return {}
        customers = tuple(dict.fromkeys(assignee.customer for assignee in removed))
        rows = await settled(self._dispatcher.loaders.within(provider, segment.key, customers))
        if isinstance(rows, GatewayError):
            return {}
        legal_entities: dict[str, list[str]] = {}
        refs = {row.ref for row in rows}
        for row in rows:
            if row.ref.legal_entity is not None:
                legal_entities.setdefault(row.ref.customer, []).append(row.ref.legal_entity)
        errors = {}
        for assignee in removed:
            entities = legal_entities.get(assignee.customer, ())
            if reference(segment, assignee) in refs:
                text, reason = "The customer is still in the segment.", Reason.PROVIDER_FAILED
            elif assignee.legal_entity is None and entities:
                names = ", ".join(sorted(entities))
                text = (
                    f"The customer is in the segment through legal entities: name one of {names}."
                )
                reason = Reason.NOT_FOUND
            else:
                continue
            errors[assignee] = UserError(
                text, reason, ("legalEntityId",), provider.key, self._dispatcher.request_id
            )
        return errors

    async def create_many(
        self, segment: Ref, rows: Sequence[Assignee | UserError]
    ) -> AssignmentsReceipt:
        """Assign customers; a row that is an error or already assigned is not sent."""
        provider, adapter = self._chosen(segment, "ASSIGNMENT_CREATE", "segmentId")
        good = {
            index: reference(segment, row)
            for index, row in enumerate(rows)
            if isinstance(row, Assignee)
        }
        existing = await existing_assignments(
            self._dispatcher, provider, segment, list(good.values())
        )
        new = [
            Assignee(ref.customer, ref.legal_entity)
            for ref in good.values()
            if ref not in existing
        ]
        written = iter(
            await self._dispatcher.send_batches(
                provider,
                new,
                adapter.rows_per_call,
                lambda part: adapter.assign_many(segment.key, part),
                lambda assignee, result: (
                    observations.assignment(reference(segment, assignee), ChangeKind.ENTERED)
                    if result.outcome in WRITTEN
                    else None
                ),
            )
        )
        sent = []
        for index, ref in good.items():
            assignment = existing.get(ref)
            if isinstance(assignment, Assignment):
                result, now = RowResult(Outcome.UPDATED), written_assignment(assignment)
            elif assignment is not None:
                result, now = failed_row(assignment, self._dispatcher.request_id), None
            else:
                result = next(written)
                now = unread_assignment(ref) if result.outcome in WRITTEN else None
            sent.append(sent_row(index, result, assignment=now))
        return AssignmentsReceipt(rows=joined(rows, sent))

    async def delete_many(
        self, segment: Ref, rows: Sequence[Assignee | UserError]
    ) -> AssignmentsReceipt:
        """Remove customers from a segment; a row that is an error is not sent."""
        provider, adapter = self._chosen(segment, "ASSIGNMENT_DELETE", "segmentId")
        good = [(index, row) for index, row in enumerate(rows) if isinstance(row, Assignee)]
        results = await self._dispatcher.send_batches(
            provider,
            [assignee for _, assignee in good],
            adapter.rows_per_call,
            lambda part: adapter.unassign_many(segment.key, part),
        )
        removed = [
            assignee
            for (_, assignee), result in zip(good, results, strict=True)
            if result.outcome is Outcome.DELETED
        ]
        replied_at = datetime.now(UTC)
        errors = await self._still_assigned(provider, segment, removed)
        kind = ChangeKind.LEFT
        await self._dispatcher.settle(
            [
                observations.assignment(reference(segment, assignee), kind, occurred_at=replied_at)
                for assignee in removed
                if assignee not in errors
            ]
        )
        results = [
            RowResult(Outcome.FAILED, error=errors[assignee]) if assignee in errors else result
            for (_, assignee), result in zip(good, results, strict=True)
        ]
        sent = [
            sent_row(
                index,
                result,
                deleted=reference(segment, assignee)
                if result.outcome is Outcome.DELETED
                else None,
            )
            for (index, assignee), result in zip(good, results, strict=True)
        ]
        return AssignmentsReceipt(rows=joined(rows, sent))

    async def assign_items(
        self, segment: Ref, items: Sequence[tuple[ItemKind, str]]
    ) -> ItemsReceipt:
        """Add items to a segment, those that it does not have."""
        provider, adapter = self._assigning(segment)

        async def find(kind: ItemKind, keys: Sequence[str]) -> Mapping[str, RowResult]:
            dispatcher = self._dispatcher
            existing = await existing_items(dispatcher, provider, segment, kind, keys)
            return {
                key: failed_row(item, dispatcher.request_id)
                if isinstance(item, ProviderError)
                else RowResult(Outcome.UPDATED)
                for key, item in existing.items()
            }

        return await self._items(segment, items, adapter.assign_items, find)

    async def unassign_items(
        self, segment: Ref, items: Sequence[tuple[ItemKind, str]]
    ) -> ItemsReceipt:
        """Remove items from a segment."""
        _, adapter = self._assigning(segment)

        async def find(_kind: ItemKind, _keys: Sequence[str]) -> Mapping[str, RowResult]:
            return {}

        return await self._items(segment, items, adapter.unassign_items, find)

    def _assigning(self, segment: Ref) -> tuple[Provider, AssignsItems]:
        provider = self._dispatcher.provider(segment.provider, "segmentId")
        adapter = self._dispatcher.adapter(provider, AssignsItems, "ITEM_ASSIGN", "segmentId")
        return provider, adapter

    async def _items(
        self,
        segment: Ref,
        items: Sequence[tuple[ItemKind, str]],
        write: Callable[[str, ItemKind, Sequence[str]], Exchange[Sequence[RowResult]]],
        find: Callable[[ItemKind, Sequence[str]], Awaitable[Mapping[str, RowResult]]],
    ) -> ItemsReceipt:
        """Write items; `find` returns the results of those that are not to be sent."""
        provider, adapter = self._assigning(segment)
        done: dict[int, ItemRow] = {}

        async def send(kind: ItemKind) -> bool:
            """Write the items of a kind; return whether any of them was written."""
            indices = [index for index, (each, _) in enumerate(items) if each is kind]
            known = await find(kind, [items[index][1] for index in indices])
            results = await self._dispatcher.send_batches(
                provider,
                [items[index][1] for index in indices if items[index][1] not in known],
                adapter.rows_per_call,
                lambda part: write(segment.key, kind, part),
            )
            sent = iter(results)
            for index in indices:
                result = known.get(items[index][1]) or next(sent)
                errors = errors_of(result, "items", index)
                done[index] = ItemRow(index=index, outcome=result.outcome, errors=errors)
            return any(each.outcome not in {Outcome.FAILED, Outcome.UNKNOWN} for each in results)

        kinds = dict.fromkeys(kind for kind, _ in items)
        if any(await asyncio.gather(*map(send, kinds))):
            await self._dispatcher.settle([observations.segment(segment, ChangeKind.UPDATED)])
        return ItemsReceipt(rows=tuple(done[index] for index in sorted(done)))


def reference(segment: Ref, assignee: Assignee) -> AssignmentRef:
    """Return the reference of an assignment."""
    return AssignmentRef(segment.provider, segment.key, assignee.customer, assignee.legal_entity)


def unread_assignment(ref: AssignmentRef) -> WrittenAssignment:
    """Return a new assignment that was not read back."""
    return WrittenAssignment(ref=ref, kind=AssignmentKind.MANUAL, is_partial=True)


def written_assignment(assignment: Assignment) -> WrittenAssignment:
    """Return the part of an assignment that a receipt stores."""
    names = WrittenAssignment.__struct_fields__
    return WrittenAssignment(**{name: getattr(assignment, name) for name in names})


def sent_row(
    index: int,
    result: RowResult,
    *,
    assignment: WrittenAssignment | None = None,
    deleted: AssignmentRef | None = None,
) -> AssignmentRow:
    """Return the row of an assignment that was sent."""
    return AssignmentRow(
        index=index,
        outcome=result.outcome,
        assignment=assignment,
        deleted=deleted,
        errors=errors_of(result, "assignments", index),
    )


def joined(
    rows: Sequence[Assignee | UserError], sent: Iterable[AssignmentRow]
) -> tuple[AssignmentRow, ...]:
    """Join the rows that were sent with those that were not, in the order of the input."""
    not_sent = [
        AssignmentRow(
            index=index, outcome=Outcome.FAILED, errors=(row.below("assignments", str(index)),)
        )
        for index, row in enumerate(rows)
        if isinstance(row, UserError)
    ]
    return tuple(sorted([*sent, *not_sent], key=lambda row: row.index))
