"""The part of the adapter that puts customers and items into segments and takes them out.

Facts: the OpenAPI file of the customer segment service in github.com/emporix/api-references,
read 2026-11-21. To assign what is assigned already is no error there, nor to take out what is
not in.
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
from gateway.providers.emporix.answers import (
    ASSIGNING,
    ASSIGNMENT_FIELDS,
    GONE,
    NEW_OR_NOT,
    Bulk,
    Single,
)
from gateway.providers.emporix.model import Account

UNASSIGNED = frozenset({HTTPStatus.NO_CONTENT})
ASSIGNED = UNASSIGNED | {HTTPStatus.CREATED}


class AssignmentWrites:
    """Assigns customers, in B2B through a legal entity, and items."""

    _account: Account
    _segments_path: str

    def assign(self, segment: str, who: Assignee) -> Exchange[bool]:
        """Put a customer into a segment; True when they were not there before."""
        asked = Single(
            self._account.key, "assignments.create", ASSIGNED, ASSIGNING, ASSIGNMENT_FIELDS
        )

        def read(reply: Reply) -> bool:
            asked.accept(reply)
            return reply.status == HTTPStatus.CREATED

        return Exchange(asked.operation, json_call("PUT", self._place(segment, who), {}), read)

    def unassign(self, segment: str, who: Assignee) -> Exchange[None]:
        """Take a customer out of a segment."""
        asked = Single(
            self._account.key, "assignments.delete", UNASSIGNED, ASSIGNING, ASSIGNMENT_FIELDS
        )
        call = Call("DELETE", self._place(segment, who))
        return Exchange(asked.operation, call, asked.accept)

    def assign_many(self, segment: str, rows: Sequence[Assignee]) -> Exchange[Sequence[RowResult]]:
        """Put customers into a segment."""
        whom, path = [_named(who) for who in rows], self._customers_of(segment)
        return self._many("assignments.bulk_create", "PUT", path, whom, NEW_OR_NOT)

    def unassign_many(
        self, segment: str, rows: Sequence[Assignee]
    ) -> Exchange[Sequence[RowResult]]:
        """Take customers out of a segment."""
        whom, path = [_named(who) for who in rows], self._customers_of(segment)
        return self._many("assignments.bulk_delete", "DELETE", path, whom, GONE)

    def assign_items(
        self, segment: str, kind: ItemKind, keys: Sequence[str]
    ) -> Exchange[Sequence[RowResult]]:
        """Put products or categories into a segment."""
        what, path = [{"id": key} for key in keys], self._items_of(segment, kind)
        return self._many("items.bulk_assign", "PUT", path, what, NEW_OR_NOT)

    def unassign_items(
        self, segment: str, kind: ItemKind, keys: Sequence[str]
    ) -> Exchange[Sequence[RowResult]]:
        """Take products or categories out of a segment."""
        path = self._items_of(segment, kind)
        return self._many("items.bulk_unassign", "DELETE", path, keys, GONE)

    def _customers_of(self, segment: str) -> str:
        return f"{self._segments_path}/{path_part(segment)}/customers"

    def _place(self, segment: str, who: Assignee) -> str:
        if who.legal_entity is None:
            return paths.one(self._customers_of(segment), who.customer)
        customer, entity = path_part(who.customer), path_part(who.legal_entity)
        return f"{self._customers_of(segment)}/{customer}/{entity}"

    def _items_of(self, segment: str, kind: ItemKind) -> str:
        if kind is ItemKind.UNKNOWN:
            raise BadInput("Items are assigned by the kinds PRODUCT and CATEGORY.")
        return f"{self._segments_path}/{path_part(segment)}/items/{kind.value}"

    def _many(
        self,
        operation: str,
        method: str,
        path: str,
        rows: Sequence[Any],
        done: Mapping[int, Outcome],
    ) -> Exchange[Sequence[RowResult]]:
        # The rows of these answers tell no ids.
        bulk = Bulk(self._account.key, operation, [None] * len(rows), done, ASSIGNING)
        return Exchange(operation, json_call(method, paths.many(path), rows), bulk.read)


def _named(who: Assignee) -> Mapping[str, str]:
    names = {"customerId": who.customer}
    return names if who.legal_entity is None else {**names, "legalEntityId": who.legal_entity}
