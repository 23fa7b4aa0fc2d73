"""Check what the documents say about the tree: files, headings, settings, commands."""

import importlib
import json
import re
import tomllib
from pathlib import Path

import pytest

from gateway.settings.loading import load
from gateway.settings.tables import TABLES
from tests.snippets import EXAMPLES, PAGES

ROOT = Path(__file__).resolve().parents[1]
HISTORY = {"CHANGELOG.md"}
"""These pages name files as they were."""
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
MENTION = re.compile(r"`((?:gateway|resolvers|tests|docs|tools|bench|web|requirements)/[\w./-]+)`")
SETTING = re.compile(rf"`({'|'.join(TABLES)})\.(\w+)(?: = [^`]+)?`")
IMPORT = re.compile(r"from ((?:gateway|resolvers)[\w.]*) import (\w+(?:, \w+)*)")
TARGET = re.compile(r"(?:^|`)(?:[A-Z_]+=\S+ )?make ([a-z-]+)", re.MULTILINE)
CREATED = re.compile(r"```\w+ file=(\S+)$", re.MULTILINE)
"""Names the file that a block is of."""
MINIMAL_PROVIDER = "".join(
    f"""
[[providers]]
key = "{key}"
kind = "{kind}"
base_url = "sandbox:"
"""
    for key, kind in (
        ("acme-emporix", "emporix"),
        ("loyalty", "voucherify"),
        ("shop", "instaleap"),
        ("receivables", "stuut"),
    )
)

every_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@every_page
def test_files_exist(page: Path) -> None:
    """Links are relative to the page, paths in code to the root; a path may name a folder."""
    text = page.read_text(encoding="utf-8")
    links = [target for target, _ in LINK.findall(text) if target and "://" not in target]
    missing = [target for target in links if not (page.parent / target).exists()]
    if page.name not in HISTORY:
        created = CREATED.findall(text)
        missing += [
            path
            for path in MENTION.findall(text)
            if not (ROOT / path).exists() and path not in created
        ]
    assert missing == []


@every_page
def test_headings_exist(page: Path) -> None:
    """The heading that a link points to exists."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    missing = [
        f"{target}#{anchor}"
        for target, anchor in links
        if anchor
        and "://" not in target
        and anchor not in anchors(page.parent / target if target else page)
    ]
    assert missing == []


@every_page
def test_settings_exist(page: Path) -> None:
    """Every `table.setting` is a field of that table's model."""
    named = SETTING.findall(page.read_text(encoding="utf-8"))
    unknown = [
        f"{table}.{name}" for table, name in named if name not in TABLES[table].model_fields
    ]
    assert unknown == []


@every_page
def test_configurations_are_valid(page: Path, tmp_path: Path) -> None:
    """Every TOML block is accepted as a configuration file, or as a part of one."""
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        file = tmp_path / "gateway.toml"
        complete = block if "[[providers]]" in block else block + MINIMAL_PROVIDER
        file.write_text(complete, encoding="utf-8")
        names = re.findall(r"\$\{(\w+)\}", block)
        load(file, dict.fromkeys(names, "a-value-of-16-or-more"))


@every_page
def test_imports_work(page: Path) -> None:
    """Every name that an example imports from this project exists."""
    text = page.read_text(encoding="utf-8")
    created = {file.removesuffix(".py").replace("/", ".") for file in CREATED.findall(text)}
    for module, names in IMPORT.findall(text):
        if module in created:
            continue
        for name in names.split(", "):
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


@every_page
def test_make_targets_exist(page: Path) -> None:
    """Every `make` command is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(TARGET.findall(page.read_text(encoding="utf-8"))) <= targets


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.name)
def test_examples_have_what_their_pages_name(example: Path) -> None:
    """The scripts and the files that an example's README names exist."""
    text = (example / "README.md").read_text(encoding="utf-8")
    package = json.loads((example / "package.json").read_text(encoding="utf-8"))
    assert set(re.findall(r"npm run (\w+)", text)) == set(package["scripts"])
    files = re.findall(r"`([\w./]+\.(?:graphql|json|mjs|tsx?))`", text)
    assert files
    assert [each for each in files if not (example / each).is_file()] == []
    assert f"cd examples/{example.name}\n" in text


def test_layers_are_those_of_the_import_contract() -> None:
    """docs/architecture.md lists the layers that import-linter enforces, in their order."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    [layers] = [each["layers"] for each in contracts if each.get("containers") == ["gateway"]]
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert ", ".join(f"`{layer}`" for layer in layers) in " ".join(text.split())


def test_limits_are_explained_with_their_defaults() -> None:
    """docs/limits.md has a row for each limit, except those that other pages explain."""
    elsewhere = {"message_bytes", "operations_per_connection", "init_timeout_s"}
    elsewhere |= {"subscriptions", "subscriptions_per_caller", "subscriptions_per_connection"}
    text = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", text, re.MULTILINE))
    fields = TABLES["limits"].model_fields
    assert documented == {
        name: str(field.default) for name, field in fields.items() if name not in elsewhere
    }
