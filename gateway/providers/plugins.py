"""Kinds of providers that other installed packages add (decision 0035).

A package names its kinds in an entry point group; the group's name ends with the version of the
interface that the package is written for. Start-up reads those names from the packages' metadata.
A package is imported when an account of its kind is configured.
"""

import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Final, NamedTuple

from pydantic import ValidationError

from gateway.domain.entities import Limit, Membership, Status
from gateway.domain.pages import PageRequest
from gateway.domain.queries import EVERY_SEGMENT
from gateway.errors import GatewayError
from gateway.providers.base.adapter import Adapter, ListsSegments
from gateway.providers.base.capabilities import OPERATIONS, capabilities
from gateway.providers.base.kind import INTERFACE, ProviderKind
from gateway.providers.base.settings import (
    SANDBOX,
    UNSENDABLE,
    AccountSettings,
    fits_into_a_header,
)
from gateway.sandbox.people import people

PREFIX: Final = "segment_gateway.providers.v"
GROUP: Final = f"{PREFIX}{INTERFACE}"
"""The entry point group: each entry is a kind's name and its `ProviderKind`."""

NOTE: Final = "The package with the adapter cannot be used; the gateway's operator can see why."
TO_AUTHOR: Final = "Install another version of it, or report it to its author."
MISSING: Final = "Install what it needs, or another version of it."
MAX_REASON: Final = 300
CUSTOMERS: Final = 10
"""The number of people in the sandbox that is made as a trial."""

DECLARED: Final[Mapping[str, type | tuple[type, ...]]] = {
    "kind": str,
    "label": str,
    "notes": Mapping,
    "limits": (list, tuple),
    "memberships": frozenset,
    "statuses": frozenset,
    "has_sites": bool,
}
"""The attributes of an adapter's class, with their types."""


class PluginProblem(NamedTuple):
    """Why a package cannot add a kind, and what to do about it."""

    package: str
    """Its name and version."""
    kind: str
    reason: str
    advice: str

    def __str__(self) -> str:
        """Return it as sentences, for an operator."""
        return f"{self.package} cannot add the kind {self.kind}: {self.reason}. {self.advice}"


class PluginError(Exception):
    """A package cannot add a kind."""

    def __init__(self, problem: PluginProblem) -> None:
        """Store the problem."""
        self.problem = problem
        super().__init__(str(problem))


class Plugin:
    """A kind that an installed package adds."""

    def __init__(self, entry: EntryPoint) -> None:
        """Do not import it yet."""
        self.kind = entry.name
        self.package = package_of(entry)
        self._entry = entry
        self._loaded: ProviderKind | PluginProblem | None = None

    def load(self) -> ProviderKind:
        """Import the package, once in a process. Raises `PluginError`, then every time."""
        if self._loaded is None:
            try:
                self._loaded = self._import()
            except PluginError as error:
                self._loaded = error.problem
                raise
        if isinstance(self._loaded, PluginProblem):
            raise PluginError(self._loaded)
        return self._loaded

    @contextmanager
    def blamed(self, what: str) -> Iterator[None]:
        """Turn whatever the package's code raises into `PluginError`, but for our own errors.

        Its messages are left out: they may contain a setting's value.
        """
        try:
            yield
        except (GatewayError, ValidationError, PluginError):
            raise
        except (Exception, SystemExit) as error:
            raise self._error(f"{what} failed: {type(error).__name__}{_place(error)}") from error

    def _import(self) -> ProviderKind:
        try:
            loaded = self._entry.load()
        except (Exception, SystemExit) as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())[:MAX_REASON]
            reason = f"importing {self._entry.value} failed: {text}{_place(error)}"
            missing = isinstance(error, ModuleNotFoundError)
            advice = MISSING if missing else TO_AUTHOR
            raise self._error(reason, advice) from error
        with self.blamed(f"reading {self._entry.value}"):
            fault = next(_faults(self.kind, loaded), None)
        if fault is not None:
            raise self._error(f"{self._entry.value} {fault}")
        kind: ProviderKind = loaded
        return kind

    def _error(self, reason: str, advice: str = TO_AUTHOR) -> PluginError:
        return PluginError(PluginProblem(self.package, self.kind, reason, advice))


class Plugins:
    """The kinds that installed packages add, and the packages whose metadata is wrong already."""

    def __init__(
        self, entries: Iterable[EntryPoint], built_in: Mapping[str, ProviderKind]
    ) -> None:
        """Take the entry points of all packages; those of other groups are ignored."""
        self.problems: list[PluginProblem] = []
        by_kind: dict[str, list[EntryPoint]] = {}
        for entry in entries:
            if entry.group == GROUP:
                by_kind.setdefault(entry.name, []).append(entry)
            elif entry.group.startswith(PREFIX):
                self.problems.append(_other_version(entry))
        self.by_kind: Mapping[str, Plugin] = {
            kind: Plugin(those[0])
            for kind, those in by_kind.items()
            if len(those) == 1 and kind not in built_in
        }
        for kind, those in by_kind.items():
            self.problems += _collisions(kind, those, is_built_in=kind in built_in)

    def load_all(self) -> Sequence[tuple[Plugin, ProviderKind | PluginProblem]]:
        """Import all packages; return each with its kind, or why it cannot be used."""
        return [(each, _loaded(each)) for each in self.by_kind.values()]

    def broken(self, kind: str) -> PluginProblem | None:
        """Return why a package that is installed does not add this kind."""
        return next((each for each in self.problems if each.kind == kind), None)


