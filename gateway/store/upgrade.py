"""The steps from one schema of the record to the next, by alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from gateway.errors import Problem, SettingsError
from gateway.store.database_url import SETTING


def _is_current(connection: Connection) -> bool:
    """Tell whether nothing is to be done. Raises `SettingsError` for a newer database."""
    found = MigrationContext.configure(connection).get_current_revision()
    steps = ScriptDirectory.from_config(config())
    known = {step.revision for step in steps.walk_revisions()}
    if found is not None and found not in known:
        problem = f"was written by a newer version of this program (step {found}); run that one"
        raise SettingsError([Problem(SETTING, problem)])
    return found == steps.get_current_head()


def upgrade(connection: Connection) -> None:
    """Bring the database to the newest step. Raises `SettingsError` for a newer database."""
    if not _is_current(connection):  # another process may have done it while this one waited
        steps = config()
        steps.attributes["connection"] = connection
        command.upgrade(steps, "head")


def config() -> Config:
    """Return where alembic finds the steps."""
    config = Config()
    # A % would be read as the start of an interpolation.
    folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.set_main_option("path_separator", "os")
    return config
