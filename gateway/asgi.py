"""Composition root: settings + adapters + schema -> app. Nothing else joins the halves."""

import os
import ssl
from collections.abc import Sequence

import httpx
from starlette.applications import Starlette

from gateway.adapter import SANDBOX, AccountSettings
from gateway.app import Gateway
from gateway.logs import start_log
from gateway.pool import PooledTransport
from gateway.provider import Provider
from gateway.providers import ADAPTERS
from gateway.sandbox.app import Sandbox
from gateway.settings import Settings, load
from gateway.transport import Upstream
from resolvers.execution.operations import Operations
from resolvers.schema import SCHEMA


async def connect(settings: Settings, sandbox: Sandbox | None = None) -> Sequence[Provider]:
    """Return the configured providers, each with a client of its own.

    Those whose base URL is `sandbox:` get the embedded sandbox. Nothing is sent yet.
    Async, because a pool belongs to the running loop.
    """
    if sandbox is None and any(each.base_url == SANDBOX for each in settings.providers):
        sandbox = Sandbox()
    trust = httpx.create_ssl_context()
    return [_provider(account, sandbox, trust) for account in settings.providers]


def _provider(
    account: AccountSettings, sandbox: Sandbox | None, trust: ssl.SSLContext
) -> Provider:
    adapter = ADAPTERS[account.kind](account)
    transport: httpx.AsyncBaseTransport
    if account.base_url == SANDBOX and sandbox is not None:
        transport = httpx.ASGITransport(sandbox.provider(account.kind))
    else:
        transport = PooledTransport(trust)
    name = account.display_name or adapter.label
    return Provider(adapter, Upstream(account, adapter, transport), name)


def build(settings: Settings, sandbox: Sandbox | None = None) -> Starlette:
    """Return the application for these settings."""

    async def opened() -> Sequence[Provider]:
        return await connect(settings, sandbox)

    return Gateway(settings, Operations(SCHEMA._schema), opened).app()  # noqa: SLF001  # Strawberry has no other way to graphql-core's schema


def create() -> Starlette:
    """Return the application as the environment configures it: what each worker runs."""
    start_log()
    return build(load(None, os.environ))
