"""The keys of an issuer: how often they are asked for, and what happens when they change."""

import asyncio
import gzip
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from structlog.testing import capture_logs

from gateway.auth import jwks, jwt
from tests.security.signing import (
    ISSUER,
    claims,
    curve,
    edwards,
    guarded,
    key_set,
    lets_in,
    rsa,
    signed,
)
from tests.unit.upstream.misbehaving import Act, Script, ok
from tests.unit.upstream.misbehaving import serving as publishing

OLD, NEW = rsa(), rsa("rsa-2")
WELL: Script = [ok(key_set(OLD))]
ROTATED: Script = [ok(key_set(NEW))]
BOTH: Script = [ok(key_set(OLD, NEW))]


class Clock:
    """The seconds by which keys age, which a test moves."""

    def __init__(self) -> None:
        """Start somewhere."""
        self.at = 1000.0

    def __call__(self) -> float:
        """Return them."""
        return self.at


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let keys age by a clock, and keep no token: each is verified by the keys of its moment."""
    moved = Clock()
    monkeypatch.setattr(jwks, "_now", moved)
    monkeypatch.setattr(jwt, "CACHED_S", -1)
    return moved


async def test_keys_are_asked_for_once(clock: Clock) -> None:
    """By a hundred callers at once, and by all who come while they are fresh."""
    async with publishing(WELL) as issuer, guarded(f"{issuer.url}/keys") as front:
        assert issuer.requests == []
        several = [signed(claims(sub=f"person-{number}")) for number in range(100)]
        assert await asyncio.gather(*(lets_in(front, token) for token in several)) == [True] * 100
        clock.at += jwks.RENEWED_S
        assert await lets_in(front, signed())
        assert [(each.method, each.target) for each in issuer.requests] == [("GET", "/keys")]


async def test_nothing_is_told_to_the_issuer() -> None:
    """No credentials, no cookies, nothing of who asks."""
    async with publishing(WELL) as issuer, guarded(issuer.url) as front:
        assert await lets_in(front, signed())
        (request,) = issuer.requests
    assert {name for name, _ in request.headers} == {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "user-agent",
    }


async def test_an_unknown_id_asks_again_and_then_not_for_a_while(clock: Clock) -> None:
    """Whoever makes ids up causes one question in `PAUSE_S`, however many there are."""
    async with publishing(WELL, WELL, WELL) as issuer, guarded(issuer.url) as front:
        assert await lets_in(front, signed())
        for number in range(20):
            assert not await lets_in(front, signed(kid=f"made-up-{number}"))
        assert len(issuer.requests) == 1  # asked a moment ago
        clock.at += jwks.PAUSE_S + 1
        refused = [lets_in(front, signed(kid=f"made-up-{number}")) for number in range(20)]
        assert await asyncio.gather(*refused) == [False] * 20
        assert len(issuer.requests) == 2
        assert await lets_in(front, signed())
        assert len(issuer.requests) == 2


async def test_what_comes_before_the_keys_asks_for_none() -> None:
    """A token of nobody's, or by an algorithm that is not allowed."""
    async with publishing(WELL) as issuer, guarded(issuer.url) as front:
        for token in ("words", signed(claims(iss="https://other.example")), signed(alg="RS512")):
            assert not await lets_in(front, token)
        assert issuer.requests == []


async def test_a_new_key_is_let_in_at_once(clock: Clock) -> None:
    """Its id is not known, so the keys are asked for; the old one serves beside it."""
    async with publishing(WELL, BOTH) as issuer, guarded(issuer.url) as front:
        assert await lets_in(front, signed(key=OLD))
        clock.at += jwks.PAUSE_S + 1
        assert await lets_in(front, signed(key=NEW))
        assert await lets_in(front, signed(key=OLD))
        assert len(issuer.requests) == 2


async def test_a_key_that_was_taken_back_serves_no_more_once_keys_are_not_fresh(
    clock: Clock,
) -> None:
    """After `FRESH_S` nobody is let in by it, also who comes first."""
    async with publishing(WELL, ROTATED) as issuer, guarded(issuer.url) as front:
        assert await lets_in(front, signed(key=OLD))
        clock.at += jwks.FRESH_S
        clock.at += 1
        assert not await lets_in(front, signed(key=OLD))
        assert await lets_in(front, signed(key=NEW))
        assert len(issuer.requests) == 2


