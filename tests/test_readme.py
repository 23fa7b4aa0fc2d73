"""Check the README against the code: its query, its tables, its commands."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from gateway.__main__ import COMMANDS, imported
from gateway.asgi import build
from gateway.providers.base.capabilities import capabilities
from gateway.providers.base.settings import AccountSettings
from gateway.providers.registry import ADAPTERS
from gateway.sandbox.app import Sandbox
from gateway.settings.loading import load
from resolvers.error_codes import CODES
from tests.contract.sample import adapter
from tests.e2e.serving import without_cost
from tests.four_kinds import SANDBOXES, four_settings

LABELS = [each.label for each in ADAPTERS.values()]
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
    app = build(four_settings(links=True), Sandbox(SANDBOXES))
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
    supported: dict[str, list[str]] = {}
    for kind in ADAPTERS:
        for row in capabilities(adapter(kind)):
            supported.setdefault(f"`{row.operation}`", []).append("yes" if row.supported else "–")
    heading = f"\n| | {' | '.join(LABELS)} |\n"
    _, _, below = README.partition(heading)
    assert below, f"README.md has no table headed {heading}"
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in below.partition("\n\n")[0].splitlines()[1:]
    ]
    documented = {
        name: [cell.replace("*stored*", "yes") for cell in cells] for name, *cells in rows
    }
    assert documented == supported


def test_every_kind_has_its_operations_listed() -> None:
    """The table of the providers' own operations has rows of each kind, and of no other."""
    assert list(dict.fromkeys(row[0] for row in table("Provider | Operation"))) == LABELS


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


def commands(command: Any, path: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the path of each command below this one, with its long options."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{path} {name}")
    else:
        options = {option for parameter in command.params for option in parameter.opts}
        yield path, {each for each in options if each.startswith("--")}


def test_the_commands_are_complete() -> None:
    """Every command is listed, with all of its options."""
    documented = {
        match[1]: set(re.findall(r"--[\w-]+", row[0]))
        for row in table("Command | Purpose")
        if (match := re.match(r"`(gateway(?: [a-z]+)+)", row[0]))
    }
    expected: dict[str, set[str]] = {}
    for name in COMMANDS:
        expected |= commands(imported(name), f"gateway {name}")
    assert documented == expected
