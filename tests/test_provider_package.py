"""`examples/provider-heron` adds a kind from outside, and docs/adding-a-provider.md shows how."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.asgi import build, target_of
from gateway.cli.sandbox import sandboxes_of_packages
from gateway.providers import registry
from gateway.providers.base.webhooks import ReceivesWebhooks
from gateway.sandbox.app import Sandbox
from gateway.sandbox.people import people
from gateway.settings.loading import load
from gateway.settings.tables import Settings
from tests.four_kinds import SANDBOXES
from tests.packages import installed

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "provider-heron"
PAGE = (ROOT / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")
SNIPPET = re.compile(r"```\w+ file=(\S+)\n(.*?)```", re.DOTALL)
PATIENCE_S = 60
SECRET = "heron-webhook-secret"

CONFIGURATION = f"""
[[providers]]
key = "app"
kind = "heron"
base_url = "sandbox:"
webhook_secret = "{SECRET}"

[[providers]]
key = "receivables"
kind = "stuut"
base_url = "sandbox:"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which pip installed the example, without a network.

    The example is below the gateway's pyproject.toml, as in a clone.
    """
    folder = tmp_path_factory.mktemp("example")
    shutil.copy(ROOT / "pyproject.toml", folder)
    ignored = shutil.ignore_patterns("__pycache__")
    source = shutil.copytree(EXAMPLE, folder / "source", ignore=ignored)
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder / "site")]
    subprocess.run([*command, str(source)], check=True, timeout=PATIENCE_S)
    return folder / "site"


def run(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a Python command where the example is installed."""
    path = os.pathsep.join([str(site), str(ROOT)])
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=site.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def test_its_own_tests_pass(site: Path) -> None:
    """The contract holds for the installed package, with no plugins, as after `make serve`."""
    options = ["-q", "-p", "no:xdist", "-p", "no:asyncio", "-p", "no:cacheprovider"]
    ran = run(site, "-m", "pytest", *options, str(site.parent / "source"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^[5-9]\d passed", ran.stdout, re.MULTILINE), ran.stdout


def test_it_is_checked(site: Path) -> None:
    """`gateway check` knows the package by its metadata, and reads from its account."""
    file = site.parent / "gateway.toml"
    file.write_text(CONFIGURATION, encoding="utf-8")
    ran = run(site, "-m", "gateway", "check", "--config", str(file))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^app +heron +ok", ran.stdout, re.MULTILINE)
    assert re.search(r"^provider-heron 1.0.0 +heron +ok", ran.stdout, re.MULTILINE)


@pytest.fixture
def settings(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Return the settings of a gateway with an account at Heron and one at Stuut."""
    file = tmp_path / "gateway.toml"
    file.write_text(CONFIGURATION, encoding="utf-8")
    with installed(site, monkeypatch):
        yield load(file, {})


class Front:
    """A client of the gateway, and one of Heron's own API."""

    def __init__(self, client: httpx.AsyncClient, heron: httpx.AsyncClient) -> None:
        self._client = client
        self.heron = heron

    async def data(self, query: str, **variables: Any) -> Any:
        """Return the data of an answer without errors."""
        sent = {"query": query, "variables": variables}
        body = (await self._client.post("/graphql", json=sent)).json()
        assert "errors" not in body, body
        return body["data"]


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Front]:
    """Serve these settings over the example's sandbox, which sends its webhooks to them."""
    kinds = {"stuut": SANDBOXES["stuut"], **sandboxes_of_packages()}
    sandbox = Sandbox(kinds)
    app = build(settings, sandbox)
    gateway = httpx.ASGITransport(app)
    adapter = registry.adapter_of(settings.providers[0])
    assert isinstance(adapter, ReceivesWebhooks)
    sandbox.deliver(gateway)
    sandbox.send_webhooks("heron", target_of(adapter, "http://localhost/webhooks/app"))
    key = {"x-heron-key": kinds["heron"].CREDENTIALS["api_key"]}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=gateway, base_url="http://localhost") as client,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(sandbox.provider("heron")),
            base_url="http://heron",
            headers=key,
        ) as heron,
    ):
        yield Front(client, heron)
        await sandbox.close()


