"""Tokens: which are let in, and that nothing that a token says of itself lets it in."""

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from structlog.testing import capture_logs

from gateway.auth import jwt
from gateway.auth.authenticator import MAX_HEADER_LENGTH, Authenticator
from gateway.auth.permissions import Caller, Permission
from gateway.errors import Unauthenticated
from tests.e2e.serving import Front
from tests.security.signing import (
    AUDIENCE,
    ISSUER,
    REFUSED,
    SUBJECT,
    Pair,
    asks,
    believing,
    claims,
    curve,
    edwards,
    guarded,
    key_set,
    lets_in,
    refusal,
    rsa,
    signed,
)
from tests.unit.upstream.misbehaving import serving as listening

STRANGER = RSAKey.generate_key(2048, {"kid": "rsa-1"})
"""A key that says to be the issuer's."""


Publishes = Callable[..., Path]


@pytest.fixture
def published(tmp_path: Path) -> Publishes:
    """Return how the issuer publishes keys: in which file they then are."""

    def publish(*pairs: Pair) -> Path:
        file = tmp_path / "jwks.json"
        file.write_bytes(key_set(*pairs))
        return file

    return publish


@pytest.fixture
def jwks(published: Publishes) -> Path:
    """Return what the issuer publishes: a key of each of two types, and one more."""
    return published(rsa(), curve(), curve("ec-2"))


@pytest.fixture
async def front(jwks: Path) -> AsyncIterator[Front]:
    """Return the front door of a gateway that believes the issuer."""
    async with guarded(jwks) as front:
        yield front


def now(offset_s: float = 0) -> int:
    """Return the time, as tokens tell it."""
    return int(time.time() + offset_s)


ACCEPTED: dict[str, Callable[[], str]] = {
    "RS256": signed,
    "ES256": lambda: signed(key=curve(), alg="ES256"),
    "without kid, where one key fits": lambda: signed(kid=None),
    "without typ": lambda: signed(typ=None),
    "an access token (RFC 9068)": lambda: signed(typ="at+jwt"),
    "its long form": lambda: signed(typ="application/AT+JWT"),
    "a header that means nothing": lambda: signed(x5t="abc", nonce="n"),
    "for several": lambda: signed(claims(aud=["others", AUDIENCE])),
    "just expired": lambda: signed(claims(exp=now(-10))),
    "almost valid": lambda: signed(claims(nbf=now(10), iat=now(10))),
    "a fraction of a second": lambda: signed(claims(exp=time.time() + 600.5)),
    "scopes as a list": lambda: signed(claims(scope=["openid", "admin"])),
}


@pytest.mark.parametrize("name", ACCEPTED)
async def test_a_good_token_is_let_in(front: Front, name: str) -> None:
    """Each form that issuers give them."""
    assert await lets_in(front, ACCEPTED[name]())


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
async def test_the_scheme_may_be_spelled_in_any_way(front: Front, scheme: str) -> None:
    """RFC 9110, 11.1: its case says nothing."""
    assert (await asks(front, f"{scheme} {signed()}")).status_code == 200


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (rsa(), "RS384"),
        (rsa(), "RS512"),
        (rsa(), "PS256"),
        (rsa(), "PS384"),
        (rsa(), "PS512"),
        (curve("p384", "P-384"), "ES384"),
        (curve("p521", "P-521"), "ES512"),
        (edwards(), "EdDSA"),
        (edwards(), "Ed25519"),
    ],
)
async def test_other_algorithms_hold_where_they_are_allowed(
    published: Publishes, key: Any, algorithm: str
) -> None:
    """By the settings' list alone."""
    jwks = published(key)
    token = signed(key=key, alg=algorithm)
    async with guarded(jwks) as front:
        assert not await lets_in(front, token)
    async with guarded(jwks, algorithms=[algorithm]) as front:
        assert await lets_in(front, token)
        assert not await lets_in(front, signed())


