"""Find the store's database: `store.url`, or a file in the user's state directory."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from gateway.errors import Problem, SettingsError, missing_extra
from gateway.store.temporary import TEMPORARY, temporary_folder

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}
SETTING = "store.url"


class DatabaseUrl(NamedTuple):
    """The location of the store's database."""

    url: URL
    """The URL, with the asynchronous driver."""
    path: Path | None
    """The file; None for PostgreSQL."""
    is_ours: bool = False
    """The file is in a temporary folder, which must be removed when the store is closed."""

    @property
    def shown(self) -> str:
        """The file, or the URL without its password and query, for messages."""
        if self.path is not None:
            return str(self.path)
        return self.url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)


def database_url(url: str | None, environment: Mapping[str, str]) -> DatabaseUrl:
    """Return the location that `store.url` names: `sqlite:///file` or `postgresql://…`.

    None is `segment-gateway/gateway.db` in the state directory of the XDG Base Directory
    Specification: $XDG_STATE_HOME when it is absolute, else ~/.local/state. `TEMPORARY` is a file
    in a new temporary folder. Nothing is opened. Raises `SettingsError`.
    """
    if url == TEMPORARY:
        folder, is_ours = temporary_folder()
        path = folder / "gateway.db"
        return DatabaseUrl(URL.create(DRIVERS["sqlite"], database=str(path)), path, is_ours)
    if url is None:
        path = _state_directory(environment) / "segment-gateway" / "gateway.db"
        return DatabaseUrl(URL.create(DRIVERS["sqlite"], database=str(path)), path)
    try:
        parsed = make_url(url)
        driver = DRIVERS[parsed.drivername]
    except (ArgumentError, ValueError, KeyError):
        # The text may hold a password: neither it nor the cause is shown.
        raise SettingsError([Problem(SETTING, "is not a URL of a database")]) from None
    if parsed.drivername != "sqlite":
        if find_spec("psycopg") is None:
            raise SettingsError([Problem(SETTING, missing_extra("postgres"))])
        return DatabaseUrl(parsed.set(drivername=driver), None)
    if parsed.host or not parsed.database or parsed.database.startswith((":memory:", "file:")):
        text = "must name a file: sqlite:///gateway.db, or sqlite:////var/lib/… from the root"
        raise SettingsError([Problem(SETTING, text)])
    path = Path(parsed.database).absolute()
    return DatabaseUrl(URL.create(driver, database=str(path)), path)


def _state_directory(environment: Mapping[str, str]) -> Path:
    path = Path(environment.get("XDG_STATE_HOME", ""))
    return path if path.is_absolute() else Path.home() / ".local" / "state"
