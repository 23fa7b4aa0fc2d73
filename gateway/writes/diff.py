"""Replace the segments of customers where they are only assigned one by one: by the difference."""

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
    """One change of one customer; `verb` is what is said to be done to the segment."""

    verb: str
    segment: str
    who: Assignee


class AssignmentDiff:
    """Replaces at one provider: reads what customers have, adds what is missing, then removes."""

    def __init__(self, dispatcher: WriteDispatcher, provider: Provider) -> None:
        """Work at this dispatcher with this provider."""
        self._dispatcher = dispatcher
        self._provider = provider
        self._adapter = provider.require(AssignsCustomers, "ASSIGNMENT_REPLACE")
        self._places = asyncio.Semaphore(AT_ONCE)
        self._done: dict[str, list[AssignmentObservation]] = {}
        """By customer what was done, for the change log: LEFT before ENTERED."""

    async def replace(self, entries: Sequence[ReplacementEntry]) -> Mapping[str, RowOutcome]:
        """Replace, some customers side by side; return what became of each."""
        told = await asyncio.gather(*(self._replaced(entry) for entry in entries))
        done = (self._done.get(entry.customer, ()) for entry in entries)
        await self._dispatcher.settle([each for steps in done for each in steps])
        return {entry.customer: each for entry, each in zip(entries, told, strict=True)}

    async def _replaced(self, entry: ReplacementEntry) -> RowOutcome:
        if not entry.customer:
            text = "An id must not be empty."
            error = UserError(text, Reason.REQUIRED, ("externalId",), self._provider.key)
            return RowOutcome(NOT_UPDATED, (error,))
        if entry.tags:
            text = f"Provider {self._provider.key!r} has segments, not pairs; give segmentIds."
            return RowOutcome(NOT_UPDATED, (self._error(text, Reason.UNSUPPORTED, "segments"),))
        async with self._places:
            return await self._brought(entry.customer, {ref.key for ref in entry.segments or ()})

    async def _brought(self, customer: str, wanted: set[str]) -> RowOutcome:
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
                await self._take(step)
            except (UserErrors, ProviderError) as error:
                return self._half_done(step, error, f"{done} of {len(steps)}")
        if all(step.verb == ADD for step in steps):
            return RowOutcome(UPDATED)
        has = await self._read(customer)
        if not isinstance(has, GatewayError) and has is not None:
            left = [each for each in has if each.ref.segment not in wanted]
            if left and self._provider.offers(ListsAssignmentsOfCustomers):
                return await self._without_entities(customer, wanted, left)
        return self._verified(has, wanted)

    async def _without_entities(
        self, customer: str, wanted: set[str], left: Sequence[Assignment]
    ) -> RowOutcome:
        """Take a customer out of what they are in through legal entities, one by one."""
        steps: list[Step] = []
        for row in left:
            found = await settled(self._dispatcher.loaders.each_within(self._provider, row))
            if isinstance(found, GatewayError):
                return self._verified(found, wanted)
            steps += [Step(REMOVE, row.ref.segment, assignee_of(each)) for each in found]
            self._note_entities(row.ref, found)
        for done, step in enumerate(steps):
            try:
                await self._take(step)
            except (UserErrors, ProviderError) as error:
                return self._half_done(step, error, f"{done} of {len(steps)}")
        return self._verified(await self._read(customer), wanted)

    def _note_entities(self, ref: AssignmentRef, found: Sequence[Assignment]) -> None:
        """Take back that they left by themselves, and note through which entities they are in."""
        done = self._done[ref.customer]
        by_themselves = msgspec.structs.replace(ref, legal_entity=None)
        done[:] = [each for each in done if each.ref != by_themselves]
        done[:0] = [observations.known_assignment(each.ref) for each in found]

    async def _read(self, customer: str) -> Sequence[Assignment] | GatewayError | None:
        ref = Ref(self._provider.key, customer)
        return await settled(self._dispatcher.loaders.assignments_of.load(ref))

    async def _take(self, step: Step) -> None:
        ref = AssignmentRef(
            self._provider.key, step.segment, step.who.customer, step.who.legal_entity
        )
        done = self._done.setdefault(step.who.customer, [])
        if step.verb == ADD:
            await self._dispatcher.send(
                self._provider, self._adapter.assign(step.segment, step.who)
            )
            done.append(observations.assignment(ref, ChangeKind.ENTERED))
        else:
            await self._dispatcher.send(
                self._provider, self._adapter.unassign(step.segment, step.who)
            )
            left = sum(each.is_stock or each.kind is ChangeKind.LEFT for each in done)
            done.insert(left, observations.assignment(ref, ChangeKind.LEFT))

    def _verified(
        self, has: Sequence[Assignment] | GatewayError | None, wanted: set[str]
    ) -> RowOutcome:
        """Say where a customer is still in: through a legal entity or a group, as Emporix has it.

        The list of a customer's segments does not tell such ways, and to take out who is not in
        by oneself is no error there.
        """
        if isinstance(has, GatewayError):
            text = "All changes were made; what the customer has now could not be read."
            return RowOutcome(UNKNOWN, (self._error(text, Reason.PROVIDER_FAILED),))
        left = sorted({each.ref.segment for each in has or ()} - wanted)
        errors = [
            self._error(
                f"The customer is still in segment {key!r}: not by themselves, but through a "
                "legal entity or a group.",
                Reason.PROVIDER_REFUSED,
                "segmentIds",
            )
            for key in left
        ]
        return RowOutcome(NOT_UPDATED if errors else UPDATED, errors)

    def _half_done(self, step: Step, error: UserErrors | ProviderError, done: str) -> RowOutcome:
        """Say which step failed, and how many were done before."""
        is_unknown = isinstance(error, ProviderError) and error.was_sent
        reason = (
            error.errors[0].reason if isinstance(error, UserErrors) else Reason.PROVIDER_FAILED
        )
        text = f"Segment {step.segment!r} was not {step.verb}; {done} changes were made before."
        told = self._error(text, reason, "segmentIds")
        return RowOutcome(UNKNOWN if is_unknown else NOT_UPDATED, (told,))

    def _error(self, text: str, reason: Reason, *field: str) -> UserError:
        was_called = reason is not Reason.UNSUPPORTED
        request_id = self._dispatcher.request_id if was_called else None
        return UserError(text, reason, field or None, self._provider.key, request_id)


def assignee_of(assignment: Assignment) -> Assignee:
    """Return who an assignment is of."""
    return Assignee(assignment.ref.customer, assignment.ref.legal_entity)