def encoded(part: Any) -> str:
    """Return a part of a token."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(alg: Any) -> str:
    """Return a token without a signature."""
    return f"{encoded({'alg': alg, 'kid': 'rsa-1'})}.{encoded(claims())}."


def by_secret(secret: bytes) -> str:
    """Return a token whose "secret" everybody knows: what the issuer publishes."""
    signing_input = f"{encoded({'alg': 'HS256', 'kid': 'rsa-1'})}.{encoded(claims())}"
    return f"{signing_input}.{encoded(hmac.digest(secret, signing_input.encode(), 'sha256'))}"


def changed(part: int, **said: Any) -> str:
    """Return a token that was changed after it was signed."""
    parts = signed().split(".")
    content = json.loads(base64.urlsafe_b64decode(parts[part] + "=="))
    parts[part] = encoded({**content, **said})
    return ".".join(parts)


def embedded() -> str:
    """Return a token that brings its key along."""
    key = ECKey.generate_key("P-256", {"kid": "ec-1"})
    return signed(key=key, alg="ES256", jwk=key.as_dict(private=False))


ALGORITHM = "algorithm is not allowed"
FOREIGN: dict[str, tuple[Callable[[], str], str]] = {
    "none": (lambda: unsigned("none"), ALGORITHM),
    "None": (lambda: unsigned("None"), ALGORITHM),
    "nOnE": (lambda: unsigned("nOnE"), ALGORITHM),
    "no algorithm": (lambda: f"{encoded({'kid': 'rsa-1'})}.{encoded(claims())}.", "not a token"),
    "an algorithm that is a list": (lambda: unsigned(["RS256"]), ALGORITHM),
    "an algorithm that is an object": (lambda: unsigned({}), ALGORITHM),
    "HS256 by the public key": (lambda: by_secret(rsa().as_pem(private=False)), ALGORITHM),
    "HS256 by the key set": (lambda: by_secret(key_set(rsa())), ALGORITHM),
    "HS256 by the modulus": (lambda: by_secret(str(rsa()["n"]).encode()), ALGORITHM),
    "RS512, not allowed": (lambda: signed(alg="RS512"), ALGORITHM),
    "PS256, not allowed": (lambda: signed(alg="PS256"), ALGORITHM),
    "ES256 said, RS256 signed": (lambda: changed(0, alg="ES256"), "unknown key"),
    "RS256 by a curve": (lambda: changed(0, kid="ec-1"), "unknown key"),
    "ES256 by another curve": (
        lambda: signed(key=ECKey.generate_key("P-256", {"kid": "ec-1"}), alg="ES256"),
        "bad_signature",
    ),
    "signed by a stranger": (lambda: signed(key=STRANGER), "bad_signature"),
    "no signature": (lambda: signed().rpartition(".")[0] + ".", "bad_signature"),
    "half a signature": (lambda: signed()[:-200], "bad_signature"),
    "a changed header": (lambda: changed(0, typ="at+jwt"), "bad_signature"),
    "changed claims": (lambda: changed(1, sub="root"), "bad_signature"),
    "its own key": (embedded, "a header that is not accepted"),
    "a chain of certificates": (
        lambda: signed(key=STRANGER, x5c=["MIIB"]),
        "a header that is not accepted",
    ),
    "an unknown extension": (
        lambda: changed(0, crit=["exp"], exp=1),
        "a header that is not accepted",
    ),
    "a known extension": (
        lambda: f"{encoded({'alg': 'RS256', 'b64': False, 'crit': ['b64']})}.x.x",
        "not a token",
    ),
    "an unknown kid": (lambda: signed(kid="rsa-2"), "unknown key"),
    "a path as kid": (lambda: signed(kid="../../../../dev/null"), "unknown key"),
    "SQL as kid": (lambda: signed(kid="x' UNION SELECT 'secret';--"), "unknown key"),
    "a URL as kid": (lambda: signed(kid="https://evil.example/jwks.json"), "unknown key"),
    "a command as kid": (lambda: signed(kid="rsa-1|id"), "unknown key"),
    "an empty kid": (lambda: signed(kid=""), "unknown key"),
    "a kid that is a list": (lambda: changed(0, kid=["rsa-1"]), "not a token"),
    "no kid, two keys that fit": (
        lambda: signed(key=curve(), alg="ES256", kid=None),
        "unknown key",
    ),
    "made for something else": (lambda: signed(typ="logout+jwt"), "a token of another type"),
    "a type that is a list": (lambda: changed(0, typ=["JWT"]), "a token of another type"),
}
CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"exp": now(-60)}, "expired_token exp"),
    "never expires": ({"exp": None}, "missing_claim exp"),
    "expires in words": ({"exp": "tomorrow"}, "invalid_claim exp"),
    "expires truly": ({"exp": True}, "invalid_claim exp"),
    "not yet valid": ({"nbf": now(86_400)}, "invalid_claim nbf"),
    "valid from some word": ({"nbf": "now"}, "invalid_claim nbf"),
    "of the future": ({"iat": now(86_400)}, "invalid_claim iat"),
    "for others": ({"aud": "billing"}, "invalid_claim aud"),
    "for several others": ({"aud": ["billing", "segment-gateway-2"]}, "invalid_claim aud"),
    "for almost us": ({"aud": AUDIENCE.upper()}, "invalid_claim aud"),
    "for an object": ({"aud": {AUDIENCE: True}}, "invalid_claim aud"),
    "for nobody": ({"aud": None}, "missing_claim aud"),
    "of another issuer": ({"iss": "https://evil.example"}, "unknown issuer"),
    "of almost the issuer": ({"iss": ISSUER + "/"}, "unknown issuer"),
    "of several issuers": ({"iss": [ISSUER]}, "unknown issuer"),
    "of no issuer": ({"iss": None}, "unknown issuer"),
    "of nobody": ({"sub": None}, "missing_claim sub"),
    "of nobody by name": ({"sub": ""}, "invalid_claim sub"),
    "of a number": ({"sub": 7}, "invalid_claim sub"),
}
FORMS: dict[str, tuple[Callable[[], str], str]] = {
    "claims that are a list": (lambda: signed(b"[]"), "not a token"),
    "claims that are null": (lambda: signed(b"null"), "not a token"),
    "claims that are not JSON": (lambda: signed(b"{"), "not a token"),
    "claims that are not UTF-8": (lambda: signed(b'{"iss": "\xff"}'), "not a token"),
    "claims with NaN": (lambda: signed(b'{"exp": NaN}'), "not a token"),
    "claims that are deep": (lambda: signed(b"[" * 3000), "not a token"),
    "claims with a long number": (
        lambda: signed(b'{"exp": 1' + b"0" * 5000 + b"}"),
        "not a token",
    ),
    "a header that is a list": (lambda: f"{encoded(['alg'])}.e30.e30", "not a token"),
    "a header that is a text": (lambda: f"{encoded('alg b64')}.e30.e30", "not a token"),
    "a header that is a number": (lambda: f"{encoded(7)}.e30.e30", "not a token"),
    "a header without an end": (lambda: f"{encoded(b'{')}.e30.e30", "not a token"),
    "a header that is long": (lambda: signed(nonce="n" * 400), "not a token"),
    "two parts": (lambda: signed().rpartition(".")[0], "not a token"),
    "four parts": (lambda: signed() + ".e30", "not a token"),
    "five parts, encrypted": (lambda: signed() + ".e30.e30", "not a token"),
    "words": (lambda: "let me in", "not a token"),
    "nothing": (lambda: "", "not a token"),
    "two at once": (lambda: f"{signed()}, Bearer {signed()}", "not a token"),
    "a token in quotes": (lambda: f'"{signed()}"', "not a token"),
    "padding": (lambda: signed() + "==", "bad_signature"),
    "too long": (
        lambda: signed(claims(more="x" * MAX_HEADER_LENGTH)),
        "malformed credentials",
    ),
    "letters beyond ASCII": (lambda: "é" * 20, "malformed credentials"),
}


def saying(said: dict[str, Any]) -> Callable[[], str]:
    """Return who makes a token that says this."""
    return lambda: signed(claims(**said))


TOKENS = {
    **FOREIGN,
    **{name: (saying(said), why) for name, (said, why) in CLAIMS.items()},
    **FORMS,
}


@pytest.mark.parametrize("name", TOKENS)
async def test_a_bad_token_is_refused_and_only_the_log_says_why(front: Front, name: str) -> None:
    """One answer for all; one line of the log, with nothing of the token in it."""
    made, why = TOKENS[name]
    token = made()
    with capture_logs() as lines:
        reply = await asks(front, f"Bearer {token}")
    assert refusal(reply) == REFUSED
    refused = [line for line in lines if line["event"] == "sign_in_refused"]
    assert [" ".join(filter(None, (line["why"], line.get("claim")))) for line in refused] == [why]
    assert front.calls == []
    assert shown_of(token, reply.text + repr(lines)) == []


def shown_of(token: str, text: str) -> list[str]:
    """Return what a text shows of a token."""
    secrets = [part for part in (token, *token.split(".")) if len(part) > 7]
    return [each for each in (*secrets, SUBJECT, "evil", "passwd") if each in text]


@pytest.mark.parametrize(
    "authorization",
    ["Basic YTpi", "Digest x", "Token {}", "{}", "Bearer", "", "Bearer\t{}", "DPoP {}"],
)
async def test_another_scheme_is_refused(front: Front, authorization: str) -> None:
    """A good token behind it changes nothing."""
    assert refusal(await asks(front, authorization.format(signed()))) == REFUSED


async def test_no_credentials_are_refused_as_wrong_ones_are(front: Front) -> None:
    """Also from this machine, where anybody may ask while nobody can sign in."""
    assert refusal(await asks(front, None)) == REFUSED


async def test_a_token_belongs_in_the_header(front: Front) -> None:
    """Not in the address, which logs keep, nor in a cookie, which browsers send unasked."""
    reply = await front.client.get(
        "/graphql", params={"query": "{ providers { key } }", "access_token": signed()}
    )
    assert refusal(reply) == REFUSED
    reply = await front.client.post(
        "/graphql",
        json={"query": "{ providers { key } }"},
        headers={"cookie": f"authorization=Bearer {signed()}"},
    )
    assert refusal(reply) == REFUSED


@pytest.mark.parametrize("header", ["jku", "x5u"])
async def test_a_key_that_a_token_points_at_is_not_asked_for(front: Front, header: str) -> None:
    """The server there hears nothing."""
    async with listening() as server:
        pointing: dict[str, Any] = {header: f"{server.url}/jwks.json"}
        token = signed(key=STRANGER, **pointing)
        assert not await lets_in(front, token)
        token = signed(key=STRANGER, kid=f"{server.url}/jwks.json")
        assert not await lets_in(front, token)
        assert server.requests == []


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the key ids of the tokens that were verified, in their order."""
    kids: list[str] = []
    real = jws.validate_compact

    def counted(signed: Any, *rest: Any, **named: Any) -> bool:
        kids.append(signed.headers()["kid"])
        return real(signed, *rest, **named)

    monkeypatch.setattr(jws, "validate_compact", counted)
    return kids


