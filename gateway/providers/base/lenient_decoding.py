"""Read replies that do not keep to their documents: as much of them as can be read.

The strict reading of `decoding` comes first and is the fast one. Where it fails, one odd
part must not cost the rest: a row keeps its place, its odd part is null, and a row whose id cannot
be read is left out alone. A part is required for what it is part of where it is an id, or a thing
or a list that has ids of its own; everything else may be null, whatever its model says.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

T = TypeVar("T")

Note = Callable[[str], None]
"""Takes the path of a part that is odd, and what became of it."""

REPLACEMENT = "\ufffd"

# A pair of escapes that is one character, half of such a pair, or any other escape.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|u(?P<half>[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_LEAP_SECOND = re.compile(r"(.*[Tt ]\d\d:\d\d):60(.*)")
_MOST_DIGITS = 4300
"""Python reads no longer number (`sys.int_info.default_max_str_digits`)."""


class Rows(list[T]):
    """The rows of a list that could be read."""

    def __init__(
        self, rows: Sequence[T], places: Sequence[int], length: int, documents: Sequence[bytes]
    ) -> None:
        """Keep the rows, the place of each among the `length` rows of the reply, and its JSON."""
        super().__init__(rows)
        self.places = places
        self.length = length
        self.documents = documents


def places(rows: Sequence[Any]) -> Sequence[int]:
    """Return the place of each row that was read among the rows of the reply."""
    return rows.places if isinstance(rows, Rows) else range(len(rows))


def length(rows: Sequence[Any]) -> int:
    """Return how many rows the reply has, those included that could not be read."""
    return rows.length if isinstance(rows, Rows) else len(rows)


class Unreadable(Exception):
    """What was asked for cannot be read, nor be left out. Carries its path."""


def loaded(body: bytes, note: Note) -> tuple[Any, bool]:
    """Parse JSON that msgspec refuses, and whether texts had to be repaired for it.

    Half a surrogate, and bytes that are no UTF-8, become U+FFFD; a number that no computer here
    can hold becomes null. Raises `ValueError` for what is no JSON, `RecursionError` likewise.
    """
    repaired = _ESCAPE.sub(lambda found: rb"\ufffd" if found["half"] else found[0], body)
    text = repaired.decode(errors="replace")
    is_repaired = repaired != body or text.encode() != repaired

    def whole(digits: str) -> int | None:
        return int(digits) if len(digits) <= _MOST_DIGITS else lost(digits)

    def real(digits: str) -> float | None:
        number = float(digits)
        return number if math.isfinite(number) else lost(digits)

    def lost(digits: str) -> Any:
        note(f"a number of {len(digits)} characters, beyond all bounds: null")
        return None

    def constant(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    value = json.loads(text, parse_int=whole, parse_float=real, parse_constant=constant)
    return value, is_repaired


def read(value: Any, form: type[T], note: Note, *, is_repaired: bool = False) -> T:
    """Read a parsed document as far as it can be read. Raises `Unreadable`."""
    found: T = _Reader(note, is_repaired=is_repaired).read(value, form, "")
    return found


class _Reader:
    """Reads one reply; where texts of it were repaired, those with the repair in them are odd."""

    def __init__(self, note: Note, *, is_repaired: bool) -> None:
        self._note = note
        self._is_repaired = is_repaired

    def read(self, value: Any, form: Any, path: str) -> Any:
        """Return a value of this form. Raises `Unreadable`."""
        bare = get_args(form)[0] if get_origin(form) is Annotated else form
        origin = get_origin(bare) or bare
        if origin in {Union, UnionType}:
            return self._any_of(value, get_args(bare), path)
        if isinstance(origin, type) and issubclass(origin, msgspec.Struct):
            return self._struct(value, bare, path)
        if origin is list:
            return self._list(value, get_args(bare)[0], path)
        if origin is dict and get_args(bare)[1] is not Any:
            return self._dict(value, get_args(bare)[1], path)
        return self._scalar(value, form, bare, path)

    def _any_of(self, value: Any, forms: Sequence[Any], path: str) -> Any:
        if value is None and type(None) in forms:
            return None
        for form in forms:
            if form is not type(None):
                try:
                    return self.read(value, form, path)
                except Unreadable:
                    continue
        raise Unreadable(path)

    def _struct(self, value: Any, form: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise Unreadable(path)
        parts: dict[str, Any] = {}
        for field in _fields(form):
            at = f"{path}.{field.encode_name}"
            default = None if field.default is msgspec.NODEFAULT else field.default
            if field.encode_name not in value:
                if field.required:
                    self._lost(at, field.type, "missing")
                parts[field.name] = default
                continue
            try:
                parts[field.name] = self.read(value[field.encode_name], field.type, at)
            except Unreadable as error:
                self._lost(at, field.type, "null", error)
                parts[field.name] = default
        origin = get_origin(form) or form
        return origin(**parts)

    def _lost(self, path: str, form: Any, became: str, error: Unreadable | None = None) -> None:
        """Note that a part cannot be read; raise where what it belongs to cannot be without it."""
        if is_essential(form):
            raise error or Unreadable(path)
        self._note(f"{path.lstrip('.')}: {became}")

    def _list(self, value: Any, form: Any, path: str) -> Any:
        if not isinstance(value, list):
            raise Unreadable(path)
        rows, places = [], []
        for place, each in enumerate(value):
            try:
                rows.append(self._row(each, form, f"{path}[{place}]"))
            except Unreadable as error:
                self._note(f"{str(error).lstrip('.')}: the row is left out")
            else:
                places.append(place)
        documents = [msgspec.json.encode(value[place]) for place in places]
        return Rows(rows, places, len(value), documents)

    def _row(self, value: Any, form: Any, path: str) -> Any:
        """Read one row: most of a list are as documented, and read at once."""
        if not self._is_repaired:
            with suppress(msgspec.ValidationError):
                return msgspec.convert(value, form)
        return self.read(value, form, path)

    def _dict(self, value: Any, form: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise Unreadable(path)
        parts = {}
        for name, each in value.items():
            try:
                parts[name] = self.read(each, form, path)
            except Unreadable:
                self._note(f"{path.lstrip('.')}: a value is left out")
        return parts

    def _scalar(self, value: Any, form: Any, bare: Any, path: str) -> Any:
        if bare is int and isinstance(value, float) and value.is_integer():
            value = int(value)
            self._note(f"{path.lstrip('.')}: a whole number")
        elif bare is str and is_essential(form) and type(value) is int:
            value = str(value)
            self._note(f"{path.lstrip('.')}: a number as a text")
        elif bare is str and self._is_repaired and isinstance(value, str) and REPLACEMENT in value:
            raise Unreadable(path)
        try:
            return msgspec.convert(value, form)
        except (msgspec.ValidationError, ValueError, OverflowError) as error:
            moment = _of_leap_second(value) if bare is datetime else None
            if moment is None:
                raise Unreadable(path) from error
            self._note(f"{path.lstrip('.')}: a leap second")
            return moment


def _of_leap_second(value: Any) -> datetime | None:
    """Return the time of a second 60, which is the next minute's first, as POSIX counts."""
    found = _LEAP_SECOND.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    try:
        before = msgspec.convert(f"{found[1]}:59{found[2]}", datetime)
        return before + timedelta(seconds=1)
    except (msgspec.ValidationError, OverflowError):
        return None


