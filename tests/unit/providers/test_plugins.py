"""Packages that add kinds: one that is broken is named, and costs nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import structlog
from structlog.testing import capture_logs
from typer.testing import CliRunner

from gateway import asgi
from gateway.__main__ import cli
from gateway.errors import SettingsError
from gateway.providers import registry
from gateway.providers.plugins import PREFIX
from gateway.settings.loading import accounts, load, plugin_problems
from gateway.settings.tables import Settings
from tests.packages import BIRD, add_package, installed
from tests.proxies.processes import free_port

CONFIGURATION = """
[[providers]]
key = "cage"
kind = "bird"
base_url = "https://upstream.test"
token = "no-real-token-4711"
max_queue = 7

[[providers]]
key = "receivables"
kind = "stuut"
base_url = "sandbox:"

[[watch]]
provider = "cage"
segments = ["*"]

[[identity.rules]]
name = "crm"
keys = ["cage:ring", "receivables:remote_id"]
"""
ACCOUNTS = CONFIGURATION.partition("[[watch]]")[0]
OTHER = f"[[providers]]{ACCOUNTS.rpartition('[[providers]]')[2]}"
TO_AUTHOR = "Install another version of it, or report it to its author."


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder in which this process looks for packages."""
    packages = tmp_path / "packages"
    packages.mkdir()
    with installed(packages, monkeypatch):
        yield packages


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a configuration with an account of the package's kind, and another one."""
    file = tmp_path / "gateway.toml"
    file.write_text(CONFIGURATION, encoding="utf-8")
    return file


def replaced(old: str, new: str) -> str:
    """Return the module of the package with another part."""
    assert old in BIRD
    return BIRD.replace(old, new)


class Case(NamedTuple):
    """A broken package, and what is said of it."""

    reason: str
    """A regular expression of the whole reason."""
    advice: str = TO_AUTHOR
    text: str = BIRD
    value: str = "provider_bird:KIND"
    group: str = f"{PREFIX}1"


CASES = {
    "a module that it needs is missing": Case(
        r"importing provider_bird:KIND failed: ModuleNotFoundError: No module named 'wings'"
        r" \(.*provider_bird.py:1\)",
        "Install what it needs, or another version of it.",
        text="import wings",
    ),
    "an error at import": Case(
        r"importing provider_bird:KIND failed: ZeroDivisionError: division by zero"
        r" \(.*provider_bird.py:1\)",
        text="1 / 0",
    ),
    "an exit at import": Case(
        r"importing provider_bird:KIND failed: SystemExit: 3 \(.*provider_bird.py:1\)",
        text="raise SystemExit(3)",
    ),
    "no such attribute": Case(
        r"importing provider_bird:BIRD failed: AttributeError: module 'provider_bird' has no"
        r" attribute 'BIRD' \(.*\)",
        value="provider_bird:BIRD",
    ),
    "a newer interface": Case(
        "it is for version 2 of the adapters' interface, this gateway has 1",
        "Upgrade segment-gateway, or install an older version of the package.",
        group=f"{PREFIX}2",
    ),
    "an older interface": Case(
        "it is for version 0 of the adapters' interface, this gateway has 1",
        "Upgrade the package, or install an older version of segment-gateway.",
        group=f"{PREFIX}0",
    ),
    "a wrong type": Case(
        "provider_bird:Bird is a type, not a ProviderKind", value="provider_bird:Bird"
    ),
    "an adapter that is no class": Case(
        "provider_bird:KIND has an adapter that is not a class",
        text=replaced("ProviderKind(Bird)", "ProviderKind('Bird')"),
    ),
    "an attribute is missing": Case(
        "provider_bird:KIND has an adapter without a valid 'limits'",
        text=replaced("    limits = ()\n", ""),
    ),
    "an attribute of another type": Case(
        "provider_bird:KIND has an adapter without a valid 'has_sites'",
        text=replaced("has_sites = False", "has_sites = 'no'"),
    ),
    "another kind than its entry point's": Case(
        "provider_bird:KIND has an adapter whose 'kind' is not 'bird', the name of its entry"
        " point",
        text=replaced('kind = "bird"', 'kind = "birds"'),
    ),
    "settings of another type": Case(
        "provider_bird:KIND has an adapter whose 'Settings' are no AccountSettings",
        text=replaced("Settings = BirdSettings", "Settings = dict"),
    ),
    "an exception in its settings": Case(
        r"reading its settings failed: RuntimeError \(.*provider_bird.py:\d+\)",
        text=replaced(
            "    token: SecretStr\n",
            "    token: SecretStr\n\n    def model_post_init(self, _):\n"
            "        raise RuntimeError(self.token.get_secret_value())\n",
        ),
    ),
    "an exception in its adapter": Case(
        r"making the adapter failed: KeyError \(.*provider_bird.py:\d+\)",
        text=replaced("self.key = settings.key", "self.key = {}[settings.token]"),
    ),
    "an exception in its first plan": Case(
        r"making the adapter failed: NameError \(.*provider_bird.py:\d+\)",
        text=replaced('Call("GET", "/")', 'Calls("GET", "/")'),
    ),
    "a header that cannot be sent": Case(
        "a value of the header x-owner contains a line break, leading or trailing spaces, or a"
        " non-ASCII character",
        "Correct the account's settings.",
        text=replaced("return {}", 'return {"x-key": "a", "x-owner": "Café"}'),
    ),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)