class Clock:
    """The time of day, which a test moves."""

    def __init__(self) -> None:
        """Start now."""
        self.at = time.time()

    def __call__(self) -> float:
        """Return the time."""
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that everybody goes by."""
    moved = Clock()
    monkeypatch.setattr(time, "time", moved)
    return moved


async def test_a_token_is_verified_once_a_minute(
    front: Front, verified: list[str], clock: Clock
) -> None:
    """However often it is shown."""
    token = signed()
    for _ in range(5):
        assert await lets_in(front, token)
    assert verified == ["rsa-1"]
    clock.at += jwt.CACHED_S + 1
    assert await lets_in(front, token)
    assert verified == ["rsa-1"] * 2


async def test_a_kept_token_ends_when_it_says(
    front: Front, verified: list[str], clock: Clock
) -> None:
    """Being kept does not let it in for longer: the leeway of 30 seconds is all."""
    token = signed(claims(exp=int(clock.at) + 10))
    assert await lets_in(front, token)
    clock.at += 35
    assert await lets_in(front, token)
    assert verified == ["rsa-1"]
    clock.at += 10
    assert not await lets_in(front, token)


async def test_a_refused_token_is_not_kept(front: Front, verified: list[str]) -> None:
    """It is looked at each time."""
    token = signed(key=STRANGER)
    for _ in range(3):
        assert not await lets_in(front, token)
    assert verified == ["rsa-1"] * 3


async def test_few_tokens_are_kept(
    front: Front, verified: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest goes first."""
    monkeypatch.setattr(jwt, "MAX_CACHED", 3)
    several = [signed(claims(sub=f"person-{number}")) for number in range(4)]
    for token in several:
        assert await lets_in(front, token)
    assert len(verified) == 4
    assert await lets_in(front, several[3])
    assert len(verified) == 4
    assert await lets_in(front, several[0])
    assert len(verified) == 5


