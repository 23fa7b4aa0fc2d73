"""Assign customers one by one, where a provider has no call for many."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from gateway.domain.mutations import Assignee, Outcome, RowResult
from gateway.providers.base.exchange import Exchange, Reply


class _Assigns(Protocol):
    """What the adapter has."""

    def assign(self, segment: str, assignee: Assignee) -> Exchange[bool]: ...

    def unassign(self, segment: str, assignee: Assignee) -> Exchange[None]: ...


class AssignsOneByOne:
    """The rest of `AssignsCustomers`, for adapters that have `assign` and `unassign`."""

    rows_per_call: ClassVar[int] = 1

    def assign_many(
        self: _Assigns, segment: str, rows: Sequence[Assignee]
    ) -> Exchange[Sequence[RowResult]]:
        """Assign the only customer of the rows."""
        (assignee,) = rows
        single = self.assign(segment, assignee)

        def read(reply: Reply) -> Sequence[RowResult]:
            return [RowResult(Outcome.CREATED if single.read(reply) else Outcome.UPDATED)]

        return Exchange(single.operation, single.call, read, single.is_idempotent, keys=1)

    def unassign_many(
        self: _Assigns, segment: str, rows: Sequence[Assignee]
    ) -> Exchange[Sequence[RowResult]]:
        """Remove the only customer of the rows."""
        (assignee,) = rows
        single = self.unassign(segment, assignee)

        def read(reply: Reply) -> Sequence[RowResult]:
            single.read(reply)
            return [RowResult(Outcome.DELETED)]

        return Exchange(single.operation, single.call, read, single.is_idempotent, keys=1)
