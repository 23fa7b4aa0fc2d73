"""The customer service, tenant-managed: `/customer/{tenant}/customers`.

Our decisions: the `Count` header is the number of all that match; a stale `metadata.version` is
409 on PUT and ignored on PATCH (which documents no 409); deleting a customer removes their segment
assignments.
"""

from collections.abc import Callable
from http import HTTPStatus
from itertools import count
from typing import Any

import msgspec
from msgspec import UNSET
from starlette.responses import Response

from gateway.sandbox.emporix.bodies import CustomerBody, is_stale, read
from gateway.sandbox.emporix.faults import RefusedError, forbidden, invalid
from gateway.sandbox.emporix.listing import Row, page_of, query_text
from gateway.sandbox.emporix.operations import ApiCall, Operation, operation
from gateway.sandbox.emporix.tenant import Tenant
from gateway.sandbox.emporix.webhooks import CREATED, CUSTOMER, DELETED, UPDATED
from gateway.sandbox.replies import json_response

READ = "customer.customer_read"
READ_OWN = "customer.customer_read_own"
MANAGE = "customer.customer_manage"
MANAGE_OWN = "customer.customer_manage_own"
PATH = "/customer/{tenant}/customers"
ONE = PATH + "/{customerNumber}"
EXPANDED_BY = {
    "addresses": "addresses",
    "defaultAddress": "addresses",
    "accounts": "accounts",
    "mixins": "mixin:",
}
FIRST_GENERATED_NUMBER = 34_751_075
EVENT_FIELDS = frozenset(
    {
        *("customerNumber", "id", "title", "firstName", "lastName", "middleName", "company"),
        *("preferredSite", "preferredCurrency", "preferredLanguage", "accounts"),
        *("contactPhone", "contactEmail", "active", "onHold", "b2b", "type", "metadata", "mixins"),
    }
)
"""The fields of `customer.created`; an update has some more that the sandbox leaves out."""
SERVER_FIELDS = ("id", "customerNumber", "businessModel", "metadataCreatedAt", "metadata")


