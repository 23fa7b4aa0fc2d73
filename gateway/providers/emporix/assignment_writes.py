"""The part of the adapter that assigns customers and items to segments and removes them.

Facts: the OpenAPI file of the customer segment service in github.com/emporix/api-references,
read 2026-11-21. Assigning what is already assigned is not an error there, nor is removing what is
not assigned.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from gateway.domain.entities import ItemKind
from gateway.domain.mutations import Assignee, Outcome, RowResult
from gateway.errors import BadInput
from gateway.providers.base.decoding import path_part
from gateway.providers.base.exchange import Call, Exchange, Reply, json_call
from gateway.providers.emporix import paths
from gateway.providers.emporix.model import Account
from gateway.providers.emporix.write_replies import (
    ASSIGNING,
    ASSIGNMENT_FIELDS,
    GONE,
    NEW_OR_NOT,
    BulkWrite,
    SingleWrite,
)

UNASSIGNED = frozenset({HTTPStatus.NO_CONTENT})
ASSIGNED = UNASSIGNED | {HTTPStatus.CREATED}


class AssignmentWrites:
    """Assigns customers (in B2B through a legal entity) and items."""

    _account: Account
    _segments_path: str

    def assign(self, segment: str, assignee: Assignee) -> Exchange[bool]:
        """Assign a customer to a segment; True if the assignment is new."""
        write = SingleWrite(
            self._account.key, "assignments.create", ASSIGNED, ASSIGNING, ASSIGNMENT_FIELDS
        )

        def read(reply: Reply) -> bool:
            write.accept(reply)
            return reply.status == HTTPStatus.CREATED

        call = json_call("PUT", self._assignment_path(segment, assignee), {})
        return Exchange(write.operation, call, read)

    def unassign(self, segment: str, assignee: Assignee) -> Exchange[None]:
        """Remove a customer from a segment."""
        write = SingleWrite(
            self._account.key, "assignments.delete", UNASSIGNED, ASSIGNING, ASSIGNMENT_FIELDS
        )
        call = Call("DELETE", self._assignment_path(segment, assignee))
        return Exchange(write.operation, call, write.accept)

    def assign_many(self, segment: str, rows: Sequence[Assignee]) -> Exchange[Sequence[RowResult]]:
        """Assign customers to a segment."""
        body, path = [_keys_of(assignee) for assignee in rows], self._customers_of(segment)
        return self._many("assignments.bulk_create", "PUT", path, body, NEW_OR_NOT)

    def unassign_many(
        self, segment: str, rows: Sequence[Assignee]
    ) -> Exchange[Sequence[RowResult]]:
        """Remove customers from a segment."""
        body, path = [_keys_of(assignee) for assignee in rows], self._customers_of(segment)
        return self._many("assignments.bulk_delete", "DELETE", path, body, GONE)

    def assign_items(
        self, segment: str, kind: ItemKind, keys: Sequence[str]
    ) -> Exchange[Sequence[RowResult]]:
        """Assign products or categories to a segment."""
        body, path = [{"id": key} for key in keys], self._items_of(segment, kind)
        return self._many("items.bulk_assign", "PUT", path, body, NEW_OR_NOT)

    def unassign_items(
        self, segment: str, kind: ItemKind, keys: Sequence[str]
    ) -> Exchange[Sequence[RowResult]]:
        """Remove products or categories from a segment."""
        path = self._items_of(segment, kind)
        return self._many("items.bulk_unassign", "DELETE", path, keys, GONE)

    def _customers_of(self, segment: str) -> str:
        return f"{self._segments_path}/{path_part(segment)}/customers"

    def _assignment_path(self, segment: str, assignee: Assignee) -> str:
        if assignee.legal_entity is None:
            return paths.one(self._customers_of(segment), assignee.customer)
        customer, entity = path_part(assignee.customer), path_part(assignee.legal_entity)
        return f"{self._customers_of(segment)}/{customer}/{entity}"

    def _items_of(self, segment: str, kind: ItemKind) -> str:
        if kind is ItemKind.UNKNOWN:
            raise BadInput("The kind of an item is PRODUCT or CATEGORY.")
        return f"{self._segments_path}/{path_part(segment)}/items/{kind.value}"

    def _many(
        self,
        operation: str,
        method: str,
        path: str,
        rows: Sequence[Any],
        outcomes: Mapping[int, Outcome],
    ) -> Exchange[Sequence[RowResult]]:
        # The rows of these replies have no ids.
        bulk = BulkWrite(self._account.key, operation, [None] * len(rows), outcomes, ASSIGNING)
        call = json_call(method, paths.many(path), rows)
        return Exchange(operation, call, bulk.read, keys=len(rows))


def _keys_of(assignee: Assignee) -> Mapping[str, str]:
    keys = {"customerId": assignee.customer}
    if assignee.legal_entity is not None:
        keys["legalEntityId"] = assignee.legal_entity
    return keys