LIST = """query($after: String) { segments(first: 3, after: $after) {
  nodes { name membership provider { kind } rule { conditions { field operator values } } }
  sources { error { code } } pageInfo { hasNextPage endCursor } } }"""
MEMBERS = """query($after: String) {
  segments(first: 1, filter: { providers: ["app"], externalId: "gold" }) { nodes {
  customersCount { count } customers(first: 20, after: $after) {
    nodes { name } pageInfo { endCursor hasNextPage } } } } }"""
CHANGES = "{ changes { nodes { source kind ... on AssignmentChange { segmentId customerId } } } }"


async def test_it_is_served_beside_a_built_in_kind(settings: Settings) -> None:
    """Its audiences are in one list with the other's segments, with their rules."""
    async with served(settings) as front:
        rows, after = [], None
        for _ in range(9):
            connection = (await front.data(LIST, after=after))["segments"]
            assert [each["error"] for each in connection["sources"]] == [None, None]
            rows += connection["nodes"]
            after = connection["pageInfo"]["endCursor"]
            if not connection["pageInfo"]["hasNextPage"]:
                break
        names, after = [], None
        for _ in range(9):
            (segment,) = (await front.data(MEMBERS, after=after))["segments"]["nodes"]
            names += [each["name"] for each in segment["customers"]["nodes"]]
            after = segment["customers"]["pageInfo"]["endCursor"]
            if not segment["customers"]["pageInfo"]["hasNextPage"]:
                break
    assert names == [each.name for each in people(300) if each.tier == "Gold"]
    assert segment["customersCount"] == {"count": len(names)}
    ours = [row for row in rows if row.pop("provider") == {"kind": "heron"}]
    condition = {"field": "tier", "operator": "is", "values": ["Gold"]}
    assert ours == [
        {"name": "Newcomers", "membership": "MANUAL", "rule": None},
        {"name": "Gold", "membership": "RULE", "rule": {"conditions": [condition]}},
    ]
    assert len(rows) == len(ours) + 8


async def test_its_webhooks_are_received(settings: Settings) -> None:
    """What is changed at Heron is in the change log, signed and verified in between."""
    member = {"id": "m-99", "name": "Zoe", "email": None}
    async with served(settings) as front:
        reply = await front.heron.post("/v1/audiences/newcomers/members", json=member)
        assert reply.status_code == 204
        async with asyncio.timeout(PATIENCE_S):
            while not (nodes := (await front.data(CHANGES))["changes"]["nodes"]):  # noqa: ASYNC110  # it is applied in the background
                await asyncio.sleep(0.02)
    ((change),) = nodes
    assert (change["source"], change["kind"]) == ("WEBHOOK", "ENTERED")


def unformatted(text: str) -> str:
    """Return code without what the formatter does to a method that stands alone."""
    return re.sub(r",(?=[)\]}])", "", re.sub(r"\s+", "", text))


def test_the_snippets_are_the_examples() -> None:
    """Each block of the page that names a file is a part of that file."""
    found = SNIPPET.findall(PAGE)
    assert len(found) > 10
    wrong = [
        f"{name}: {text.splitlines()[0]}"
        for name, text in found
        if unformatted(text) not in unformatted((ROOT / name).read_text(encoding="utf-8"))
    ]
    assert wrong == []


def test_the_page_has_all_files_of_the_package() -> None:
    """The tree at its start is that of the example."""
    tree = PAGE.partition("```\nprovider-heron/\n")[2].partition("```")[0]
    named = {line.split()[0].rstrip("/") for line in tree.splitlines()}
    files = [file for file in EXAMPLE.rglob("*") if "__pycache__" not in file.parts]
    there = {file.relative_to(EXAMPLE).as_posix() for file in files if file.is_file()}
    assert {each for each in there if not each.startswith("tests/samples/")} == {
        each for each in named if each != "tests/samples"
    }
