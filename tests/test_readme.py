"""Check the README against the code: its query, its tables, its commands."""

import json
import re
from pathlib import Path

import httpx

from gateway.asgi import build
from gateway.providers.base.capabilities import capabilities
from gateway.providers.base.settings import AccountSettings
from gateway.providers.registry import ADAPTERS
from gateway.sandbox.app import CREDENTIALS, Sandbox
from gateway.settings import load, sandbox_settings
from resolvers.error_codes import CODES
from tests.e2e.serving import without_cost

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def table(first_cell: str) -> list[list[str]]:
    """Return the rows of the table whose heading begins with these cells."""
    _, _, below = README.partition(f"\n| {first_cell} |")
    rows = below.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


async def test_the_query_has_its_answer() -> None:
    """The example query returns the response that is shown."""
    app = build(sandbox_settings(), Sandbox())
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client,
    ):
        reply = await client.post("/graphql", json={"query": blocks("graphql")[0]})
    assert without_cost(reply.json()) == json.loads(blocks("json")[0])


def test_the_capabilities_are_the_adapters() -> None:
    """The table of capabilities is what the adapters declare."""
    kinds = ["stuut", "voucherify", "instaleap", "emporix"]
    supported: dict[str, list[str]] = {}
    for kind in kinds:
        adapter = ADAPTERS[kind]
        instance = adapter(
            adapter.Settings.model_validate(
                {"key": kind, "kind": kind, "base_url": "sandbox:", **CREDENTIALS[kind]}
            )
        )
        for row in capabilities(instance):
            supported.setdefault(f"`{row.operation}`", []).append("yes" if row.supported else "–")
    _, _, below = README.partition("\n| | Stuut | Voucherify | Instaleap | Emporix |\n")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in below.partition("\n\n")[0].splitlines()[1:]
    ]
    documented = {
        name: [cell.replace("*stored*", "yes") for cell in cells] for name, *cells in rows
    }
    assert documented == supported


def test_the_provider_settings_are_complete() -> None:
    """Every setting common to all providers is listed with its default."""
    documented = {row[0]: row[1] for row in table("Setting | Default")}
    fields = AccountSettings.model_fields
    assert documented == {
        f"`{name}`": "–" if field.default is None else str(field.default).lower()
        for name, field in fields.items()
        if not field.is_required()
    }


def test_the_configuration_loads(tmp_path: Path) -> None:
    """The example configuration is valid."""
    file = tmp_path / "gateway.toml"
    file.write_text(blocks("toml")[0], encoding="utf-8")
    names = re.findall(r"\$\{(\w+)\}", blocks("toml")[0])
    assert [each.key for each in load(file, dict.fromkeys(names, "x")).providers] == [
        "acme-emporix",
        "loyalty",
        "shop",
        "receivables",
    ]


def test_the_error_codes_are_complete() -> None:
    """Every code that an error can have is listed."""
    documented = {row[0].strip("`") for row in table("Code | Meaning")}
    assert documented == set(CODES.values())
