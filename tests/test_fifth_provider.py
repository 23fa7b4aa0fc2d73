"""docs/adding-a-provider.md is complete: its code in the places that it names adds a provider."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.provider_page import copied, follow, steps

FAILED = re.compile(r"^FAILED \S+::(\S+)", re.MULTILINE)
TOOLS = Path(sys.executable).parent
PATIENCE_S = 120
CONFIGURED = "gateway.toml"
KEY = "key-4717"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the repository, to which nothing was added."""
    return copied(tmp_path)


def run(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a copy, with the packages of the copy."""
    return subprocess.run(
        command,
        cwd=tree,
        env=environment(tree),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def environment(tree: Path) -> Mapping[str, str]:
    """Return the variables of a process that imports from a copy."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(tree),
        "XDG_STATE_HOME": str(tree / "state"),
        "HERON_API_KEY": KEY,
    }


def failures(tree: Path, *tests: str, only: str = "") -> set[str]:
    """Run tests of a copy; return those that fail. At least one must have run."""
    options = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", *(["-k", only] if only else [])]
    ran = run(tree, sys.executable, "-m", "pytest", *options, *tests)
    assert ran.returncode in {0, 1}, ran.stdout + ran.stderr
    assert re.search(r"\d+ (passed|failed)", ran.stdout)
    return set(FAILED.findall(ran.stdout))


BY_HAND = ("tests/test_registry.py", "tests/test_readme.py", "tests/contract")
NEW = "heron or every_folder or test_registry or test_readme"
README = {"test_the_capabilities_are_the_adapters", "test_every_kind_has_its_operations_listed"}


def test_each_step_is_needed_and_all_suffice(tree: Path) -> None:
    """A step that is left out fails a test; after the last the contracts hold, and so do others'.

    The last tests are of the front door: they run over four kinds, and do not see a fifth.
    """
    follow(tree, 1, 2)
    assert failures(tree, *BY_HAND, only=NEW) == {
        "test_the_import_contract_has_every_adapter",
        "test_every_folder_of_samples_is_of_an_adapter",
        "test_an_adapter_shows_no_secret[heron]",
        "test_every_ability_has_a_success_and_a_failure[heron]",
        *README,
    }
    follow(tree, 3, 4)
    assert failures(tree, *BY_HAND, only=NEW) == README
    follow(tree, 5, 6)
    front_door = (
        "tests/e2e/test_providers.py",
        "tests/e2e/test_segments.py",
        "tests/unit/test_settings.py",
        "tests/unit/test_settings_problems.py",
    )
    assert failures(tree, "tests/test_readme.py", *front_door) == set()
    contracts = run(tree, str(TOOLS / "lint-imports"), "--no-cache")
    assert contracts.returncode == 0, contracts.stdout
    created = [block.file for number in (1, 7) for block in steps()[number]]
    follow(tree, 7)
    checked = run(tree, str(TOOLS / "ruff"), "check", "--no-cache", *sorted(set(created)))
    assert checked.returncode == 0, checked.stdout
    written = run(tree, str(TOOLS / "ruff"), "format", "--no-cache", "--check", *set(created))
    assert written.returncode == 0, written.stdout
    # With a sandbox it is served without a configuration, and the four are as before.
    others = ("tests/test_registry.py", "tests/unit/test_command_line.py", *front_door[:1])
    assert failures(tree, *others, only="registry or says_where or e2e") == set()


def test_the_page_changes_the_places_that_it_names(tree: Path) -> None:
    """Its list has them all: what its steps write is nowhere else."""
    before = {file: file.read_bytes() for file in tree.rglob("*") if file.is_file()}
    follow(tree, *steps())
    changed = {
        file.relative_to(tree).as_posix()
        for file in tree.rglob("*")
        if file.is_file() and before.get(file) != file.read_bytes()
    }
    assert {name for name in changed if not name.startswith("tests/samples/heron/")} == {
        "gateway/providers/heron.py",
        "gateway/providers/registry.py",
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "gateway/sandbox/heron.py",
        CONFIGURED,
    }


GROUPS = [
    {
        "id": f"g/{n}",
        "name": f"Group {n}",
        "member_count": 2,
        "created_at": f"2026-02-0{n + 1}T09:00:00Z",
    }
    for n in range(7)
]
MEMBERS = [
    {"id": f"m-{n}", "name": name, "email": None, "joined_at": "2026-03-01T09:00:00Z"}
    for n, name in enumerate(("Ana", "Ben"))
]
CREATED = {"id": "g/new", "name": "New", "member_count": 0, "created_at": "2026-04-01T09:00:00Z"}


