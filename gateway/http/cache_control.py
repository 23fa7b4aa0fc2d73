"""Cache headers of responses (RFC 9111): the part that expires first decides."""

import math

from gateway.request_scope import Scope

VARIES_BY = (
    *("accept", "accept-encoding", "accept-language", "authorization"),
    *("origin", "sec-fetch-site", "x-show-calls"),
)

VARY = (b"vary", ", ".join(VARIES_BY).encode())
"""The request headers that a response depends on."""


def cache_control(scope: Scope, *, has_errors: bool) -> bytes:
    """Return the `Cache-Control` of a response; `private`, because it depends on the caller.

    A response with errors, or during a provider's failure, must not be stored. One without data
    from providers (a provider's health, the store) must be revalidated each time.
    """
    if has_errors or scope.fresh_for_s <= 0:
        return b"no-store"
    if scope.fresh_for_s < 1 or scope.fresh_for_s == math.inf:
        return b"private, no-cache"
    return b"private, max-age=%d" % scope.fresh_for_s
