"""Request targets in absolute form, which servers must accept (RFC 9112, 3.2.2)."""

import re
from collections.abc import Sequence

from gateway.http.graphql_over_http import Header

_ABSOLUTE = re.compile(
    rb"https?://((?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]*)?)(/[!-~]*|\?[!-~]*)?", re.IGNORECASE
)


def origin_form(target: bytes, headers: Sequence[Header]) -> tuple[bytes, list[Header]]:
    """Convert a target in absolute form to origin form; its host replaces the header Host.

    A target in another form is returned unchanged.
    """
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return target, list(headers)
    host, path = absolute[1], absolute[2] or b""
    replaced = [(name, host if name == b"host" else value) for name, value in headers]
    return path if path.startswith(b"/") else b"/" + path, replaced