class Customers:
    """The operations on customers."""

    def __init__(self, tenant: Tenant, tenant_name: str) -> None:
        self._tenant = tenant
        self._tenant_name = tenant_name
        self._customers = tenant.customers
        self._numbers = count(FIRST_GENERATED_NUMBER)

    def operations(self) -> list[Operation]:
        """Return the operations of this resource."""
        return [
            operation("GET", PATH, self.list_all, READ, READ_OWN),
            operation("POST", PATH, self.create, MANAGE, MANAGE_OWN),
            operation("POST", PATH + "/search", self.search, READ, READ_OWN),
            operation("GET", ONE, self.get, READ, READ_OWN),
            operation("PUT", ONE, self.upsert, MANAGE, MANAGE_OWN),
            operation("PATCH", ONE, self.patch, MANAGE, MANAGE_OWN),
            operation("DELETE", ONE, self.delete, MANAGE, MANAGE_OWN),
        ]

    def list_all(self, call: ApiCall) -> Response:
        """List customers, 60 a page by default."""
        return self._list(call, call.query.get("q", ""))

    def search(self, call: ApiCall) -> Response:
        """List customers, with `q` in the body."""
        return self._list(call, query_text(call))

    def get(self, call: ApiCall) -> Response:
        """Read one customer."""
        return json_response(_expanded(call)(self._existing(call, READ)))

    def create(self, call: ApiCall) -> Response:
        """Create a customer; the response is only the id."""
        body = read(call.json(), CustomerBody)
        number = str(next(self._numbers)) if body.id is UNSET else body.id
        if self._customers.get(number):
            raise self._duplicate(number)
        self._put(number, body)
        return json_response({"id": number}, HTTPStatus.CREATED)

    def upsert(self, call: ApiCall) -> Response:
        """Replace a customer, or create one under this number."""
        number = call.path["customerNumber"]
        body = read(call.json(), CustomerBody)
        read({"id": number}, CustomerBody)
        old = self._customers.get(number)
        if old is None:
            self._put(number, body)
            return json_response({"id": number}, HTTPStatus.CREATED)
        customer = call.confined_to(MANAGE)
        if customer and not self._is_visible(old, customer):
            raise forbidden()
        if is_stale(body.metadata, old["metadata"]["version"]):
            raise RefusedError(
                HTTPStatus.CONFLICT, "The resource you are attempting to access has changed."
            )
        self._put(number, body)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def patch(self, call: ApiCall) -> Response:
        """Change the fields that are sent, as a merge patch: null removes. 200 without a body."""
        old = self._existing(call, MANAGE)
        sent = call.json()
        if not isinstance(sent, dict):
            raise invalid("must be an object")
        document = {name: part for name, part in old.items() if name not in SERVER_FIELDS}
        document["metadata"] = {name: old["metadata"].get(name, {}) for name in ("mixins",)}
        self._put(old["id"], read(_merged(document, sent), CustomerBody))
        return Response(status_code=HTTPStatus.OK)

    def delete(self, call: ApiCall) -> Response:
        """Remove a customer: 202, without a body."""
        row = self._existing(call, MANAGE)
        self._tenant.customer_links.drop_owner(row["id"])
        self._customers.drop(row["id"])
        gone = {"customerNumber": row["id"], "email": row.get("contactEmail", "")}
        self._tenant.emit(CUSTOMER + DELETED, gone)
        return Response(status_code=HTTPStatus.ACCEPTED)

    def _list(self, call: ApiCall, query: str) -> Response:
        rows = self._customers.find(query, call.query.get("sort", ""))
        customer = call.confined_to(READ)
        if customer:
            rows = [row for row in rows if self._is_visible(row, customer)]
        shown = _expanded(call)
        body = [shown(row) for row in page_of(call, rows)]
        return json_response(body, headers={"Count": str(len(rows))})

    def _existing(self, call: ApiCall, scope: str) -> Row:
        number = call.path["customerNumber"]
        row = self._customers.get(number)
        customer = call.confined_to(scope)
        if row is None or (customer and not self._is_visible(row, customer)):
            reason = f"Couldn't find a customer with customerNumber '{number}'"
            raise RefusedError(HTTPStatus.NOT_FOUND, "Customer not Found", reason=reason)
        return row

    def _is_visible(self, row: Row, customer: str) -> bool:
        """Return whether a shopper may see a customer: themselves and those of their companies."""
        mine, theirs = (self._tenant.legal_entities(one) for one in (customer, row["id"]))
        return row["id"] == customer or not mine.keys().isdisjoint(theirs)

    def _put(self, number: str, body: CustomerBody) -> None:
        owner = body.contact_email and self._customers.owner("contactEmail", body.contact_email)
        if owner and owner != number:
            raise self._duplicate(str(body.contact_email))
        old = self._customers.get(number)
        row = {"id": number, "customerNumber": number, **_unchanged(old)}
        sent = msgspec.to_builtins(body)
        row |= {name: part for name, part in sent.items() if name not in {"id", "b2b", "metadata"}}
        if "b2b" in sent or "b2b" in row:
            row["b2b"] = sent.get("b2b", {}) | row.get("b2b", {})
        row["businessModel"] = "B2B" if "b2b" in row else "B2C"
        row["metadata"] = {"version": old["metadata"]["version"] + 1 if old else 1}
        if body.metadata and body.metadata.mixins:
            row["metadata"]["mixins"] = body.metadata.mixins
        row["metadataCreatedAt"] = old["metadataCreatedAt"] if old else self._tenant.now()
        self._customers.put(row)
        shown = {name: part for name, part in row.items() if name in EVENT_FIELDS}
        self._tenant.emit(CUSTOMER + (UPDATED if old else CREATED), shown)

    def _duplicate(self, account: str) -> RefusedError:
        text = f"Duplicate account '{account}' for tenant '{self._tenant_name}'."
        return RefusedError(HTTPStatus.CONFLICT, text)


def _unchanged(old: Row | None) -> Row:
    """Return the fields that a write leaves unchanged, because other services own them."""
    known = old or {}
    names = ("addresses", "defaultAddress", "accounts")
    unchanged = {name: known[name] for name in names if name in known}
    entities = known.get("b2b", {}).get("legalEntities")
    return unchanged | ({"b2b": {"legalEntities": entities}} if entities else {})


def _merged(target: Any, patch: Any) -> Any:
    """Return a document after a merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, part in patch.items():
        if part is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), part)
    return merged


def _expanded(call: ApiCall) -> Callable[[Row], Row]:
    """Return how a customer is shown: addresses, accounts and mixins only with `expand`."""
    expand = {name.strip() for name in call.query.get("expand", "").split(",")}
    mixins = {name.removeprefix("mixin:") for name in expand if name.startswith("mixin:")}
    hidden = {name for name, word in EXPANDED_BY.items() if word not in expand}

    def shown(row: Row) -> Row:
        parts = {name: part for name, part in row.items() if name not in hidden}
        if mixins and "mixins" in row:
            parts["mixins"] = {
                name: part for name, part in row["mixins"].items() if mixins & {"*", name}
            }
        return parts

    return shown
