"""Bounds how deeply the JSON of an answer nests, before anything recurses into it."""

import re

DEEPEST = 64
"""Levels; the deepest documented answer (a rule of Stuut) stays below 20."""

ALIKE = bytes.maketrans(b"{}", b"[]")
REST = bytes(set(range(256)) - set(b'[]{}"'))
ESCAPE = re.compile(rb"\\.", re.DOTALL)
TEXT = re.compile(rb'"[^"]*"')
FAR_TOO_DEEP = b"[" * (DEEPEST + 1)


def is_too_deep(body: bytes) -> bool:
    """Tell whether JSON nests deeper than `DEEPEST`; of anything else it may tell either.

    Everything runs over bytes in C: decoding each answer once more to count would double its cost.
    """
    marks = body.translate(ALIKE, REST)
    if marks.count(b"[") <= DEEPEST:
        return False
    if b"\\" in body:
        marks = ESCAPE.sub(b"", body).translate(ALIKE, REST)
    bare = _with_one_row(marks).replace(b'""', b"")
    if b'"' in bare:  # some text holds a bracket
        bare = TEXT.sub(b"", bare)
    return not _ends(bare)


def _with_one_row(marks: bytes) -> bytes:
    """Return the same, but of the rows of a list that all look alike only the first two.

    A row that is whole, and has no bracket in a text, adds no level to the one before it; and if
    it stands in a text itself, it still leaves it as it came.
    """
    start = marks.find(b"][") + 1
    row = marks[start : marks.find(b"][", start) + 1]
    if not row or not _ends(row.replace(b'""', b"")):
        return marks
    rows = row * ((len(marks) - start) // len(row))
    if not marks.startswith(rows, start):
        return marks
    return marks[: start + len(row)] + marks[start + len(rows) :]


def _ends(marks: bytes) -> bool:
    """Tell whether this is nothing but brackets that all close, at most `DEEPEST` levels deep."""
    if FAR_TOO_DEEP in marks:
        return False
    for _ in range(DEEPEST):
        if not marks:
            return True
        # Innermost pairs go: each round takes one level off every branch.
        marks = marks.replace(b"[]", b"")
    return not marks
