"""Voucherify's OAuth 2.0 (client credentials): token, introspect, revoke."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from gateway.sandbox.people import scramble
from gateway.sandbox.replies import json_response
from gateway.sandbox.voucherify.refusals import RefusalError, require_media_type

TOKEN_LIFETIME_S, MAX_TOKENS = 900, 1000
CLIENT_ID = "a1Bcdefg2HI3Jkl4m5nOP"
SCOPES = """
    api vouchers client_api client_vouchers promotions client_promotions campaigns client_publish
    exports publications client_validate validations client_validations qualifications
    client_qualifications client_redeem redemptions client_redemptions customers client_customers
    orders products skus validation-rules validation-rules-assignments segments events
    client_events rewards assets task-results loyalties client_consents consents async-actions
    product-collections categories metadata-schemas locations referrals trash-bin templates
"""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token: what it may do, and until when (Unix seconds)."""

    access_token: str
    scope: str
    expires_at: int

    def allows(self, scope: str) -> bool:
        """Return whether the token covers that scope."""
        return not {scope, "api"}.isdisjoint(self.scope.split())


class Tokens:
    """The tokens given out, and the handlers of `/v1/oauth`, which take only the key pair."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._tokens: dict[str, Token] = {}
        self._count = 0

    def find(self, access_token: str) -> Token | None:
        """Return a token that is alive, or None."""
        token = self._tokens.get(access_token)
        return token if token is not None and token.expires_at > self._seconds() else None

    async def generate(self, request: Request) -> Response:
        """Issue a token for the requested scopes, which are separated by spaces."""
        form = await _read_form(request)
        if form.get("grant_type") != "client_credentials":
            raise _refusal("invalid_grant_type", "Invalid grant_type")
        requested = form.get("scope", "").split()
        unknown = [scope for scope in requested if scope not in SCOPES.split()]
        if unknown or not requested:
            raise _refusal("invalid_scope", f"Invalid scope: {','.join(unknown)}")
        now = self._seconds()
        self._tokens = {key: held for key, held in self._tokens.items() if held.expires_at > now}
        if len(self._tokens) >= MAX_TOKENS:
            # The limit is documented, the answer at the limit is not.
            raise _refusal("too_many_tokens", f"At most {MAX_TOKENS} tokens per project")
        self._count += 1
        token = Token(
            scramble(self._count, 50), scope=" ".join(requested), expires_at=now + TOKEN_LIFETIME_S
        )
        self._tokens[token.access_token] = token
        return json_response(self._show(token))

    async def introspect(self, request: Request) -> Response:
        """Describe a token; one that is dead or was never given is just not active."""
        token = self.find(await _read_token(request))
        if token is None:
            return json_response({"active": False})
        return json_response(self._show(token) | {"active": True})

    async def revoke(self, request: Request) -> Response:
        """End a token; 404 without a body when it is not alive."""
        token = self.find(await _read_token(request))
        if token is None:
            return Response(status_code=HTTPStatus.NOT_FOUND)
        del self._tokens[token.access_token]
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _seconds(self) -> int:
        return int(self._now().timestamp())

    def _show(self, token: Token) -> dict[str, str | int]:
        return {
            "access_token": token.access_token,
            "client_id": CLIENT_ID,
            "expires_at": token.expires_at,
            "expires_in": token.expires_at - self._seconds(),
            "scope": token.scope,
            "token_type": "Bearer",
        }


def _refusal(key: str, message: str) -> RefusalError:
    return RefusalError(HTTPStatus.BAD_REQUEST, message, key=key)


async def _read_token(request: Request) -> str:
    form = await _read_form(request)
    if "access_token" not in form:
        raise _refusal("missing_parameters", "Missing parameters")
    return form["access_token"]


async def _read_form(request: Request) -> dict[str, str]:
    require_media_type(request, "application/x-www-form-urlencoded")
    body = (await request.body()).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(body).items()}
