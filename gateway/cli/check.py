"""`gateway check`."""

import asyncio
import os
import uuid
from collections.abc import Sequence

import structlog
import typer
from rich.table import Table

from gateway.asgi import connect
from gateway.auth.settings import JwtSettings
from gateway.cli.configuration import settings_or_fail
from gateway.cli.console import Config, out
from gateway.errors import GatewayError, ProviderError
from gateway.identity.rules import ATTRIBUTES
from gateway.network_failures import EXPLANATIONS, NetworkFailure
from gateway.observability.logs import start_log
from gateway.observability.settings import TraceSettings
from gateway.providers.plugins import BrokenAdapter, PluginProblem
from gateway.providers.registry import plugins
from gateway.request_scope import Scope
from gateway.settings.accounts import customer_keys
from gateway.settings.loading import plugin_problems
from gateway.settings.tables import Settings
from gateway.store.checking import check_store
from gateway.store.database_url import database_url
from gateway.store.temporary import TEMPORARY
from gateway.upstream.provider import Provider


def check(config: Config = None) -> None:
    """Sign in to each provider and read once, open the store, fetch issuers' keys; print all.

    A collector of traces gets a request without spans.
    """
    settings = settings_or_fail(config)
    start_log(settings.log)
    # The table shows the failures; the log would repeat them.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    rows = asyncio.run(_check_all(settings))
    table = Table(box=None, pad_edge=False)
    for title in ("Checked", "Kind", "Result", "Took"):
        table.add_column(title, overflow="fold")  # nothing is cut, however narrow the output is
    for row in rows:
        table.add_row(*row[:4])
    for each in settings.providers:
        keys = ", ".join((*customer_keys(each.kind), f"{ATTRIBUTES}<path>"))
        out.print(f"Keys for identity rules at {each.key}: {keys}", markup=False)
    out.print(f"Configuration: {settings.source}", markup=False)
    out.print(table)
    for problem in _broken(settings):
        out.print(str(problem), markup=False)
    if any(failed for *_, failed in rows):
        out.print("Failed. The table says what to do; check the credentials where it does not.")
        raise typer.Exit(1)
    file = "" if config is None else f" --config {config}"
    out.print(
        f"Everything works. Serve it with: gateway serve{file}", markup=False, soft_wrap=True
    )


Row = tuple[str, str, str, str, bool]


async def _check_all(settings: Settings) -> list[Row]:
    providers = await connect(settings)
    try:
        checked = await asyncio.gather(
            *(_check(each, settings.server.request_timeout_s) for each in providers),
            *(_check_issuer(each) for each in settings.auth.jwt),
            *([] if settings.store.url == TEMPORARY else [_check_store(settings)]),
            *([] if settings.traces.endpoint is None else [_check_traces(settings.traces)]),
        )
        return [*checked, *_check_plugins(settings)]
    finally:
        await asyncio.gather(*(each.close() for each in providers))


def _broken(settings: Settings) -> Sequence[PluginProblem]:
    """Import each installed package that adds a kind, and return what is wrong with any."""
    loaded = [each for _, each in plugins().load_all() if isinstance(each, PluginProblem)]
    return [*dict.fromkeys([*plugin_problems(settings), *loaded])]


def _check_plugins(settings: Settings) -> Sequence[Row]:
    rows = [
        (plugin.package, plugin.kind, "ok", "", False)
        for plugin, loaded in plugins().load_all()
        if not isinstance(loaded, PluginProblem)
    ]
    broken = [
        (each.package, each.kind, "cannot be used, see below", "", True)
        for each in _broken(settings)
    ]
    return [*rows, *broken]


async def _check(provider: Provider, timeout_s: float) -> Row:
    if isinstance(provider.adapter, BrokenAdapter):
        return provider.key, provider.kind, "not served, see below", "", True
    exchange = provider.check
    if exchange is None:
        return provider.key, provider.kind, "not checked: it cannot be read", "", False
    loop = asyncio.get_running_loop()
    started = loop.time()
    scope = Scope(uuid.uuid4().hex, started + timeout_s)
    has_failed = False
    try:
        await provider.send(exchange, scope)
        result = "ok"
    except GatewayError as error:
        has_failed = True
        result = f"{type(error).__name__}: {error}"
        if isinstance(error, ProviderError):
            result += _explanation(error)
    return provider.key, provider.kind, result, _took(started), has_failed


async def _check_issuer(issuer: JwtSettings) -> Row:
    from gateway.auth.issuers import keyring  # noqa: PLC0415  # joserfc: 0.1 s and 8 MB
    from gateway.auth.jwks import FAILURES, failure_text  # noqa: PLC0415  # likewise

    loop = asyncio.get_running_loop()
    started = loop.time()
    has_failed = False
    try:
        result = f"ok: {await keyring(issuer).check()} keys"
    except FAILURES as error:
        has_failed = True
        result = failure_text(error)
        if result in set(NetworkFailure):
            # The texts are about a provider's setting of the same meaning.
            what, advice = EXPLANATIONS[NetworkFailure(result)]
            result = f"{result}: {what}\n{advice}".replace("base_url", "jwks_url")
    return issuer.issuer, "issuer", result, _took(started), has_failed


async def _check_store(settings: Settings) -> Row:
    started = asyncio.get_running_loop().time()
    url = database_url(settings.store.url, os.environ)
    result, is_good = await check_store(url, settings.store.connect_timeout_s)
    return url.shown, "store", result, _took(started), not is_good


async def _check_traces(traces: TraceSettings) -> Row:
    from gateway.observability.otlp import reaches_collector  # noqa: PLC0415  # an optional part

    started = asyncio.get_running_loop().time()
    is_good = await asyncio.to_thread(reaches_collector, traces)
    result = "ok" if is_good else "no collector accepts OTLP over HTTP there: traces.endpoint"
    return traces.endpoint or "", "traces", result, _took(started), not is_good


def _took(started: float) -> str:
    return f"{(asyncio.get_running_loop().time() - started) * 1000:.0f} ms"


def _explanation(error: ProviderError) -> str:
    """Return what an operator needs beyond the error's message, on lines of its own."""
    if error.reason is not None:
        what, advice = EXPLANATIONS[NetworkFailure(error.reason)]
        return f"\n{error.reason}: {what}\n{advice}"
    return f" (HTTP {error.status})" if error.status else ""
