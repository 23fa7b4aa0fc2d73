"""Stuut's server: segments by priority, the segment of one partner, partners.

An update, a deletion, one segment alone and a segment's partners are not documented, and so not
implemented.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.sandbox.people import Person, scramble
from gateway.sandbox.replies import json_response
from gateway.sandbox.routing import RawRoute
from gateway.sandbox.stuut.conditions import check_conditions, holds
from gateway.sandbox.stuut.example import Partner, Segment, make_partners, make_segments
from gateway.sandbox.stuut.validation import (
    RefusalError,
    check_text,
    check_texts,
    check_whole,
    choice,
    missing,
    problem,
    read_object,
    refuse_all,
    whole,
)

CREDENTIALS: Mapping[str, str] = {"token": "sandbox-stuut-token"}
MAX_NAME = 128
DEFAULT_SEGMENTS, MAX_SEGMENTS = 100, 500
DEFAULT_PARTNERS, MAX_PARTNERS = 50, 200
# What partners can be sorted by is not readable in the documents; these are our choice.
SORTABLE = (
    *("id", "remote_id", "account_number"),
    *("invoice_balance", "total_overdue", "num_open_invoices"),
)


def build(cast: Sequence[Person], now: Callable[[], datetime]) -> Starlette:
    """Return a server with fresh state: the companies of the cast, and the example segments."""
    calls = Calls(make_partners(cast), make_segments(), now)
    segments = "/v2/customer-segments"
    app = Starlette(
        routes=[
            RawRoute(segments, calls.list_segments, methods=["GET"]),
            RawRoute(segments, calls.create, methods=["POST"]),
            RawRoute(f"{segments}/reorder", calls.reorder, methods=["POST"]),
            RawRoute(f"{segments}/partners/{{partner_id}}", calls.of_partner, methods=["GET"]),
            RawRoute("/v1/partners", calls.list_partners, methods=["GET"]),
        ],
        middleware=[Middleware(Authentication)],
        exception_handlers={RefusalError: _refuse, HTTPException: _refuse},
    )
    app.router.redirect_slashes = False
    return app


class Authentication:
    """Admits only requests with the token."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 itself, pass everything else on."""
        if scope["type"] != "http" or _has_token(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        refusal = json_response(
            {"detail": "Not authenticated"},
            HTTPStatus.UNAUTHORIZED,
            {"WWW-Authenticate": "Bearer"},
        )
        await refusal(scope, receive, send)


def _has_token(headers: Headers) -> bool:
    return headers.get("authorization") == f"Bearer {CREDENTIALS['token']}"


async def _refuse(_request: Request, error: Exception) -> Response:
    if isinstance(error, RefusalError):
        return json_response({"detail": error.detail}, error.status)
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    return json_response({"detail": HTTPStatus(status).phrase}, status, headers)


class Calls:
    """The handlers, and the state they share."""

    def __init__(
        self, partners: dict[str, Partner], segments: list[Segment], now: Callable[[], datetime]
    ) -> None:
        self._partners = partners
        self._segments = segments
        """Store the partners and segments; segments are ordered by priority, then by creation."""
        self._now = now
        self._partner_orders: dict[str, list[dict[str, Any]]] = {}

    async def list_segments(self, request: Request) -> Response:
        """Return a page, from 0, as a bare array: no total, and no sign whether there are more."""
        query = request.query_params
        page = whole(query, "page", 0, lowest=0)
        limit = whole(query, "limit", DEFAULT_SEGMENTS, lowest=1, highest=MAX_SEGMENTS)
        search = query.get("search", "").casefold()
        matches = [segment for segment in self._segments if search in segment.name.casefold()]
        return json_response([_show(row) for row in matches[page * limit : (page + 1) * limit]])

    async def create(self, request: Request) -> Response:
        """Create a segment; two may share a priority, but not a name, whatever its case."""
        body = await read_object(request)
        refuse_all(_check_new(body))
        name = body["name"]
        if any(segment.name.casefold() == name.casefold() for segment in self._segments):
            raise RefusalError(
                HTTPStatus.CONFLICT, f"Customer segment with name '{name}' already exists"
            )
        segment = Segment(
            id=f"seg_{scramble(9_000 + len(self._segments), 8)}",
            name=name,
            description=body.get("description"),
            priority=body["priority"],
            conditions=body.get("conditions", {}),
            created_at=self._now(),
        )
        self._segments.append(segment)
        self._sort()
        return json_response(_show(segment))

    async def reorder(self, request: Request) -> Response:
        """Give the listed segments the priorities 0, 1, …; the others follow in order."""
        body = await read_object(request)
        problems = missing(body, ["segment_ids"])
        loc = ("body", "segment_ids")
        ids = body.get("segment_ids", [])
        problems = problems or check_texts(ids, loc)
        if not problems and len(set(ids)) < len(ids):
            problems = [problem(loc, "Value error, ids must not repeat", "value_error")]
        refuse_all(problems)
        by_id = {segment.id: segment for segment in self._segments}
        for key in ids:
            if key not in by_id:
                raise RefusalError(HTTPStatus.NOT_FOUND, f"Customer segment '{key}' not found")
        listed = [by_id[key] for key in ids]
        others = [segment for segment in self._segments if segment not in listed]
        for priority, segment in enumerate([*listed, *others]):
            if segment.priority != priority:
                segment.priority, segment.modified_at = priority, self._now()
        self._sort()
        return json_response([_show(segment) for segment in self._segments])

    async def of_partner(self, request: Request) -> Response:
        """Return the matching segment of the lowest priority number, or null."""
        partner = self._partners.get(request.path_params["partner_id"])
        if partner is None:
            raise RefusalError(HTTPStatus.NOT_FOUND, "Partner not found")
        for segment in self._segments:
            if holds(segment.conditions, partner.traits):
                return json_response(_show(segment) | {"workflows": segment.workflows})
        return json_response(None)

    async def list_partners(self, request: Request) -> Response:
        """Return a page, from 0, under `data`: the older version of the API has an envelope."""
        query = request.query_params
        page = whole(query, "page", 0, lowest=0)
        limit = whole(query, "limit", DEFAULT_PARTNERS, lowest=1, highest=MAX_PARTNERS)
        direction = choice(query, "sort_order", "asc", ("asc", "desc"))
        rows = self._sorted_partners(choice(query, "sort_by", "account_number", SORTABLE))
        first, last = page * limit, (page + 1) * limit
        if direction == "desc":
            rows = rows[::-1]
        return json_response({"data": rows[first:last]})

    def _sorted_partners(self, key: str) -> list[dict[str, Any]]:
        """Return all partners in an order; cached, because partners never change here."""
        if key not in self._partner_orders:
            rows = [partner.shown for partner in self._partners.values()]
            self._partner_orders[key] = sorted(rows, key=lambda row: (row[key], row["id"]))
        return self._partner_orders[key]

    def _sort(self) -> None:
        self._segments.sort(key=lambda segment: (segment.priority, segment.created_at))


def _check_new(body: Mapping[str, Any]) -> list[Any]:
    problems = missing(body, ["name", "priority"])
    if "name" in body:
        problems += check_text(body["name"], ("body", "name"), 1, MAX_NAME)
    if "priority" in body:
        problems += check_whole(body["priority"], ("body", "priority"), 0)
    description = body.get("description")
    if description is not None and not isinstance(description, str):
        loc = ("body", "description")
        problems.append(problem(loc, "Input should be a valid string", "string_type"))
    if "conditions" in body:
        problems += check_conditions(body["conditions"], ("body", "conditions"))
    return problems


def _show(segment: Segment) -> dict[str, Any]:
    return {
        "id": segment.id,
        "name": segment.name,
        "description": segment.description,
        "priority": segment.priority,
        "conditions": segment.conditions,
        "created_at": segment.created_at,
        "modified_at": segment.modified_at,
        "object": "customer_segment",
    }
