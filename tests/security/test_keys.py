"""API keys: how they are made, who is let in by one, and that none is ever shown."""

import hmac
import math
import re
import tomllib
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from gateway.__main__ import cli
from gateway.auth.api_keys import make
from gateway.auth.authenticator import Authenticator
from gateway.auth.permissions import Caller, Permission
from gateway.auth.settings import AuthSettings, KeySettings
from gateway.settings.loading import load
from tests.e2e.serving import serving
from tests.security.signing import REFUSED, asks, guarded, lets_in, refusal
from tests.unit.configurations import ACCOUNT, problems

KEY, HASH = make()
OTHER, OTHER_HASH = make()
SANDBOX = '\n[[providers]]\nkey = "shop"\nkind = "stuut"\nbase_url = "sandbox:"\n'


def kept(digest: str = HASH, name: str = "dashboards", **changed: Any) -> KeySettings:
    """Return what the configuration holds of a key."""
    settings = {"name": name, "hash": digest, "scopes": ("admin",), **changed}
    return KeySettings.model_validate(settings)


def in_days(days: float) -> datetime:
    """Return a time from now on."""
    return datetime.now(UTC) + timedelta(days=days)


def test_a_key_cannot_be_guessed() -> None:
    """256 random bits, in letters that headers, shells and URLs leave alone; none comes twice."""
    made = [make()[0] for _ in range(1000)]
    assert all(re.fullmatch(r"sgk_[A-Za-z0-9_-]{22}[A-Za-z0-9_-]{43}", key) for key in made)
    assert len({key[4:26] for key in made}) == len({key[26:] for key in made}) == 1000


def test_of_a_key_its_id_and_digest_are_kept() -> None:
    """The id salts the digest, and nothing of the secret is in it."""
    assert f"sha256:{KEY[4:26]}:{sha256(KEY.encode()).hexdigest()}" == HASH
    assert KEY[26:] not in HASH


async def test_who_shows_a_key_is_let_in() -> None:
    """However the scheme is spelled."""
    async with guarded(keys=[kept()]) as front:
        for scheme in ("Bearer", "bearer", "BEARER"):
            assert (await asks(front, f"{scheme} {KEY}")).status_code == 200


BAD = {
    "another": OTHER,
    "a wrong secret": KEY[:-1] + ("A" if KEY[-1] != "A" else "B"),
    "the id of one and the secret of another": KEY[:26] + OTHER[26:],
    "no secret": KEY[:26],
    "half a secret": KEY[:-20],
    "more than a key": KEY + "A",
    "its prefix": "sgk_",
    "its hash": HASH,
    "its digest": HASH.rpartition(":")[2],
    "a digest as the secret": f"sgk_{HASH.split(':')[1]}{HASH.split(':')[2]}",
    "other letters": KEY.upper(),
    "two": f"{KEY} {KEY}",
    "two headers in one": f"{KEY}, Bearer {KEY}",
    "in quotes": f'"{KEY}"',
    "without its prefix": KEY[4:],
    "nothing": "",
}


@pytest.mark.parametrize("name", BAD)
async def test_anything_else_is_refused_and_only_the_log_says_why(name: str) -> None:
    """One answer for all; one line of the log, with nothing of a key in it."""
    async with guarded(keys=[kept()]) as front:
        with capture_logs() as lines:
            reply = await asks(front, f"Bearer {BAD[name]}")
        assert refusal(reply) == REFUSED
        assert [line["event"] for line in lines].count("sign_in_refused") == 1
        shown = reply.text + repr(lines)
        assert [each for each in (KEY, KEY[26:], KEY[4:26], OTHER) if each in shown] == []
        assert front.calls == []


async def test_two_keys_serve_at_once_and_one_goes() -> None:
    """How a key is changed: the new one is added, everybody changes over, the old one goes."""
    async with guarded(keys=[kept(), kept(OTHER_HASH, "dashboards-2")]) as front:
        assert await lets_in(front, KEY)
        assert await lets_in(front, OTHER)
    async with guarded(keys=[kept(OTHER_HASH, "dashboards-2")]) as front:
        assert not await lets_in(front, KEY)
        assert await lets_in(front, OTHER)


