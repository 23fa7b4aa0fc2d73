"""Voucherify's segment calls: list, create, get, delete."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.sandbox.replies import json_response
from gateway.sandbox.voucherify.filters import BadFilterError, Predicate, compile_filter
from gateway.sandbox.voucherify.project import NEWEST_FIRST, Project, newest_first
from gateway.sandbox.voucherify.records import (
    AUTO_UPDATE,
    DYNAMIC,
    PASSIVE,
    STATIC,
    Segment,
    customer_field,
    segment_field,
    show_segment,
)
from gateway.sandbox.voucherify.refusals import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    RefusalError,
    choice,
    invalid_payload,
    invalid_query,
    not_found,
    read_object,
    whole,
)

MAX_STATIC_MEMBERS, MAX_DYNAMIC_SEGMENTS = 20_000, 100

# filters[junction]=…, filters[name][conditions][$in][0]=…; how an array is spelt is not
# documented: a repeated key, [] and [0] are all taken.
FILTER = re.compile(r"filters\[(\w+)\](?:\[conditions\]\[(\$\w+)\](\[\d*\])?)?")
IDS = re.compile(r"ids(\[\d*\])?")
TEXT_OPERATORS = {
    *("$in", "$not_in", "$is", "$is_not", "$has_value", "$is_unknown"),
    *("$starts_with", "$ends_with"),
}
LIST_OPERATORS = {
    "id": TEXT_OPERATORS | {"$contains", "$not_contain"},
    "name": TEXT_OPERATORS | {"$contains", "$not_contain"},
    "type": TEXT_OPERATORS,
    "created_at": {"$after", "$before", "$has_value", "$is_unknown", "$more_than", "$less_than"},
}


class SegmentCalls:
    """The handlers of `/v1/segments`."""

    def __init__(self, project: Project) -> None:
        self._project = project

    async def page(self, request: Request) -> Response:
        """Return a page of segments; `total` counts all that match. There is no next page."""
        query = request.query_params
        ids, holds = _read_list_query(query.multi_items())
        limit = whole(query, "limit", DEFAULT_LIMIT, MAX_LIMIT)
        order = choice(query, "order", ("created_at", NEWEST_FIRST)) or NEWEST_FIRST
        now = self._project.now()
        matches = [
            segment
            for segment in self._project.segments.values()
            if (not ids or segment.id in ids) and (holds is None or holds(segment, now))
        ]
        matches = newest_first(matches)
        if order != NEWEST_FIRST:
            matches.reverse()
        # In the documented examples lists have a null updated_at, create and get have none.
        rows = [show_segment(segment) | {"updated_at": None} for segment in matches[:limit]]
        return json_response(
            {"object": "list", "data_ref": "data", "data": rows, "total": len(matches)}
        )

    async def create(self, request: Request) -> Response:
        """Create a segment; the response is 200, and does not wait for its members."""
        body = await read_object(request)
        name, kind = body.get("name"), body.get("type", STATIC)
        if not isinstance(name, str) or not name:
            raise invalid_payload("Property .name should be string")
        if kind not in {STATIC, PASSIVE, AUTO_UPDATE}:
            raise invalid_payload("Property .type should be one of auto-update, passive, static")
        segment = Segment(self._project.fresh_id("seg_"), name, kind, self._project.now())
        if kind == STATIC:
            segment.members = self._read_members(body.get("customers", []))
        else:
            segment.filter, segment.holds = _read_filter(body.get("filter"))
        self._check(segment)
        self._project.segments[segment.id] = segment
        return json_response(show_segment(segment))

    async def get(self, request: Request) -> Response:
        """Return one segment, without its members."""
        return json_response(show_segment(self._find(request)))

    async def delete(self, request: Request) -> Response:
        """Delete one segment."""
        self._project.drop(self._find(request))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _find(self, request: Request) -> Segment:
        key = request.path_params["segment_id"]
        segment = self._project.segments.get(key)
        if segment is None:
            raise not_found("segment", key)
        return segment

    def _read_members(self, ids: object) -> set[str]:
        """Read customer ids; unknown ones, and source ids, are ignored (not documented)."""
        if not isinstance(ids, list) or not all(isinstance(key, str) for key in ids):
            raise invalid_payload("Property .customers should be array of string")
        if len(set(ids)) > MAX_STATIC_MEMBERS:
            raise invalid_payload(
                f"Property .customers should have at most {MAX_STATIC_MEMBERS} customers"
            )
        return self._project.known(ids)

    def _check(self, new: Segment) -> None:
        """Refuse a second segment of a name and the 101st dynamic one (statuses: our choice)."""
        others = self._project.segments.values()
        if any(segment.name == new.name for segment in others):
            raise RefusalError(
                HTTPStatus.CONFLICT,
                "Duplicated resource found",
                key="duplicate_found",
                details=f"Duplicated segment exists with name {new.name}",
            )
        dynamic = sum(segment.type in DYNAMIC for segment in others)
        if new.type in DYNAMIC and dynamic >= MAX_DYNAMIC_SEGMENTS:
            raise invalid_payload(
                f"A project can have at most {MAX_DYNAMIC_SEGMENTS} passive and active segments"
            )


def _read_filter(filter_: object) -> tuple[dict[str, Any], Predicate[Any]]:
    if not isinstance(filter_, dict):
        raise invalid_payload("Property .filter should be object")
    try:
        return filter_, compile_filter(filter_, customer_field)
    except BadFilterError as error:
        raise invalid_payload(str(error)) from error


def _read_list_query(
    items: Iterable[tuple[str, str]],
) -> tuple[set[str], Predicate[Segment] | None]:
    """Read `ids` and `filters`; a name that is not documented is refused."""
    ids: set[str] = set()
    filter_: dict[str, Any] = {}
    for name, value in items:
        if name in {"limit", "order"}:
            continue
        if IDS.fullmatch(name):
            ids.add(value)
            continue
        match = FILTER.fullmatch(name)
        if match is None:
            raise invalid_query(f"Property .{name} is unknown")
        field, operator, _ = match.groups()
        if operator is None and field == "junction":
            filter_["junction"] = value
        elif operator in LIST_OPERATORS.get(field, ()):
            conditions = filter_.setdefault(field, {"conditions": {}})["conditions"]
            conditions.setdefault(operator, []).append(value)
        else:
            raise invalid_query(f"Property .{name} is unknown")
    if not filter_:
        return ids, None
    try:
        return ids, compile_filter(filter_, segment_field, ".filters")
    except BadFilterError as error:
        raise invalid_query(str(error)) from error
