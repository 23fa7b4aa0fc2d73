"""Check how deeply decoded parts nest that no wire model describes: others have a bound."""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Annotated, Any, SupportsBytes, Union, get_args, get_origin

import msgspec

from gateway.domain.json_depth import MAX_DEPTH, is_too_deep, nest_deeper

LEAVES = (str, int, float, NoneType, datetime, Enum, msgspec.Raw)
"""Types of parts that contain no others. `Raw` is checked when it is decoded."""


def depth_check(form: Any) -> Callable[[Any, SupportsBytes], bool] | None:
    """Return what tells whether a value of this type nests deeper than `MAX_DEPTH`.

    It gets the value, and the JSON from which it was decoded. None: no value nests so deeply.
    """
    if is_typed(form):
        return None
    if get_origin(form) is list:
        return _check_of_rows(form, 2)  # each part is in a row, which is in the list
    rows = _untyped_fields(form)
    if len(rows) == 1 and get_origin(rows[0].type) is list:
        check, rows_of = _check_of_rows(rows[0].type, 3), attrgetter(rows[0].name)
        return lambda value, document: check(rows_of(value), document)
    return _is_too_deep


def _check_of_rows(form: Any, around: int) -> Callable[[Any, SupportsBytes], bool]:
    """Check only the parts of rows: most have none, or small ones."""
    parts = [attrgetter(field.name) for field in _untyped_fields(get_args(form)[0])]
    if not parts:
        return _is_too_deep
    return lambda rows, _: any(nest_deeper(map(part, rows), MAX_DEPTH - around) for part in parts)


def _is_too_deep(_: Any, document: SupportsBytes) -> bool:
    return is_too_deep(bytes(document))


@cache
def is_typed(form: Any, around: frozenset[Any] = frozenset()) -> bool:
    """Return whether a type describes each of its parts, and so bounds how deeply they nest.

    `around` are the types that it is a part of: one of them again has no bound.
    """
    origin = get_origin(form) or form
    if origin is Annotated:
        return is_typed(get_args(form)[0], around)
    if origin in {list, dict, Union, UnionType}:
        parts = get_args(form)
        return bool(parts) and all(is_typed(part, around) for part in parts)
    if not isinstance(origin, type) or form in around:
        return False
    if issubclass(origin, msgspec.Struct):
        fields = msgspec.structs.fields(form)
        return all(is_typed(field.type, around | {form}) for field in fields)
    return issubclass(origin, LEAVES)


def _untyped_fields(form: Any) -> Sequence[msgspec.structs.FieldInfo]:
    """Return the fields of an object that may have such parts; none of anything else."""
    origin = get_origin(form) or form
    if not isinstance(origin, type) or not issubclass(origin, msgspec.Struct):
        return ()
    return [field for field in msgspec.structs.fields(form) if not is_typed(field.type)]
