"""The kinds of providers, by the `kind` of the configuration."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache

from gateway.providers.base.adapter import Adapter
from gateway.providers.base.kind import ProviderKind
from gateway.providers.base.settings import AccountSettings
from gateway.providers.emporix.adapter import Emporix
from gateway.providers.instaleap.adapter import Instaleap
from gateway.providers.plugins import (
    BrokenAccount,
    PluginError,
    PluginProblem,
    Plugins,
    broken_adapter,
    check_account,
    installed,
)
from gateway.providers.stuut.adapter import Stuut
from gateway.providers.voucherify.adapter import Voucherify
from gateway.sandbox.provider import SandboxProvider

KINDS: Mapping[str, ProviderKind] = {
    each.adapter.kind: each
    for each in (
        ProviderKind(Stuut, sandbox="gateway.sandbox.stuut"),
        ProviderKind(Voucherify, sandbox="gateway.sandbox.voucherify"),
        ProviderKind(Instaleap, sandbox="gateway.sandbox.instaleap"),
        ProviderKind(Emporix, sandbox="gateway.sandbox.emporix"),
    )
}
"""The built-in kinds."""

ADAPTERS: Mapping[str, type[Adapter]] = {kind: each.adapter for kind, each in KINDS.items()}

SANDBOXED = tuple(kind for kind, each in KINDS.items() if each.sandbox is not None)
"""The built-in kinds that have a sandbox. They are served if there is no configuration."""


def sandboxes() -> Mapping[str, SandboxProvider]:
    """Import every built-in sandbox; return them by kind."""
    return {kind: KINDS[kind].load_sandbox() for kind in SANDBOXED}


@cache
def plugins() -> Plugins:
    """Return the kinds that installed packages add, read once in a process."""
    return installed(KINDS)


def names() -> Sequence[str]:
    """Return the names of all kinds: the built-in ones, then those of packages."""
    return [*KINDS, *plugins().by_kind]


def find(kind: str) -> ProviderKind | None:
    """Return a kind; None if nothing adds it. Raises `PluginError` if its package is broken."""
    if kind in KINDS:
        return KINDS[kind]
    plugin = plugins().by_kind.get(kind)
    if plugin is not None:
        return plugin.load()
    problem = plugins().broken(kind)
    if problem is not None:
        raise PluginError(problem)
    return None


@contextmanager
def blaming(kind: str) -> Iterator[None]:
    """Turn what a package's code raises into `PluginError`; bugs of built-in kinds stay bugs."""
    plugin = None if kind in KINDS else plugins().by_kind.get(kind)
    if plugin is None:
        yield
        return
    with plugin.blamed("reading its settings"):
        yield


def checked(account: AccountSettings) -> AccountSettings:
    """Return an account whose adapter can be made. Raises `PluginError`."""
    plugin = None if account.kind in KINDS else plugins().by_kind.get(account.kind)
    if plugin is not None:
        check_account(plugin, account)
    return account


def adapter_of(account: AccountSettings) -> Adapter:
    """Return the adapter of an account; one that supports nothing if its package is broken."""
    if isinstance(account, BrokenAccount):
        return broken_adapter(account)
    known = find(account.kind)
    if known is None:
        raise LookupError(f"There is no kind {account.kind}.")
    return known.adapter(account)


def problems(accounts: Sequence[AccountSettings]) -> Sequence[PluginProblem]:
    """Return what is wrong with installed packages, as far as these accounts show it."""
    own = [each.problem for each in accounts if isinstance(each, BrokenAccount)]
    return list(dict.fromkeys([*plugins().problems, *own]))
