"""How long a client may keep an answer: as its strictest part allows (RFC 9111)."""

import math
from collections.abc import Mapping

from gateway.scope import Scope


def cache_headers(scope: Scope, *, has_errors: bool) -> Mapping[str, str]:
    """Return the headers for an answer; `private`, since what one may see another may not.

    With an error, or where a provider failed, it may not be kept at all. What no provider told (a
    provider's health, the record) is asked again each time.
    """
    if has_errors or scope.fresh_for_s <= 0:
        kept = "no-store"
    elif scope.fresh_for_s < 1 or scope.fresh_for_s == math.inf:
        kept = "private, no-cache"
    else:
        kept = f"private, max-age={int(scope.fresh_for_s)}"
    return {
        "cache-control": kept,
        "vary": "accept, accept-language, authorization, x-show-calls",
    }
