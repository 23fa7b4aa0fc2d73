"""One token issuer: verify its signatures, and map the claims of its tokens to permissions."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.errors import ClaimError, JoseError, UnsupportedAlgorithmError
from joserfc.jwt import JWTClaimsRegistry

from gateway.auth.digests import digest
from gateway.auth.jwks import FileKeyring, Keyring, UrlKeyring
from gateway.auth.permissions import Caller, Grants, Permission, VerifiedCaller
from gateway.auth.refusal import refuse
from gateway.auth.scopes import grants_of
from gateway.auth.settings import JwtSettings

KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""The key type of an algorithm, by the first letters of its name."""

KeySource = tuple[str, str | None, Path | None]
"""The issuer, and the URL or the file of its keys."""

MAX_ID_LENGTH = 256
"""Characters of a customer's external id."""


class _Algorithms(jws.JWSRegistry):
    """The algorithms of one issuer.

    joserfc's own registry warns about every EdDSA, which RFC 9864 renamed and issuers still use.
    """

    def get_alg(self, name: str) -> Any:
        """Return an algorithm if the settings allow it."""
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


class Issuer:
    """Verify the tokens that one issuer made for this gateway."""

    def __init__(
        self,
        settings: JwtSettings,
        providers: Collection[str],
        keyring: Keyring,
        *,
        may_explore: bool,
    ) -> None:
        """Verify with the keys of a keyring; `providers` are the keys of all providers."""
        self._settings = settings
        self._providers = providers
        self._may_explore = may_explore
        self._algorithms = _Algorithms(algorithms=settings.algorithms, strict_check_header=False)
        self._keyring = keyring
        audience = settings.audience
        self._claims = JWTClaimsRegistry(
            leeway=settings.leeway_s,
            iss={"essential": True, "value": settings.issuer},
            aud={
                "essential": True,
                "values": [audience] if isinstance(audience, str) else [*audience],
            },
            sub={"essential": True},
            exp={"essential": True},
        )

    async def verify(self, signed: jws.CompactSignature, claims: dict[str, Any]) -> VerifiedCaller:
        """Return the caller of a token; `claims` is its payload, not verified yet.

        Raises `Unauthenticated`.
        """
        name = self._settings.issuer
        algorithm = signed.headers().get("alg")
        if algorithm not in self._settings.algorithms:
            refuse("algorithm is not allowed", issuer=name)
        kid = signed.headers().get("kid")
        key = await self._keyring.key(kid, KEY_TYPES[algorithm[:2]])
        if key is None:
            refuse("unknown key", issuer=name)
        try:
            if not jws.validate_compact(signed, key, registry=self._algorithms):
                refuse("bad_signature", issuer=name)
            self._claims.validate(claims)
        except ClaimError as error:
            refuse(error.error, claim=error.claim, issuer=name)
        except JoseError as error:
            refuse(error.error, issuer=name)
        return VerifiedCaller(self._caller(claims), claims["exp"] + self._settings.leeway_s)

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        """Return a caller whose id is a digest: subjects may be e-mail addresses."""
        grants = self._grants(claims)
        own = (
            self._own(claims, grants[Permission.OWN_READ])
            if Permission.OWN_READ in grants
            else None
        )
        if own == {}:
            grants = {
                permission: providers
                for permission, providers in grants.items()
                if permission is not Permission.OWN_READ
            }
        subject = digest(f"{self._settings.issuer}\0{claims['sub']}").hex()
        return Caller(f"jwt:{subject[:32]}", grants, own or None, may_explore=self._may_explore)

    def _grants(self, claims: Mapping[str, Any]) -> Grants:
        claim = claims.get(self._settings.scope_claim)
        scopes = claim.split(" ") if isinstance(claim, str) else claim
        if not isinstance(scopes, list):
            return {}
        return grants_of(scope for scope in scopes if isinstance(scope, str))

    def _own(self, claims: Mapping[str, Any], at: frozenset[str] | None) -> Mapping[str, str]:
        """Return the customer's external ids by provider, limited to `at`; None: to all."""
        claim = claims.get(self._settings.own_claim) if self._settings.own_claim else None
        ids = dict.fromkeys(self._providers, claim) if isinstance(claim, str) else claim
        if not isinstance(ids, dict):
            return {}
        return {
            key: ids[key]
            for key in self._providers
            if (at is None or key in at) and _is_id(ids.get(key))
        }


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH


def key_source(settings: JwtSettings) -> KeySource:
    """Return where the keys of an issuer come from."""
    return settings.issuer, settings.jwks_url, settings.jwks_file


def keyring(settings: JwtSettings) -> Keyring:
    """Return the keys of an issuer, which are read when the first one is needed."""
    if settings.jwks_file is not None:
        return FileKeyring(settings.issuer, settings.jwks_file)
    return UrlKeyring(settings.issuer, settings.jwks_url or "")
