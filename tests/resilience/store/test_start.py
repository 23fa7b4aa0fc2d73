"""A start without a usable store ends in time, with one line that says what is wrong."""

import asyncio
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import typer

from gateway.cli import serve
from gateway.settings.tables import StoreSettings
from gateway.store.checking import check_store
from gateway.store.database_url import database_url
from gateway.store.migrate import NEWEST
from gateway.store.store import Store
from tests.four_kinds import four_settings
from tests.resilience.store.cluster import Cluster

PAGE = 4096


def line_of(url: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that `gateway serve` ends with."""
    store = StoreSettings(url=url, connect_timeout_s=2)
    settings = four_settings().model_copy(update={"store": store})
    with pytest.raises(typer.Exit) as ended:
        serve.open_store_or_fail(settings)
    assert ended.value.exit_code == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of an SQLite file."""
    return tmp_path / "gateway.db"


async def made(path: Path) -> None:
    """Create a store there."""
    record = await Store.open(database_url(f"sqlite:///{path}", {}))
    await record.close()


@pytest.mark.parametrize("part", ["overwritten", "truncated", "first page"])
def test_damaged_file(path: Path, capsys: pytest.CaptureFixture[str], part: str) -> None:
    """A damaged file is seen before anything is served, and the message says how to repair it."""
    asyncio.run(made(path))
    size = path.stat().st_size
    if part == "truncated":
        os.truncate(path, size // 2 // PAGE * PAGE)
    else:
        with path.open("r+b") as file:
            file.seek(PAGE if part == "overwritten" else 100)
            file.write(b"\xa5" * (size - PAGE if part == "overwritten" else PAGE - 100))
    line = line_of(f"sqlite:///{path}", capsys)
    assert line.startswith(f"store.url: cannot be opened: {path}: ")
    assert line.endswith("; restore a backup, or repair it as described in docs/store.md")


def test_half_a_file(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables without a version belong to an unknown program and are not touched."""
    asyncio.run(made(path))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE alembic_version")
    assert line_of(f"sqlite:///{path}", capsys) == HALF


HALF = (
    "store.url: has this program's tables but not their version (alembic_version): restore a "
    "backup, or name an empty database"
)


def test_a_locked_file(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new file that another program has locked is given up in time."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        line = line_of(f"sqlite:///{path}", capsys)
    assert line == f"store.url: cannot be opened: {path}: another program has it locked"


@pytest.fixture
def silent() -> Iterator[int]:
    """Return a port that accepts connections and never responds."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_silent_server(silent: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that never responds is a timeout; its password is not shown."""
    line = line_of(f"postgresql://ada:s3cret@127.0.0.1:{silent}/shop", capsys)
    where = f"store.url: postgresql://ada:***@127.0.0.1:{silent}/shop cannot be used: "
    assert line.startswith(where)
    assert "s3cret" not in line


def test_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    """If nothing listens, the line has the driver's message."""
    line = line_of("postgresql://ada:s3cret@127.0.0.1:1/shop", capsys)
    assert line.startswith("store.url: postgresql://ada:***@127.0.0.1:1/shop cannot be used: ")
    assert "Connection refused" in line
    assert "s3cret" not in line


@pytest.mark.postgres
class TestPostgres:
    """On a server of the test's own."""

    @pytest.mark.parametrize(
        ("granted", "cause"),
        [
            ("USAGE", "42501: permission denied for schema public"),
            ("", "3F000: no schema has been selected to create in"),
        ],
        ids=["usage", "nothing"],
    )
    def test_no_permission(
        self, cluster: Cluster, capsys: pytest.CaptureFixture[str], granted: str, cause: str
    ) -> None:
        """A role that may not make tables is named what it needs."""
        cluster.sql("CREATE ROLE reader LOGIN")
        if granted:
            cluster.sql(f"GRANT {granted} ON SCHEMA public TO reader")
        try:
            line = line_of(cluster.url("reader"), capsys)
        finally:
            cluster.sql("DROP OWNED BY reader", "DROP ROLE reader")
        assert line == (
            f"store.url: {cluster.url('reader')} cannot be used: the gateway lacks a permission "
            f"there (SQLSTATE {cause}). Its user needs CREATE "
            "and USAGE on the schema, and must own the tables."
        )

    def test_read_only(self, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
        """A database that is read-only, as a replica is, is said to be."""
        url = f"{cluster.url()}?options=-cdefault_transaction_read_only%3Don"
        assert line_of(url, capsys) == (
            f"store.url: {cluster.url()} cannot be used: it is read-only (SQLSTATE 25006: cannot "
            "execute CREATE TABLE in a read-only transaction). Use the primary server, or give "
            "the user permission to write."
        )

    def test_half_a_database(self, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
        """As with a file."""
        cluster.sql("CREATE TABLE tagged_customers (provider text)")
        assert line_of(cluster.url(), capsys) == HALF

    def test_frozen(self, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
        """A server that stands still is given up in time."""
        cluster.freeze()
        line = line_of(cluster.url(), capsys)
        assert line.startswith(f"store.url: {cluster.url()} cannot be used: ")

    @pytest.mark.parametrize(
        ("state", "result"),
        [
            ("running", f"ok: schema version {NEWEST}"),
            ("read-only", "it is read-only. Use the primary server, or give the user permission"),
            ("frozen", "it does not answer in time ("),
            ("down", "it cannot be reached ("),
        ],
    )
    async def test_a_check(self, cluster: Cluster, state: str, result: str) -> None:
        """`gateway check` names the state of a store with tables, and succeeds only for one."""
        location = database_url(cluster.url(), {})
        await (await Store.open(location)).close()
        if state == "read-only":
            options = "options=-cdefault_transaction_read_only%3Don"
            location = database_url(f"{cluster.url()}?{options}", {})
        elif state == "frozen":
            cluster.freeze()
        elif state == "down":
            cluster.stop()
        try:
            shown, is_good = await check_store(location, 10 if state == "running" else 2)
        finally:
            if state == "down":
                cluster.start()
        begin = "" if is_good else f"{cluster.url()} cannot be used: "
        assert (shown[: len(begin + result)], is_good) == (begin + result, state == "running")


async def test_a_check_of_a_file_that_is_read_only(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a server; root may write all files, so the reply of the system is replaced."""
    await made(path)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    shown, is_good = await check_store(database_url(f"sqlite:///{path}", {}), 10)
    begin = f"{path} cannot be used: it is read-only (the file may not be written). Use the "
    assert (shown[: len(begin)], is_good) == (begin, False)


async def test_a_check_of_a_file_that_cannot_be_created(tmp_path: Path) -> None:
    """The start creates folders, but not below a file."""
    file = tmp_path / "file"
    file.touch()
    shown, is_good = await check_store(database_url(f"sqlite:///{file}/new/gateway.db", {}), 10)
    begin = f"it cannot be created: {file} is not a folder that this user may write to. Correct "
    assert (shown[: len(begin)], is_good) == (begin, False)


async def test_a_check_of_a_file_that_cannot_be_seen(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder of another user; root may see all, so the reply of the system is replaced."""
    exists = Path.exists

    def seen(asked: Path) -> bool:
        if asked == path:
            raise PermissionError
        return exists(asked)

    monkeypatch.setattr(Path, "exists", seen)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    shown, is_good = await check_store(database_url(f"sqlite:///{path}", {}), 10)
    begin = f"it cannot be created: {path.parent} is not a folder"
    assert (shown[: len(begin)], is_good) == (begin, False)
