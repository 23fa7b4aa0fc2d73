"""Upgrade the store's schema with alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, delete, insert

from gateway.store.migrate import OLDEST, is_usable
from gateway.store.tables import COMPATIBILITY


def upgrade(connection: Connection) -> None:
    """Upgrade the database to the newest schema. Raises `SettingsError`; see `is_usable`."""
    if is_usable(connection):  # another process may have done it while this one waited
        return
    alembic = config()
    alembic.attributes["connection"] = connection
    command.upgrade(alembic, "head")
    connection.execute(delete(COMPATIBILITY))
    connection.execute(insert(COMPATIBILITY).values(oldest=OLDEST))


def config() -> Config:
    """Return alembic's configuration, with the folder of the migrations."""
    config = Config()
    # ConfigParser reads a single % as the start of an interpolation.
    folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.set_main_option("path_separator", "os")
    return config