async def test_nobody_waits_for_keys_that_are_renewed(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old ones serve while the issuer takes its time; one question is enough."""
    monkeypatch.setattr(jwks, "TIMEOUT_S", 1000)
    async with publishing(WELL, [Act.HANG]) as issuer, guarded(issuer.url) as front:
        assert await lets_in(front, signed(key=OLD))
        clock.at += jwks.RENEWED_S + 1
        issuer.heard.clear()
        for _ in range(3):
            assert await lets_in(front, signed(key=OLD))
        await issuer.heard.wait()
        assert len(issuer.requests) == 2


async def test_nobody_waits_for_an_issuer_that_failed_lately(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first waits for it, as the keys are not fresh; the next try is nobody's loss."""
    monkeypatch.setattr(jwks, "TIMEOUT_S", 1000)
    async with publishing(WELL, [Act.RESET], [Act.HANG]) as issuer, guarded(issuer.url) as front:
        assert await lets_in(front, signed())
        clock.at += jwks.FRESH_S + 1
        assert await lets_in(front, signed())
        assert len(issuer.requests) == 2
        clock.at += jwks.PAUSE_S + 1
        issuer.heard.clear()
        assert await lets_in(front, signed())
        await issuer.heard.wait()
        assert len(issuer.requests) == 3


async def test_renewed_keys_count(clock: Clock) -> None:
    """As soon as they are there."""
    async with publishing(WELL, ROTATED) as issuer, guarded(issuer.url) as front:
        assert await lets_in(front, signed(key=OLD))
        clock.at += jwks.RENEWED_S + 1
        assert await lets_in(front, signed(key=OLD))
        assert await lets_in(front, signed(key=NEW))  # not known: this one waits
        assert not await lets_in(front, signed(key=OLD))
        assert len(issuer.requests) == 2


def packed(body: bytes) -> bytes:
    """Return an answer that grows when it is unpacked."""
    return ok(gzip.compress(body), "200 OK", "Content-Encoding: gzip")


FAILURES: dict[str, tuple[Callable[[], Script], str]] = {
    "an error": (lambda: [ok(b"", "500 Internal Server Error")], "status 500"),
    "keys with an error": (lambda: [ok(key_set(NEW), "404 Not Found")], "status 404"),
    "a redirect": (lambda: [ok(b"", "302 Found", "Location: /elsewhere")], "status 302"),
    "no JSON": (lambda: [ok(b"<html>")], "not a JSON object"),
    "a list": (lambda: [ok(b"[]")], "not a JSON object"),
    "deep JSON": (lambda: [ok(b"[" * 100_000)], "not a JSON object"),
    "no keys": (lambda: [ok(b"{}")], "no list of keys"),
    "keys that are no list": (lambda: [ok(b'{"keys": {}}')], "no list of keys"),
    "an empty list": (lambda: [ok(b'{"keys": []}')], "no key that can be used"),
    "too much": (
        lambda: [ok(b" " * jwks.LARGEST + key_set(NEW))],
        f"more than {jwks.LARGEST} bytes",
    ),
    "without an end": (
        lambda: [b"HTTP/1.1 200 OK\r\n\r\n", Act.FLOOD],
        f"more than {jwks.LARGEST} bytes",
    ),
    "a bomb": (
        lambda: [packed(b" " * 50_000_000 + key_set(NEW))],
        "compressed, though not requested",
    ),
    "half of it": (lambda: [ok(key_set(NEW))[:-9], Act.CLOSE], "connection_lost"),
    "a reset": (lambda: [Act.RESET], "connection_lost"),
    "no answer": (lambda: [Act.HANG], "answer_timeout"),
    "half an answer": (lambda: [ok(key_set(NEW))[:-9], Act.HANG], "answer_timeout"),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_keys_serve_on_while_they_cannot_be_asked_for(
    name: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a day; the log tells each time, and nobody waits for each new try."""
    script, why = FAILURES[name]
    most_s = 0.6 if why == "answer_timeout" else jwks.TIMEOUT_S
    async with (
        publishing(WELL, script(), script(), WELL) as issuer,
        guarded(issuer.url) as front,
    ):
        assert await lets_in(front, signed())
        clock.at += jwks.FRESH_S + 1
        with capture_logs() as lines, monkeypatch.context() as patch:
            patch.setattr(jwks, "TIMEOUT_S", most_s)
            assert await lets_in(front, signed())
        failed = {"event": "jwks_failed", "issuer": ISSUER, "why": why, "log_level": "error"}
        assert lines == [failed]
        assert await lets_in(front, signed())
        assert len(issuer.requests) == 2
        clock.at += jwks.STALE_S
        with monkeypatch.context() as patch:
            patch.setattr(jwks, "TIMEOUT_S", most_s)
            assert not await lets_in(front, signed())
        clock.at += jwks.PAUSE_S + 1
        assert await lets_in(front, signed())
        assert len(issuer.requests) == 4


async def test_who_is_not_there_is_asked_seldom(clock: Clock) -> None:
    """Nobody is let in, and the next question is `PAUSE_S` later."""
    async with publishing([Act.RESET], WELL) as issuer, guarded(issuer.url) as front:
        for _ in range(5):
            assert not await lets_in(front, signed())
        assert len(issuer.requests) == 1
        clock.at += jwks.PAUSE_S + 1
        assert await lets_in(front, signed())
        assert len(issuer.requests) == 2


async def test_who_hangs_up_leaves_the_question_to_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first of two who wait for the keys gives up."""
    requests: list[asyncio.Event] = []
    heard = asyncio.Event()

    async def answers(_: jwks.UrlKeyring) -> bytes:
        requests.append(asyncio.Event())
        heard.set()
        await requests[-1].wait()
        return key_set(OLD)

    monkeypatch.setattr(jwks.UrlKeyring, "_body", answers)
    async with guarded("https://login.shop.example/keys") as front:
        first, second = (asyncio.create_task(lets_in(front, signed())) for _ in range(2))
        await heard.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        requests[0].set()
        assert await second
        assert len(requests) == 1


def with_key(key: dict[str, Any]) -> bytes:
    """Return a key set of this key and a good one."""
    return json.dumps({"keys": [key, curve().as_dict(private=False)]}).encode()


def public(**changed: Any) -> dict[str, Any]:
    """Return the issuer's key as it publishes it, with some of it changed."""
    return {**rsa().as_dict(private=False), **changed}


def short() -> dict[str, Any]:
    """Return a key that can be factored, longer than it is by zeros before it."""
    with pytest.warns(match="2048"):
        key = RSAKey.generate_key(1024, {"kid": "rsa-1"}).as_dict(private=False)
    return {**key, "n": "A" * 172 + str(key["n"])}


PASSED_OVER: dict[str, Callable[[], Any]] = {
    "a text": lambda: "key",
    "no type": lambda: public(kty=None),
    "a type that nobody knows": lambda: public(kty="AKP"),
    "a type that is a list": lambda: public(kty=["RSA"]),
    "for encryption": lambda: public(use="enc"),
    "for another algorithm": lambda: public(alg="RS512"),
    "for signing": lambda: public(key_ops=["sign"]),
    "a secret": lambda: OctKey.import_key(b"s" * 32, {"kid": "rsa-1"}).as_dict(private=True),
    "an id that is a number": lambda: public(kid=7),
    "no modulus": lambda: {name: value for name, value in public().items() if name != "n"},
    "a modulus that is none": lambda: public(n="*"),
    "a modulus that is a number": lambda: public(n=7),
    "a modulus that can be factored": short,
    "an exponent of one": lambda: public(e="AQ"),
    "a curve by the same id": lambda: curve("rsa-1").as_dict(private=False),
    "a curve that there is not": lambda: {**curve("x").as_dict(private=False), "crv": "P-1"},
    "a point beside the curve": lambda: {**curve("x").as_dict(private=False), "x": "AAAA"},
}


@pytest.mark.parametrize("name", PASSED_OVER)
async def test_a_key_that_cannot_be_used_is_passed_over(name: str) -> None:
    """Nobody is let in by it; the others serve."""
    body = with_key(PASSED_OVER[name]())
    async with publishing([ok(body)], [ok(body)]) as issuer, guarded(issuer.url) as front:
        assert not await lets_in(front, signed())
        assert await lets_in(front, signed(key=curve(), alg="ES256"))


def test_a_key_that_costs_much_is_passed_over() -> None:
    """Each signature would take its time: 4,096 bits are enough."""
    for bits, count in ((4096, 2), (4097, 1)):
        modulus = (1 << bits - 1 | 1).to_bytes(513)
        text = urlsafe_b64encode(modulus).decode().rstrip("=")
        assert len(jwks.read(with_key(public(n=text)))) == count


async def test_a_key_for_encryption_is_no_choice() -> None:
    """Some issuers publish one beside: a token without an id means the other."""
    body = json.dumps({"keys": [public(), public(use="enc", kid="rsa-2")]}).encode()
    async with publishing([ok(body)]) as issuer, guarded(issuer.url) as front:
        assert await lets_in(front, signed(kid=None))


async def test_one_id_may_name_a_key_of_each_type() -> None:
    """RFC 7517, 4.5; two of one type cannot be told apart."""
    same = curve("rsa-1")
    twice = RSAKey.generate_key(2048, {"kid": "rsa-1"})
    bodies = [ok(key_set(rsa(), same)), ok(key_set(rsa(), twice))]
    for body, well in zip(bodies, (True, False), strict=True):
        async with publishing([body]) as issuer, guarded(issuer.url) as front:
            assert await lets_in(front, signed()) is well


async def test_private_parts_that_were_published_are_not_read() -> None:
    """The issuer's mistake is not made worse here."""
    body = json.dumps({"keys": [rsa().as_dict(private=True)]}).encode()
    (key,) = jwks.read(body)
    assert not key.is_private
    async with publishing([ok(body)]) as issuer, guarded(issuer.url) as front:
        assert await lets_in(front, signed())


def test_every_type_of_key_is_read() -> None:
    """In their order."""
    keys = jwks.read(key_set(rsa(), curve(), edwards()))
    assert [(key.key_type, key.kid) for key in keys] == [
        ("RSA", "rsa-1"),
        ("EC", "ec-1"),
        ("OKP", "ed-1"),
    ]


async def test_a_key_without_an_id_serves_tokens_without_one() -> None:
    """And none that names one."""
    key = ECKey.generate_key("P-256")
    parts = {name: value for name, value in key.as_dict(private=False).items() if name != "kid"}
    body = json.dumps({"keys": [parts]}).encode()
    async with publishing([ok(body)]) as issuer, guarded(issuer.url) as front:
        bare = ECKey.import_key({**key.as_dict(private=True), "kid": "x"})
        assert await lets_in(front, signed(key=bare, alg="ES256", kid=None))
        assert not await lets_in(front, signed(key=bare, alg="ES256"))


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """At once, without a restart; what cannot be read leaves the last keys as they are."""
    file, other = tmp_path / "jwks.json", tmp_path / "next.json"

    def becomes(body: bytes) -> None:
        other.write_bytes(body)
        other.replace(file)

    becomes(key_set(OLD))
    async with guarded(file) as front:
        assert await lets_in(front, signed(key=OLD))
        assert not await lets_in(front, signed(key=NEW))
        becomes(key_set(NEW))
        assert await lets_in(front, signed(key=NEW))
        assert not await lets_in(front, signed(key=OLD))
        for broken in (b"{", b" " * jwks.LARGEST + key_set(OLD)):
            becomes(broken)
            with capture_logs() as lines:
                assert await lets_in(front, signed(key=NEW))
                assert await lets_in(front, signed(key=NEW))
            assert [line["event"] for line in lines] == ["jwks_failed"]
        file.unlink()
        with capture_logs() as lines:
            assert await lets_in(front, signed(key=NEW))
            assert await lets_in(front, signed(key=NEW))
        assert [(line["event"], line["why"]) for line in lines] == [
            ("jwks_failed", "FileNotFoundError")
        ]
        becomes(key_set(OLD))
        assert not await lets_in(front, signed(key=NEW))
        assert await lets_in(front, signed(key=OLD))
