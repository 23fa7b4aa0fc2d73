"""Limit how deeply the JSON of a reply nests, before anything recurses into it."""

import re

MAX_DEPTH = 64
"""Levels; the deepest documented reply (a rule of Stuut) stays below 20."""

SAME_BRACKETS = bytes.maketrans(b"{}", b"[]")
OTHER_BYTES = bytes(set(range(256)) - set(b'[]{}"'))
ESCAPE = re.compile(rb"\\.", re.DOTALL)
TEXT = re.compile(rb'"[^"]*"')
TOO_MANY_OPEN = b"[" * (MAX_DEPTH + 1)


def is_too_deep(body: bytes) -> bool:
    """Return whether JSON nests deeper than `MAX_DEPTH`; arbitrary for anything else.

    All work is done on bytes in C: decoding each reply once more to count would double its cost.
    """
    marks = body.translate(SAME_BRACKETS, OTHER_BYTES)
    if marks.count(b"[") <= MAX_DEPTH:
        return False
    if b"\\" in body:
        marks = ESCAPE.sub(b"", body).translate(SAME_BRACKETS, OTHER_BYTES)
    bare = _without_equal_rows(marks).replace(b'""', b"")
    if b'"' in bare:  # some string contains a bracket
        bare = TEXT.sub(b"", bare)
    return not _is_balanced(bare)


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
