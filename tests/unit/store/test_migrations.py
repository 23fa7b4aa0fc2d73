from pathlib import Path
from stat import S_IMODE

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from gateway.errors import Problem, SettingsError
from gateway.store.database import Database
from gateway.store.database_url import DatabaseUrl, database_url
from gateway.store.errors import StoreFailed
from gateway.store.migrate import NEWEST, OLDEST, version_of
from gateway.store.store import Store
from gateway.store.tables import METADATA
from gateway.store.upgrade import config
from tests.unit.store.shop_writes import CONFIRMED, LOG_TABLES, SHOP, shown, wanted, write


@pytest.mark.usefixtures("record")
async def test_complete(place: DatabaseUrl) -> None:
    """The migrations lead to the tables that the program uses."""

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))

    database = Database(place)
    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


async def test_again(record: Store, place: DatabaseUrl) -> None:
    """Opened again, a record keeps what it has."""
    await write(record, wanted("ada", "x"))
    again = await Store.open(place)
    assert await shown(again, "ada") == (CONFIRMED, {"x"})
    await again.close()


async def test_tags_of_before_their_order(record: Store, place: DatabaseUrl) -> None:
    """Tags written before the order was stored stand by type and value until rewritten."""
    await write(record, wanted("ada", "z", "a"))
    database = Database(place)
    async with database.writing() as connection:
        for table in LOG_TABLES:
            await connection.execute(text(f"DROP TABLE {table}"))
        for name in ("position", "position_before"):
            await connection.execute(text(f"ALTER TABLE taggings DROP COLUMN {name}"))
        await connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    await database.close()
    again = await Store.open(place)
    assert [tag.value for tag in await again.newest_tags(SHOP, "ada")] == ["a", "z"]
    await write(again, wanted("ada", "z", "a"))
    assert [tag.value for tag in await again.newest_tags(SHOP, "ada")] == ["z", "a"]
    await again.close()


async def test_newer(record: Store, place: DatabaseUrl) -> None:
    """A record of a newer program is refused, with its step, and left alone."""
    await write(record, wanted("ada", "x"))
    database = Database(place)
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        await connection.execute(text("UPDATE compatibility SET oldest = '9998'"))
    with pytest.raises(SettingsError) as error:
        await Store.open(place)
    assert error.value.problems == (
        Problem(
            "store.url",
            "was written by a newer version of this program (schema version 9999); "
            "run that version",
        ),
    )
    await database.close()
    assert await shown(record, "ada") == (CONFIRMED, {"x"})


@pytest.mark.usefixtures("record")
async def test_newer_for_this_one_too(place: DatabaseUrl) -> None:
    """Tables of a newer program that this one can use are used, and stay at their version."""
    database = Database(place)
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    again = await Store.open(place)
    await write(again, wanted("ada", "x"))
    assert await shown(again, "ada") == (CONFIRMED, {"x"})
    await again.close()
    async with database.reading() as connection:
        assert await connection.run_sync(version_of) == "9999"
    await database.close()


async def test_what_older_programs_use_is_left(tmp_path: Path) -> None:
    """Since the version of `OLDEST` the migrations have only added tables."""
    path = tmp_path / "gateway.db"
    path.touch()
    database = Database(database_url(f"sqlite:///{path}", {}))

    def schema(connection: Connection) -> dict[str, dict[str, str]]:
        tables = inspect(connection)
        return {
            table: {column["name"]: repr(column) for column in tables.get_columns(table)}
            for table in tables.get_table_names()
        }

    def migrated(connection: Connection, version: str) -> dict[str, dict[str, str]]:
        alembic = config()
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, version)
        return schema(connection)

    async with database.writing() as connection:
        before = await connection.run_sync(migrated, OLDEST)
        after = await connection.run_sync(migrated, "head")
    await database.close()
    assert {table: after[table] for table in before} == before


async def test_file(sqlite_url: str) -> None:
    """A file is its owner's alone, as its directory is, in WAL mode, and synced at commits."""
    place = database_url(sqlite_url, {})
    record = await Store.open(place)
    path = place.path
    assert path is not None
    assert S_IMODE(path.stat().st_mode) == 0o600
    assert S_IMODE(path.parent.stat().st_mode) == 0o700
    database = Database(place)
    async with database.writing() as connection:
        modes = [
            (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        ]
    assert modes == ["wal", 2, 5_000]
    await database.close()
    await record.close()


@pytest.mark.parametrize(
    "name", ["a file/record.db", "a folder"], ids=["not a folder", "not a file"]
)
async def test_no_file(tmp_path: Path, name: str) -> None:
    """A path that cannot be a record is a problem of the setting, with the path."""
    (tmp_path / "a file").touch()
    (tmp_path / "a folder").mkdir()
    with pytest.raises(SettingsError, match=f"^store.url: cannot be opened: {tmp_path / name}: "):
        await Store.open(database_url(f"sqlite:///{tmp_path / name}", {}))


async def test_no_database(tmp_path: Path) -> None:
    """A file that is none of SQLite's is a problem of the setting, and is left as it is."""
    path = tmp_path / "notes.txt"
    path.write_text("These are notes, and not a database." * 100)
    with pytest.raises(SettingsError, match=r"file is not a database$"):
        await Store.open(database_url(f"sqlite:///{path}", {}))
    assert path.read_text().startswith("These are notes")


async def test_no_server() -> None:
    """A server that is not there is an error of the gateway's, without its password."""
    with pytest.raises(StoreFailed) as error:
        await Store.open(database_url("postgresql://ada:s3cret@127.0.0.1:1/shop", {}))
    assert str(error.value) == (
        "The gateway's own store cannot be used at the moment: it cannot be reached."
    )


def test_newest_step() -> None:
    """What is compared at start, without alembic, is the last of alembic's steps."""
    assert ScriptDirectory.from_config(config()).get_current_head() == NEWEST
