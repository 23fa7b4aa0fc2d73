"""The command line: its output, and its errors, which say how to fix them."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from gateway import __version__
from gateway.__main__ import cli
from gateway.cli import pid_file, reload, serve
from gateway.errors import Denied, Unreachable
from gateway.network_failures import EXPLANATIONS, NetworkFailure
from gateway.providers.registry import SANDBOXED
from gateway.sandbox.faults import KINDS as FAULT_KINDS
from gateway.settings.loading import load
from gateway.settings.problems import PATTERNS
from gateway.store.database_url import database_url
from gateway.store.migrate import NEWEST
from gateway.store.store import Store
from tests.security.signing import key_set, rsa
from tests.unit.upstream.network.certificates import certificate, showing

SDL = Path(__file__).parents[2] / "schema.graphql"

ACCOUNT = """
[[providers]]
key = "{key}"
kind = "stuut"
base_url = "{base_url}"
token = "{token}"
retries = 0
"""

SECRET = "secret-4711"

NOWHERE = "http://upstream.invalid"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Replace what serves; return its calls."""
    runs: list[dict[str, Any]] = []
    monkeypatch.setattr("uvicorn.run", lambda app, **how: runs.append({"app": app, **how}))
    monkeypatch.setattr(serve, "serve_alone", lambda config, _: runs.append({**vars(config)}))
    return runs


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is configured, and no gateway has been started before."""
    # Set, so that it is put back after a command that sets it as well.
    monkeypatch.setenv("GATEWAY_CONFIG", "")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "new"))


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port that is in use."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture
def free() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(cli, arguments)


def account(tmp_path: Path, *accounts: str, before: str = "") -> str:
    """Write a configuration; return the name of its file."""
    file = tmp_path / "gateway.toml"
    file.write_text(before + "".join(accounts))
    return str(file)


@pytest.mark.parametrize("command", ["serve", "sandbox"])
def test_a_taken_port_is_refused_in_one_line(
    command: str, taken: int, served: list[dict[str, Any]]
) -> None:
    """The error suggests another port; nothing is served."""
    result = run(command, "--port", str(taken))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"127.0.0.1 port {taken} is in use. Choose another: --port {taken + 1}, PORT={taken + 1}\n"
    )
    assert served == []


def test_an_address_that_is_not_ours_is_refused(served: list[dict[str, Any]]) -> None:
    """203.0.113.1 is reserved for documentation, so no machine has it."""
    result = run("sandbox", "--host", "203.0.113.1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("203.0.113.1 port 9000 cannot be used: ")
    assert served == []


def test_serving_says_where_what_and_how(
    free: int, served: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Print the address, the providers and a call to copy, then run the server."""
    (tmp_path / "index.html").touch()
    monkeypatch.setattr(serve, "PAGES", tmp_path)
    monkeypatch.setattr("tempfile.mkdtemp", lambda prefix: f"{tmp_path}/{prefix}x")
    result = run("serve", "--port", str(free))
    assert (result.exit_code, result.stderr) == (0, "")
    address = f"http://127.0.0.1:{free}"
    assert (
        result.stdout
        == f"""\
Segment gateway {__version__}
  Open     {address}/graphql
  Serving  {", ".join(f"{kind} ({kind})" for kind in SANDBOXED)}
           no configuration file: the embedded sandbox
  Store    {tmp_path}/segment-gateway-x/gateway.db (deleted when this server stops)
  Try      the example tabs on that page, or:
           curl {address}/graphql -H 'content-type: application/json' \
-d '{{"query":"{{ segments(first: 5) {{ nodes {{ name provider {{ key }} }} }} }}"}}'
  Stop     Ctrl+C
"""
    )
    (how,) = served
    assert (how["app"], how["host"], how["port"]) == ("gateway.asgi:create", "127.0.0.1", free)
    assert os.environ["GATEWAY_CONFIG"] == ""


