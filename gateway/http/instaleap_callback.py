"""The reverse call: a shop asks which segments a customer is in, and the record answers.

Facts: dev-center.instaleap.io/reference/customer-segments-gateway, read 2026-11-21. It shows the
bodies and a bearer token; path, status numbers and error codes are ours.
"""

import asyncio
import hmac
from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

import msgspec
import structlog
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.http.graphql_over_http import new_request_id
from gateway.store.database import BUSY_S
from gateway.store.errors import StoreFailed
from gateway.store.reporting import report
from gateway.store.store import Store

PATH = "/providers/{key}/customers/{document_id:path}/segments"
"""The id may hold slashes, percent-encoded."""

log = structlog.get_logger()


@runtime_checkable
class IsAsked(Protocol):
    """The settings of a provider that asks the gateway back."""

    key: str
    reverse_token: SecretStr | None
    """What it shows; None: it may not ask."""


class InstaleapCallback:
    """Answers shops, each by its provider's key and token."""

    def __init__(
        self,
        accounts: Iterable[object],
        record: Callable[[], Store | None],
        timeout_s: float = BUSY_S,
    ) -> None:
        """Serve those of the accounts that ask back; `record` returns the one that is open.

        A call fails after `timeout_s` seconds.
        """
        self._timeout_s = timeout_s
        self._tokens = {
            account.key: account.reverse_token
            for account in accounts
            if isinstance(account, IsAsked) and account.reverse_token is not None
        }
        self._record = record

    @property
    def route(self) -> Route:
        """Where it is served."""
        return Route(PATH, self.answer, methods=["GET"])

    async def answer(self, request: Request) -> Response:
        """Answer `{"segments": [{type, value}]}`, or `{"error": {code, message}}`.

        While a write is open the customer is shown as that write wants them: who asks here takes
        the gateway for the source, and will be told the same by the write. A customer of whom
        nothing is recorded has no segments: shops ask at sign-up, when nobody can know them yet.
        """
        token = self._tokens.get(request.path_params["key"])
        if token is None:
            return _error(404, "NOT_FOUND", "There is nothing here.")
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        expected = token.get_secret_value().encode()
        is_token = hmac.compare_digest(shown.strip().encode(), expected)
        if scheme.lower() != "bearer" or not is_token:
            return _error(401, "UNAUTHENTICATED", "The bearer token is missing or wrong.")
        record = self._record()
        try:
            if record is None:
                return _error(503, "UNAVAILABLE", "The gateway is not open yet, or not any more.")
            deadline = asyncio.get_running_loop().time() + self._timeout_s
            tags = await record.wanted(
                request.path_params["key"], request.path_params["document_id"], deadline
            )
        except StoreFailed as error:
            request_id = new_request_id()
            report(error, request_id)
            refusal = _error(503, "UNAVAILABLE", str(error))
            refusal.headers["x-request-id"] = request_id
            return refusal
        except Exception:
            log.exception("reverse call failed")
            return _error(500, "INTERNAL", "The gateway has a fault of its own.")
        return _json(200, {"segments": [tag._asdict() for tag in tags]})


def _error(status: int, code: str, message: str) -> Response:
    return _json(status, {"error": {"code": code, "message": message}})


def _json(status: int, body: object) -> Response:
    headers = {"cache-control": "no-store"}
    if status == 401:  # noqa: PLR2004  # a status is its own name
        headers["www-authenticate"] = "Bearer"
    return Response(
        msgspec.json.encode(body), status, headers, media_type="application/json; charset=utf-8"
    )