class Heron(BaseHTTPRequestHandler):
    """A server of another author than the adapter: seven groups, and at most three rows a page."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Show a page of the groups or of the members of any, or one group."""
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if self.headers["x-heron-key"] != KEY:
            self._reply(HTTPStatus.UNAUTHORIZED, {})
        elif url.path == "/v1/groups":
            self._reply(HTTPStatus.OK, page(GROUPS, query))
        elif url.path.endswith("/members"):
            self._reply(HTTPStatus.OK, page(MEMBERS, query))
        else:
            self._reply(HTTPStatus.OK, GROUPS[0])

    def do_POST(self) -> None:
        """Create a group, of one name only."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        is_new = body == {"name": "New"}
        self._reply(HTTPStatus.CREATED if is_new else HTTPStatus.CONFLICT, CREATED)

    def _reply(self, status: HTTPStatus, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


def page(rows: list[Any], query: Mapping[str, str]) -> dict[str, Any]:
    """Return a page of rows, with an opaque cursor to the next."""
    start = int(query.get("cursor", "after-0").removeprefix("after-"))
    end = start + min(int(query["limit"]), 3)
    return {"data": rows[start:end], "next": f"after-{end}" if end < len(rows) else None}


@contextmanager
def heron() -> Iterator[str]:
    """Run that server; yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Heron) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(PATIENCE_S)


@contextmanager
def served(tree: Path) -> Iterator[httpx.Client]:
    """Run `gateway serve` of a copy by its configuration; yield a client of it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gateway", "serve", "--config", CONFIGURED]
    with (
        (tree / "serve.log").open("w") as log,
        subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=tree,
            env=environment(tree),
            stdout=log,
            stderr=log,
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not is_up(client):
                assert process.poll() is None, (tree / "serve.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield client
        finally:
            process.terminate()


def is_up(client: httpx.Client) -> bool:
    """Tell whether the server answers."""
    try:
        return client.get("/livez").status_code == HTTPStatus.OK
    except httpx.TransportError:
        return False


LIST = """query($after: String) { segments(first: 4, after: $after) {
  nodes { name provider { key kind } }
  sources { provider { key } error { code } }
  pageInfo { hasNextPage endCursor } } }"""
MEMBERS_OF = """{ provider(key: "books") { segments(first: 1) { nodes {
  customersCount { count } customers { nodes { name } } } } } }"""
CREATE = """mutation($name: String!) {
  segmentCreate(input: { provider: "books", name: $name }) {
    segment { name } userErrors { code field message } } }"""


def test_the_fifth_provider_is_served_beside_others(tree: Path) -> None:
    """Over HTTP, without a sandbox: its groups, cursor by cursor, in one list with another's."""
    follow(tree, 1, 2, 3, 6)
    file = tree / CONFIGURED
    with heron() as address:
        text = file.read_text().replace("https://api.heron.example", address)
        text += '[[providers]]\nkey = "receivables"\nkind = "stuut"\nbase_url = "sandbox:"\n'
        file.write_text(text)

        def ask(query: str, **variables: Any) -> Any:
            body = client.post("/graphql", json={"query": query, "variables": variables}).json()
            assert "errors" not in body, body
            return body["data"]

        with served(tree) as client:
            rows, after = [], None
            for _ in range(10):
                connection = ask(LIST, after=after)["segments"]
                assert [
                    (each["provider"]["key"], each["error"]) for each in connection["sources"]
                ] == [
                    ("books", None),
                    ("receivables", None),
                ]
                rows += [(row["provider"]["kind"], row["name"]) for row in connection["nodes"]]
                after = connection["pageInfo"]["endCursor"]
                if not connection["pageInfo"]["hasNextPage"]:
                    break
            assert [name for kind, name in rows if kind == "heron"] == [
                group["name"] for group in GROUPS
            ]
            assert len(rows) == len(set(rows)) == len(GROUPS) + 8
            (group,) = ask(MEMBERS_OF)["provider"]["segments"]["nodes"]
            assert group["customersCount"] == {"count": 2}
            assert [row["name"] for row in group["customers"]["nodes"]] == ["Ana", "Ben"]
            assert ask(CREATE, name="New")["segmentCreate"] == {
                "segment": {"name": "New"},
                "userErrors": [],
            }
            refused = ask(CREATE, name="Group 1")["segmentCreate"]
            assert [(each["code"], each["field"]) for each in refused["userErrors"]] == [
                ("TAKEN", ["name"])
            ]
        checked = gateway_check(tree)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert re.search(r"books +heron +ok", checked.stdout)
        file.write_text(text.replace(address, "sandbox:"))
        refusal = gateway_check(tree)
        assert refusal.returncode == 2
        assert "providers[0].base_url: must be a URL: heron has no sandbox" in refusal.stderr


def gateway_check(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run `gateway check` of a copy."""
    return run(tree, sys.executable, "-m", "gateway", "check", "--config", CONFIGURED)
