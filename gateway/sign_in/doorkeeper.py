"""Tells who asks, by the Authorization header or what stands for it."""

import ipaddress
from functools import lru_cache

from gateway.access import Caller, everybody
from gateway.errors import Unauthenticated
from gateway.sign_in.settings import AuthSettings


class Doorkeeper:
    """Knows the callers of one gateway."""

    def __init__(
        self, settings: AuthSettings, *, allow_anonymous: bool | None, introspection: bool | None
    ) -> None:
        """Let in who the settings name.

        Without credentials: everybody where `allow_anonymous`, and where that is None and nobody
        could sign in, who asks from this machine. `introspection` None: for all but strangers,
        which are those without credentials from elsewhere.
        """
        self._settings = settings
        self._allow_anonymous = allow_anonymous
        self._introspection = introspection

    async def caller(self, authorization: str | None, address: str | None) -> Caller:
        """Return who asks: the Authorization header, and the address that the request came from.

        Raises `Unauthenticated`.
        """
        if authorization is None:
            return self._stranger(address)
        raise Unauthenticated("These credentials are not known.")

    def _stranger(self, address: str | None) -> Caller:
        is_near = is_local(address)
        allowed = self._allow_anonymous
        if allowed is None:
            allowed = is_near and self._settings.is_empty
        if not allowed:
            raise Unauthenticated("Sign in.")
        explores = is_near if self._introspection is None else self._introspection
        return everybody(f"anonymous@{address}", may_explore=explores)


@lru_cache(maxsize=1024)
def is_local(address: str | None) -> bool:
    """Tell whether an address is this machine's own. None is a Unix socket: it is."""
    if address is None:
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
