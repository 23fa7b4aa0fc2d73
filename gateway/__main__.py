"""The command line: `gateway serve`, `sandbox`, `check`, `key`, `schema`.

Errors say how to fix them.
"""

import asyncio
import json
import os
import socket
import sys
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn

import structlog
import typer
import uvicorn
from pydantic import SecretStr, ValidationError
from rich.console import Console
from rich.table import Table

from gateway.asgi import build, connect
from gateway.auth import api_keys
from gateway.auth.addresses import is_loopback
from gateway.auth.settings import KeySettings
from gateway.domain.pages import PageRequest
from gateway.domain.queries import EVERY_SEGMENT
from gateway.errors import GatewayError, ProviderError, SettingsError
from gateway.http.app import PAGES
from gateway.http.server.connections import raise_file_limit
from gateway.http.server.options import server_options
from gateway.http.server.workers import Supervisor
from gateway.network_failures import EXPLANATIONS, NetworkFailure
from gateway.observability.logs import start_log
from gateway.providers.base.adapter import ListsSegments
from gateway.providers.base.store_lookup import Recall
from gateway.providers.registry import SANDBOXED, sandboxes
from gateway.request_scope import Scope
from gateway.sandbox.faults import KINDS
from gateway.sandbox.faults import read as read_fault
from gateway.settings import CONFIG_VARIABLE, Settings, accounts, load
from gateway.store.database_url import DatabaseUrl, database_url
from gateway.store.errors import StoreFailed
from gateway.store.reporting import advice
from gateway.store.store import Store
from gateway.store.temporary import TEMPORARY, shared_folder
from gateway.upstream.provider import Provider
from resolvers.schema import sdl

