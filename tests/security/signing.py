"""A token issuer, a gateway that accepts its tokens, and a caller."""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.auth.refusal import MESSAGE
from gateway.auth.settings import AuthSettings, JwtSettings, KeySettings
from gateway.settings.tables import Settings
from tests.e2e.serving import Front, serving, settings_with

ISSUER = "https://login.shop.example"
AUDIENCE = "segment-gateway"
SUBJECT = "ana@shop.example"
ASKED = "{ providers { key } }"
REFUSED = (401, MESSAGE, "UNAUTHENTICATED")

Pair = RSAKey | ECKey | OKPKey


@cache
def rsa(kid: str = "rsa-1") -> RSAKey:
    """Return a key pair of the issuer's."""
    return RSAKey.generate_key(2048, {"kid": kid})


@cache
def curve(kid: str = "ec-1", crv: str = "P-256") -> ECKey:
    """Return another, of the other type."""
    return ECKey.generate_key(crv, {"kid": kid})


@cache
def edwards(kid: str = "ed-1") -> OKPKey:
    """Return another, of the newest type."""
    return OKPKey.generate_key("Ed25519", {"kid": kid})


def key_set(*pairs: Pair) -> bytes:
    """Return what the issuer publishes."""
    return json.dumps({"keys": [pair.as_dict(private=False) for pair in pairs]}).encode()


def claims(**changed: Any) -> dict[str, Any]:
    """Return the claims of a good token, with some changed; None: without it."""
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": SUBJECT,
        "exp": int(time.time()) + 600,
        "scope": "admin",
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


class _AnyAlgorithm(jws.JWSRegistry):
    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


def signed(
    claimed: Mapping[str, Any] | bytes | None = None, key: Any = None, **header: Any
) -> str:
    """Return a token: these claims, signed by this key, with this header; good unless changed."""
    pair = key or rsa()
    kid = {} if pair.kid is None else {"kid": pair.kid}
    payload = claimed if isinstance(claimed, bytes) else json.dumps(claimed or claims()).encode()
    whole = {"alg": "RS256", "typ": "JWT", **kid, **header}
    return jws.serialize_compact(
        {name: value for name, value in whole.items() if value is not None},
        payload,
        pair,
        registry=_AnyAlgorithm(strict_check_header=False),
    )


def believing(
    jwks: Path | str | None = None,
    keys: Sequence[KeySettings] = (),
    *,
    allow_anonymous: bool | None = None,
    **changed: Any,
) -> Settings:
    """Return the settings of a gateway that believes the issuer, by a file or a URL, and keys."""
    issuers: tuple[JwtSettings, ...] = ()
    if jwks is not None:
        source = {"jwks_url" if isinstance(jwks, str) else "jwks_file": jwks}
        issuer = {"issuer": ISSUER, "audience": AUDIENCE, **source, **changed}
        issuers = (JwtSettings.model_validate(issuer),)
    settings = settings_with()
    return settings.model_copy(
        update={
            "auth": AuthSettings(keys=tuple(keys), jwt=issuers),
            "server": settings.server.model_copy(update={"allow_anonymous": allow_anonymous}),
        }
    )


@contextlib.asynccontextmanager
async def guarded(
    jwks: Path | str | None = None, keys: Sequence[KeySettings] = (), **changed: Any
) -> AsyncIterator[Front]:
    """Serve a gateway with these settings: see `believing`."""
    async with serving(settings=believing(jwks, keys, **changed)) as front:
        yield front


async def asks(front: Front, authorization: str | None, query: str = ASKED) -> httpx.Response:
    """Ask with this Authorization header."""
    headers = {}
    if authorization is not None:
        headers[b"authorization"] = authorization.encode("latin-1")
    return await front.client.post("/graphql", json={"query": query}, headers=headers)


async def lets_in(front: Front, credential: str) -> bool:
    """Tell whether who shows this token or key is answered; else they must be refused."""
    reply = await asks(front, f"Bearer {credential}")
    if reply.status_code == httpx.codes.OK:
        assert [each["key"] for each in reply.json()["data"]["providers"]]
        return True
    assert refusal(reply) == REFUSED
    return False


def refusal(reply: httpx.Response) -> tuple[int, str, str]:
    """Return status, message and code of an answer that is one error."""
    assert reply.json().keys() == {"errors"}
    (error,) = reply.json()["errors"]
    return reply.status_code, error["message"], error["extensions"]["code"]
