"""Composition root: settings + adapters + schema -> app. Nothing else joins the halves."""

import gc
import os
import ssl
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette

from gateway.http.app import Gateway
from gateway.limits.caller_budgets import Budgets
from gateway.observability.logs import start_log
from gateway.providers.base.settings import SANDBOX, AccountSettings
from gateway.providers.registry import KINDS
from gateway.settings import Settings, accounts, load
from gateway.store.change_log import Retention
from gateway.store.database_url import database_url
from gateway.store.store import Store
from gateway.upstream.client import UpstreamClient
from gateway.upstream.http.http1_pool import Http1Transport
from gateway.upstream.provider import Provider
from resolvers.execution.executor import Executor
from resolvers.schema import SCHEMA

if TYPE_CHECKING:
    from gateway.sandbox.app import Sandbox

# What not everybody needs is imported where it is needed: a third of the time of a start.


async def connect(
    settings: Settings, sandbox: "Sandbox | None" = None, record: Store | None = None
) -> Sequence[Provider]:
    """Return the configured providers, each with a client of its own.

    `record` answers for those that cannot be read.

    Those whose base URL is `sandbox:` get the embedded sandbox. Nothing is sent yet.
    Async, because a pool belongs to the running loop.
    """
    embedded = {each.kind for each in settings.providers if each.base_url == SANDBOX}
    if sandbox is None and embedded:
        from gateway.sandbox.app import Sandbox  # noqa: PLC0415  # 0.1 s

        sandbox = Sandbox({kind: KINDS[kind].load_sandbox() for kind in embedded})
    trust = httpx.create_ssl_context()
    ttl_s = settings.server.cache_ttl_s
    answer = None if record is None else record.answer

    def opened(account: AccountSettings) -> Provider:
        adapter = KINDS[account.kind].adapter(account)
        fast = settings.fast_paths.http1_client
        transport = _transport(account, sandbox, trust, fast=fast)
        name = account.display_name or adapter.label
        return Provider(adapter, UpstreamClient(account, adapter, transport, ttl_s), name, answer)

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
    settings: Settings, sandbox: "Sandbox | None" = None, ready: Callable[[], None] | None = None
) -> Starlette:
    """Return the application for these settings; it calls `ready` when all is open."""

    async def record() -> Store:
        place = database_url(settings.store.url, os.environ)
        timeout_s = settings.store.connect_timeout_s
        opened = await Store.open(place, accounts=accounts(settings), connect_timeout_s=timeout_s)
        keep = settings.changes
        opened.changes.retention = Retention(timedelta(days=keep.keep_days), keep.keep_rows)
        return opened

    async def providers(opened: Store) -> Sequence[Provider]:
        return await connect(settings, sandbox, opened)

    operations = Executor(
        SCHEMA._schema,  # noqa: SLF001  # Strawberry has no other way to graphql-core's schema
        settings.limits,
        budgets=Budgets(settings.limits),
        most_calls={each.key: each.max_calls_per_operation for each in settings.providers},
        compiles=settings.fast_paths.compiled_queries,
    )
    return Gateway(settings, operations, record, providers, ready).app()


def create() -> Starlette:
    """Return the application as the environment configures it: what each worker runs."""
    settings = load(None, os.environ)
    start_log(settings.log)
    return build(settings, ready=keep)


def keep() -> None:
    """Tell the garbage collector that what is there now stays, and to look less often.

    Else each full collection walks through all of it: a third of the time of a query of 200 rows.
    A row is some five objects and in no cycle; by default every 700 new objects cause a look.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
