"""Instaleap as a local server. Facts: the vendor's page "Customer Segments".

One call, which replaces the segments of customers and returns the ids of updated ones. Not
documented, our decisions: the status is 200, null and [] both clear, the response has the order of
the request, and error bodies have the shape of the reverse call ("Customer Segments Gateway").
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox.people import Person
from gateway.sandbox.replies import json_response

KIND = "instaleap"
CREDENTIALS: Mapping[str, str] = {"token": "sandbox-instaleap-token"}
EXAMPLE_EVERY = 6
"""One customer of this many has segments at the start; all companies have."""
RECORDED = 4
"""Customers whose segments the gateway's record has at the start."""


class Segment(Struct):
    """A segment: free text, no vocabulary."""

    type: str
    value: str


class Customer(Struct):
    """A customer and their new segments; `segments` is required, but may be null."""

    document_id: str
    segments: list[Segment] | None


class Replacement(Struct):
    """The body: at least one customer."""

    customers: Annotated[list[Customer], Meta(min_length=1)]


def build(cast: Sequence[Person], now: Callable[[], datetime]) -> Starlette:  # noqa: ARG001 - the same signature for every provider; nothing here has a time
    """Return a server with its own state: `state.segments` maps document id to segments.

    Customers are those of the cast with an Instaleap id; the call creates none.
    """
    app = Starlette(routes=[Route("/api/v3/customers/segments", replace, methods=["POST"])])
    app.state.segments = {
        one.instaleap_id: _example(one) for one in cast if one.instaleap_id is not None
    }
    return app


async def replace(request: Request) -> Response:
    """Replace the segments of each known customer; only the first entry of one counts."""
    if request.headers.get("authorization") != f"Bearer {CREDENTIALS['token']}":
        return _error(HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED", "The access token is not valid.")
    try:
        body = msgspec.json.decode(await request.body(), type=Replacement)
    except ValueError as error:
        return _error(HTTPStatus.BAD_REQUEST, "INVALID_BODY", str(error))
    segments: dict[str, list[dict[str, str]]] = request.app.state.segments
    updated: dict[str, None] = {}
    for customer in body.customers:
        if customer.document_id in segments and customer.document_id not in updated:
            segments[customer.document_id] = msgspec.to_builtins(customer.segments or [])
            updated[customer.document_id] = None
    return json_response({"updatedCustomers": list(updated)})


def _example(person: Person) -> list[dict[str, str]]:
    """Return the initial segments of a customer: usually none."""
    segments = [{"type": "membership", "value": person.tier.upper()}]
    if person.company:
        return [*segments, {"type": "buyer", "value": person.industry or ""}]
    return [] if person.n % EXAMPLE_EVERY else segments


def recorded_examples(cast: Sequence[Person]) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Return a few customers with their segments, as if these had been written: (type, value)."""
    known = [one for one in cast if one.instaleap_id is not None and _example(one)]
    return {
        str(one.instaleap_id): [(each["type"], each["value"]) for each in _example(one)]
        for one in known[:RECORDED]
    }


def _error(status: HTTPStatus, code: str, message: str) -> Response:
    return json_response({"error": {"code": code, "message": message}}, status)
