"""Read the configuration file and the environment once, into frozen values.

No other module reads them. All problems are reported at once, each with its path in the file.
Secrets are `SecretStr`, so that no repr shows them.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.errors import Problem, SettingsError, missing_extra
from gateway.observability.settings import TraceSettings
from gateway.providers.base.settings import SANDBOX, AccountSettings
from gateway.providers.base.watch_settings import WatchSettings
from gateway.providers.plugins import BrokenAccount, PluginProblem
from gateway.providers.registry import SANDBOXED
from gateway.providers.registry import problems as problems_of_plugins
from gateway.sandbox.identity_rules import RULES
from gateway.settings.accounts import account_of
from gateway.settings.file import CORS_VARIABLE, document_of, file_of, substitute
from gateway.settings.problems import did_you_mean, home_of, problems_of
from gateway.settings.references import wrong_references
from gateway.settings.tables import TABLES, FastPathSettings, Settings
from gateway.store.accounts import Account
from gateway.store.temporary import TEMPORARY

LISTED = "[[providers]] and [[watch]]"


def sandbox_settings(
    document: Mapping[str, Any] | None = None, source: str = "no configuration file"
) -> Settings:
    """Return the settings of a document without providers: all sandboxes, embedded.

    Their store is temporary, and separate from that of real accounts. No load balancer has to
    notice that the server stops. Raises `SettingsError`.
    """
    document = document or {}
    server = document.get("server", {})
    document = {
        "identity": {"rules": RULES},
        **document,
        "server": {"drain_s": 0, **server} if isinstance(server, dict) else server,
        "providers": [{"key": kind, "kind": kind, "base_url": SANDBOX} for kind in SANDBOXED],
    }
    settings = _validated(document, f"{source}: the embedded sandbox")
    store = settings.store.model_copy(update={"url": settings.store.url or TEMPORARY})
    return settings.model_copy(update={"store": store})


def load(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read the file that `path` or else `GATEWAY_CONFIG` names; with neither, the sandbox.

    So does a file without providers. Raises `SettingsError` with every problem found.
    """
    path = file_of(path, environment)
    if path is None:
        return sandbox_settings(_with_cors({}, environment))
    document = document_of(path)
    missing: list[Problem] = []
    filled = _with_cors(substitute(document, environment, "", missing), environment)
    try:
        if "providers" in filled:
            settings = _validated(filled, str(path))
        else:
            settings = sandbox_settings(filled, f"{path}, without providers")
    except SettingsError as error:
        at = {problem.path for problem in missing}
        rest = [problem for problem in error.problems if problem.path not in at]
        raise SettingsError([*missing, *rest]) from error
    if missing:
        raise SettingsError(missing)
    return settings


def _with_cors(document: Mapping[str, Any], environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Add the browser origins of the command line."""
    origins = environment.get(CORS_VARIABLE, "").split()
    server = document.get("server", {})
    listed = server.get("cors_origins", []) if isinstance(server, dict) else None
    if not origins or not isinstance(listed, list):
        return document
    return {**document, "server": {**server, "cors_origins": [*listed, *origins]}}


def _hint(table: str) -> str:
    """Return what was probably meant by an unknown table."""
    return home_of(table, TABLES) or did_you_mean(table, [*TABLES, "providers", "watch"], "[{}]")


def _validated(document: Mapping[str, Any], source: str) -> Settings:
    problems: list[Problem] = []
    parts: dict[str, Any] = {}
    for name, form in TABLES.items():
        try:
            parts[name] = form.model_validate(document.get(name, {}))
        except ValidationError as error:
            problems += _problems(error, name, form)
    problems += [
        Problem(
            name, f"is not a known table{_hint(name)}; known are {', '.join(TABLES)}, {LISTED}"
        )
        for name in document
        if name not in {*TABLES, "providers", "watch"}
    ]
    tables = _listed(document, "providers", problems)
    if document.get("providers", []) == []:
        problems.append(Problem("providers", "at least one [[providers]] table is needed"))
    accounts = []
    for index, table in enumerate(tables):
        try:
            accounts.append(account_of(table, f"providers[{index}]", TABLES))
        except SettingsError as error:
            problems += error.problems
    problems += _repeated_keys(tables)
    kinds = {str(table.get("key")): str(table.get("kind")) for table in tables}
    broken = {each.key for each in accounts if isinstance(each, BrokenAccount)}
    watched = _listed(document, "watch", problems)
    watch = _watch(watched, broken, problems)
    problems += wrong_references(document, watched, kinds, broken)
    if not problems:
        problems += _missing_parts(parts["fast_paths"], accounts, parts["traces"])
        if parts["mcp"].enabled and find_spec("mcp") is None:
            problems.append(Problem("mcp.enabled", missing_extra("mcp")))
    if problems:
        raise SettingsError(problems)
    return Settings(
        **parts,
        providers=tuple(account for account in accounts if account.enabled),
        watch=watch,
        source=source,
    )


def _repeated_keys(tables: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, table in enumerate(tables):
        key = table.get("key")
        if isinstance(key, str) and seen.setdefault(key, index) != index:
            text = f"{key!r} is taken by providers[{seen[key]}]; keys are unique"
            yield Problem(f"providers[{index}].key", text)


def _missing_parts(
    fast_paths: FastPathSettings, accounts: Sequence[AccountSettings], traces: TraceSettings
) -> Iterator[Problem]:
    """Yield the settings that need an optional part which is not installed."""
    if find_spec("aiohttp") is None:
        needing = [] if fast_paths.http1_client else ["fast_paths.http1_client"]
        needing += [
            f"providers[{index}].proxy"
            for index, each in enumerate(accounts)
            if each.proxy is not None
        ]
        yield from (Problem(path, missing_extra("proxy")) for path in needing)
    if traces.endpoint is not None and not _can_send_traces():
        yield Problem("traces.endpoint", missing_extra("otel"))


def _can_send_traces() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:  # a package above it is missing
        return False


def _listed(
    document: Mapping[str, Any], name: str, problems: list[Problem]
) -> Sequence[Mapping[str, Any]]:
    tables = document.get(name, [])
    if isinstance(tables, list) and all(isinstance(table, dict) for table in tables):
        return tables
    problems.append(Problem(name, f"must be tables, each headed [[{name}]]"))
    return ()


def _watch(
    tables: Sequence[Mapping[str, Any]], broken: Container[object], problems: list[Problem]
) -> tuple[WatchSettings, ...]:
    """Read the `[[watch]]` tables; those of `broken` providers are left out."""
    watch = []
    for index, table in enumerate(tables):
        try:
            each = WatchSettings.model_validate(table)
        except ValidationError as error:
            problems += _problems(error, f"watch[{index}]", WatchSettings)
        else:
            watch += [] if each.provider in broken else [each]
    return tuple(watch)


def _problems(error: ValidationError, path: str, form: type[BaseModel]) -> list[Problem]:
    return [*problems_of(error, path, form, TABLES)]


def accounts(settings: Settings) -> Sequence[Account]:
    """Return the accounts to which the store binds its rows."""
    return [
        Account.of(each.key, each.kind, each.base_url, each.account)
        for each in settings.providers
        # Only its adapter can say which account it is.
        if not isinstance(each, BrokenAccount)
    ]


def plugin_problems(settings: Settings) -> Sequence[PluginProblem]:
    """Return what is wrong with installed packages, as far as these settings show it."""
    return problems_of_plugins(settings.providers)
