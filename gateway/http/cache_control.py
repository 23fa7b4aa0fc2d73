"""How long a client may keep an answer: as its strictest part allows (RFC 9111)."""

import math

from gateway.request_scope import Scope

VARIES_BY = (
    *("accept", "accept-encoding", "accept-language", "authorization"),
    *("origin", "sec-fetch-site", "x-show-calls"),
)

VARY = (b"vary", ", ".join(VARIES_BY).encode())
"""What else an answer depends on."""


def cache_control(scope: Scope, *, has_errors: bool) -> bytes:
    """Return the `Cache-Control` of an answer; `private`: what one may see another may not.

    With an error, or where a provider failed, it may not be kept at all. What no provider told (a
    provider's health, the record) is asked again each time.
    """
    if has_errors or scope.fresh_for_s <= 0:
        return b"no-store"
    if scope.fresh_for_s < 1 or scope.fresh_for_s == math.inf:
        return b"private, no-cache"
    return b"private, max-age=%d" % scope.fresh_for_s
