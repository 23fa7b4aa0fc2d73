"""Composition root: combine settings, adapters and schema into the application."""

import gc
import os
import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette

from gateway.http.running_gateway import Gateway, Parts
from gateway.limits.caller_budgets import Budgets
from gateway.observability.logs import start_log
from gateway.observability.metrics import Metrics
from gateway.providers.base.settings import SANDBOX, AccountSettings
from gateway.providers.registry import KINDS
from gateway.settings import Settings, accounts, load
from gateway.store.database_url import database_url
from gateway.store.store import Store
from gateway.upstream.call_sender import ObserveCall, unobserved
from gateway.upstream.client import UpstreamClient
from gateway.upstream.http.http1_pool import Http1Transport
from gateway.upstream.provider import Provider
from resolvers.execution.executor import Executor
from resolvers.schema import SCHEMA

if TYPE_CHECKING:
    from gateway.sandbox.app import Sandbox

# Optional parts are imported where they are used: that saves a third of the start-up time.


async def connect(
    settings: Settings,
    sandbox: "Sandbox | None" = None,
    store: Store | None = None,
    observe: ObserveCall = unobserved,
) -> Sequence[Provider]:
    """Return the configured providers, each with its own client. Nothing is sent yet.

    `observe` is called with the record of each attempt of a call.
    `store` serves reads of providers that cannot be read. Providers with the base URL `sandbox:`
    use the embedded sandbox. Async, because a connection pool belongs to the running loop.
    """
    embedded = {each.kind for each in settings.providers if each.base_url == SANDBOX}
    if sandbox is None and embedded:
        from gateway.sandbox.app import Sandbox  # noqa: PLC0415  # 0.1 s

        sandbox = Sandbox({kind: KINDS[kind].load_sandbox() for kind in embedded})
    trust = httpx.create_ssl_context()
    ttl_s = settings.server.cache_ttl_s
    look_up = None if store is None else store.look_up

    def opened(account: AccountSettings) -> Provider:
        adapter = KINDS[account.kind].adapter(account)
        fast = settings.fast_paths.http1_client
        transport = _transport(account, sandbox, trust, fast=fast)
        name = account.display_name or adapter.label
        upstream = UpstreamClient(account, adapter, transport, ttl_s, observe)
        return Provider(adapter, upstream, name, look_up)

    return [opened(account) for account in settings.providers]


def _transport(
    account: AccountSettings, sandbox: "Sandbox | None", trust: ssl.SSLContext, *, fast: bool
) -> httpx.AsyncBaseTransport:
    if account.base_url == SANDBOX and sandbox is not None:
        return httpx.ASGITransport(sandbox.provider(account.kind))
    if account.proxy is not None or not fast:
        from gateway.upstream.http.aiohttp_transport import PooledTransport  # noqa: PLC0415  # 0.1 s

        return PooledTransport(trust, account.proxy)
    return Http1Transport(trust)


def build(
    settings: Settings,
    sandbox: "Sandbox | None" = None,
    ready: Callable[[], None] | None = None,
    read: Callable[[], Settings] | None = None,
) -> Starlette:
    """Return the application for these settings; it calls `ready` when it is open.

    A reload calls `read` for the settings to follow from then on.
    """
    metrics = Metrics() if settings.server.metrics else None
    observe = unobserved if metrics is None else metrics.call_ended

    async def open_store() -> Store:
        place = database_url(settings.store.url, os.environ)
        timeout_s = settings.store.connect_timeout_s
        return await Store.open(place, accounts=accounts(settings), connect_timeout_s=timeout_s)

    async def providers(wanted: Settings, opened: Store) -> Sequence[Provider]:
        return await connect(wanted, sandbox, opened, observe)

    budgets = Budgets(settings.limits)

    def executor(wanted: Settings) -> Executor:
        return Executor(
            SCHEMA._schema,  # noqa: SLF001  # Strawberry has no other way to graphql-core's schema
            wanted.limits,
            budgets=budgets,
            most_calls={each.key: each.max_calls_per_operation for each in wanted.providers},
            compiles=wanted.fast_paths.compiled_queries,
        )

    parts = Parts(executor, budgets, open_store, providers, read or (lambda: settings), metrics)
    return Gateway(settings, parts, ready).app()


def create() -> Starlette:
    """Return the application for the configuration in the environment; each worker calls this."""

    def read() -> Settings:
        return load(None, os.environ)

    settings = read()
    start_log(settings.log)
    return build(settings, ready=tune_garbage_collection, read=read)


def tune_garbage_collection() -> None:
    """Exempt all objects that exist now from garbage collection, and collect less often.

    Otherwise each full collection visits them: a third of the time of a query for 200 rows. A row
    is about five objects without cycles; by default every 700 new objects cause a collection.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
