"""Tokens: `POST /oauth/token` for services, and what a bearer token allows."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2s
from urllib.parse import parse_qsl

from starlette.responses import Response

from gateway.sandbox.emporix.faults import UnauthorizedError
from gateway.sandbox.emporix.operations import ApiCall, Grant, Operation, operation
from gateway.sandbox.replies import json_response

LIFETIME_S = 14399
CLIENT_SCOPES = (
    "customersegment.segment_read",
    "customersegment.segment_manage",
    "customer.customer_read",
    "customer.customer_manage",
    "webhook.subscription_read",
    "webhook.subscription_manage",
)
CUSTOMER_SCOPES = (
    "customersegment.segment_read_own",
    "customer.customer_read_own",
    "customer.customer_manage_own",
)


@dataclass(frozen=True, slots=True)
class Issued:
    """A grant and when it ends."""

    grant: Grant
    expires_at: datetime


class Tokens:
    """The tokens issued so far, including expired ones, which are refused differently."""

    def __init__(self, credentials: Mapping[str, str], now: Callable[[], datetime]) -> None:
        self._credentials = credentials
        self._now = now
        self._issued: dict[str, Issued] = {}

    def issue(self, scopes: Iterable[str], customer: str | None = None) -> str:
        """Return a new token; with `customer`, for a signed-in shopper."""
        text = blake2s(f"token {len(self._issued)}".encode(), digest_size=16).hexdigest()
        expires_at = self._now() + timedelta(seconds=LIFETIME_S)
        self._issued[text] = Issued(Grant(frozenset(scopes), customer), expires_at)
        return text

    def check(self, authorization: str | None) -> Grant:
        """Return what the header's token allows; UnauthorizedError if it is unknown or expired."""
        kind, _, token = (authorization or "").partition(" ")
        issued = self._issued.get(token) if kind.lower() == "bearer" else None
        if issued is None:
            raise UnauthorizedError("Invalid access token", "oauth.v2.InvalidAccessToken")
        if issued.expires_at <= self._now():
            raise UnauthorizedError(
                "Access Token expired", "keymanagement.service.access_token_expired"
            )
        return issued.grant

    def operations(self) -> list[Operation]:
        """Return the calls of the OAuth service; they need no token."""
        return [operation("POST", "/oauth/token", self.token)]

    def token(self, call: ApiCall) -> Response:
        """Exchange client credentials, as a form, for a token that is valid for 14399 seconds.

        `scope` left out means every scope of the client; scopes the client does not have are left
        out of the grant. How a bad client is refused is not documented; our decision is 401 in
        the gateway's shape.
        """
        is_form = call.headers.get("content-type", "").startswith(
            "application/x-www-form-urlencoded"
        )
        form = dict(parse_qsl(call.body.decode(errors="replace"))) if is_form else {}
        tenant = f"tenant={self._credentials['tenant']}"
        requested = form.get("scope", "").split()
        if (
            form.get("grant_type") != "client_credentials"
            or form.get("client_id") != self._credentials["client_id"]
            or form.get("client_secret") != self._credentials["client_secret"]
            or any(scope.startswith("tenant=") and scope != tenant for scope in requested)
        ):
            raise UnauthorizedError(
                "Invalid client identifier", "oauth.v2.InvalidClientIdentifier"
            )
        named = [scope for scope in requested if scope != tenant]
        scopes = [scope for scope in CLIENT_SCOPES if not named or scope in named]
        return json_response(
            {
                "access_token": self.issue(scopes),
                "token_type": "Bearer",
                "expires_in": LIFETIME_S,
                "session_idle_time": 120,
                "refresh_token": "",
                "refresh_token_expires_in": 0,
                "scope": " ".join([tenant, *scopes]),
            }
        )
