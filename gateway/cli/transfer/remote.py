"""A gateway to send operations to, over HTTP."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import httpx

ATTEMPTS: Final = 6
FIRST_PAUSE_S: Final = 0.5
TIMEOUT_S: Final = 60.0
"""Longer than the gateway's own deadline for a request."""
HOPELESS: Final = frozenset({"UNAUTHENTICATED", "FORBIDDEN"})
"""Codes after which no further row can succeed."""


class RemoteFailed(Exception):
    """The gateway cannot be used for this; the message says why."""


class Reply(NamedTuple):
    """The response to an operation."""

    data: Mapping[str, Any]
    errors: Sequence[Mapping[str, Any]]


class RemoteGateway:
    """Sends operations, and repeats those that may succeed later. Safe with idempotency keys."""

    def __init__(
        self, url: str, key: str | None, pause: Callable[[float], None] = time.sleep
    ) -> None:
        """Use the gateway at `url`, with an API key or a token."""
        headers = {"accept": "application/json"}
        if key:
            headers["authorization"] = f"Bearer {key}"
        self.url = url.rstrip("/")
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT_S)
        self._pause = pause

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def send(self, query: str, variables: Mapping[str, Any]) -> Reply:
        """Return the reply, errors included. Raises `RemoteFailed` if there will be none."""
        wait = FIRST_PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            reply, problem, retry_after = self._attempt(query, variables)
            if reply is not None and (attempt == ATTEMPTS or not problem):
                return reply
            if attempt < ATTEMPTS:
                self._pause(retry_after or wait)
                wait *= 2
        raise RemoteFailed(problem)

    def _attempt(
        self, query: str, variables: Mapping[str, Any]
    ) -> tuple[Reply | None, str, float | None]:
        """Return the reply, why it should be repeated, and after how many seconds."""
        try:
            body = {"query": query, "variables": variables}
            response = self._client.post(f"{self.url}/graphql", json=body)
        except httpx.UnsupportedProtocol:
            raise RemoteFailed(f"{self.url} is not an http or https address") from None
        except httpx.HTTPError as error:
            return None, f"{self.url} cannot be reached ({type(error).__name__})", None
        try:
            document = response.json()
            errors = [dict(each) for each in document.get("errors", ())]
        except (ValueError, TypeError, AttributeError):
            return None, f"{self.url} is not a gateway (HTTP {response.status_code})", None
        for each in errors:
            if each.get("extensions", {}).get("code") in HOPELESS:
                raise RemoteFailed(str(each.get("message")))
        reply = Reply(document.get("data") or {}, errors)
        retryable = [each for each in errors if each.get("extensions", {}).get("retryable")]
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or retryable:
            after = response.headers.get("retry-after", "")
            message = str(errors[0].get("message", "too many requests"))
            return reply, message, float(after) if after.isdigit() else None
        return reply, "", None