def _loaded(plugin: Plugin) -> ProviderKind | PluginProblem:
    try:
        return plugin.load()
    except PluginError as error:
        return error.problem


def installed(built_in: Mapping[str, ProviderKind]) -> Plugins:
    """Read the metadata of all installed packages: some 5 ms for a hundred of them."""
    every = entry_points()
    ours = [group for group in every.groups if group.startswith(PREFIX)]
    return Plugins((each for group in ours for each in every.select(group=group)), built_in)


def package_of(entry: EntryPoint) -> str:
    """Return the name and version of the package of an entry point."""
    return (
        "an unknown package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
    )


def check_account(plugin: Plugin, account: AccountSettings) -> None:
    """Do with an account what every start does. Raises `PluginError` if that fails."""
    with plugin.blamed("making the adapter"):
        adapter = plugin.load().adapter(account)
        headers = dict(adapter.secret_headers)
        unsendable = [name for name in headers if not fits_into_a_header(headers[name])]
        capabilities(adapter)
        if isinstance(adapter, ListsSegments):
            adapter.segments(EVERY_SEGMENT, PageRequest(1))
    if unsendable:
        reason = f"a value of the header {unsendable[0]} {UNSENDABLE}"
        raise PluginError(
            PluginProblem(plugin.package, plugin.kind, reason, "Correct the account's settings.")
        )
    if account.base_url == SANDBOX:
        with plugin.blamed("making the sandbox"):
            plugin.load().load_sandbox().build([*people(CUSTOMERS)], lambda: datetime.now(UTC))


class BrokenAccount(AccountSettings):
    """An account whose adapter cannot be used: it is shown, and supports nothing."""

    _problem: PluginProblem

    @classmethod
    def of(cls, table: Mapping[str, Any], problem: PluginProblem) -> "BrokenAccount":
        """Keep the settings that every account has. Raises `ValidationError`."""
        common = {name: table[name] for name in AccountSettings.model_fields if name in table}
        account = cls.model_validate(common)
        account._problem = problem  # noqa: SLF001  # its own class
        return account

    @property
    def problem(self) -> PluginProblem:
        """Why its adapter cannot be used."""
        return self._problem


class BrokenAdapter:
    """The adapter of a `BrokenAccount`: it supports nothing, and says so in its notes."""

    kind: ClassVar[str] = ""
    label: ClassVar[str] = ""
    Settings: ClassVar[type[AccountSettings]] = BrokenAccount
    notes: ClassVar[Mapping[str, str]] = dict.fromkeys(OPERATIONS, NOTE)
    limits: ClassVar[Sequence[Limit]] = ()
    memberships: ClassVar[frozenset[Membership]] = frozenset()
    statuses: ClassVar[frozenset[Status]] = frozenset()
    has_sites: ClassVar[bool] = False

    def __init__(self, settings: AccountSettings) -> None:
        """Need nothing of the account."""

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """Nothing is sent."""
        return {}


def broken_adapter(account: BrokenAccount) -> Adapter:
    """Return the adapter of a broken account; its kind is the account's."""
    form = type("Broken", (BrokenAdapter,), {"kind": account.kind, "label": account.kind})
    adapter: BrokenAdapter = form(account)
    return adapter


def _other_version(entry: EntryPoint) -> PluginProblem:
    version = entry.group.removeprefix(PREFIX)
    reason = (
        f"it is for version {version} of the adapters' interface, this gateway has {INTERFACE}"
    )
    is_newer = version.isdecimal() and int(version) > INTERFACE
    other = "Upgrade segment-gateway" if is_newer else "Upgrade the package"
    older = "the package" if is_newer else "segment-gateway"
    return PluginProblem(
        package_of(entry), entry.name, reason, f"{other}, or install an older version of {older}."
    )


def _collisions(
    kind: str, entries: list[EntryPoint], *, is_built_in: bool
) -> Iterator[PluginProblem]:
    for entry in entries:
        others = [package_of(each) for each in entries if each is not entry]
        if is_built_in:
            reason = "the gateway has a kind of this name built in, which is used"
            advice = "Uninstall the package, or have its author choose another name."
            yield PluginProblem(package_of(entry), kind, reason, advice)
        elif others:
            reason = f"{' and '.join(others)} adds a kind of this name, too; none of them is used"
            yield PluginProblem(package_of(entry), kind, reason, "Uninstall all but one.")


def _faults(kind: str, loaded: Any) -> Iterator[str]:
    """Yield what is wrong with what an entry point refers to."""
    if not isinstance(loaded, ProviderKind):
        yield f"is a {type(loaded).__name__}, not a ProviderKind"
        return
    adapter, sandbox = tuple[Any, Any](loaded)
    if not isinstance(adapter, type):
        yield "has an adapter that is not a class"
    for name, form in DECLARED.items():
        if not isinstance(getattr(adapter, name, None), form):
            yield f"has an adapter without a valid {name!r}"
    if not hasattr(adapter, "secret_headers"):
        yield "has an adapter without 'secret_headers'"
    if getattr(adapter, "kind", None) != kind:
        yield f"has an adapter whose 'kind' is not {kind!r}, the name of its entry point"
    settings = getattr(adapter, "Settings", None)
    if not (isinstance(settings, type) and issubclass(settings, AccountSettings)):
        yield "has an adapter whose 'Settings' are no AccountSettings"
    if not isinstance(sandbox, str | None):
        yield "has a sandbox that is not the name of a module"


def _place(error: BaseException) -> str:
    """Return where an error was raised, for the package's author."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
