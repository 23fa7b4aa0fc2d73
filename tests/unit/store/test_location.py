from pathlib import Path

import pytest

from gateway.errors import Problem, SettingsError
from gateway.store.database_url import database_url


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({}, Path.home() / ".local/state"),
        ({"XDG_STATE_HOME": ""}, Path.home() / ".local/state"),
        ({"XDG_STATE_HOME": "state"}, Path.home() / ".local/state"),
        ({"XDG_STATE_HOME": "/srv/state"}, Path("/srv/state")),
    ],
    ids=["unset", "empty", "relative", "absolute"],
)
def test_default(environment: dict[str, str], folder: Path) -> None:
    """Without a setting the store is in the user's state directory."""
    place = database_url(None, environment)
    assert place.path == folder / "segment-gateway/gateway.db"
    assert place.shown == str(place.path)
    assert place.url.render_as_string() == f"sqlite+aiosqlite:///{place.path}"


def test_sqlite() -> None:
    """A file is named from here, or with a fourth slash from the root."""
    assert database_url("sqlite:///gateway.db", {}).path == Path.cwd() / "gateway.db"
    assert database_url("sqlite:////srv/a b%/x.db", {}).path == Path("/srv/a b%/x.db")


def test_postgresql() -> None:
    """A server's place is shown without its password and options."""
    place = database_url("postgresql://ada:s3cret@db:5433/shop?options=-csearch_path%3Dx", {})
    assert place.path is None
    assert place.url.drivername == "postgresql+psycopg"
    assert place.url.password == "s3cret"
    assert place.url.query == {"options": "-csearch_path=x"}
    assert place.shown == "postgresql://ada:***@db:5433/shop"


FILE = "must name a file: sqlite:///gateway.db, or sqlite:////var/lib/… from the root"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("sqlite://", FILE),
        ("sqlite://gateway.db", FILE),
        ("sqlite:///:memory:", FILE),
        ("sqlite:///file:x?mode=memory", FILE),
        ("mysql://db/shop", "is not a URL of a database"),
        ("postgresql://ada:s3cret@db:port/shop", "is not a URL of a database"),
        ("s3cret", "is not a URL of a database"),
    ],
)
def test_refused(url: str, text: str) -> None:
    """What cannot be a place is a problem of the setting, and no secret is in its message."""
    with pytest.raises(SettingsError) as error:
        database_url(url, {})
    assert error.value.problems == (Problem("store.url", text),)
    assert "s3cret" not in str(error.value)
