"""The tables of the configuration file, but for those that belong to one package."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from gateway.auth.settings import AuthSettings
from gateway.identity.settings import IdentitySettings
from gateway.limits.settings import LimitSettings
from gateway.observability.settings import HeaderName, LogSettings, TraceSettings
from gateway.providers.base.settings import AccountSettings
from gateway.providers.base.watch_settings import WatchSettings
from gateway.tools.settings import McpSettings

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

BrowserOrigin = Annotated[str, StringConstraints(pattern=r"^https?://[^/*?#\s]+$")]

HostName = Annotated[
    str,
    StringConstraints(
        pattern=r"^([A-Za-z0-9._-]+|\[?[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]?)$"
    ),
]
"""A name or an address; without a port, so a single colon is none of IPv6."""


def _proxy(value: str) -> str:
    """Check what uvicorn would otherwise take as the name of a client that never comes."""
    if value != "*":
        try:
            ip_network(value) if "/" in value else ip_address(value)
        except ValueError as error:
            raise ValueError("must be an IP address, or a network like 10.0.0.0/8") from error
    return value


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
    hosts: tuple[HostName, ...] = ()
    """The accepted host names (the Host header). Empty: any, or where anonymous callers are
    allowed, `localhost` and IP addresses."""
    cors_origins: tuple[BrowserOrigin, ...] = ()
    """Pages of these origins are allowed, for example `https://shop.example`."""
    cors_allow_headers: tuple[HeaderName, ...] = CORS_ALLOW_HEADERS
    """Request headers that scripts of those pages may set; `*` means all but `authorization`."""
    trusted_proxies: tuple[Annotated[str, AfterValidator(_proxy)], ...] = ()
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

    @field_validator("metrics", mode="wrap")
    @classmethod
    def _is_one_problem(cls, value: Any, read: ValidatorFunctionWrapHandler) -> bool | str:
        """Report one problem, not one for each type that the value could have."""
        try:
            metrics: bool | str = read(value)
        except ValidationError as error:
            text = "must be true, false, or an address and a port, like 127.0.0.1:9464"
            raise ValueError(text) from error
        return metrics


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
"""The tables, by name, without those of which there are several."""