QUERY = """{
  providers { key kind displayName capabilities { operation supported note } }
  segments(first: 3) { nodes { name } sources { provider { key } error { code } } }
}"""


async def answer(settings: Settings, query: str) -> Any:
    """Serve these settings, and return what a client gets."""
    app = asgi.build(settings)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        body = (await client.post("/graphql", json={"query": query})).json()
        ready = await client.get("/readyz")
    assert "errors" not in body, body
    assert [each["key"] for each in ready.json()["providers"]] == ["cage", "receivables"]
    return body["data"]


@every_case
async def test_a_broken_package_costs_its_own_accounts(
    case: Case, folder: Path, file: Path
) -> None:
    """The server starts without it; the account is shown, unsupported; others work as before."""
    add_package(folder, text=case.text, value=case.value, group=case.group)
    settings = load(file, {})
    (problem,) = plugin_problems(settings)
    assert (problem.package, problem.kind, problem.advice) == (
        "provider-bird 1.0",
        "bird",
        case.advice,
    )
    assert re.fullmatch(case.reason, problem.reason), problem.reason
    assert "no-real-token" not in f"{problem} {settings!r}"
    assert [(each.key, each.max_queue) for each in settings.providers] == [
        ("cage", 7),
        ("receivables", 500),
    ]
    assert [each.provider for each in accounts(settings)] == ["receivables"]
    assert settings.watch == ()
    data = await answer(settings, QUERY)
    cage, other = data["providers"]
    assert (cage["key"], cage["kind"], cage["displayName"]) == ("cage", "bird", "bird")
    assert {each["supported"] for each in cage["capabilities"]} == {False}
    assert {each["note"] for each in cage["capabilities"]} == {
        "The package with the adapter cannot be used; the gateway's operator can see why."
    }
    assert [each["operation"] for each in other["capabilities"] if each["supported"]] == [
        *("SEGMENT_LIST", "SEGMENT_GET", "CUSTOMER_LIST", "CUSTOMER_GET"),
        *("CUSTOMER_SEGMENTS", "SEGMENT_CREATE", "SEGMENT_REORDER"),
    ]
    assert data["segments"]["sources"] == [
        {"provider": {"key": "cage"}, "error": {"code": "UNSUPPORTED"}},
        {"provider": {"key": "receivables"}, "error": None},
    ]
    assert len(data["segments"]["nodes"]) == 3


