"""Customers in segments: `/customer-segment/{tenant}/segments/{segmentId}/customers`.

An assignment is for a customer (B2C), or for a customer through one legal entity (B2B): the same
customer may be in a segment once per legal entity. Our decisions: an unknown segment, customer or
legal entity is 400 on writing; names and addresses are the customer's current ones.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from msgspec import UNSET
from starlette.responses import Response

from gateway.sandbox.emporix import faults
from gateway.sandbox.emporix.bodies import AssignmentBody, read
from gateway.sandbox.emporix.bulk import bulk
from gateway.sandbox.emporix.listing import Row, listed, projected, query_text, selected
from gateway.sandbox.emporix.operations import ApiCall, Operation, operation
from gateway.sandbox.emporix.segments import MANAGE, ONE, READ, READ_OWN
from gateway.sandbox.emporix.tenant import Key, Tenant
from gateway.sandbox.emporix.webhooks import CREATED, CUSTOMER_ASSIGNMENT, DELETED, UPDATED
from gateway.sandbox.replies import json_response

CUSTOMERS = ONE + "/customers"
B2C = CUSTOMERS + "/{customerId}"
B2B = B2C + "/{legalEntityId}"


class CustomerAssignments:
    """The operations on the customers of a segment."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._links = tenant.customer_links

    def operations(self) -> list[Operation]:
        """Return the operations of this resource."""
        return [
            operation("GET", CUSTOMERS, self.list_all, READ, READ_OWN),
            operation("POST", CUSTOMERS + "/search", self.search, READ),
            operation("PUT", CUSTOMERS + "/bulk", self.upsert_bulk, MANAGE),
            operation("DELETE", CUSTOMERS + "/bulk", self.delete_bulk, MANAGE),
            *(
                one
                for path in (B2C, B2B)
                for one in (
                    operation("GET", path, self.get, READ),
                    operation("PUT", path, self.upsert, MANAGE),
                    operation("DELETE", path, self.delete, MANAGE),
                )
            ),
        ]

    def list_all(self, call: ApiCall) -> Response:
        """List a segment's customers; no segment means no customers, because no 404 is documented.

        Our decision: shoppers see only themselves, and only in their own ACTIVE segments.
        """
        customer = call.confined_to(READ)
        rows = self._rows(call.path["segmentId"])
        if customer:
            own = {row["id"] for row in self._tenant.own_segments(customer)}
            is_own = call.path["segmentId"] in own
            rows = [row for row in rows if is_own and row["customer"]["id"] == customer]
        return self._list(call, rows, call.query.get("q", ""))

    def search(self, call: ApiCall) -> Response:
        """List a segment's customers, with `q` in the body."""
        return self._list(call, self._rows(call.path["segmentId"]), query_text(call))

    def get(self, call: ApiCall) -> Response:
        """Read one assignment."""
        key = _key(call)
        link = self._links.of(call.path["segmentId"]).get(key)
        if link is None:
            raise faults.not_found(key[1] or key[0])
        return json_response(projected(self._shown(key, link), call.query.get("fields")))

    def upsert(self, call: ApiCall) -> Response:
        """Assign a customer: 201 if new, 204 if it existed, both without a body."""
        body = read(call.json(), AssignmentBody) if call.body else AssignmentBody()
        return Response(status_code=self._upsert(call.path["segmentId"], _key(call), body))

    def delete(self, call: ApiCall) -> Response:
        """Remove an assignment; removing a missing one is not an error (our decision)."""
        self._drop(call.path["segmentId"], _key(call))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def upsert_bulk(self, call: ApiCall) -> Response:
        """Assign up to 200 customers; the results carry no ids."""

        def one(item: Any) -> tuple[HTTPStatus, None]:
            body = read(item, AssignmentBody)
            return self._upsert(call.path["segmentId"], _bulk_key(body), body), None

        return bulk(call, one)

    def delete_bulk(self, call: ApiCall) -> Response:
        """Remove up to 200 assignments."""

        def one(item: Any) -> tuple[HTTPStatus, None]:
            self._drop(call.path["segmentId"], _bulk_key(read(item, AssignmentBody)))
            return HTTPStatus.NO_CONTENT, None

        return bulk(call, one)

    def _list(self, call: ApiCall, rows: Sequence[Row], query: str) -> Response:
        rows = selected(rows, query, call.query.get("sort", ""))
        return listed(call, rows, lambda row: row)

    def _rows(self, segment_id: str) -> list[Row]:
        return [self._shown(key, link) for key, link in self._links.of(segment_id).items()]

    def _shown(self, key: Key, link: Row) -> Row:
        customer_id, legal_entity_id = key
        customer = self._tenant.customers.get(customer_id) or {}
        names = {"firstName": "firstName", "lastName": "lastName", "email": "contactEmail"}
        known = {mine: customer[its] for mine, its in names.items() if its in customer}
        row: Row = {"customer": {"id": customer_id, **known}}
        if legal_entity_id:
            entity = self._tenant.legal_entities(customer_id)[legal_entity_id]
            row["legalEntity"] = {"id": legal_entity_id, "name": entity["name"]}
        return row | {"assignmentType": "MANUAL"} | link

    def _upsert(self, segment_id: str, key: Key, body: AssignmentBody) -> HTTPStatus:
        customer_id, legal_entity_id = key
        if self._tenant.segments.get(segment_id) is None:
            raise faults.invalid("no such segment", "segmentId")
        if self._tenant.customers.get(customer_id) is None:
            raise faults.invalid("no such customer", "customerId")
        if legal_entity_id and legal_entity_id not in self._tenant.legal_entities(customer_id):
            raise faults.invalid("not a legal entity of this customer", "legalEntityId")
        is_new = self._links.upsert(segment_id, key, body, self._tenant.now())
        shown = self._shown(key, self._links.of(segment_id)[key])
        event_type = CUSTOMER_ASSIGNMENT + (CREATED if is_new else UPDATED)
        self._tenant.emit(event_type, {"segmentId": segment_id, **shown})
        return HTTPStatus.CREATED if is_new else HTTPStatus.NO_CONTENT

    def _drop(self, segment_id: str, key: Key) -> None:
        if self._links.drop(segment_id, key):
            customer_id, legal_entity_id = key
            gone = {"segmentId": segment_id, "customerId": customer_id}
            gone |= {"legalEntityId": legal_entity_id} if legal_entity_id else {}
            self._tenant.emit(CUSTOMER_ASSIGNMENT + DELETED, gone)


def _key(call: ApiCall) -> Key:
    return call.path["customerId"], call.path.get("legalEntityId", "")


def _bulk_key(body: AssignmentBody) -> Key:
    if body.customer_id is UNSET:
        raise faults.invalid("is required", "customerId")
    return body.customer_id, body.legal_entity_id
