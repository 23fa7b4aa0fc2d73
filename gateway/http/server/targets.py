"""Request targets in absolute form: servers must accept them (RFC 9112, 3.2.2)."""

import re
from collections.abc import Sequence

from gateway.http.graphql_over_http import Header

_ABSOLUTE = re.compile(
    rb"https?://((?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]*)?)(/[!-~]*|\?[!-~]*)?", re.IGNORECASE
)


def origin_form(target: bytes, headers: Sequence[Header]) -> tuple[bytes, list[Header]]:
    """Return target and headers as if the target had come in origin form.

    The host in it stands in the place of the header Host, which is ignored. A target of another
    form is returned as it is.
    """
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return target, list(headers)
    host, rest = absolute[1], absolute[2] or b""
    changed = [(name, host if name == b"host" else value) for name, value in headers]
    return rest if rest.startswith(b"/") else b"/" + rest, changed
