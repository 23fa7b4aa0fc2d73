"""Replace the segments of customers at providers that only assign them one by one."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from gateway.domain.change_log import AssignmentObservation, ChangeKind
from gateway.domain.entities import Assignment, AssignmentRef, Ref
from gateway.domain.mutations import Assignee, Reason, UserError
from gateway.errors import GatewayError, ProviderError, settled
from gateway.providers.base.adapter import ListsAssignmentsOfCustomers
from gateway.providers.base.write_protocols import AssignsCustomers
from gateway.upstream.provider import Provider
from gateway.writes import observations
from gateway.writes.dispatch import AT_ONCE, UserErrors, WriteDispatcher
from gateway.writes.entries import NOT_UPDATED, UNKNOWN, UPDATED, ReplacementEntry, RowOutcome

ADD, REMOVE = "added", "removed"


class Step(NamedTuple):
    """One change of one customer; `verb` is used in messages."""

    verb: str
    segment: str
    assignee: Assignee


class AssignmentDiff:
    """Reads the segments of customers at one provider, adds missing ones, and removes others."""

    def __init__(self, dispatcher: WriteDispatcher, provider: Provider) -> None:
        """Send writes to `provider` with this dispatcher."""
        self._dispatcher = dispatcher
        self._provider = provider
        self._adapter = provider.require(AssignsCustomers, "ASSIGNMENT_REPLACE")
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._done: dict[str, list[AssignmentObservation]] = {}
        """The changes of each customer for the change log, LEFT before ENTERED."""

    async def replace(self, entries: Sequence[ReplacementEntry]) -> Mapping[str, RowOutcome]:
        """Replace the segments of `AT_ONCE` customers at a time; return the outcomes."""
        outcomes = await asyncio.gather(*(self._replace(entry) for entry in entries))
        done = (self._done.get(entry.customer, ()) for entry in entries)
        await self._dispatcher.settle([each for steps in done for each in steps])
        return {entry.customer: each for entry, each in zip(entries, outcomes, strict=True)}

    async def _replace(self, entry: ReplacementEntry) -> RowOutcome:
        if not entry.customer:
            text = "An id must not be empty."
            error = UserError(text, Reason.REQUIRED, ("externalId",), self._provider.key)
            return RowOutcome(NOT_UPDATED, (error,))
        if entry.tags:
            text = f"Provider {self._provider.key!r} has segments, not pairs; give segmentIds."
            return RowOutcome(NOT_UPDATED, (self._error(text, Reason.UNSUPPORTED, "segments"),))
        async with self._limit:
            return await self._update(entry.customer, {ref.key for ref in entry.segments or ()})

    async def _update(self, customer: str, wanted: set[str]) -> RowOutcome:
        has = await self._read(customer)
        if isinstance(has, GatewayError):
            self._dispatcher.note_unsent()
            return RowOutcome(NOT_UPDATED, (self._error(str(has), Reason.PROVIDER_FAILED),))
        if has is None:
            text = "There is no such customer."
            return RowOutcome(NOT_UPDATED, (self._error(text, Reason.NOT_FOUND, "externalId"),))
        now = {each.ref.segment: each for each in has}
        steps = [
            *(Step(ADD, key, Assignee(customer)) for key in sorted(wanted - now.keys())),
            *(Step(REMOVE, key, assignee_of(now[key])) for key in sorted(now.keys() - wanted)),
        ]
        for done, step in enumerate(steps):
            try:
                await self._apply(step)
            except (UserErrors, ProviderError) as error:
                return self._interrupted(step, error, f"{done} of {len(steps)}")
        if all(step.verb == ADD for step in steps):
            return RowOutcome(UPDATED)
        has = await self._read(customer)
        if not isinstance(has, GatewayError) and has is not None:
            surplus = [each for each in has if each.ref.segment not in wanted]
            if surplus and self._provider.offers(ListsAssignmentsOfCustomers):
                return await self._remove_from_entities(customer, wanted, surplus)
        return self._verified(has, wanted)

    async def _remove_from_entities(
        self, customer: str, wanted: set[str], surplus: Sequence[Assignment]
    ) -> RowOutcome:
        """Remove a customer's assignments through legal entities, one by one."""
        steps: list[Step] = []
        for row in surplus:
            rows = await settled(self._dispatcher.loaders.each_within(self._provider, row))
            if isinstance(rows, GatewayError):
                return self._verified(rows, wanted)
            steps += [Step(REMOVE, row.ref.segment, assignee_of(each)) for each in rows]
            self._note_entities(row.ref, rows)
        for done, step in enumerate(steps):
            try:
                await self._apply(step)
            except (UserErrors, ProviderError) as error:
                return self._interrupted(step, error, f"{done} of {len(steps)}")
        return self._verified(await self._read(customer), wanted)

    def _note_entities(self, ref: AssignmentRef, rows: Sequence[Assignment]) -> None:
        """Replace the removal of the direct assignment by the assignments through entities."""
        done = self._done[ref.customer]
        direct = msgspec.structs.replace(ref, legal_entity=None)
        done[:] = [each for each in done if each.ref != direct]
        done[:0] = [observations.known_assignment(each.ref) for each in rows]

    async def _read(self, customer: str) -> Sequence[Assignment] | GatewayError | None:
        ref = Ref(self._provider.key, customer)
        return await settled(self._dispatcher.loaders.assignments_of.load(ref))

    async def _apply(self, step: Step) -> None:
        ref = AssignmentRef(
            self._provider.key, step.segment, step.assignee.customer, step.assignee.legal_entity
        )
        done = self._done.setdefault(step.assignee.customer, [])
        if step.verb == ADD:
            await self._dispatcher.send(
                self._provider, self._adapter.assign(step.segment, step.assignee)
            )
            done.append(observations.assignment(ref, ChangeKind.ENTERED))
        else:
            await self._dispatcher.send(
                self._provider, self._adapter.unassign(step.segment, step.assignee)
            )
            left = sum(each.is_stock or each.kind is ChangeKind.LEFT for each in done)
            done.insert(left, observations.assignment(ref, ChangeKind.LEFT))

    def _verified(
        self, has: Sequence[Assignment] | GatewayError | None, wanted: set[str]
    ) -> RowOutcome:
        """Return an error for each segment that a customer is still in.

        At Emporix they may be in it through a legal entity or a group. The list of a customer's
        segments does not show that, and removing an assignment that does not exist succeeds.
        """
        if isinstance(has, GatewayError):
            text = "All changes were made, but the customer's segments could not be read again."
            return RowOutcome(UNKNOWN, (self._error(text, Reason.PROVIDER_FAILED),))
        surplus = sorted({each.ref.segment for each in has or ()} - wanted)
        errors = [
            self._error(
                f"The customer is still in segment {key!r} through a legal entity or a group.",
                Reason.PROVIDER_REFUSED,
                "segmentIds",
            )
            for key in surplus
        ]
        return RowOutcome(NOT_UPDATED if errors else UPDATED, errors)

    def _interrupted(self, step: Step, error: UserErrors | ProviderError, done: str) -> RowOutcome:
        """Return which step failed, and how many were done before."""
        is_unknown = isinstance(error, ProviderError) and error.was_sent
        reason = (
            error.errors[0].reason if isinstance(error, UserErrors) else Reason.PROVIDER_FAILED
        )
        text = f"Segment {step.segment!r} was not {step.verb}; {done} changes were made before."
        failure = self._error(text, reason, "segmentIds")
        return RowOutcome(UNKNOWN if is_unknown else NOT_UPDATED, (failure,))

    def _error(self, text: str, reason: Reason, *field: str) -> UserError:
        was_called = reason is not Reason.UNSUPPORTED
        request_id = self._dispatcher.request_id if was_called else None
        return UserError(text, reason, field or None, self._provider.key, request_id)


def assignee_of(assignment: Assignment) -> Assignee:
    """Return the assignee of an assignment."""
    return Assignee(assignment.ref.customer, assignment.ref.legal_entity)
