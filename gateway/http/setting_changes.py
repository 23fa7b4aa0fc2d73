"""What differs between two versions of the settings, and what may change while the server runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from gateway.errors import Problem, SettingsError
from gateway.settings.tables import Settings

LIVE: Mapping[str, frozenset[str] | None] = {
    "server": frozenset(
        {
            *("allow_anonymous", "hosts", "cors_origins", "cors_allow_headers"),
            *("request_timeout_s", "cache_ttl_s"),
        }
    ),
    "auth": None,
    "limits": None,
    "changes": None,
    "identity": None,
    "documents": None,
    "providers": None,
    "watch": None,
}
"""The settings that a reload puts into effect, by table; None: the whole table."""


def follow(current: Settings, wanted: Settings) -> tuple[Settings, Sequence[str], Sequence[str]]:
    """Return the settings to use from now on, and the paths of two sorts of changes.

    First those that take effect, then those that need a restart, which keep their current values.
    Raises `SettingsError` if callers would no longer need credentials though nothing says so.
    """
    if wanted.auth.is_empty and not current.auth.is_empty and not wanted.server.allow_anonymous:
        text = "has neither a key nor a token issuer any more; that needs a restart"
        raise SettingsError([Problem("auth", text)])
    changed: list[str] = []
    fixed: list[str] = []
    update: dict[str, Any] = {}
    for table in type(current).model_fields:
        old, new = getattr(current, table), getattr(wanted, table)
        if table == "providers":
            changed += _providers(old, new)
        elif isinstance(old, BaseModel) and old != new:
            live = LIVE.get(table, frozenset())
            names = [name for name in type(old).model_fields if _differs(old, new, name)]
            stay = [name for name in names if live is not None and name not in live]
            changed += [f"{table}.{name}" for name in names if name not in stay]
            fixed += [f"{table}.{name}" for name in stay]
            update[table] = new.model_copy(update={name: getattr(old, name) for name in stay})
        elif old != new and table in LIVE:
            changed.append(table)
        elif old != new and table != "source":
            fixed.append(table)
            update[table] = old
    return wanted.model_copy(update=update), changed, fixed


def _differs(old: BaseModel, new: BaseModel, name: str) -> bool:
    return bool(getattr(old, name) != getattr(new, name))


def _providers(old: Sequence[Any], new: Sequence[Any]) -> Sequence[str]:
    """Return `providers.KEY` of each provider that is new, gone or changed."""
    before = {each.key: each for each in old}
    after = {each.key: each for each in new}
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    if not keys and [*before] != [*after]:
        return ["providers (their order)"]
    return [f"providers.{key}" for key in keys]