async def test_a_key_ends_when_it_says() -> None:
    """The log names it: somebody has to make a new one."""
    keys = [kept(expires_at=in_days(-1 / 86400)), kept(OTHER_HASH, "b", expires_at=in_days(1))]
    async with guarded(keys=keys) as front:
        assert await lets_in(front, OTHER)
        with capture_logs() as lines:
            assert not await lets_in(front, KEY)
    (line,) = [line for line in lines if line["event"] == "sign_in_refused"]
    assert (line["why"], line["caller"]) == ("expired key", "key:dashboards")


async def test_an_unknown_key_is_compared_as_a_wrong_one_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once, whole and in constant time: how long it takes tells nothing."""
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    async with guarded(keys=[kept()]) as front:
        monkeypatch.setattr(hmac, "compare_digest", counted)
        assert await lets_in(front, KEY)
        for bad in (BAD["a wrong secret"], OTHER, "sgk_", KEY[:26]):
            assert not await lets_in(front, bad)
    assert compared == [(32, 32)] * 5


async def test_a_key_says_who_asks_and_what_they_may() -> None:
    """By its name; narrowed to a provider where it says so. The same caller each time."""
    scopes = ("segments:read", "segments:write@a", "segments:write@b")
    auth = AuthSettings(keys=(kept(scopes=scopes),))
    authenticator = Authenticator(auth, ["a", "b", "c"], allow_anonymous=None, introspection=None)
    caller = await authenticator.authenticate(f"Bearer {KEY}", "203.0.113.7")
    grants = {Permission.SEGMENTS_READ: None, Permission.SEGMENTS_WRITE: frozenset("ab")}
    assert caller == Caller("key:dashboards", grants, may_explore=True)
    assert authenticator.authenticate_now(f"Bearer {KEY}", None) == (caller, math.inf)
    authenticator = Authenticator(auth, ["a"], allow_anonymous=None, introspection=False)
    assert (await authenticator.authenticate(f"Bearer {KEY}", None)).may_explore is False


def test_settings_show_no_hash() -> None:
    """It opens nothing, and is nobody's business."""
    auth = AuthSettings(keys=(kept(),))
    shown = repr(auth) + str(auth) + str(auth.model_dump()) + repr(kept())
    assert HASH not in shown
    assert HASH[-64:] not in shown
    assert isinstance(auth.keys[0].hash, SecretStr)


TABLE = """
[[auth.keys]]
name = "{name}"
hash = "{digest}"
scopes = {scopes}
"""
KNOWN = (
    "must be one of segments:read, segments:write, assignments:read, assignments:write, "
    "customers:read, customers:write, identity:write, raw:read, federation:read, metrics:read, "
    "admin, optionally followed by @provider"
)
MADE = "is not what `gateway key create` prints: sha256:…"


