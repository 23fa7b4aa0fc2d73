"""Limit how deeply the JSON of a provider nests, before anything recurses into it."""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

MAX_DEPTH = 64
"""Levels; the deepest documented reply (a rule of Stuut) stays below 20."""

SAME_BRACKETS = bytes.maketrans(b"{}", b"[]")
OTHER_BYTES = bytes(set(range(256)) - set(b'[]{}"'))
ESCAPE = re.compile(rb"\\.", re.DOTALL)
TEXT = re.compile(rb'"[^"]*"')
OPEN = b"["[0]
SMALL_BYTES = 8 * 1024
"""Up to this size, most replies have too few brackets to nest too deeply."""
MAX_PART_BYTES = 512
"""The longest part of some marks whose shape is remembered; rows have less than 100 marks."""

CONTAINERS = frozenset({dict, list})
"""What JSON is decoded to; the type is compared, since `isinstance` takes 600 instructions."""

TOO_DEEP = f"nested deeper than {MAX_DEPTH}"
TOO_MANY_OPEN = b"[" * (MAX_DEPTH + 1)


def check_depth(document: bytes) -> None:
    """Raise `ValueError` if JSON nests deeper than `MAX_DEPTH`."""
    if is_too_deep(document):
        raise ValueError(TOO_DEEP)


def is_too_deep(body: bytes) -> bool:
    """Return whether JSON nests deeper than `MAX_DEPTH`; arbitrary for anything else.

    All work is done on bytes in C: decoding each reply once more to count would double its cost.
    """
    if len(body) <= SMALL_BYTES:
        # Most have at most one list: finding its bracket is faster than counting.
        lists = body.count(b"[") if body.rfind(b"[") > 0 else 1
        if body.count(b"{") + lists <= MAX_DEPTH:
            return False
    marks = body.translate(SAME_BRACKETS, OTHER_BYTES)
    if marks.count(b"[") <= MAX_DEPTH:
        return False
    if b"\\" in body:
        marks = ESCAPE.sub(b"", body).translate(SAME_BRACKETS, OTHER_BYTES)
    if _has_shallow_rows(marks):
        return False
    bare = _without_equal_rows(marks).replace(b'""', b"")
    if b'"' in bare:  # some string contains a bracket
        bare = TEXT.sub(b"", bare)
    return not _is_balanced(bare)


def nest_deeper(values: Iterable[Any], levels: int) -> bool:
    """Return whether one of these decoded values has more levels of objects and lists.

    A level of all values is looked at together: most rows have one or two.
    """
    inner = [each for each in values if type(each) in CONTAINERS]
    for _ in range(levels):
        if not inner:
            return False
        inner = [
            part
            for each in inner
            for part in (each.values() if type(each) is dict else each)
            if type(part) in CONTAINERS
        ]
    return bool(inner)


class _Shape(NamedTuple):
    """How a part of some marks nests, if none of its strings contains a bracket."""

    highest: int
    """Levels above its start."""
    end: int
    """Its end, in levels above its start."""


def _has_shallow_rows(marks: bytes) -> bool:
    """Return whether this is a list whose rows surely nest little: the usual reply.

    Between two rows is `][`. Most rows have one of a few shapes, which are remembered. A part
    between two `][` whose strings contain no bracket ends outside of a string, as it began.
    """
    parts = marks.split(b"][")
    first, last = _shape(parts[0]), _shape(parts[-1])
    if first is None or last is None or first.end + last.end:
        return False
    highest = max(first.highest, first.end + last.highest)
    for part in set(parts[1:-1]):
        shape = _shape(part)
        if shape is None or shape.end:
            return False
        highest = max(highest, first.end + shape.highest)
    return highest <= MAX_DEPTH


def _shape(part: bytes) -> _Shape | None:
    """Return the shape of a part; None if one of its strings contains a bracket."""
    return _known_shape(part) if len(part) <= MAX_PART_BYTES else None


@lru_cache(maxsize=1024)
def _known_shape(part: bytes) -> _Shape | None:
    brackets = part.replace(b'""', b"")
    if b'"' in brackets:
        return None
    levels = [*accumulate((1 if each == OPEN else -1 for each in brackets), initial=0)]
    return _Shape(max(levels), levels[-1])


def _without_equal_rows(marks: bytes) -> bytes:
    """Keep only the first two of a list's rows when all of them have the same brackets.

    A complete row without a bracket in a string adds no level to the one before it; inside a
    string, it leaves the string as it was.
    """
    start = marks.find(b"][") + 1
    row = marks[start : marks.find(b"][", start) + 1]
    if not row or not _is_balanced(row.replace(b'""', b"")):
        return marks
    rows = row * ((len(marks) - start) // len(row))
    if not marks.startswith(rows, start):
        return marks
    return marks[: start + len(row)] + marks[start + len(rows) :]


def _is_balanced(marks: bytes) -> bool:
    """Return whether this is only brackets that all close, at most `MAX_DEPTH` levels deep."""
    if TOO_MANY_OPEN in marks:
        return False
    for _ in range(MAX_DEPTH):
        if not marks:
            return True
        # Remove the innermost pairs: each round takes one level off every branch.
        marks = marks.replace(b"[]", b"")
    return not marks
