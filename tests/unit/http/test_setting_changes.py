"""What a reload changes, what needs a restart, and what it refuses."""

from typing import Any

import pytest

from gateway.auth.api_keys import make
from gateway.errors import SettingsError
from gateway.http.setting_changes import follow
from gateway.settings.loading import sandbox_settings
from gateway.settings.tables import TABLES, Settings

KEY = {"auth": {"keys": [{"name": "a", "hash": make()[1], "scopes": ["admin"]}]}}
BASE = sandbox_settings(KEY)


def changed(table: str, **parts: Any) -> Settings:
    """Return the settings with parts of a table changed."""
    old = getattr(BASE, table)
    return BASE.model_copy(update={table: old.model_copy(update=parts)})


@pytest.mark.parametrize(
    ("table", "name", "value", "takes_effect"),
    [
        ("server", "hosts", ("a.test",), True),
        ("server", "request_timeout_s", 3, True),
        ("server", "drain_s", 3, False),
        ("server", "keep_alive_s", 3, False),
        ("server", "trusted_proxies", ("10.0.0.1",), False),
        ("server", "metrics", False, False),
        ("store", "url", "sqlite:///other.db", False),
        ("changes", "lag_s", 3, True),
        ("auth", "keys", (*BASE.auth.keys, *BASE.auth.keys), True),
        ("limits", "depth", 3, True),
        ("documents", "automatic", False, True),
        ("log", "personal_data", True, False),
        ("fast_paths", "compiled_queries", False, False),
    ],
)
def test_one_setting(table: str, name: str, value: Any, *, takes_effect: bool) -> None:
    """It is named in one of the two lists, and has its old value if it needs a restart."""
    wanted = changed(table, **{name: value})
    settings, live, fixed = follow(BASE, wanted)
    path = f"{table}.{name}"
    assert (live, fixed) == (([path], []) if takes_effect else ([], [path]))
    assert settings == (wanted if takes_effect else BASE)


def test_every_table_is_compared() -> None:
    """A change of any table is in one of the lists, also of one that is added later."""
    for table in TABLES:
        name = next(iter(TABLES[table].model_fields))
        _, live, fixed = follow(BASE, changed(table, **{name: object()}))
        assert [*live, *fixed] == [f"{table}.{name}"]


def test_providers_and_their_order() -> None:
    """Each that is new, gone or changed is named; else their order is."""
    first, second, *rest = BASE.providers
    renamed = second.model_copy(update={"display_name": "Other"})
    added = second.model_copy(update={"key": "added"})
    wanted = BASE.model_copy(update={"providers": (renamed, *rest, added)})
    names = [f"providers.{each.key}" for each in (first, second, added)]
    assert follow(BASE, wanted) == (wanted, names, [])
    turned = BASE.model_copy(update={"providers": BASE.providers[::-1]})
    assert follow(BASE, turned) == (turned, ["providers (their order)"], [])
    assert follow(BASE, BASE) == (BASE, [], [])


def test_losing_all_credentials() -> None:
    """It is refused, unless the file says that anybody may do everything."""
    nobody = sandbox_settings()
    with pytest.raises(SettingsError) as refused:
        follow(BASE, nobody)
    assert [each.path for each in refused.value.problems] == ["auth"]
    open_to_all = sandbox_settings({"server": {"allow_anonymous": True}})
    assert follow(BASE, open_to_all)[1] == ["server.allow_anonymous", "auth.keys"]