cli = typer.Typer(
    help="One GraphQL endpoint over the customer segments of several providers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
key_commands = typer.Typer(help="API keys.", no_args_is_help=True)
cli.add_typer(key_commands, name="key")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Config = Annotated[
    Path | None,
    typer.Option(
        help=f"The configuration file; else {CONFIG_VARIABLE} names it; else the sandbox."
    ),
]
Host = Annotated[str, typer.Option(help="The address to listen at.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen at.")]


def fail(message: str) -> NoReturn:
    """Say what is wrong, and how to fix it, and stop."""
    err.print(message, style="red", markup=False)
    raise typer.Exit(2)


def settings_or_fail(config: Path | None) -> Settings:
    """Read the configuration, or say everything that is wrong with it."""
    try:
        settings = load(config, os.environ)
        build(settings)  # reads the files that the configuration names
    except SettingsError as error:
        lines = [f"  {problem.path}: {problem.text}" for problem in error.problems]
        fail("\n".join(["The configuration cannot be used:", *lines]))
    return settings


def record_or_fail(settings: Settings) -> str:
    """Make or upgrade the record; return where it is, for people."""

    async def opened(place: DatabaseUrl) -> None:
        timeout_s = settings.store.connect_timeout_s
        record = await Store.open(place, accounts=accounts(settings), connect_timeout_s=timeout_s)
        await record.close()

    try:
        place = database_url(settings.store.url, os.environ)
        asyncio.run(opened(place))
    except SettingsError as error:
        fail("\n".join(f"{problem.path}: {problem.text}" for problem in error.problems))
    except StoreFailed as error:
        fail(f"store.url: {advice(error, place.shown)}")
    return place.shown


def free_or_fail(host: str, port: int) -> None:
    """Stop with one clear line when nothing can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = "is taken" if error.errno in TAKEN else f"cannot be used: {error.strerror}"
            fail(f"{host} port {port} {why}. Choose another: --port {port + 1}, PORT={port + 1}")


TAKEN = {98, 48, 10048}
"""EADDRINUSE on Linux, macOS and Windows."""


def callers_or_fail(settings: Settings, host: str) -> Sequence[str]:
    """Return the lines that tell who may ask; stop where that is nobody, or unsaid everybody."""
    auth, anonymous = settings.auth, settings.server.allow_anonymous
    if auth.is_empty and anonymous is False:
        fail(
            "Nobody can sign in: server.allow_anonymous is false, and the configuration file has"
            f" no key and no issuer of tokens.\n{MAKE_A_KEY}"
        )
    if auth.is_empty and not anonymous and not is_loopback(host):
        fail(
            f"{host} can be reached from other machines, and everybody there could ask everything."
            f"\n{MAKE_A_KEY}\nOr say server.allow_anonymous = true if that is meant,"
            " or listen at 127.0.0.1."
        )
    names = [f"{key.name} (expired)" if key.is_expired else key.name for key in auth.keys]
    lines = [f"  Callers  who has a key: {', '.join(names)}"] if names else []
    lines += [f"  Callers  who has a token of {each.issuer}" for each in auth.jwt]
    if anonymous:
        lines.append("  Warning  everybody who reaches this address may ask everything")
    return lines


MAKE_A_KEY = "Make a key: gateway key create --name NAME --scope segments:read"


@cli.command()
def serve(
    config: Config = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
) -> None:
    """Serve GraphQL and its pages; with no configuration over the embedded sandbox."""
    settings = settings_or_fail(config)
    with shared_folder(is_wanted=settings.store.url == TEMPORARY):
        _serve(settings, config, host, port, workers)


def _serve(settings: Settings, config: Path | None, host: str, port: int, workers: int) -> None:
    callers = callers_or_fail(settings, host)
    free_or_fail(host, port)
    record = record_or_fail(settings)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    names = ", ".join(f"{each.key} ({each.kind})" for each in settings.providers)
    ask = '{"query":"{ segments(first: 5) { nodes { name provider { key } } } }"}'
    out.print("Segment gateway", style="bold")
    out.print(f"  Open     {address}/graphql", markup=False)
    out.print(f"  Serving  {names}", markup=False)
    out.print(f"           {settings.source}", markup=False)
    for line in callers:
        out.print(line, markup=False)
    if not (PAGES / "index.html").is_file():
        out.print("  Missing  the pages are not built; build them with: make pages", markup=False)
    ends = " (ends with this server)" if settings.store.url == TEMPORARY else ""
    out.print(f"  Record   {record}{ends}", markup=False)
    key = "" if settings.auth.is_empty else " -H 'authorization: Bearer KEY'"
    out.print("  Try      the example tabs on that page, or:", markup=False)
    out.print(
        f"           curl {address}/graphql{key} -H 'content-type: application/json' -d '{ask}'",
        markup=False,
    )
    out.print("  Stop     Ctrl+C", markup=False)
    sys.stdout.flush()
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config.resolve())
    raise_file_limit()
    options: dict[str, Any] = {
        "factory": True,
        "host": host,
        "port": port,
        "timeout_graceful_shutdown": 10,
        **server_options(settings),
    }
    if workers == 1:
        uvicorn.run(APPLICATION, **options)
        return
    start_log(settings.log)
    supervisor = Supervisor(
        uvicorn.Config(APPLICATION, **options), workers, settings.server.worker_start_s
    )
    raise typer.Exit(supervisor.run())


APPLICATION = "gateway.asgi:create"


@cli.command()
def sandbox(
    host: Host = "127.0.0.1",
    port: Port = 9000,
    customers: Annotated[int, typer.Option(min=1, help="People the providers know.")] = 300,
    latency_ms: Annotated[float, typer.Option(min=0, help="What every answer takes.")] = 0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="PROVIDER:KIND[:name=value,…], for example voucherify:error:status=503,share=0.3;"
            f" kinds are {', '.join(KINDS)}. May be repeated."
        ),
    ] = None,
) -> None:
    """Serve the providers' sandboxes alone over HTTP."""
    free_or_fail(host, port)
    if customers > MANY:
        out.print(f"Making up {customers} people …")
    try:
        faults = [read_fault(each) for each in fault or ()]
    except ValueError as error:
        fail(f"--fault {error}")
    from gateway.sandbox.app import Sandbox, SandboxOptions  # noqa: PLC0415  # 0.1 s

    options = SandboxOptions(customers=customers, latency_ms=latency_ms)
    made = Sandbox(sandboxes(), options)
    made.faults.replace(faults)
    app = made.asgi
    address = f"http://{host}:{port}"
    out.print(f"Sandbox of {len(SANDBOXED)} providers", style="bold")
    for kind in SANDBOXED:
        out.print(f"  {kind:<11} {address}/{kind}", markup=False)
    out.print(f"  Credentials: {address}/", markup=False)
    out.print(
        f"  Try: curl -o gateway.toml {address}/gateway.toml"
        " && gateway serve --config gateway.toml",
        markup=False,
    )
    out.print(f"  Calls so far: curl {address}/calls   (-X DELETE counts anew)", markup=False)
    out.print(
        f"  Faults: curl -X PUT {address}/faults -d '{FAULT}'   (-X DELETE heals)", markup=False
    )
    out.print("  Stop: Ctrl+C")
    sys.stdout.flush()
    uvicorn.run(
        app,
        host=host,
        port=port,
        loop="auto",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )


MANY = 10_000
FAULT = '[{"provider":"emporix","kind":"hang"}]'


@cli.command()
def check(config: Config = None) -> None:
    """Sign in to each provider, make one cheap read, and print what came of it."""
    settings = settings_or_fail(config)
    start_log(settings.log)
    # The table tells what failed; the log would only tell it twice.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    rows = asyncio.run(_checked(settings))
    table = Table("Provider", "Kind", "Result", "Took", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row[:4])
    out.print(f"Configuration: {settings.source}", markup=False)
    out.print(table)
    if any(failed for *_, failed in rows):
        out.print("Failed. Look at base_url and the credentials of these providers.")
        raise typer.Exit(1)
    file = "" if config is None else f" --config {config}"
    out.print(f"All is well. Serve it with: gateway serve{file}", markup=False, soft_wrap=True)


Row = tuple[str, str, str, str, bool]


async def _checked(settings: Settings) -> list[Row]:
    providers = await connect(settings)
    try:
        return await asyncio.gather(
            *(_check(each, settings.server.request_timeout_s) for each in providers)
        )
    finally:
        await asyncio.gather(*(each.close() for each in providers))


async def _check(provider: Provider, timeout_s: float) -> Row:
    asked = None
    if provider.offers(ListsSegments):
        listing = provider.require(ListsSegments, "SEGMENT_LIST")
        asked = listing.segments(EVERY_SEGMENT, PageRequest(1))
    if asked is None or isinstance(asked, Recall):
        return provider.key, provider.kind, "not checked: it cannot be read", "", False
    loop = asyncio.get_running_loop()
    started = loop.time()
    scope = Scope(uuid.uuid4().hex, started + timeout_s)
    failed = False
    try:
        await provider.send(asked, scope)
        result = "ok"
    except GatewayError as error:
        failed = True
        result = f"{type(error).__name__}: {error}"
        if isinstance(error, ProviderError):
            result += explained(error)
    took = f"{(loop.time() - started) * 1000:.0f} ms"
    return provider.key, provider.kind, result, took, failed


def explained(error: ProviderError) -> str:
    """Return what an operator needs beyond an error's message, on lines of its own."""
    if error.reason is not None:
        what, advice = EXPLANATIONS[NetworkFailure(error.reason)]
        return f"\n{error.reason}: {what}\n{advice}"
    return f" (HTTP {error.status})" if error.status else ""


@key_commands.command()
def create(
    name: Annotated[str, typer.Option(help="Whose key it is: for people, and for the audit log.")],
    scope: Annotated[
        list[str],
        typer.Option(
            help="What it allows, for example segments:read, or at one provider only:"
            " segments:read@acme-emporix. May be repeated."
        ),
    ],
    days: Annotated[
        int | None, typer.Option(min=1, max=3660, help="It expires after so many; else never.")
    ] = None,
) -> None:
    """Make an API key: print it, which is done once, and what the configuration file needs."""
    made, digest = api_keys.make()
    expires_at = None
    if days is not None:
        expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    try:
        KeySettings(name=name, hash=SecretStr(digest), scopes=tuple(scope), expires_at=expires_at)
    except ValidationError as error:
        problems = [(each["loc"][0], each["msg"]) for each in error.errors()]
        lines = [f"  {at}: {text.removeprefix('Value error, ')}" for at, text in problems]
        fail("\n".join(["The key cannot be made:", *lines]))
    table = [
        "[[auth.keys]]",
        f'name = "{name}"',
        f'hash = "{digest}"',
        f"scopes = {json.dumps(scope)}",
        *([] if expires_at is None else [f"expires_at = {expires_at.isoformat()}"]),
    ]
    sys.stdout.write(CREATED.format(key=made, table="\n".join(table)))


CREATED = """\
The key, which is shown this once. Keep it as you keep a password:

{key}

Put this into the configuration file, and restart the gateway. It holds no secret:

{table}

The key goes with each request, in a header:  authorization: Bearer sgk_…
To change a key, make one of another name: both serve until the old table is taken out.
"""


@cli.command()
def schema() -> None:
    """Print the schema."""
    sys.stdout.write(sdl())


def main() -> None:
    """Run the command line."""
    cli()


if __name__ == "__main__":
    main()
