"""Who may ask where: what `gateway serve` refuses, says and warns of, and what then happens."""

import math
import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from gateway.__main__ import cli
from gateway.asgi import build
from gateway.auth.addresses import is_local, is_loopback
from gateway.auth.api_keys import make
from gateway.auth.authenticator import Authenticator
from gateway.auth.permissions import Permission
from gateway.auth.settings import AuthSettings, JwtSettings, KeySettings
from gateway.cli import serve as command
from gateway.settings.loading import load
from tests.e2e.serving import only_read
from tests.security.signing import ASKED, ISSUER, REFUSED, asks, believing, guarded, refusal
from tests.unit.configurations import ACCOUNT, problems

KEY, HASH = make()
OLD_KEY, OLD_HASH = make()
KEYS = f"""
[[auth.keys]]
name = "dashboards"
hash = "{HASH}"
scopes = ["admin"]

[[auth.keys]]
name = "old"
hash = "{OLD_HASH}"
scopes = ["admin"]
expires_at = 2020-01-01T00:00:00Z
"""
JWT = f"""
[[auth.jwt]]
issuer = "{ISSUER}"
audience = "segment-gateway"
jwks_url = "https://login.shop.example/keys"
"""
CLOSED = "[server]\nallow_anonymous = false\n"
OPEN = "[server]\nallow_anonymous = true\n"
WARNING = "  Warning  anyone who reaches this address may read and write everything"
OUTSIDE = ["0.0.0.0", "::", "192.0.2.1", "example.test"]  # noqa: S104  # what is refused
NEAR = ["127.0.0.1", "::1", "localhost"]
KEPT = KeySettings.model_validate({"name": "a", "hash": HASH, "scopes": ["admin"]})


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Serve nothing; return what would have been."""
    runs: list[dict[str, Any]] = []
    monkeypatch.setattr(command, "serve_alone", lambda config, _: runs.append({**vars(config)}))
    monkeypatch.setattr(command, "check_port_or_fail", lambda *_: None)
    # Set, so that it is put back after a command that sets it as well.
    monkeypatch.setenv("GATEWAY_CONFIG", "")
    return runs


def serve(tmp_path: Path, text: str, host: str) -> Result:
    """Serve a configuration of this text at this address."""
    file = tmp_path / "gateway.toml"
    file.write_text(text + ACCOUNT, encoding="utf-8")
    return CliRunner().invoke(
        cli, ("serve", "--config", str(file), "--host", host, "--port", "8000")
    )


def about_callers(result: Result) -> list[str]:
    """Return the lines that tell who may ask."""
    return [line for line in result.stdout.splitlines() if line[2:9] in {"Callers", "Warning"}]


@pytest.mark.parametrize("host", OUTSIDE)
def test_others_are_let_in_only_if_that_is_said(
    host: str, tmp_path: Path, served: list[dict[str, Any]]
) -> None:
    """An address that other machines reach is refused unless somebody can sign in there."""
    result = serve(tmp_path, "", host)
    assert (result.exit_code, result.stdout, served) == (2, "", [])
    assert result.stderr == (
        f"{host} can be reached from other machines, and anyone there could read and write "
        "everything.\n"
        "Create a key: gateway key create --name NAME --scope segments:read\n"
        "Or set server.allow_anonymous = true if that is intended, or listen on 127.0.0.1.\n"
    )


@pytest.mark.parametrize("host", [*OUTSIDE, *NEAR])
def test_a_gateway_that_nobody_can_ask_is_not_served(
    host: str, tmp_path: Path, served: list[dict[str, Any]]
) -> None:
    """It says what is missing."""
    result = serve(tmp_path, CLOSED, host)
    assert (result.exit_code, result.stdout, served) == (2, "", [])
    assert result.stderr == (
        "No caller can be accepted: server.allow_anonymous is false, and the configuration file "
        "has neither a key nor a token issuer.\n"
        "Create a key: gateway key create --name NAME --scope segments:read\n"
    )


@pytest.mark.parametrize("host", [*OUTSIDE, *NEAR])
@pytest.mark.parametrize("before", ["", CLOSED, OPEN])
def test_who_may_ask_is_said(
    host: str, before: str, tmp_path: Path, served: list[dict[str, Any]]
) -> None:
    """By name; keys that serve no more are marked; an open door is a warning wherever it is."""
    result = serve(tmp_path, before + KEYS + JWT, host)
    assert (result.exit_code, result.stderr, len(served)) == (0, "", 1)
    assert about_callers(result) == [
        "  Callers  with a key: dashboards, old (expired)",
        f"  Callers  with a token of {ISSUER}",
        *([WARNING] if before is OPEN else []),
    ]
    assert "-H 'authorization: Bearer KEY'" in result.stdout
    assert [each for each in (HASH, HASH[-64:]) if each in result.output] == []


@pytest.mark.parametrize("host", [*OUTSIDE, *NEAR])
def test_an_open_door_is_a_warning(
    host: str, tmp_path: Path, served: list[dict[str, Any]]
) -> None:
    """Each time it is served."""
    result = serve(tmp_path, OPEN, host)
    assert (result.exit_code, result.stderr, len(served)) == (0, "", 1)
    assert about_callers(result) == [WARNING]
    assert "authorization" not in result.stdout


@pytest.mark.parametrize("host", NEAR)
def test_this_machine_alone_needs_no_warning(
    host: str, tmp_path: Path, served: list[dict[str, Any]]
) -> None:
    """The first minute: nobody else gets there."""
    result = serve(tmp_path, "", host)
    assert (result.exit_code, result.stderr, len(served)) == (0, "", 1)
    assert about_callers(result) == []
    assert os.environ["GATEWAY_CONFIG"] == str(tmp_path / "gateway.toml")


LOCAL = ["127.0.0.1", "127.0.0.53", "::1", None]
FAR = [
    "203.0.113.7",
    "10.0.0.1",
    "::ffff:203.0.113.7",
    "2001:db8::1",
    "localhost",
    "",
    "127.0.0.1 ",
]


@pytest.mark.parametrize(
    ("signing_in", "allow_anonymous", "from_here", "from_elsewhere"),
    [
        (False, None, True, False),
        (False, True, True, True),
        (False, False, False, False),
        (True, None, False, False),
        (True, True, True, True),
        (True, False, False, False),
    ],
)
async def test_who_has_no_credentials_is_let_in_where_that_is_said(
    *,
    signing_in: bool,
    allow_anonymous: bool | None,
    from_here: bool,
    from_elsewhere: bool,
) -> None:
    """From this machine, while nobody can sign in; from anywhere, when the settings say so."""
    keys = [KEPT] if signing_in else []
    app = build(believing(keys=keys, allow_anonymous=allow_anonymous), only_read())
    async with app.router.lifespan_context(app):
        for address, is_let_in in (("127.0.0.1", from_here), ("203.0.113.7", from_elsewhere)):
            transport = httpx.ASGITransport(app, client=(address, 4711))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                reply = await client.post("/graphql", json={"query": ASKED})
            if is_let_in:
                assert (reply.status_code, "errors" in reply.json()) == (200, False)
            else:
                assert refusal(reply) == REFUSED


async def test_wrong_credentials_are_refused_where_none_are_needed() -> None:
    """Whoever shows some means to be somebody."""
    async with guarded(keys=[KEPT], allow_anonymous=True) as front:
        assert (await asks(front, None)).status_code == 200
        assert (await asks(front, f"Bearer {KEY}")).status_code == 200
        assert refusal(await asks(front, f"Bearer {OLD_KEY}")) == REFUSED
    async with guarded(allow_anonymous=True) as front:
        assert refusal(await asks(front, f"Bearer {KEY}")) == REFUSED
        assert refusal(await asks(front, "Bearer a.b.c")) == REFUSED


@pytest.mark.parametrize(
    ("introspection", "near", "far"), [(None, True, False), (True, True, True), (False,) * 3]
)
async def test_strangers_do_not_explore(
    *, introspection: bool | None, near: bool, far: bool
) -> None:
    """Unless that is said; each address is a caller, the same each time."""
    authenticator = Authenticator(
        AuthSettings(), [], allow_anonymous=True, introspection=introspection
    )
    for address, explores in (("127.0.0.1", near), ("203.0.113.7", far), (None, near)):
        caller = await authenticator.authenticate(None, address)
        assert (caller.id, caller.may_explore, caller.is_unrestricted) == (
            f"anonymous:{address or 'local'}",
            explores,
            True,
        )
        assert authenticator.authenticate_now(None, address) == (caller, math.inf)


def test_this_machine_is_known_by_its_addresses() -> None:
    """By no name: names come from headers. In a URL, or after `--host`, `localhost` is one."""
    assert [is_local(address) for address in LOCAL] == [True] * len(LOCAL)
    assert [is_local(address) for address in FAR] == [False] * len(FAR)
    assert [is_loopback(host) for host in NEAR] == [True] * len(NEAR)
    assert [is_loopback(host) for host in OUTSIDE] == [False] * len(OUTSIDE)


URL = 'jwks_url = "https://login.shop.example/keys"'
FORM = "must be an http or https URL without user and fragment"
HTTPS = "must be https, except for this machine's own addresses"
ONE = "needs exactly one of jwks_url and jwks_file"


@pytest.mark.parametrize(
    ("changed", "path", "text"),
    [
        (("https:", "http:"), ".jwks_url", HTTPS),
        (("https://", "http://127.0.0.1.evil.example/"), ".jwks_url", HTTPS),
        (("https://", "https://me:secret-1@"), ".jwks_url", FORM),
        (("https://", "http://127.0.0.1@"), ".jwks_url", FORM),
        (("https://", "file:///"), ".jwks_url", FORM),
        (("/keys", "/keys#x"), ".jwks_url", FORM),
        ((URL, ""), "", ONE),
        ((URL, f'{URL}\njwks_file = "{__file__}"'), "", ONE),
        ((URL, 'jwks_file = "none.json"'), ".jwks_file", "path does not point to a file"),
        ((URL, f"{URL}\nalgorithms = []"), ".algorithms", "must not be empty"),
        (
            (URL, f"{URL}\nleeway_s = 301"),
            ".leeway_s",
            "input should be less than or equal to 300 seconds",
        ),
        (
            (URL, f'{URL}\nscop_claim = "x"'),
            ".scop_claim",
            "is not a known setting; did you mean scope_claim?",
        ),
    ],
)
def test_an_issuer_that_cannot_be_believed_is_told(
    tmp_path: Path, changed: tuple[str, str], path: str, text: str
) -> None:
    """By its path, at the start; what was written is not repeated."""
    result = problems(tmp_path / "gateway.toml", JWT.replace(*changed) + ACCOUNT)
    assert result == [(f"auth.jwt[0]{path}", text)]


@pytest.mark.parametrize("name", ["none", "HS256", "HS512", "RSA1_5", "ES256K"])
def test_an_algorithm_without_a_key_pair_cannot_be_allowed(tmp_path: Path, name: str) -> None:
    """Not even by mistake: a shared secret signs as well as it verifies."""
    file = tmp_path / "gateway.toml"
    ((path, text),) = problems(file, f'{JWT}algorithms = ["RS256", "{name}"]\n{ACCOUNT}')
    assert path == "auth.jwt[0].algorithms[1]"
    assert text.startswith("input should be 'RS256', ")
    assert name not in text


def test_an_issuer_is_told_once(tmp_path: Path) -> None:
    """Of two tables nobody would know which counts."""
    text = f"two tables have the issuer '{ISSUER}'; audience may be a list"
    assert problems(tmp_path / "gateway.toml", JWT * 2 + ACCOUNT) == [("auth.jwt", text)]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_this_machine_may_tell_keys_without_tls(tmp_path: Path, host: str) -> None:
    """Nobody stands between; anything else about the file is told."""
    text = JWT.replace("https://login.shop.example", f"http://{host}:8080")
    result = problems(tmp_path / "gateway.toml", text + ACCOUNT + "size = 1\n")
    assert result == [("providers[0].size", "is not a known setting")]


def test_the_documentation_is_true(tmp_path: Path) -> None:
    """Its tables can be used as they stand, and its scopes are those that there are."""
    text = (Path(__file__).parents[2] / "docs" / "signing-in.md").read_text(encoding="utf-8")
    permissions = (Path(__file__).parents[2] / "docs" / "permissions.md").read_text("utf-8")
    tables = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    file = tmp_path / "gateway.toml"
    file.write_text("".join(tables) + ACCOUNT, encoding="utf-8")
    auth = load(file, {}).auth
    assert ([key.name for key in auth.keys], [each.issuer for each in auth.jwt]) == (
        ["dashboards"],
        [ISSUER],
    )
    defaults = {name: each.default for name, each in JwtSettings.model_fields.items()}
    settings = auth.jwt[0].model_dump()
    assert {name for name in settings if settings[name] == defaults[name]} == {
        "jwks_file",
        "algorithms",
        "leeway_s",
        "scope_claim",
    }
    scopes = re.findall(
        r"^\| `([a-z]+(?::[a-z]+)?)`",
        permissions.partition("| Scope |")[2].partition("\n\n")[0],
        re.MULTILINE,
    )
    assert sorted(scopes) == sorted(Permission)