def test_serving_a_file_hands_it_on_and_warns(
    free: int, served: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every worker reads the same file; open access and missing pages are reported."""
    monkeypatch.setattr(serve, "PAGES", tmp_path)
    file = account(
        tmp_path,
        ACCOUNT.format(key="acme", base_url=NOWHERE, token=SECRET),
        before="[server]\nallow_anonymous = true\n",
    )
    result = run("serve", "--config", file, "--host", "0.0.0.0", "--port", str(free))  # noqa: S104  # as said
    assert (result.exit_code, result.stderr, len(served)) == (0, "", 1)
    lines = result.stdout.splitlines()
    assert lines[1:7] == [
        f"  Open     http://0.0.0.0:{free}/graphql",
        "  Serving  acme (stuut)",
        f"           {file}",
        "  Warning  anyone who reaches this address may read and write everything",
        "  Missing  the pages are not built; build them with: make pages",
        f"  Store    {tmp_path}/new/segment-gateway/gateway.db",
    ]
    assert os.environ["GATEWAY_CONFIG"] == file
    assert SECRET not in result.output


@pytest.mark.parametrize("command", ["serve", "check"])
def test_everything_that_is_wrong_with_the_file_is_listed(
    command: str, tmp_path: Path, served: list[dict[str, Any]]
) -> None:
    """Each problem is one line with its path, without secrets; nothing is started."""
    text = ACCOUNT.format(key="a b", base_url="nowhere", token=SECRET) + "size = 1\n"
    result = run(command, "--config", account(tmp_path, text))
    assert (result.exit_code, result.stdout, served) == (2, "", [])
    assert (
        result.stderr
        == f"""The configuration cannot be used:
  providers[0].key: {PATTERNS["key"]}
  providers[0].base_url: {PATTERNS["base_url"]}
  providers[0].size: is not a known setting
"""
    )


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_url_of_no_database_is_one_line(
    command: str, tmp_path: Path, served: list[dict[str, Any]]
) -> None:
    """Without the password that it may contain."""
    store = f'[store]\nurl = "postgresql://gateway:{SECRET}@db.test:port/gateway"\n'
    text = ACCOUNT.format(key="acme", base_url="sandbox:", token=SECRET)
    result = run(command, "--config", account(tmp_path, text, before=store))
    assert (result.exit_code, result.stdout, served) == (2, "", [])
    expected = "The configuration cannot be used:\n  store.url: is not a URL of a database\n"
    assert result.stderr == expected


def test_the_sandbox_says_where_it_is(free: int, served: list[dict[str, Any]]) -> None:
    """Print the addresses, the credentials, and a configuration to use them."""
    result = run("sandbox", "--port", str(free))
    assert (result.exit_code, result.stderr, len(served)) == (0, "", 1)
    address = f"http://127.0.0.1:{free}"
    addresses = "\n".join(f"  {kind:<11} {address}/{kind}" for kind in SANDBOXED)
    assert (
        result.stdout
        == f"""\
Sandbox of {len(SANDBOXED)} providers
{addresses}
  Credentials: {address}/
  Try: curl -o gateway.toml {address}/gateway.toml && gateway serve --config gateway.toml
  Calls so far: curl {address}/calls   (-X DELETE resets them)
  Faults: curl -X PUT {address}/faults -d '[{{"provider":"emporix","kind":"hang"}}]'   \
(-X DELETE removes them)
  Stop: Ctrl+C
"""
    )


def test_the_sandbox_says_where_its_webhooks_go(free: int, served: list[dict[str, Any]]) -> None:
    """With `--webhooks` the providers that send them, and the gateway they are sent to."""
    gateway = "http://127.0.0.1:8000"
    result = run("sandbox", "--port", str(free), "--webhooks", gateway)
    assert (result.exit_code, result.stderr, len(served)) == (0, "", 1)
    assert f"  Webhooks: of voucherify, emporix, to {gateway}\n" in result.stdout


def test_a_fault_that_there_is_not_is_refused(free: int, served: list[dict[str, Any]]) -> None:
    """The error is one line, with those there are; nothing is served."""
    result = run("sandbox", "--port", str(free), "--fault", "emporix:bad mood")
    assert (result.exit_code, result.stdout, served) == (2, "", [])
    kinds = ", ".join(FAULT_KINDS)
    assert result.stderr == f"--fault 'bad mood' is not one of the kinds: {kinds}\n"


def test_the_schema_is_the_one_that_is_checked_in() -> None:
    """`gateway schema` prints schema.graphql exactly."""
    result = run("schema")
    assert (result.exit_code, result.stdout) == (0, SDL.read_text())


def test_without_a_command_the_help_is_shown() -> None:
    """The commands, one line each."""
    result = run()
    assert [name for name in ("serve", "sandbox", "check", "schema") if name in result.output] == [
        "serve",
        "sandbox",
        "check",
        "schema",
    ]


def process(*arguments: str) -> Sequence[str]:
    """Return the command line of a separate process."""
    return (sys.executable, "-m", "gateway", *arguments)


FAILED = "Failed. The table says what to do; check the credentials where it does not."
NEW_STORE = "ok: it does not exist yet, and is created at the start"


def checked(*arguments: str) -> tuple[int, list[list[str]], str]:
    """Run a check; return its exit status, its table's rows by column, and its last line.

    In a process of its own, because it sets the log of its whole process.
    """
    done = subprocess.run(
        process("check", *arguments),
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "400"},
        timeout=60,
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    keys = [line for line in lines if line.startswith("Keys for identity rules at ")]
    assert all(line.endswith("email, phone, attributes.<path>") for line in keys)
    _, head, *rows, last = lines[len(keys) :]
    places = [head.index(title) for title in ("Checked", "Kind", "Result", "Took")]
    ends = [*places[1:], None]
    cells: list[list[str]] = []
    for row in rows:
        parts = [row[a:b].strip() for a, b in zip(places, ends, strict=True)]
        if parts[0]:
            cells.append(parts)
        else:  # a further line of a cell
            cells[-1][2] += f" / {parts[2]}"
    assert all(took == "" or took.endswith(" ms") for *_, took in cells)
    stores = [row for row in cells if row[1] == "store"]
    assert [row[2] for row in stores] in ([], [NEW_STORE])
    return done.returncode, [row[:3] for row in cells if row[1] != "store"], last


def test_a_check_of_the_sandbox_finds_all_well() -> None:
    """Each provider has a row; one that cannot be read is not checked."""
    assert checked() == (
        0,
        [
            ["stuut", "stuut", "ok"],
            ["voucherify", "voucherify", "ok"],
            ["instaleap", "instaleap", "not checked: it cannot be read"],
            ["emporix", "emporix", "ok"],
        ],
        "Everything works. Serve it with: gateway serve",
    )


AWAY = (
    f"Unreachable: {Unreachable('away', '')} / connection_refused: Nothing listens at the host"
    " and port of base_url, or a firewall refuses connections. / Correct the host or port, or"
    " start what should listen there."
)


def test_a_check_names_who_fails_and_why(tmp_path: Path) -> None:
    """A wrong secret, an unreachable provider and a working one; the secret is not shown."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{held.getsockname()[1]}"
        file = account(
            tmp_path,
            ACCOUNT.format(key="wrong", base_url="sandbox:", token=SECRET),
            ACCOUNT.format(key="away", base_url=nobody, token=SECRET),
            '[[providers]]\nkey = "well"\nkind = "emporix"\nbase_url = "sandbox:"\n',
        )
        assert checked("--config", file) == (
            1,
            [
                [
                    "wrong",
                    "stuut",
                    f"Denied: {Denied('wrong', '')} (HTTP 401)",
                ],
                [
                    "away",
                    "stuut",
                    AWAY,
                ],
                ["well", "emporix", "ok"],
            ],
            FAILED,
        )


async def test_a_check_says_what_is_wrong_with_a_certificate(tmp_path: Path) -> None:
    """The failure class and the remedy, as documented."""
    async with showing(certificate(tmp_path)) as port:
        url = f"https://localhost:{port}"
        file = account(tmp_path, ACCOUNT.format(key="away", base_url=url, token=SECRET))
        status, ((_, _, result),), _ = await asyncio.to_thread(checked, "--config", file)

    what, advice = EXPLANATIONS[NetworkFailure.CERTIFICATE_UNTRUSTED]
    expected = f"Unreachable: {Unreachable('away', '')} / certificate_untrusted: {what} / {advice}"
    assert (status, "".join(result.split())) == (1, "".join(expected.split()))


def answered(server: subprocess.Popen[bytes], url: str) -> httpx.Response:
    """Retry a request until a starting server listens."""
    with httpx.Client(timeout=30, trust_env=False) as client:
        while True:
            try:
                return client.post(url, json={"query": "{ providers { key } }"})
            except httpx.ConnectError:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    raise AssertionError(server.communicate(timeout=0.05)) from None


def test_a_server_answers_until_it_is_stopped(free: int) -> None:
    """A server process serves the sandbox over HTTP, and exits cleanly after SIGTERM."""
    server = subprocess.Popen(
        process("serve", "--port", str(free)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        answer = answered(server, f"http://127.0.0.1:{free}/graphql")
        keys = [each["key"] for each in answer.json()["data"]["providers"]]
    finally:
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=30)
    assert (answer.status_code, keys) == (200, ["stuut", "voucherify", "instaleap", "emporix"])
    lines = [json.loads(line) for line in errors.splitlines()]
    assert [line["event"] for line in lines] == ["started", "stopping", "stopped"]
    stopping = {"level": "info", "signal": "SIGTERM"}
    assert stopping.items() <= lines[1].items()


def test_reloading_needs_a_server(tmp_path: Path) -> None:
    """Without one the error says what is missing; other settings do not matter."""
    file = tmp_path / "gateway.toml"
    file.write_text("[server]\n", encoding="utf-8")
    refused = run("reload", "--config", str(file))
    no_file = "The configuration has no server.pid_file. Set it, or name the process: --pid N\n"
    assert (refused.exit_code, refused.stderr) == (2, no_file)
    file.write_text(f'[server]\npid_file = "{tmp_path}/pid"\nx = "${{NONE}}"\n', encoding="utf-8")
    refused = run("reload", "--config", str(file))
    not_running = f"{tmp_path}/pid has no process id: the server is not running.\n"
    assert (refused.exit_code, refused.stderr) == (2, not_running)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    refused = run("reload", "--pid", str(ended.pid))
    gone = f"No process has the id {ended.pid}: the server is not running.\n"
    assert (refused.exit_code, refused.stderr) == (2, gone)


@contextlib.contextmanager
def bystander(*arguments: str) -> Iterator[int]:
    """Run a process that SIGHUP would end; it is not ended at the end."""
    command = [sys.executable, "-c", "print(flush=True); input()", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # before, /proc may not know its arguments yet
        yield process.pid
        assert process.poll() is None
        process.communicate(b"\n", timeout=30)
        assert process.returncode == 0


def test_reloading_spares_other_processes(tmp_path: Path) -> None:
    """Neither `--pid` nor a file that a killed server left behind ends another process."""
    file = tmp_path / "gateway.toml"
    file.write_text(f'[server]\npid_file = "{tmp_path}/pid"\n', encoding="utf-8")
    with bystander() as pid:
        (tmp_path / "pid").write_text(f"{pid}\n", encoding="ascii")
        refused = run("reload", "--config", str(file))
        stale = (
            f"{tmp_path}/pid is left over from a server that is not running, so nothing was sent"
            f" to process {pid}. Start the server: it writes the file again.\n"
        )
        assert (refused.exit_code, refused.stderr) == (2, stale)
        refused = run("reload", "--pid", str(pid))
        assert refused.exit_code == 2
        assert refused.stderr.startswith(
            f"Process {pid} is not the main process of a gateway, so nothing was sent to it."
            if reload.PROCESSES.is_dir()
            else f"This system cannot say what process {pid} is"
        )


@pytest.mark.skipif(not reload.PROCESSES.is_dir(), reason="needs /proc")
def test_reloading_waits_for_the_start() -> None:
    """A gateway that does not handle the signal yet is not ended by it."""
    with bystander("gateway", "serve") as pid:
        refused = run("reload", "--pid", str(pid))
    starting = f"Process {pid} does not handle SIGHUP yet: it is starting. Repeat this soon.\n"
    assert (refused.exit_code, refused.stderr) == (2, starting)


def test_reloading_without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where nothing says what a process is, `--pid` is refused; the file still works."""
    monkeypatch.setattr(reload, "PROCESSES", tmp_path / "none")
    with bystander() as pid:
        refused = run("reload", "--pid", str(pid))
    assert (refused.exit_code, refused.stderr.split(" (")[0]) == (
        2,
        f"This system cannot say what process {pid} is",
    )
    hung_up: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: hung_up.append(number))
    file = tmp_path / "gateway.toml"
    file.write_text(f'[server]\npid_file = "{tmp_path}/pid"\n', encoding="utf-8")
    (tmp_path / "pid").write_text("4711, of a killed server", encoding="ascii")
    try:
        with pid_file.written_pid(tmp_path / "pid"):
            assert run("reload", "--config", str(file)).exit_code == 0
            assert hung_up == []  # it has not begun to handle it
            signal.signal(signal.SIGHUP, lambda number, _: hung_up.append(number))
            assert run("reload", "--config", str(file)).exit_code == 0
            second = run("serve", "--config", str(file))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert hung_up == [signal.SIGHUP]
    taken = (
        f"server.pid_file: {tmp_path}/pid is that of a running server, process {os.getpid()}."
        " Stop it, or give this one a file of its own.\n"
    )
    assert (second.exit_code, second.stderr) == (2, taken)
    assert not (tmp_path / "pid").exists()


def store_and_issuers(file: str) -> tuple[int, dict[str, str]]:
    """Return the exit status of a check, and its results except for providers."""
    done = subprocess.run(
        process("check", "--config", file),
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "400"},
        timeout=60,
    )
    rows = [line.split("  ") for line in done.stdout.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    return done.returncode, {
        cell[0]: cell[2] for cell in cells if len(cell) > 2 and cell[1] in {"store", "issuer"}
    }


@pytest.mark.parametrize(
    ("version", "result"),
    [
        (NEWEST, f"ok: schema version {NEWEST}"),
        (
            "0001",
            (
                f"ok: schema version 0001; the start upgrades it to {NEWEST}. Running processes of"
                " the version before are not ready then."
            ),
        ),
        ("9998", "ok: schema version 9998 of a newer gateway, which this one can use"),
        (
            "9999",
            (
                f"schema version 9999 is of a newer gateway; this one has {NEWEST}. Run that"
                " version, or restore a backup from before its upgrade."
            ),
        ),
    ],
)
async def test_a_check_compares_the_stores_version(
    tmp_path: Path, version: str, result: str
) -> None:
    """And changes nothing; the issuers' keys are read, too."""
    path = tmp_path / "gateway.db"
    store = await Store.open(database_url(f"sqlite:///{path}", {}))
    await store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
        if version == "9999":
            connection.execute("UPDATE compatibility SET oldest = ?", (version,))
    keys = tmp_path / "keys.json"
    keys.write_bytes(key_set(rsa()))
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        file = account(
            tmp_path,
            '[[providers]]\nkey = "well"\nkind = "emporix"\nbase_url = "sandbox:"\n',
            before=f"""
[store]
url = "sqlite:///{path}"
[[auth.jwt]]
issuer = "https://file.test"
audience = "a"
jwks_file = "{keys}"
[[auth.jwt]]
issuer = "https://url.test"
audience = "a"
jwks_url = "http://127.0.0.1:{held.getsockname()[1]}/keys"
""",
        )
        status, results = await asyncio.to_thread(store_and_issuers, file)
    what, _ = EXPLANATIONS[NetworkFailure.CONNECTION_REFUSED]
    refused = f"connection_refused: {what}".replace("base_url", "jwks_url")
    assert (status, results) == (
        1,
        {
            "https://file.test": "ok: 1 keys",
            "https://url.test": refused,
            f"{path}": result,
        },
    )
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [(version,)]


def test_a_page_elsewhere_may_use_the_sandbox(
    free: int, served: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `--cors`, also with a file that has settings but no providers."""
    monkeypatch.setenv("GATEWAY_CORS", "")
    file = tmp_path / "gateway.toml"
    text = '[server]\ncors_origins = ["https://a.test"]\nrequest_timeout_s = 3\n'
    file.write_text(text, encoding="utf-8")
    origins = ("--cors", "http://localhost:5173", "--cors", "https://b.test")
    result = run("serve", "--config", str(file), "--port", str(free), *origins)
    assert (result.exit_code, result.stderr, len(served)) == (0, "", 1)
    assert f"{file}, without providers: the embedded sandbox" in result.stdout
    settings = load(file, os.environ)
    assert settings.server.cors_origins == ("https://a.test", *origins[1::2])
    assert [each.key for each in settings.providers] == list(SANDBOXED)
    assert (settings.server.request_timeout_s, settings.server.drain_s) == (3, 0)
    monkeypatch.setenv("GATEWAY_CONFIG", "")
    wrong = run("serve", "--port", str(free), "--cors", "localhost:5173")
    problem = "server.cors_origins[0]: must be scheme and host, like https://shop.example"
    assert wrong.exit_code == 2
    assert problem in wrong.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("schema",),
        ("key", "create", "--name", "web", "--scope", "admin"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_output_to_a_full_disk(arguments: Sequence[str]) -> None:
    """The reason is one line."""
    command = [sys.executable, "-m", "gateway", *arguments]
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    message = "The output cannot be written: No space left on device\n"
    assert (ran.returncode, ran.stderr) == (1, message)