def authenticator_for(
    jwks: Path, *, introspection: bool | None = None, **changed: Any
) -> Authenticator:
    """Return who keeps the door of a gateway with the providers `a` and `b`."""
    auth = believing(jwks, **changed).auth
    return Authenticator(auth, ["a", "b"], allow_anonymous=None, introspection=introspection)


async def caller(jwks: Path, said: dict[str, Any], **changed: Any) -> Caller:
    """Return who shows a token with these claims."""
    token = signed(claims(**{"scope": None, **said}))
    return await authenticator_for(jwks, **changed).authenticate(f"Bearer {token}", "203.0.113.7")


READ, WRITE, OWN = Permission.SEGMENTS_READ, Permission.SEGMENTS_WRITE, Permission.OWN_READ
OWNER = {"own_claim": "https://shop.example/customer"}


@pytest.mark.parametrize(
    ("said", "grants"),
    [
        ({}, {}),
        ({"scope": ""}, {}),
        ({"scope": "openid profile"}, {}),
        ({"scope": "segments:read"}, {READ: None}),
        ({"scope": "openid segments:read segments:write"}, {READ: None, WRITE: None}),
        ({"scope": ["segments:read", "segments:write"]}, {READ: None, WRITE: None}),
        ({"scope": ["segments:read segments:write", 7, None]}, {}),
        ({"scope": "segments:read@a"}, {READ: frozenset("a")}),
        ({"scope": "segments:read@a segments:read@b"}, {READ: frozenset("ab")}),
        ({"scope": "segments:read@a segments:read"}, {READ: None}),
        ({"scope": "segments:read segments:read@a"}, {READ: None}),
        ({"scope": "segments:read@"}, {}),
        ({"scope": "openid\u00a0segments:read profile\nsegments:write"}, {}),
        ({"scope": "SEGMENTS:READ segments:read:all segments"}, {}),
        ({"scope": {"segments:read": True}}, {}),
        ({"scope": 7}, {}),
        ({"scp": "segments:read"}, {}),
        ({"scope": "admin"}, {Permission.ADMIN: None}),
        ({"scope": "own:read"}, {}),
    ],
)
async def test_scopes_grant_what_they_name(
    jwks: Path, said: dict[str, Any], grants: dict[Permission, frozenset[str] | None]
) -> None:
    """What they do not name, they do not grant; a token without any signs in all the same."""
    result = await caller(jwks, said)
    assert (result.grants, result.own) == (grants, None)


