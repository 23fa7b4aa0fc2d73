"""Build the server: one tenant with example data, and the operations on it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from starlette.applications import Starlette

from gateway.sandbox.emporix.assignments import CustomerAssignments
from gateway.sandbox.emporix.customers import Customers
from gateway.sandbox.emporix.example import fill
from gateway.sandbox.emporix.groups import GroupAssignments
from gateway.sandbox.emporix.items import Items
from gateway.sandbox.emporix.oauth import CUSTOMER_SCOPES, Tokens
from gateway.sandbox.emporix.operations import Operations
from gateway.sandbox.emporix.segments import Segments
from gateway.sandbox.emporix.tenant import TENANT, Tenant
from gateway.sandbox.emporix.webhook_service import WebhookService
from gateway.sandbox.emporix.webhooks import TenantWebhooks
from gateway.sandbox.people import Person

CREDENTIALS: Mapping[str, str] = {
    "tenant": TENANT,
    "client_id": "sandbox-emporix-id",
    "client_secret": "sandbox-emporix-secret",
}
# Standard practices, bulk request limits. The status (413, plain text) is Starlette's.
BODY_LIMIT_BYTES = 10 * 1024 * 1024


def build(cast: Sequence[Person], now: Callable[[], datetime]) -> Starlette:
    """Return a server with its own state; its customers are those of the cast with an Emporix id.

    `state.tenant` has the data, `state.tokens` issues tokens. `now` is the clock.
    """
    tenant = Tenant(now)
    fill(tenant, cast)
    tokens = Tokens(CREDENTIALS, now)
    services = (
        tokens,
        Segments(tenant),
        CustomerAssignments(tenant),
        Items(tenant),
        GroupAssignments(tenant),
        Customers(tenant, CREDENTIALS["tenant"]),
        WebhookService(tenant),
    )
    operations = [one for service in services for one in service.operations()]
    app = Starlette(
        routes=[Operations(operations, CREDENTIALS["tenant"], tokens.check)],
        max_body_size=BODY_LIMIT_BYTES,
    )
    app.state.tenant = tenant
    app.state.tokens = tokens
    return app


def webhooks_of(app: Starlette) -> TenantWebhooks:
    """Return the webhooks of a server; nobody receives them yet."""
    tenant: Tenant = app.state.tenant
    return tenant.webhooks


def customer_token(app: Starlette, customer_id: str) -> str:
    """Return a token of a signed-in shopper; signing in is not part of the sandbox."""
    tokens: Tokens = app.state.tokens
    return tokens.issue(CUSTOMER_SCOPES, customer_id)
