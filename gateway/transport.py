"""The only module that talks to providers: one pool each, deadlines, sign-in, failures.

Retries, circuit breakers and budgets belong between `Upstream.send` and `Upstream._attempt`.
"""

import asyncio
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote, urlencode

import httpx
import structlog

from gateway.adapter import SANDBOX, AccountSettings, Adapter, SignsIn
from gateway.errors import Denied, Malformed, ProviderError, Refused, TimedOut, Unreachable
from gateway.health import Health
from gateway.scope import Scope, SentCall
from gateway.session import Session
from gateway.wire import Exchange, Reply, Token

T = TypeVar("T")

LARGEST_BODY = 16 * 1024 * 1024
"""Bytes of one answer, decompressed; a list page of any provider is far below it."""

BASE_OF_SANDBOX = "http://sandbox.invalid"
"""Never resolved: the embedded sandbox is called in this process."""

EVERY_CALL = {
    "accept": "application/json",
    "accept-encoding": "gzip",
    "user-agent": "segment-gateway",
}

log = structlog.get_logger(__name__)


class Upstream:
    """One provider's account over HTTP."""

    def __init__(
        self,
        settings: AccountSettings,
        adapter: Adapter,
        transport: httpx.AsyncBaseTransport,
    ) -> None:
        """Take over the transport; `close` closes it."""
        self.key = settings.key
        self.health = Health()
        self._timeout_s = settings.timeout_s
        self._transport = transport
        self._base_url = BASE_OF_SANDBOX if settings.base_url == SANDBOX else settings.base_url
        self._base_url = self._base_url.rstrip("/")
        self._base_path = httpx.URL(self._base_url).raw_path.rstrip(b"/")
        self._headers = {**EVERY_CALL, **adapter.secret_headers}
        self._places = asyncio.Semaphore(settings.max_concurrency)
        self._session: Session | None = None
        if isinstance(adapter, SignsIn):
            signing_in = adapter.sign_in

            async def sign_in(scope: Scope) -> Token:
                return await self._attempt(signing_in(), scope, EVERY_CALL)

            self._session = Session(self.key, sign_in, self._timeout_s)

    def __repr__(self) -> str:
        """Show the account's key only."""
        return f"Upstream({self.key!r})"

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._transport.aclose()

    async def send(self, exchange: Exchange[T], scope: Scope) -> T:
        """Make the call and read its reply, within the request's and the provider's time.

        Raises a `ProviderError`; its cause is logged once, under the request's id.
        """
        deadline = min(scope.deadline, asyncio.get_running_loop().time() + self._timeout_s)
        try:
            async with asyncio.timeout_at(deadline), self._places:
                return await self._signed(exchange, scope)
        except TimeoutError as error:
            raise self._failed(exchange, scope, TimedOut(self.key, exchange.operation)) from error
        except ProviderError as error:
            self._failed(exchange, scope, error)
            raise

    async def _signed(self, exchange: Exchange[T], scope: Scope) -> T:
        if self._session is None:
            return await self._attempt(exchange, scope, self._headers)
        token = await self._session.token(scope)
        headers = {**self._headers, "authorization": token.authorization}
        try:
            return await self._attempt(exchange, scope, headers)
        except Denied as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise
        # The token ended before its time (revoked, or the provider's clock is ahead): one new one.
        token = await self._session.token(scope, instead_of=token)
        headers["authorization"] = token.authorization
        return await self._attempt(exchange, scope, headers)

    async def _attempt(self, exchange: Exchange[T], scope: Scope, headers: Mapping[str, str]) -> T:
        """Make the call once."""
        started = time.perf_counter()
        status: int | None = None
        failure: ProviderError | None = None
        try:
            reply = await self._exchange(exchange, headers)
            status = reply.status
            return exchange.read(reply)
        except ProviderError as error:
            failure = error
            raise
        except (TimeoutError, asyncio.CancelledError):
            failure = TimedOut(self.key, exchange.operation)
            raise
        finally:
            took_ms = (time.perf_counter() - started) * 1000
            self.health.note(took_ms, failure)
            scope.calls.append(SentCall(self.key, exchange.operation, status, took_ms))

    async def _exchange(self, exchange: Exchange[T], headers: Mapping[str, str]) -> Reply:
        """Send the call and read the whole answer. httpx's client would only add cost here."""
        call, operation = exchange.call, exchange.operation
        target = (
            f"{call.path}?{urlencode(call.query, quote_via=quote)}" if call.query else call.path
        )
        request = httpx.Request(
            call.method,
            self._base_url + target,
            headers={**call.headers, **headers},
            content=call.body,
            extensions={"timeout": {"connect": self._timeout_s}},
        )
        if request.url.raw_path != self._base_path + target.encode():
            # httpx resolves dots in a path: this id would have named another resource.
            raise Refused(self.key, operation, was_sent=False, detail="the path would change")
        try:
            response = await self._transport.handle_async_request(request)
            try:
                body = await self._body(response, operation)
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise Unreachable(self.key, operation, was_sent=False, detail=str(error)) from error
        except httpx.TimeoutException as error:
            raise TimedOut(self.key, operation, detail=str(error)) from error
        except httpx.DecodingError as error:
            raise Malformed(self.key, operation, detail=str(error)) from error
        except httpx.TransportError as error:
            raise Unreachable(self.key, operation, detail=str(error)) from error
        return Reply(response.status_code, response.headers, body)

    async def _body(self, response: httpx.Response, operation: str) -> bytes:
        parts, size = [], 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > LARGEST_BODY:
                raise Malformed(
                    self.key, operation, detail=f"the answer is larger than {LARGEST_BODY} bytes"
                )
            parts.append(part)
        return b"".join(parts)

    def _failed(self, exchange: Exchange[T], scope: Scope, error: ProviderError) -> ProviderError:
        log.warning(
            "provider call failed",
            request_id=scope.request_id,
            provider=self.key,
            operation=exchange.operation,
            method=exchange.call.method,
            path=exchange.call.path,
            error=type(error).__name__,
            status=error.status,
            detail=error.detail or str(error.__cause__ or ""),
        )
        return error
