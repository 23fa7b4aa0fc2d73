"""Bulk calls: one independent result per item, in the order of the request."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from gateway.sandbox.emporix.faults import RefusedError, invalid
from gateway.sandbox.emporix.operations import ApiCall
from gateway.sandbox.replies import json_response

LIMIT_ITEMS = 200
WORDS = {HTTPStatus.CREATED: "Created", HTTPStatus.NO_CONTENT: "OK"}


def bulk(call: ApiCall, one: Callable[[Any], tuple[HTTPStatus, str | None]]) -> Response:
    """Process each item on its own and return 207; RefusedError (400) for more than 200.

    `one` returns the item's status, and its id if the service returns ids. The index counts from
    1, as in every example. Our decision: 207 even if every item failed.
    """
    items = call.json()
    if not isinstance(items, list):
        raise invalid("must be an array")
    if len(items) > LIMIT_ITEMS:
        raise invalid(f"at most {LIMIT_ITEMS} items")
    results = []
    for index, item in enumerate(items, start=1):
        result: dict[str, Any] = {"index": index}
        try:
            status, item_id = one(item)
        except RefusedError as error:
            body = error.segment_body()
            result |= {name: body[name] for name in ("code", "status", "message")}
        else:
            result |= {"id": item_id} if item_id is not None else {}
            result |= {"code": status.value, "status": WORDS[status]}
        results.append(result)
    return json_response(results, HTTPStatus.MULTI_STATUS)
