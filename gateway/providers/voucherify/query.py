"""Voucherify's `filters` for the list of segments, as query parameters.

Facts: github.com/voucherifyio/voucherify-openapi, list segments (`filters` is a deep object) and
list publications (a list in it is numbered: `…[$in][0]=a&…[$in][1]=b`), read 2026-11-21.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from gateway.domain.entities import Membership
from gateway.domain.queries import SegmentQuery
from gateway.errors import BadInput
from gateway.providers.base.decoding import iso
from gateway.providers.voucherify.model import SegmentType

Params = tuple[tuple[str, str], ...]
Conditions = Mapping[tuple[str, str], Any]
"""Field and operator to value, all of which must hold."""

FILTERABLE = frozenset({Membership.MANUAL, Membership.RULE})
"""How segments of the known types get their members."""

BEFORE = ("created_at", "$before")
EXCLUDED = ("id", "$not_in")
MILLISECOND = timedelta(milliseconds=1)
LATEST = datetime.max.replace(microsecond=999_000, tzinfo=UTC)


class Filters(NamedTuple):
    """The part of a query that Voucherify filters by; `is_whole` if that is the whole query."""

    conditions: Conditions
    before: datetime | None
    """Separate, because paging changes it."""
    is_whole: bool

    def params(self, before: datetime | None, excluded: Sequence[str] = ()) -> Params:
        """Return the query parameters.

        `before` is the bound of the page, if it has one, and `excluded` are ids not to be on it.
        """
        bounds = [each for each in (self.before, before) if each is not None]
        conditions = dict(self.conditions)
        if bounds:
            conditions[BEFORE] = iso(min(bounds))
        if excluded:
            more = conditions.get(EXCLUDED, [])
            conditions[EXCLUDED] = [*(more if isinstance(more, list) else [more]), *excluded]
        params = [
            param
            for (field, name), value in conditions.items()
            for param in _params_of(field, name, value)
        ]
        if len(conditions) > 1:
            params.insert(0, ("filters[junction]", "and"))
        return tuple(params)


def filters(query: SegmentQuery) -> Filters:
    """Return the part of a query that Voucherify filters by.

    Raises `BadInput` if `native` is not a filter, or one that paging cannot be combined with.
    """
    native = _native(query.native) if query.native is not None else {}
    wanted: dict[tuple[str, str], Any] = {}
    types: tuple[str, ...] = ()
    if query.membership is not None and query.membership <= FILTERABLE:
        types = tuple(each.value for each in SegmentType if each.membership in query.membership)
    if types:
        wanted["type", "$in"] = types
    if query.created_after is not None:
        wanted["created_at", "$after"] = iso(query.created_after)
    # Whether `$contains` ignores case is not documented, so it might omit rows that match.
    # The documents have no filter by the time of the last update.
    filtered_locally = (query.name_contains, query.status, query.site_code, query.updated_after)
    return Filters(
        conditions={**wanted, **native},
        before=None if query.created_before is None else _rounded_up(query.created_before),
        is_whole=not (wanted.keys() & native.keys())
        and all(part is None for part in filtered_locally)
        and (query.membership is None or bool(types)),
    )


def _rounded_up(moment: datetime) -> datetime:
    """Return the time rounded up to milliseconds, which Voucherify has, so that no row is lost."""
    remainder = timedelta(microseconds=moment.microsecond % 1000)
    return min(moment - remainder, LATEST - MILLISECOND) + MILLISECOND if remainder else moment


def _native(text: str) -> Conditions:
    try:
        native = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadInput("A filter of Voucherify is a JSON object.") from error
    if native.pop("junction", "and") != "and":
        # Paging adds a condition, which has no effect with "or".
        raise BadInput('A filter of Voucherify can only be used with the junction "and".')
    conditions: dict[tuple[str, str], Any] = {}
    for field, part in native.items():
        operators = part.get("conditions") if isinstance(part, dict) else None
        if not isinstance(operators, dict) or not operators:
            raise BadInput(
                'A filter of Voucherify has the form {field: {"conditions": {operator: value}}}.'
            )
        for operator, value in operators.items():
            if not all(_is_name(each) for each in (field, operator)) or not _is_value(value):
                raise BadInput("The filter has a part that cannot be sent as a query parameter.")
            conditions[field, operator] = value
    if BEFORE in conditions:
        raise BadInput("Paging uses created_at: use createdBefore instead.")
    return conditions


def _is_name(name: str) -> bool:
    return bool(name) and not {"[", "]"} & set(name)


def _is_value(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and not any(
            isinstance(each, list) or not _is_value(each) for each in value
        )
    return isinstance(value, str | bool | int | float)


def _params_of(field: str, operator: str, value: Any) -> Params:
    name = f"filters[{field}][conditions][{operator}]"
    if isinstance(value, list | tuple):
        return tuple((f"{name}[{index}]", _text(each)) for index, each in enumerate(value))
    return ((name, _text(value)),)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
