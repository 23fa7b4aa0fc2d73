"""Find decoded parts that no wire model describes: only these can nest at any depth."""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

LEAVES = (str, int, float, NoneType, datetime, Enum, msgspec.Raw)
"""Types of parts that contain no others. `Raw` is checked when it is decoded."""


def untyped_finder(form: Any) -> Callable[[Any], bool] | None:
    """Return what tells of a value of this type whether it has, or may have, such parts.

    None: no value has any.
    """
    if is_typed(form):
        return None
    parts = [attrgetter(name) for name in _untyped_parts_of_rows(form)]
    if not parts:
        return lambda _: True
    return lambda rows: any(any(map(part, rows)) for part in parts)


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


def _untyped_parts_of_rows(form: Any) -> Sequence[str]:
    """Return the attributes of a list's objects that may have such parts."""
    (row,) = get_args(form) if get_origin(form) is list else (None,)
    origin = get_origin(row) or row
    if not isinstance(origin, type) or not issubclass(origin, msgspec.Struct):
        return ()
    return [field.name for field in msgspec.structs.fields(row) if not is_typed(field.type)]
