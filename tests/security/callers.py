"""Callers with any permissions, described by their Authorization header."""

import contextlib
import math
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from gateway.auth.authenticator import Authenticator
from gateway.auth.permissions import Caller, Permission, VerifiedCaller, unrestricted_caller
from gateway.settings.tables import Settings
from tests.e2e.serving import Front, Providers, serving

EVERY_SCOPE = tuple(right.value for right in Permission)


def signed(*scopes: str, **own: str) -> str:
    """Return the header of a caller with these scopes, and with these ids by provider.

    The header itself is the caller's id, unless it has a word that starts with `#`: then that is.
    """
    return " ".join([*scopes, *(f"{provider}={key}" for provider, key in own.items())])


class Believing(Authenticator):
    """Accepts the caller that a header describes."""

    async def authenticate(self, authorization: str | None, address: str | None) -> Caller:
        """Return the caller that `signed` describes; without a header there is none."""
        known = self.authenticate_now(authorization, address)
        return known.caller if known else await super().authenticate(authorization, address)

    def authenticate_now(self, authorization: str | None, _: str | None) -> VerifiedCaller | None:
        """Return the same, without waiting."""
        if authorization is None:
            return VerifiedCaller(unrestricted_caller(), math.inf)
        grants: dict[Permission, frozenset[str] | None] = {}
        own: dict[str, str] = {}
        name = authorization
        for word in authorization.split():
            if "=" in word:
                provider, _, key = word.partition("=")
                own[provider] = key
            elif word.startswith("#"):
                name = word
            else:
                scope, _, at = word.partition("@")
                grants[Permission(scope)] = frozenset(at.split(",")) if at else None
        return VerifiedCaller(Caller(name, grants, own or None), math.inf)


@contextlib.asynccontextmanager
async def guarded(
    providers: Providers | None = None, settings: Settings | None = None
) -> AsyncIterator[Front]:
    """Serve a gateway with `Believing`, signed in at its providers, its calls counted anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.http.live_settings.Authenticator", Believing)
        async with serving(providers, settings) as front:
            await front.data("{ segments(first: 1) { nodes { id } } }")
            front.forget()
            yield front


async def ask(
    front: Front, caller: str, query: str, variables: Mapping[str, Any] | None = None
) -> Any:
    """Return the answer to a caller, without what differs from request to request."""
    body = await front.ask(query, variables, authorization=caller)
    body.get("extensions", {}).pop("cost", None)
    return body


def forbidden(*messages: str) -> dict[str, Any]:
    """Return an answer that is refused, by its messages in their order."""
    return {"errors": [{"message": each, "code": "FORBIDDEN"} for each in messages]}


def refusal(body: Any) -> Any:
    """Return an answer that is refused without the places in the document."""
    if "data" in body:
        return body
    errors = [
        {"message": each["message"], "code": each["extensions"]["code"]} for each in body["errors"]
    ]
    return {"errors": errors}