@pytest.mark.parametrize(
    ("scope", "customer", "own"),
    [
        ("own:read", "c-1", {"a": "c-1", "b": "c-1"}),
        ("own:read@b", "c-1", {"b": "c-1"}),
        ("own:read", {"a": "c-1", "b": "c-2"}, {"a": "c-1", "b": "c-2"}),
        ("own:read@a", {"a": "c-1", "b": "c-2"}, {"a": "c-1"}),
        ("own:read", {"a": "c-1", "elsewhere": "c-2"}, {"a": "c-1"}),
        ("own:read", {"a": 7, "b": "c-2"}, {"b": "c-2"}),
        ("own:read", {"a": ""}, None),
        ("own:read", "", None),
        ("own:read", None, None),
        ("own:read", 7, None),
        ("own:read", ["c-1"], None),
        ("own:read", "c" * 257, None),
        ("own:read@elsewhere", "c-1", None),
        ("segments:read@elsewhere", "c-1", None),
    ],
)
async def test_a_claim_names_the_customer(
    jwks: Path, scope: str, customer: Any, own: dict[str, str] | None
) -> None:
    """With `own:read` and an id; without an id the scope grants nothing."""
    said = {"scope": scope, "https://shop.example/customer": customer}
    result = await caller(jwks, said, **OWNER)
    assert result.own == own
    assert (OWN in result.grants) is (own is not None)


