"""Voucherify's `filters` for its list of segments, as query parameters.

Facts: github.com/voucherifyio/voucherify-openapi, list segments (`filters` is a deep object) and
list publications (a list in it is numbered: `…[$in][0]=a&…[$in][1]=b`), read 2026-11-21.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from gateway.domain.queries import SegmentQuery
from gateway.errors import BadInput
from gateway.providers.base.decoding import iso
from gateway.providers.voucherify.model import TYPES

Params = tuple[tuple[str, str], ...]
Conditions = Mapping[tuple[str, str], Any]
"""Field and operator to value, all of which must hold."""

BEFORE = ("created_at", "$before")
MILLISECOND = timedelta(milliseconds=1)
LATEST = datetime.max.replace(microsecond=999_000, tzinfo=UTC)


class Filters(NamedTuple):
    """What Voucherify judges of a query, and whether that is the whole query."""

    conditions: Conditions
    before: datetime | None
    """Set apart because paging moves it."""
    is_whole: bool

    def params(self, before: datetime | None) -> Params:
        """Return the query parameters; `before` bounds the page, when paging does."""
        bounds = [each for each in (self.before, before) if each is not None]
        told = dict(self.conditions)
        if bounds:
            told[BEFORE] = iso(min(bounds))
        params = [
            param
            for (field, name), value in told.items()
            for param in _written(field, name, value)
        ]
        if len(told) > 1:
            params.insert(0, ("filters[junction]", "and"))
        return tuple(params)


def filters(query: SegmentQuery) -> Filters:
    """Split a query into what Voucherify judges and the rest, which the caller must.

    Raises `BadInput` when `native` is not a filter, or one that cannot be paged through.
    """
    told = _native(query.native) if query.native is not None else {}
    wanted: dict[tuple[str, str], Any] = {}
    types: tuple[str, ...] = ()
    if query.membership is not None and query.membership <= TYPES.keys():
        types = sum((TYPES[kind] for kind in TYPES if kind in query.membership), ())
    if types:
        wanted["type", "$in"] = types
    if query.created_after is not None:
        wanted["created_at", "$after"] = iso(query.created_after)
    # Whether `$contains` minds the case is not documented: it might leave out what it must not.
    judged_here = (query.name_contains, query.status, query.site_code)
    return Filters(
        conditions={**wanted, **told},
        before=None if query.created_before is None else _rounded_up(query.created_before),
        is_whole=not (wanted.keys() & told.keys())
        and all(part is None for part in judged_here)
        and (query.membership is None or bool(types)),
    )


def _rounded_up(moment: datetime) -> datetime:
    """Return the time in whole milliseconds, as Voucherify tells them, without losing a row."""
    rest = timedelta(microseconds=moment.microsecond % 1000)
    return min(moment - rest, LATEST - MILLISECOND) + MILLISECOND if rest else moment


def _native(text: str) -> Conditions:
    try:
        told = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadInput("A filter of Voucherify is a JSON object.") from error
    if told.pop("junction", "and") != "and":
        # A page is bounded by one more condition, which "or" would make void.
        raise BadInput('A filter of Voucherify can only be used with the junction "and".')
    found: dict[tuple[str, str], Any] = {}
    for field, part in told.items():
        named = part.get("conditions") if isinstance(part, dict) else None
        if not isinstance(named, dict) or not named:
            raise BadInput(
                'A filter of Voucherify has the form {field: {"conditions": {operator: value}}}.'
            )
        for operator, value in named.items():
            if not all(_can_say(each) for each in (field, operator)) or not _is_value(value):
                raise BadInput("A filter of Voucherify has a part that no parameter can say.")
            found[field, operator] = value
    if BEFORE in found:
        raise BadInput("Pages are bounded by created_at: ask for createdBefore instead.")
    return found


def _can_say(name: str) -> bool:
    return bool(name) and not {"[", "]"} & set(name)


def _is_value(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and not any(
            isinstance(each, list) or not _is_value(each) for each in value
        )
    return isinstance(value, str | bool | int | float)


def _written(field: str, operator: str, value: Any) -> Params:
    name = f"filters[{field}][conditions][{operator}]"
    if isinstance(value, list | tuple):
        return tuple((f"{name}[{index}]", _text(each)) for index, each in enumerate(value))
    return ((name, _text(value)),)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
