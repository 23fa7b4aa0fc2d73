"""Trusted proxies, and the clients behind them."""

import contextlib
import copy
from typing import Any

from starlette.types import Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware


class Proxies:
    """Apply uvicorn's proxy middleware without calling the application behind it."""

    def __init__(self, middleware: ProxyHeadersMiddleware) -> None:
        """Trust the proxies that the middleware trusts."""
        self._middleware: Any = copy.copy(middleware)
        self._middleware.app = _no_app

    def trusts(self, host: str) -> bool:
        """Return whether this address is that of a trusted proxy."""
        return host in self._middleware.trusted_hosts

    def forwarded(self, scope: Scope) -> Scope:
        """Return a request's scope as the application sees it."""
        forwarded = {**scope}
        # The middleware changes the scope, and awaits nothing but the application.
        with contextlib.suppress(StopIteration):
            self._middleware(forwarded, None, None).send(None)
        return forwarded


def proxies_of(app: Any) -> Proxies | None:
    """Return the trusted proxies of an application that uvicorn has wrapped; None: none."""
    return Proxies(app) if isinstance(app, ProxyHeadersMiddleware) else None


async def _no_app(*_: Any) -> None:
    """Do nothing."""
