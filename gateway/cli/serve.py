"""`gateway serve`."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn

from gateway import __version__
from gateway.asgi import record_examples
from gateway.auth.addresses import is_loopback
from gateway.cli.configuration import settings_or_fail
from gateway.cli.console import (
    Config,
    Host,
    Port,
    check_port_or_fail,
    fail,
    out,
)
from gateway.cli.pid_file import written_pid
from gateway.errors import SettingsError
from gateway.http.app import PAGES
from gateway.http.server.connections import raise_file_limit
from gateway.http.server.options import server_options
from gateway.http.server.workers import Supervisor, serve_alone
from gateway.observability.logs import start_log
from gateway.observability.worker_snapshots import shared_snapshots
from gateway.settings.file import CONFIG_VARIABLE, CORS_VARIABLE
from gateway.settings.loading import accounts, plugin_problems
from gateway.settings.tables import Settings
from gateway.store.database_url import DatabaseUrl, database_url
from gateway.store.errors import StoreFailed
from gateway.store.reporting import advice
from gateway.store.store import Store
from gateway.store.temporary import TEMPORARY, shared_folder

APPLICATION = "gateway.asgi:create"
CREATE_A_KEY = "Create a key: gateway key create --name NAME --scope segments:read"


def serve(
    config: Config = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="The number of worker processes.")
    ] = 1,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="A browser origin whose pages may use this server, beside server.cors_origins.",
        ),
    ] = None,
) -> None:
    """Serve GraphQL and its pages; without a configuration, over the embedded sandbox."""
    if cors:
        os.environ[CORS_VARIABLE] = " ".join(cors)
    settings = settings_or_fail(config)
    pid_file = settings.server.pid_file
    with shared_folder(is_wanted=settings.store.url == TEMPORARY), written_pid(pid_file):
        _serve(settings, config, host, port, workers)


def _serve(settings: Settings, config: Path | None, host: str, port: int, workers: int) -> None:
    callers = callers_or_fail(settings, host)
    check_port_or_fail(host, port)
    store = open_store_or_fail(settings)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    names = ", ".join(f"{each.key} ({each.kind})" for each in settings.providers)
    query = '{"query":"{ segments(first: 5) { nodes { name provider { key } } } }"}'
    out.print(f"Segment gateway {__version__}", style="bold")
    out.print(f"  Open     {address}/graphql", markup=False)
    out.print(f"  Serving  {names}", markup=False)
    out.print(f"           {settings.source}", markup=False)
    for line in callers:
        out.print(line, markup=False)
    for problem in plugin_problems(settings):
        out.print(f"  Broken   {problem}", markup=False)
    if not (PAGES / "index.html").is_file():
        out.print("  Missing  the pages are not built; build them with: make pages", markup=False)
    lifetime = " (deleted when this server stops)" if settings.store.url == TEMPORARY else ""
    out.print(f"  Store    {store}{lifetime}", markup=False)
    key = "" if settings.auth.is_empty else " -H 'authorization: Bearer KEY'"
    out.print("  Try      the example tabs on that page, or:", markup=False)
    out.print(
        f"           curl {address}/graphql{key} -H 'content-type: application/json' -d '{query}'",
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
        **server_options(settings),
    }
    server = settings.server
    uvicorn_config = uvicorn.Config(APPLICATION, **options)
    if workers == 1:
        serve_alone(uvicorn_config, server.drain_s)
        return
    start_log(settings.log)
    supervisor = Supervisor(uvicorn_config, workers, server.worker_start_s, server.drain_s)
    with shared_snapshots():
        code = supervisor.run()
    raise typer.Exit(code)


def callers_or_fail(settings: Settings, host: str) -> Sequence[str]:
    """Return lines that describe the callers; exit if there are none, or if it is open."""
    auth, anonymous = settings.auth, settings.server.allow_anonymous
    if auth.is_empty and anonymous is False:
        fail(
            "No caller can be accepted: server.allow_anonymous is false, and the configuration"
            f" file has neither a key nor a token issuer.\n{CREATE_A_KEY}"
        )
    if auth.is_empty and not anonymous and not is_loopback(host):
        fail(
            f"{host} can be reached from other machines, and anyone there could read and"
            f" write everything.\n{CREATE_A_KEY}"
            "\nOr set server.allow_anonymous = true if that is intended, or listen on 127.0.0.1."
        )
    names = [f"{key.name} (expired)" if key.is_expired else key.name for key in auth.keys]
    lines = [f"  Callers  with a key: {', '.join(names)}"] if names else []
    lines += [f"  Callers  with a token of {each.issuer}" for each in auth.jwt]
    if anonymous:
        lines.append("  Warning  anyone who reaches this address may read and write everything")
    return lines


def open_store_or_fail(settings: Settings) -> str:
    """Create or upgrade the store; return its location, for people."""

    async def open_store(url: DatabaseUrl) -> None:
        timeout_s = settings.store.connect_timeout_s
        store = await Store.open(url, accounts=accounts(settings), connect_timeout_s=timeout_s)
        try:
            if settings.store.url == TEMPORARY:
                await record_examples(store, settings)  # once, not in each worker
        finally:
            await store.close()

    try:
        url = database_url(settings.store.url, os.environ)
        asyncio.run(open_store(url))
    except SettingsError as error:
        fail("\n".join(f"{problem.path}: {problem.text}" for problem in error.problems))
    except StoreFailed as error:
        fail(f"store.url: {advice(error, url.shown)}")
    return url.shown
