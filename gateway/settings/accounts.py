"""The settings of one provider's account, as its kind defines them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.errors import Problem, SettingsError
from gateway.identity.rules import EMAIL_KEY, PHONE_KEY
from gateway.providers.base.kind import ProviderKind
from gateway.providers.base.settings import SANDBOX, AccountSettings
from gateway.providers.plugins import BrokenAccount, PluginError
from gateway.providers.registry import SANDBOXED, blaming, checked, find, names
from gateway.settings.problems import did_you_mean, problems_of

Tables = Mapping[str, type[BaseModel]]
"""The other tables of the configuration, for hints where a setting belongs."""

NOT_INSTALLED = "; a package may add it: install it where the gateway is installed"
"""The hint for a kind whose name is like none of the known ones."""


def usable(kind: str | None) -> ProviderKind | None:
    """Return a kind; None if there is none, or its package cannot be used."""
    try:
        return None if kind is None else find(kind)
    except PluginError:
        return None


def customer_keys(kind: str) -> Sequence[str]:
    """Return the names of the keys that rules may use for customers of a kind of provider.

    Every customer also has `attributes.<path>`.
    """
    known = usable(kind)
    declared = () if known is None else getattr(known.adapter, "customer_keys", ())
    return tuple(dict.fromkeys(("id", *declared, EMAIL_KEY, PHONE_KEY)))


def account_of(table: Mapping[str, Any], path: str, tables: Tables) -> AccountSettings:
    """Read a `[[providers]]` table; `path` is its place in the file. Raises `SettingsError`.

    If the package that adds its kind cannot be used, the result is a `BrokenAccount`.
    """
    kind = table.get("kind")
    try:
        known = find(kind) if isinstance(kind, str) else None
        if known is None:
            hint = (did_you_mean(kind, names()) or NOT_INSTALLED) if isinstance(kind, str) else ""
            text = f"must be one of {', '.join(names())}{hint}"
            raise SettingsError([Problem(f"{path}.kind", text)])
        with blaming(known.adapter.kind):
            return checked(_account_of(known, table, path, tables))
    except PluginError as error:
        try:
            return BrokenAccount.of(table, error.problem)
        except ValidationError as invalid:
            problems = problems_of(invalid, path, AccountSettings, tables)
            raise SettingsError([*problems]) from invalid


def _account_of(
    known: ProviderKind, table: Mapping[str, Any], path: str, tables: Tables
) -> AccountSettings:
    if table.get("base_url") == SANDBOX:
        if known.sandbox is None:
            kind = known.adapter.kind
            text = f"must be a URL: {kind} has no sandbox; {', '.join(SANDBOXED)} have one"
            raise SettingsError([Problem(f"{path}.base_url", text)])
        table = {**known.load_sandbox().CREDENTIALS, **table}
    try:
        return known.adapter.Settings.model_validate(table)
    except ValidationError as error:
        problems = problems_of(error, path, known.adapter.Settings, tables)
        raise SettingsError([*problems]) from error