async def test_other_claims_hold_scopes_where_that_is_said(jwks: Path) -> None:
    """As Microsoft's issuers do it."""
    result = await caller(jwks, {"scope": "admin", "scp": "segments:read"}, scope_claim="scp")
    assert result.grants == {READ: None}


async def test_several_audiences_are_ours_where_that_is_said(jwks: Path) -> None:
    """The old name and the new one, for example."""
    for audience in ("old", "new"):
        await caller(jwks, {"aud": audience}, audience=["old", "new"])
    with pytest.raises(Unauthenticated):
        await caller(jwks, {"aud": AUDIENCE}, audience=["old", "new"])


async def test_callers_are_told_apart_by_issuer_and_subject_alone(jwks: Path) -> None:
    """By a digest: the subject may be somebody's e-mail address."""
    first, again = await caller(jwks, {}), await caller(jwks, {"jti": "2", "scope": "admin"})
    other = await caller(jwks, {"sub": "ben@shop.example"})
    assert first.id == again.id == "jwt:5047f0a5cc5683d438acd7edfff4f94c"
    assert other.id != first.id
    assert SUBJECT not in repr(first)


@pytest.mark.parametrize(("setting", "explores"), [(None, True), (True, True), (False, False)])
async def test_who_signed_in_may_explore_unless_nobody_may(
    jwks: Path, *, setting: bool | None, explores: bool
) -> None:
    """The setting `documents.introspection`."""
    authenticator = authenticator_for(jwks, introspection=setting)
    assert (await authenticator.authenticate(f"Bearer {signed()}", None)).may_explore is explores


async def test_who_is_known_is_told_without_waiting(jwks: Path) -> None:
    """Once verified: the same caller."""
    authenticator, authorization = authenticator_for(jwks), f"Bearer {signed()}"
    assert authenticator.authenticate_now(authorization, None) is None
    result = await authenticator.authenticate(authorization, None)
    known = authenticator.authenticate_now(authorization, None)
    assert known is not None
    assert known.caller is result


async def test_a_text_that_is_no_header_is_refused(jwks: Path) -> None:
    """A WebSocket hands in any text."""
    for text in ("Bearer \ud800", "Bearer sgk_\ud800", "\0", "Bearer \n"):
        with pytest.raises(Unauthenticated):
            await authenticator_for(jwks).authenticate(text, None)
