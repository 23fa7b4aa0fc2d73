"""Lists: sorting, paging, projection and totals, the same in every Emporix service."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from starlette.responses import Response

from gateway.sandbox.emporix import q
from gateway.sandbox.emporix.faults import invalid
from gateway.sandbox.emporix.languages import DEFAULT
from gateway.sandbox.emporix.operations import ApiCall
from gateway.sandbox.replies import json_response

DEFAULT_PAGE_SIZE = 60
"""Documented for customers; our decision for segments, where no default is stated."""

Row = dict[str, Any]


def selected(rows: Sequence[Row], query: str, sort: str) -> Sequence[Row]:
    """Return the rows that a `q` selects, in the order of `sort`."""
    conditions = q.parse(query)
    if conditions:
        rows = [row for row in rows if q.matches(row, conditions)]
    return ordered(rows, sort)


def ordered(rows: Sequence[Row], sort: str) -> Sequence[Row]:
    """Return sorted rows; the sort is stable, and missing values come first.

    `sort` is `field:asc,field2:desc`, or, as the segment service words it, properties separated by
    colons; both forms are accepted, with directions in either case.
    """
    keys: list[tuple[tuple[str, ...], bool]] = []
    for word in re.split(r"[:,]", sort) if sort else ():
        if word.lower() not in {"asc", "desc"}:
            keys.append((tuple(word.split(".")), False))
        elif keys:
            keys[-1] = (keys[-1][0], word.lower() == "desc")
        if not word or not keys:
            raise invalid("must be field:asc,field:desc", "sort")
    for path, descending in reversed(keys):
        rows = sorted(rows, key=partial(_rank, path), reverse=descending)
    return rows


def _rank(path: tuple[str, ...], row: Row) -> tuple[int, float, str]:
    value = next(iter(q.values_at(row, path)), None)
    if isinstance(value, dict):
        value = value.get(DEFAULT)
    if value is None:
        return 0, 0.0, ""
    return (1, float(value), "") if isinstance(value, int | float) else (2, 0.0, str(value))


def projected(row: Row, fields: str | None) -> Row:
    """Return the parts of a row that `fields` names, separated by commas; all without it."""
    if not fields:
        return row
    projection: Row = {}
    for name in fields.split(","):
        source, target = row, projection
        *parents, last = name.strip().split(".")
        for parent in parents:
            inner = source.get(parent)
            source = inner if isinstance(inner, dict) else {}
            target = target.setdefault(parent, {}) if source else {}
        if last in source:
            target[last] = source[last]
    return projection


def page_of(call: ApiCall, rows: Sequence[Row]) -> Sequence[Row]:
    """Return the requested page; the first has number 1."""
    number = _positive(call, "pageNumber", 1)
    size = _positive(call, "pageSize", DEFAULT_PAGE_SIZE)
    return rows[(number - 1) * size : number * size]


def _positive(call: ApiCall, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise invalid("must be a number from 1", name)
    return int(text)


def listed(call: ApiCall, rows: Sequence[Row], shown: Callable[[Row], Row]) -> Response:
    """Return one page as a bare array; the total is in a header, on request."""
    fields = call.query.get("fields")
    body = [projected(shown(row), fields) for row in page_of(call, rows)]
    wants_total = call.headers.get("x-total-count", "").lower() == "true"
    return json_response(body, headers={"X-Total-Count": str(len(rows))} if wants_total else None)


def query_text(call: ApiCall) -> str:
    """Return the `q` of a search call's body, or nothing when it has none."""
    body = call.json()
    text = body.get("q", "") if isinstance(body, dict) else None
    if not isinstance(text, str):
        raise invalid('must be an object like {"q": "siteCode:main"}', "q")
    return text
