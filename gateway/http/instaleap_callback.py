"""Instaleap's callback: a shop requests a customer's segments, which the store knows.

Facts: dev-center.instaleap.io/reference/customer-segments-gateway, read 2026-11-21. That page
specifies the bodies and a bearer token; the path, statuses and error codes are ours.
"""

import asyncio
import hmac
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

import msgspec
import structlog
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.domain.mutations import Tag
from gateway.http.graphql_over_http import new_request_id
from gateway.store.database import BUSY_S
from gateway.store.errors import StoreFailed
from gateway.store.reporting import report
from gateway.store.store import Store

PATH = "/providers/{key}/customers/{document_id:path}/segments"
"""The id may contain slashes, percent-encoded."""

log = structlog.get_logger()


@runtime_checkable
class HasReverseToken(Protocol):
    """The settings of a provider that calls the gateway."""

    key: str
    reverse_token: SecretStr | None
    """The bearer token of its calls; None: it may not call."""


class InstaleapCallback:
    """Serve callbacks, each identified by its provider's key and token."""

    def __init__(
        self,
        accounts: Iterable[object],
        store: Callable[[], Store | None],
        timeout_s: float = BUSY_S,
    ) -> None:
        """Serve the accounts that have a token; `store` returns the open store, if it is open.

        A callback fails after `timeout_s` seconds.
        """
        self._store = store
        self.configure(accounts, timeout_s)

    def configure(self, accounts: Iterable[object], timeout_s: float) -> None:
        """Serve other accounts from now on."""
        self._timeout_s = timeout_s
        self._tokens = {
            account.key: account.reverse_token
            for account in accounts
            if isinstance(account, HasReverseToken) and account.reverse_token is not None
        }

    @property
    def route(self) -> Route:
        """The route of all callbacks."""
        return Route(PATH, self.answer, methods=["GET"])

    async def answer(self, request: Request) -> Response:
        """Return `{"segments": [{type, value}]}`, or `{"error": {code, message}}`.

        While a write is in progress, return the segments that it will result in: the shop takes
        the gateway as the source, and the write sends it the same. A customer without rows in the
        store has no segments: shops call at sign-up, before anything can be known of a customer.
        """
        token = self._tokens.get(request.path_params["key"])
        if token is None:
            return _error(404, "NOT_FOUND", "There is nothing here.")
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        expected = token.get_secret_value().encode()
        is_valid = hmac.compare_digest(credential.strip().encode(), expected)
        if scheme.lower() != "bearer" or not is_valid:
            return _error(401, "UNAUTHENTICATED", "The bearer token is missing or wrong.")
        store = self._store()
        try:
            if store is None:
                return _error(503, "UNAVAILABLE", "The gateway is starting or shutting down.")
            deadline = asyncio.get_running_loop().time() + self._timeout_s
            tags = await store.newest_tags(
                request.path_params["key"], request.path_params["document_id"], deadline
            )
        except StoreFailed as error:
            request_id = new_request_id()
            report(error, request_id)
            response = _error(503, "UNAVAILABLE", str(error))
            response.headers["x-request-id"] = request_id
            return response
        except Exception:  # a bug: logged whole, and answered in our own words
            log.exception("instaleap_callback_failed")
            return _error(500, "INTERNAL", "Internal error.")
        return _segments(request.path_params["document_id"], tags)


def _segments(document_id: str, tags: Sequence[Tag]) -> Response:
    """Return a customer's segments.

    Shops may also search by an email address, which the store does not have. That is an error: a
    customer who is said to have no segments may lose them.
    """
    if not tags and "@" in document_id:
        return _error(404, "NOT_FOUND", "Customers are known by their document ids only.")
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