@pytest.mark.parametrize(
    ("changed", "path", "text"),
    [
        ({"digest": KEY}, "hash", MADE),
        ({"digest": ""}, "hash", MADE),
        ({"digest": HASH[:-1]}, "hash", MADE),
        ({"digest": HASH + "\\n"}, "hash", MADE),
        ({"digest": HASH.replace("sha256", "md5")}, "hash", MADE),
        ({"digest": HASH[:7] + HASH[7:].upper()}, "hash", MADE),
        ({"scopes": []}, "scopes", "must not be empty"),
        ({"scopes": ["segments"]}, "scopes", f"{KNOWN}; did you mean segments:read?"),
        ({"scopes": ["segments:read@"]}, "scopes", KNOWN),
        ({"scopes": ["segments:read@a b"]}, "scopes", KNOWN),
        ({"scopes": ["segments:read", "all"]}, "scopes", KNOWN),
        (
            {"scopes": ["metrics:read@shop"]},
            "scopes",
            "metrics:read is for all providers; leave out @ and the key",
        ),
        (
            {"scopes": ["own:read"]},
            "scopes",
            "own:read is only for tokens, where a claim names the customer",
        ),
        ({"name": "a b"}, "name", "must have 1 to 64 letters, digits, '.', '_', '-'"),
    ],
)
def test_a_key_of_another_form_is_told_by_its_path(
    tmp_path: Path, changed: dict[str, Any], path: str, text: str
) -> None:
    """At the start, not when somebody shows the key; what was written is not repeated."""
    values = {"name": "a", "digest": HASH, "scopes": ["admin"], **changed}
    result = problems(tmp_path / "gateway.toml", TABLE.format(**values) + ACCOUNT)
    assert result == [(f"auth.keys[0].{path}", text)]


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ((("a", HASH), ("a", OTHER_HASH)), "two keys have the name 'a'; names must be unique"),
        ((("a", HASH), ("b", HASH)), "two keys have the same hash; create a key for each"),
    ],
)
def test_no_key_is_told_twice(
    tmp_path: Path, tables: tuple[tuple[str, str], ...], text: str
) -> None:
    """Two callers would be one in every log, or one key would be two callers."""
    text_of_keys = "".join(
        TABLE.format(name=name, digest=d, scopes=["admin"]) for name, d in tables
    )
    assert problems(tmp_path / "gateway.toml", text_of_keys + ACCOUNT) == [("auth.keys", text)]


def create(*arguments: str) -> Result:
    """Run the command that makes a key."""
    return CliRunner().invoke(cli, ("key", "create", *arguments))


def test_the_command_says_what_to_do_with_the_key() -> None:
    """The key once, the table for the configuration without it, and how to go on."""
    done = create("--name", "shop", "--scope", "segments:read", "--scope", "segments:write@acme")
    assert (done.exit_code, done.stderr) == (0, "")
    key, digest = done.stdout.splitlines()[2], re.findall(r"sha256:[^\"]+", done.stdout)[0]
    assert digest == f"sha256:{key[4:26]}:{sha256(key.encode()).hexdigest()}"
    assert (
        done.stdout
        == f"""\
The key, which is shown only once. Store it like a password:

{key}

Add this to the configuration file, and run `gateway reload`, or restart the
gateway. It contains no secret:

[[auth.keys]]
name = "shop"
hash = "{digest}"
scopes = ["segments:read", "segments:write@acme"]

Send the key with each request, in a header:  authorization: Bearer sgk_…
To replace a key, create one with another name: both are valid until the old table is removed.
"""
    )


async def test_what_the_command_prints_lets_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table as it stands, under a configuration; the key as it stands, in the header."""
    done = create("--name", "shop", "--scope", "admin", "--days", "30")
    _, _, rest = done.stdout.partition("\n\n")
    key, _, rest = rest.partition("\n\n")
    table = rest.partition("\n\n")[2].rpartition("\n\n")[0]
    left = tomllib.loads(table)["auth"]["keys"][0]["expires_at"] - datetime.now(UTC)
    assert timedelta(days=29, hours=23, minutes=59) < left <= timedelta(days=30)
    file = tmp_path / "gateway.toml"
    file.write_text(f"{table}\n{SANDBOX}", encoding="utf-8")
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    async with serving(settings=load(file, {})) as front:
        assert await lets_in(front, key)
        assert not await lets_in(front, OTHER)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("--name", "a b", "--scope", "segments"),
            (
                "  name: String should match pattern '^[A-Za-z0-9._-]{1,64}$'\n"
                f"  scopes: {KNOWN}; did you mean segments:read?\n"
            ),
        ),
        (
            ("--name", "a", "--scope", 'admin@x"]'),
            f"  scopes: {KNOWN}\n",
        ),
    ],
)
def test_a_key_that_the_configuration_would_refuse_is_not_made(
    arguments: tuple[str, ...], text: str
) -> None:
    """All that is wrong at once, and no key."""
    done = create(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"The key cannot be created:\n{text}"


@pytest.mark.parametrize("arguments", [("--name", "a"), ("--scope", "admin"), ()])
def test_a_key_needs_a_name_and_a_scope(arguments: tuple[str, ...]) -> None:
    """Nothing is granted unsaid."""
    done = create(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Missing option" in done.stderr