@cache
def _fields(form: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(form)


@cache
def is_essential(form: Any) -> bool:
    """Tell whether nothing can be without a part of this form: an id, or what has ids itself."""
    if get_origin(form) is Annotated:
        bare, *marks = get_args(form)
        is_id = bare is str and any(getattr(mark, "min_length", None) for mark in marks)
        return is_id or is_essential(bare)
    if get_origin(form) in {Union, UnionType}:
        return any(is_essential(each) for each in get_args(form))
    origin = get_origin(form) or form
    if isinstance(origin, type) and issubclass(origin, msgspec.Struct):
        fields = msgspec.structs.fields(form)
        return any(field.required and is_essential(field.type) for field in fields)
    return origin is list


def is_odd_row(value: Any, form: Any) -> bool:
    """Tell whether a document that cannot be read is one thing with an odd id, not a list."""
    origin = get_origin(form) or form
    if not isinstance(value, dict) or not issubclass(origin, msgspec.Struct):
        return False
    needed = [each for each in msgspec.structs.fields(form) if is_essential(each.type)]
    return any(each.encode_name in value for each in needed) and not any(
        get_origin(each.type) is list for each in needed
    )


def sound(document: bytes) -> bytes:
    """Return a JSON document that can be parsed: itself, or repaired where it has odd parts."""
    try:
        _anything.decode(document)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        with suppress(ValueError, RecursionError):
            return msgspec.json.encode(loaded(document, _unheard)[0])
    return document


_anything = msgspec.json.Decoder()


def _unheard(_: str) -> None:
    """Take a note that the log has already."""
