"""Read the configuration file and the environment once, into frozen values.

No other module reads them. All problems are reported at once, each with its path in the file.
Secrets are `SecretStr`, so that no repr shows them.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from gateway.auth.settings import AuthSettings
from gateway.configuration_file import CORS_VARIABLE, document_of, file_of, substitute
from gateway.errors import Problem, SettingsError, missing_extra
from gateway.identity.settings import IdentitySettings
from gateway.limits.settings import LimitSettings
from gateway.observability.settings import HeaderName, LogSettings, TraceSettings
from gateway.provider_settings import account_of
from gateway.providers.base.settings import SANDBOX, AccountSettings
from gateway.providers.base.watch_settings import WatchSettings
from gateway.providers.plugins import BrokenAccount, PluginProblem
from gateway.providers.registry import SANDBOXED
from gateway.providers.registry import problems as problems_of_plugins
from gateway.sandbox.identity_rules import RULES
from gateway.setting_problems import did_you_mean, home_of, problems_of
from gateway.setting_references import wrong_references
from gateway.store.accounts import Account
from gateway.store.temporary import TEMPORARY
from gateway.tools.settings import McpSettings

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

BrowserOrigin = Annotated[str, StringConstraints(pattern=r"^https?://[^/*?#\s]+$")]

MetricsAddress = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}$")
]

CORS_ALLOW_HEADERS = (
    # What this server reads.
    *("accept-language", "authorization", "content-type", "x-show-calls"),
    # Tracing: W3C Trace Context and Baggage, Zipkin's B3, and ids that proxies and clients add.
    *("traceparent", "tracestate", "baggage", "sentry-trace", "b3"),
    *("x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"),
    *("x-request-id", "x-correlation-id"),
    # GraphQL clients: Apollo's (web, mobile, its CSRF check) and others'.
    *("apollographql-client-name", "apollographql-client-version", "apollo-require-preflight"),
    *("x-apollo-operation-id", "x-apollo-operation-name", "x-apollo-operation-type"),
    *("graphql-client-name", "graphql-client-version", "x-requested-with"),
)
"""Browsers block a page's request with any other header."""


class ServerSettings(BaseModel):
    """The `[server]` table."""

    model_config = _FROZEN

    allow_anonymous: bool | None = None
    """None: from loopback only, and only while no credentials are configured."""
    hosts: tuple[str, ...] = ()
    """The accepted host names (the Host header). Empty: any, or where anonymous callers are
    allowed, `localhost` and IP addresses."""
    cors_origins: tuple[BrowserOrigin, ...] = ()
    """Pages of these origins are allowed, for example `https://shop.example`."""
    cors_allow_headers: tuple[HeaderName, ...] = CORS_ALLOW_HEADERS
    """Request headers that scripts of those pages may set; `*` means all but `authorization`."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For is trusted."""
    keep_alive_s: Annotated[int, Field(ge=1, le=86_400)] = 130
    """How long an idle connection stays open: longer than proxies keep theirs, or they could send
    a request just as the connection is closed."""
    request_timeout_s: Annotated[float, Field(gt=0, le=600)] = 10
    """How long an operation may take, with all of its calls to providers."""
    cache_ttl_s: Annotated[float, Field(ge=0, le=3600)] = 5
    """How long a read may be reused; 0 turns the response cache off. Accounts can override it."""
    drain_s: Annotated[float, Field(ge=0, le=600)] = 5
    """After SIGTERM requests are still accepted for this long, while `/readyz` answers 503."""
    metrics: bool | MetricsAddress = True
    """Serve `/metrics`; at an address of its own (`127.0.0.1:9464`) without credentials."""
    pid_file: Path | None = None
    """Where the main process writes its id, for `gateway reload`."""
    worker_start_s: Annotated[float, Field(gt=0, le=3600)] = 60
    """With `--workers`: a worker that takes longer to start, or to respond, is replaced."""


class StoreSettings(BaseModel):
    """The `[store]` table."""

    model_config = _FROZEN

    url: Annotated[str, StringConstraints(pattern=r"^(sqlite|postgresql)://.+$")] | None = None
    """`sqlite:///FILE` or `postgresql://…`. None: a file in the user's state directory."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5
    """How long a start may wait for the database, and an operation for a new connection."""


class ChangeSettings(BaseModel):
    """The `[changes]` table: the change log's retention, and its limit on slow subscribers."""

    model_config = _FROZEN

    keep_days: Annotated[float, Field(gt=0, le=3650)] = 7
    """How long entries are kept."""
    keep_rows: Annotated[int, Field(ge=1)] = 1_000_000
    """The largest number of entries; beyond it the oldest are deleted."""
    lag_s: Annotated[float, Field(gt=0, le=3600)] = 60
    """A subscriber that does not read for this long loses its subscription."""


class DocumentSettings(BaseModel):
    """The `[documents]` table."""

    model_config = _FROZEN

    introspection: bool | None = None
    """Includes suggestions in error messages. None: except for remote anonymous callers."""
    automatic: bool = True
    """Automatic persisted queries: clients send the hash of a document that they sent before."""
    manifest: Path | None = None
    """Trusted documents: a JSON file, as written by Relay's or Apollo's tools."""
    only_manifest: bool = False
    """Reject all other documents."""


class FederationSettings(BaseModel):
    """The `[federation]` table."""

    model_config = _FROZEN

    enabled: bool = False
    """Serve the schema as a subgraph of Apollo Federation 2, with `_entities` and `_service`."""


class FastPathSettings(BaseModel):
    """The `[fast_paths]` table: optimised replacements for code of libraries.

    Each gives the same results as the code that it replaces. Switched off, the library's code
    runs: slower, but a workaround if a fast path misbehaves.
    """

    model_config = _FROZEN

    http1_client: bool = True
    """Calls to providers. Off: aiohttp."""
    direct_answers: bool = True
    """Simple POSTs below ASGI, and responses in one write. Off: uvicorn alone."""
    compiled_queries: bool = True
    """Queries compiled to code. Off: graphql-core's executor."""


class Settings(BaseModel):
    """The whole configuration."""

    model_config = ConfigDict(frozen=True)

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    changes: ChangeSettings = ChangeSettings()
    identity: IdentitySettings = IdentitySettings()
    auth: AuthSettings = AuthSettings()
    limits: LimitSettings = LimitSettings()
    documents: DocumentSettings = DocumentSettings()
    federation: FederationSettings = FederationSettings()
    mcp: McpSettings = McpSettings()
    log: LogSettings = LogSettings()
    traces: TraceSettings = TraceSettings()
    fast_paths: FastPathSettings = FastPathSettings()
    providers: tuple[AccountSettings, ...]
    watch: tuple[WatchSettings, ...] = ()
    source: str
    """The origin of the configuration, for people."""


LISTED = "[[providers]] and [[watch]]"

TABLES: Mapping[str, type[BaseModel]] = {
    "server": ServerSettings,
    "store": StoreSettings,
    "changes": ChangeSettings,
    "identity": IdentitySettings,
    "auth": AuthSettings,
    "limits": LimitSettings,
    "documents": DocumentSettings,
    "federation": FederationSettings,
    "mcp": McpSettings,
    "log": LogSettings,
    "traces": TraceSettings,
    "fast_paths": FastPathSettings,
}


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
