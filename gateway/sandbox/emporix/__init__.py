"""Emporix as a local server: OAuth, customer segments with their assignments, customers, webhooks.

Facts: the vendor's OpenAPI files of 2026-08-21 (customer segment, customer, OAuth service), the
published segments tutorial, and the standard practices on `q`, paging, bulk calls and languages.
"Our decision" in a docstring marks what none of them states.
"""

from gateway.sandbox.emporix.service import (
    CREDENTIALS,
    build,
    customer_token,
    webhooks_of,
)

__all__ = ["CREDENTIALS", "build", "customer_token", "webhooks_of"]