def test_a_broken_package_is_named_at_start(
    folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`gateway serve` prints it, each process logs it; `gateway check` names it, and fails."""
    add_package(folder, text="1 / 0")
    monkeypatch.setenv("GATEWAY_CONFIG", str(file))
    monkeypatch.setattr(asgi, "start_log", lambda _: None)
    with capture_logs() as lines:
        asgi.create()
    (line,) = lines
    reason = line.pop("reason")
    assert reason.startswith("importing provider_bird:KIND failed: ZeroDivisionError")
    assert line == {
        "event": "plugin_broken",
        "log_level": "error",
        "package": "provider-bird 1.0",
        "kind": "bird",
        "advice": TO_AUTHOR,
    }
    monkeypatch.setattr("gateway.cli.serve.serve_alone", lambda *_: None)
    result = CliRunner().invoke(cli, ["serve", "--config", str(file), "--port", str(free_port())])
    assert result.exit_code == 0
    assert "  Broken   provider-bird 1.0 cannot add the kind bird: importing" in result.stdout
    result = CliRunner().invoke(cli, ["check", "--config", str(file)])
    structlog.reset_defaults()
    assert result.exit_code == 1
    assert re.search(r"cage +bird +not served,", result.stdout)
    assert re.search(r"receivables +stuut +ok", result.stdout)
    assert re.search(r"provider-bird 1.0 +bird +cannot be", result.stdout)
    assert "provider-bird 1.0 cannot add the kind bird: importing" in result.stdout


def test_a_package_that_nothing_uses_is_not_imported(folder: Path, file: Path) -> None:
    """Its kind is known by its metadata; only `gateway check` tries it."""
    add_package(folder, text="1 / 0")
    file.write_text(OTHER)
    assert plugin_problems(load(file, {})) == []
    assert registry.names()[-1] == "bird"
    result = CliRunner().invoke(cli, ["check", "--config", str(file)])
    structlog.reset_defaults()
    assert result.exit_code == 1
    assert re.search(r"provider-bird 1.0 +bird +cannot be", result.stdout)
    assert "provider-bird 1.0 cannot add the kind bird: importing" in result.stdout
    file.write_text(OTHER.replace('"stuut"', '"brid"'))
    with pytest.raises(SettingsError) as refused:
        load(file, {})
    assert refused.value.problems == (
        (
            "providers[0].kind",
            "must be one of stuut, voucherify, instaleap, emporix, bird; did you mean bird?",
        ),
    )


def test_a_package_cannot_replace_a_built_in_kind(folder: Path, file: Path) -> None:
    """The built-in kind is used, and the package named."""
    add_package(folder, kind="stuut", text="1 / 0")
    file.write_text(ACCOUNTS)
    add_package(folder, "provider-other", value="provider_other:KIND")
    settings = load(file, {})
    (problem,) = plugin_problems(settings)
    assert str(problem) == (
        "provider-bird 1.0 cannot add the kind stuut: the gateway has a kind of this name built"
        " in, which is used. Uninstall the package, or have its author choose another name."
    )
    assert [type(each).__name__ for each in settings.providers] == [
        "BirdSettings",
        "StuutSettings",
    ]


def test_two_packages_of_one_kind(folder: Path, file: Path) -> None:
    """None of them is used, and both are named: which one would be a matter of chance."""
    add_package(folder)
    add_package(folder, "provider-other", value="provider_other:KIND")
    settings = load(file, {})
    text = "adds a kind of this name, too; none of them is used"
    assert sorted(
        (each.package, each.reason, each.advice) for each in plugin_problems(settings)
    ) == [
        ("provider-bird 1.0", f"provider-other 1.0 {text}", "Uninstall all but one."),
        ("provider-other 1.0", f"provider-bird 1.0 {text}", "Uninstall all but one."),
    ]
    assert [type(each).__name__ for each in settings.providers] == [
        "BrokenAccount",
        "StuutSettings",
    ]


def test_mistakes_in_the_settings_are_the_operators(folder: Path, file: Path) -> None:
    """Settings of a package's kind are checked like others: the server does not start."""
    add_package(folder)
    file.write_text(ACCOUNTS.replace("token =", "tokens ="))
    with pytest.raises(SettingsError) as refused:
        load(file, {})
    assert [each.path for each in refused.value.problems] == [
        "providers[0].token",
        "providers[0].tokens",
    ]
    file.write_text(ACCOUNTS)
    (account, _) = load(file, {}).providers
    assert (account.kind, plugin_problems(load(file, {}))) == ("bird", [])


def test_common_mistakes_are_reported_also_if_the_package_is_broken(
    folder: Path, file: Path
) -> None:
    """What every account has is checked."""
    add_package(folder, text="1 / 0")
    file.write_text(ACCOUNTS.replace("max_queue = 7", "max_queue = -7"))
    with pytest.raises(SettingsError) as refused:
        load(file, {})
    assert [each.path for each in refused.value.problems] == ["providers[0].max_queue"]


def accounts_only(file: Path) -> Path:
    """Leave out of a configuration what would not fit the package if it works."""
    file.write_text(ACCOUNTS)
    return file


async def test_a_bug_that_shows_later(folder: Path, file: Path) -> None:
    """An exception while a call is being built costs the provider's part, and nothing else."""
    bug = "        {1: page.size}[page.size]\n        return Exchange("
    add_package(folder, text=replaced("        return Exchange(", bug))
    data = await answer(load(accounts_only(file), {}), QUERY)
    assert data["segments"]["sources"] == [
        {"provider": {"key": "cage"}, "error": {"code": "PROVIDER_BROKEN"}},
        {"provider": {"key": "receivables"}, "error": None},
    ]
    assert len(data["segments"]["nodes"]) == 3
