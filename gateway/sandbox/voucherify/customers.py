"""Voucherify's customer reads, and deletion: list, get, segments of one."""

from bisect import bisect_right
from datetime import datetime
from http import HTTPStatus

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from gateway.sandbox.replies import json_response
from gateway.sandbox.voucherify.project import (
    EXACT_FIELDS,
    NEWEST_FIRST,
    SORT_KEYS,
    TIME_KEYS,
    Project,
)
from gateway.sandbox.voucherify.records import Customer, show_customer
from gateway.sandbox.voucherify.refusals import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    choice,
    invalid_query,
    moment,
    not_found,
    refuse_unknown,
    whole,
)
from gateway.sandbox.voucherify.webhooks import CustomerWebhooks

MAX_PAGE = 99
ORDERS = tuple(sign + key for key in SORT_KEYS for sign in ("", "-"))
WINDOWS = ("created_at[before]", "created_at[after]", "updated_at[before]", "updated_at[after]")
LIST_PARAMETERS = {
    *("limit", "page", "order", "starting_after", "segment_id"),
    *EXACT_FIELDS,
    *WINDOWS,
}


class CustomerReads:
    """The handlers of GET under `/v1/customers`, and of DELETE."""

    def __init__(self, project: Project, webhooks: CustomerWebhooks) -> None:
        self._project = project
        self._webhooks = webhooks

    async def page(self, request: Request) -> Response:
        """Return a page of customers: by number (the first 9,900 rows) or after a date.

        `total` counts all that match, wherever the page starts. An unknown segment has no members.
        """
        query = request.query_params
        refuse_unknown(query, LIST_PARAMETERS)
        limit = whole(query, "limit", DEFAULT_LIMIT, MAX_LIMIT)
        first = (whole(query, "page", 1, MAX_PAGE) - 1) * limit
        order = choice(query, "order", ORDERS) or NEWEST_FIRST
        starting_after = moment(query, "starting_after")
        matches = _in_windows(self._select(query, order), query)
        total = len(matches)
        if starting_after is not None:
            matches = _after(matches, order, starting_after)
        return json_response(
            {
                "object": "list",
                "data_ref": "customers",
                "customers": [show_customer(row) for row in matches[first : first + limit]],
                "total": total,
                "has_more": len(matches) > first + limit,
            }
        )

    async def get(self, request: Request) -> Response:
        """Return one customer, by id or source_id."""
        return json_response(show_customer(self.find(request)))

    async def segments(self, request: Request) -> Response:
        """Return the segments of a customer; for an unknown one, those it would match."""
        key = request.path_params["customer_id"]
        customer = self._project.customer(key) or Customer(
            id="", source_id=key, created_at=self._project.now()
        )
        rows = [
            {"id": segment.id, "name": segment.name, "object": "segment"}
            for segment in self._project.segments_of(customer)
        ]
        return json_response(
            {"object": "list", "data_ref": "data", "data": rows, "total": len(rows)}
        )

    async def delete(self, request: Request) -> Response:
        """Delete one customer and its memberships."""
        customer = self.find(request)
        self._project.remove(customer)
        self._webhooks.report_deleted(customer)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def find(self, request: Request) -> Customer:
        """Return the customer the path names, or refuse with 404."""
        key: str = request.path_params["customer_id"]
        customer = self._project.customer(key)
        if customer is None:
            raise not_found("customer", key)
        return customer

    def _select(self, query: QueryParams, order: str) -> list[Customer]:
        exact = {name: query[name] for name in EXACT_FIELDS if name in query}
        segment_id = query.get("segment_id")
        if segment_id is None:
            return self._project.view(None, order, exact)
        segment = self._project.segments.get(segment_id)
        return [] if segment is None else self._project.view(segment, order, exact)


def _in_windows(rows: list[Customer], query: QueryParams) -> list[Customer]:
    """Return the customers within the date windows, both ends excluded."""
    for name in WINDOWS:
        edge = moment(query, name)
        if edge is not None:
            field, _, side = name.removesuffix("]").partition("[")
            rows = [row for row in rows if _is_inside(getattr(row, field), side, edge)]
    return rows


def _is_inside(when: datetime | None, side: str, edge: datetime) -> bool:
    if when is None:
        return False
    return when < edge if side == "before" else when > edge


def _after(rows: list[Customer], order: str, place: datetime) -> list[Customer]:
    """Return the rows after a date, in the direction of the order, without rows of that same date.

    Documented for the default order, created_at and updated_at; not possible with source_id.
    """
    name = order.removeprefix("-")
    if name == "source_id":
        raise invalid_query("Property .starting_after cannot be used with that order")
    when = TIME_KEYS[name]
    if order.startswith("-"):
        first = bisect_right(rows, -place.timestamp(), key=lambda row: -when(row).timestamp())
    else:
        first = bisect_right(rows, place, key=when)
    return rows[first:]
