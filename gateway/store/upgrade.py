"""Upgrade the store's schema with alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from gateway.errors import Problem, SettingsError
from gateway.store.database_url import SETTING


def _is_current(connection: Connection) -> bool:
    """Return whether the schema is current. Raises `SettingsError` for a newer database."""
    version = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(config())
    known = {script.revision for script in scripts.walk_revisions()}
    if version is not None and version not in known:
        problem = (
            f"was written by a newer version of this program (schema version {version}); "
            "run that version"
        )
        raise SettingsError([Problem(SETTING, problem)])
    return version == scripts.get_current_head()


def upgrade(connection: Connection) -> None:
    """Upgrade the database to the newest schema. Raises `SettingsError` for a newer database."""
    if not _is_current(connection):  # another process may have done it while this one waited
        alembic = config()
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, "head")


def config() -> Config:
    """Return alembic's configuration, with the folder of the migrations."""
    config = Config()
    # ConfigParser reads a single % as the start of an interpolation.
    folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.set_main_option("path_separator", "os")
    return config
