"""`gateway check`."""

import asyncio
import uuid

import structlog
import typer
from rich.table import Table

from gateway.asgi import connect
from gateway.cli.console import Config, out, settings_or_fail
from gateway.domain.pages import PageRequest
from gateway.domain.queries import EVERY_SEGMENT
from gateway.errors import GatewayError, ProviderError
from gateway.network_failures import EXPLANATIONS, NetworkFailure
from gateway.observability.logs import start_log
from gateway.providers.base.adapter import ListsSegments
from gateway.providers.base.store_lookup import Recall
from gateway.request_scope import Scope
from gateway.settings import Settings
from gateway.upstream.provider import Provider


def check(config: Config = None) -> None:
    """Sign in to each provider, make one cheap read, and print the result."""
    settings = settings_or_fail(config)
    start_log(settings.log)
    # The table shows the failures; the log would repeat them.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    rows = asyncio.run(_check_all(settings))
    table = Table("Provider", "Kind", "Result", "Took", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row[:4])
    out.print(f"Configuration: {settings.source}", markup=False)
    out.print(table)
    if any(failed for *_, failed in rows):
        out.print("Failed. Check base_url and the credentials of these providers.")
        raise typer.Exit(1)
    file = "" if config is None else f" --config {config}"
    out.print(
        f"Everything works. Serve it with: gateway serve{file}", markup=False, soft_wrap=True
    )


Row = tuple[str, str, str, str, bool]


async def _check_all(settings: Settings) -> list[Row]:
    providers = await connect(settings)
    try:
        return await asyncio.gather(
            *(_check(each, settings.server.request_timeout_s) for each in providers)
        )
    finally:
        await asyncio.gather(*(each.close() for each in providers))


async def _check(provider: Provider, timeout_s: float) -> Row:
    exchange = None
    if provider.offers(ListsSegments):
        lists = provider.require(ListsSegments, "SEGMENT_LIST")
        exchange = lists.segments(EVERY_SEGMENT, PageRequest(1))
    if exchange is None or isinstance(exchange, Recall):
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
    took = f"{(loop.time() - started) * 1000:.0f} ms"
    return provider.key, provider.kind, result, took, has_failed


def _explanation(error: ProviderError) -> str:
    """Return what an operator needs beyond the error's message, on lines of its own."""
    if error.reason is not None:
        what, advice = EXPLANATIONS[NetworkFailure(error.reason)]
        return f"\n{error.reason}: {what}\n{advice}"
    return f" (HTTP {error.status})" if error.status else ""
