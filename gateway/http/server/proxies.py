"""The proxies that are believed: who sends a request that came through one of them."""

import contextlib
import copy
from typing import Any

from starlette.types import Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware


class Proxies:
    """What uvicorn's middleware knows of proxies, without the application behind it."""

    def __init__(self, middleware: ProxyHeadersMiddleware) -> None:
        """Believe what it believes."""
        self._middleware: Any = copy.copy(middleware)
        self._middleware.app = _nothing

    def trusts(self, host: str) -> bool:
        """Tell whether a connection from this address comes from such a proxy."""
        return host in self._middleware.trusted_hosts

    def forwarded(self, scope: Scope) -> Scope:
        """Return a request's scope as the application sees it."""
        changed = {**scope}
        # It changes the scope, and then waits for the application alone.
        with contextlib.suppress(StopIteration):
            self._middleware(changed, None, None).send(None)
        return changed


def proxies_of(app: Any) -> Proxies | None:
    """Return the proxies that an application believes, as uvicorn has wrapped it; None: nobody."""
    return Proxies(app) if isinstance(app, ProxyHeadersMiddleware) else None


async def _nothing(*_: Any) -> None:
    """Do nothing."""
