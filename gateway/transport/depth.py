"""Bounds how deeply the JSON of an answer nests, before anything recurses into it."""

import re

DEEPEST = 64
"""Levels; the deepest documented answer (a rule of Stuut) stays below 20."""

ALIKE = bytes.maketrans(b"{}", b"[]")
REST = bytes(set(range(256)) - set(b'[]{}"'))
ESCAPE = re.compile(rb"\\.", re.DOTALL)
TEXT = re.compile(rb'"[^"]*"')


def is_too_deep(body: bytes) -> bool:
    """Tell whether JSON nests deeper than `DEEPEST`; of anything else it may tell either.

    Everything runs over bytes in C: decoding each answer once more to count would double its cost.
    """
    marks = body.translate(ALIKE, REST)
    if marks.count(b"[") <= DEEPEST:
        return False
    if b"\\" in body:
        body = ESCAPE.sub(b"", body)
        marks = body.translate(ALIKE, REST)
    marks = marks.replace(b'""', b"")
    if b'"' in marks:  # some text holds a bracket
        marks = TEXT.sub(b"", body).translate(ALIKE, REST)
    for _ in range(DEEPEST):
        if not marks:
            return False
        # Innermost pairs go: each round takes one level off every branch.
        marks = marks.replace(b"[]", b"")
    return bool(marks)
