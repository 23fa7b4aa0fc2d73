"""Decode replies that deviate from the documents, as far as they can be read.

The strict decoder runs first and is much faster. If it fails, one odd part must not affect the
rest: it becomes null, and only a row whose id cannot be read is left out. Essential parts are ids,
lists, and objects with an id of their own: without them, what they are part of cannot be read.
Every other part may be null, whatever its model says.
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
"""Called with the path of an odd part and what it became."""

REPLACEMENT = "\ufffd"

# A surrogate pair, half of one, or any other escape.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|u(?P<half>[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_LEAP_SECOND = re.compile(r"(.*[Tt ]\d\d:\d\d):60(.*)")
_MAX_DIGITS = 4300
"""Python parses no longer integers (`sys.int_info.default_max_str_digits`)."""


class Rows(list[T]):
    """The rows of a list that could be decoded."""

    def __init__(
        self, rows: Sequence[T], places: Sequence[int], length: int, documents: Sequence[bytes]
    ) -> None:
        """Store the rows, their indices among the `length` rows of the reply, and their JSON."""
        super().__init__(rows)
        self.places = places
        self.length = length
        self.documents = documents


def places(rows: Sequence[Any]) -> Sequence[int]:
    """Return the index of each decoded row among the rows of the reply."""
    return rows.places if isinstance(rows, Rows) else range(len(rows))


def length(rows: Sequence[Any]) -> int:
    """Return the number of rows in the reply, including those that could not be decoded."""
    return rows.length if isinstance(rows, Rows) else len(rows)


class Unreadable(Exception):
    """An essential part cannot be read. The message is its path."""


def parse_leniently(body: bytes, note: Note) -> tuple[Any, bool]:
    """Parse JSON that msgspec refuses; return it, and whether texts had to be repaired.

    Lone surrogates and invalid UTF-8 become U+FFFD, and numbers out of range become null. Raises
    `ValueError` or `RecursionError` if the body is not JSON.
    """
    repaired = _ESCAPE.sub(lambda match: rb"\ufffd" if match["half"] else match[0], body)
    text = repaired.decode(errors="replace")
    is_repaired = repaired != body or text.encode() != repaired

    def whole(digits: str) -> int | None:
        return int(digits) if len(digits) <= _MAX_DIGITS else out_of_range(digits)

    def real(digits: str) -> float | None:
        number = float(digits)
        return number if math.isfinite(number) else out_of_range(digits)

    def out_of_range(digits: str) -> Any:
        note(f"a number of {len(digits)} characters, out of range: null")
        return None

    def constant(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    value = json.loads(text, parse_int=whole, parse_float=real, parse_constant=constant)
    return value, is_repaired


def read(value: Any, form: type[T], note: Note, *, is_repaired: bool = False) -> T:
    """Convert parsed JSON to this type as far as it can be read. Raises `Unreadable`."""
    result: T = _Reader(note, is_repaired=is_repaired).read(value, form, "")
    return result


class _Reader:
    """Reads one reply. If it was repaired, texts that contain U+FFFD are odd."""

    def __init__(self, note: Note, *, is_repaired: bool) -> None:
        self._note = note
        self._is_repaired = is_repaired

    def read(self, value: Any, form: Any, path: str) -> Any:
        """Return a value of this type. Raises `Unreadable`."""
        bare = get_args(form)[0] if get_origin(form) is Annotated else form
        origin = get_origin(bare) or bare
        if origin in {Union, UnionType}:
            return self._any_of(value, get_args(bare), path)
        if origin is msgspec.Raw:
            return msgspec.Raw(msgspec.json.encode(value))
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
                    self._drop(at, field.type, "missing")
                parts[field.name] = default
                continue
            try:
                parts[field.name] = self.read(value[field.encode_name], field.type, at)
            except Unreadable as error:
                self._drop(at, field.type, "null", error)
                parts[field.name] = default
        origin = get_origin(form) or form
        return origin(**parts)

    def _drop(self, path: str, form: Any, result: str, error: Unreadable | None = None) -> None:
        """Note that a part cannot be read. Raises `Unreadable` if it is essential."""
        if is_essential(form):
            raise error or Unreadable(path)
        self._note(f"{path.lstrip('.')}: {result}")

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
        """Read one row. Most rows are as documented, and msgspec can convert them."""
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
            moment = _leap_second(value) if bare is datetime else None
            if moment is None:
                raise Unreadable(path) from error
            self._note(f"{path.lstrip('.')}: a leap second")
            return moment


def _leap_second(value: Any) -> datetime | None:
    """Return a time whose second is 60 as the first second of the next minute, as in POSIX."""
    match = _LEAP_SECOND.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    try:
        before = msgspec.convert(f"{match[1]}:59{match[2]}", datetime)
        return before + timedelta(seconds=1)
    except (msgspec.ValidationError, OverflowError):
        return None


@cache
def _fields(form: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(form)


@cache
def is_essential(form: Any) -> bool:
    """Return whether parts of this type are essential: ids, lists, and objects with an id."""
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
    """Return whether a document that cannot be read is one object with an odd id, not a list."""
    origin = get_origin(form) or form
    if not isinstance(value, dict) or not issubclass(origin, msgspec.Struct):
        return False
    essential = [each for each in msgspec.structs.fields(form) if is_essential(each.type)]
    return any(each.encode_name in value for each in essential) and not any(
        get_origin(each.type) is list for each in essential
    )


def parseable(document: bytes) -> bytes:
    """Return a JSON document, repaired if msgspec cannot parse it."""
    try:
        _anything.decode(document)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        with suppress(ValueError, RecursionError):
            return msgspec.json.encode(parse_leniently(document, _ignore)[0])
    return document


_anything = msgspec.json.Decoder()


def _ignore(_: str) -> None:
    """Ignore a note: it was logged when the reply was read."""
