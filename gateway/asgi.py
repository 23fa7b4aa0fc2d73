"""Composition root: combine settings, adapters and schema into the application."""

import asyncio
import gc
import os
import secrets
import ssl
from collections.abc import Callable, Sequence
from itertools import starmap
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import structlog
from graphql import GraphQLSchema
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.types import ASGIApp

from gateway.domain.mutations import Replacement, Tag
from gateway.http.running_gateway import Gateway, Parts
from gateway.limits.caller_budgets import Budgets
from gateway.observability.logs import start_log
from gateway.observability.metrics import Metrics
from gateway.observability.traces import Traces
from gateway.providers.base.settings import SANDBOX, AccountSettings
from gateway.providers.base.store_lookup import Lookup
from gateway.providers.base.webhooks import ReceivesWebhooks, WebhookAccountSettings
from gateway.providers.plugins import BrokenAccount
from gateway.providers.registry import adapter_of, find
from gateway.settings.loading import accounts, load, plugin_problems
from gateway.settings.tables import Settings
from gateway.store.database_url import database_url
from gateway.store.store import Store
from gateway.store.temporary import TEMPORARY
from gateway.store.write_intents import Settlement
from gateway.upstream.attempt import ObserveCall
from gateway.upstream.call_sender import unobserved
from gateway.upstream.client import UpstreamClient
from gateway.upstream.http.http1_pool import Http1Transport
from gateway.upstream.provider import Provider
from resolvers.execution.executor import Executor
from resolvers.schema import SCHEMA

EXAMPLES = 20
"""How many people the sandbox's recorded customers are taken from."""

if TYPE_CHECKING:
    from gateway.observability.otlp import SpanExport
    from gateway.sandbox.app import Sandbox
    from gateway.sandbox.webhooks import TargetOf

EMBEDDED = "http://gateway"
"""The address that an embedded sandbox sends its webhooks to: nothing is resolved or connected."""

log = structlog.get_logger()

# Optional parts are imported where they are used: that saves a third of the start-up time.


class AnswersLookups(Protocol):
    """The part of the store that providers which cannot be read need."""

    async def look_up(self, provider: str, lookup: Lookup, deadline: float | None = None) -> Any:
        """Answer a lookup; see `Store.look_up`."""


async def connect(
    settings: Settings,
    sandbox: "Sandbox | None" = None,
    store: "AnswersLookups | None" = None,
    observe: ObserveCall = unobserved,
) -> Sequence[Provider]:
    """Return the configured providers, each with its own client. Nothing is sent yet.

    `observe` is called with the record of each attempt of a call.
    `store` serves reads of providers that cannot be read. Providers with the base URL `sandbox:`
    use the embedded sandbox. Async, because a connection pool belongs to the running loop.
    """
    if sandbox is None:
        sandbox = embedded_sandbox(settings)
    trust = httpx.create_ssl_context()
    ttl_s = settings.server.cache_ttl_s
    look_up = None if store is None else store.look_up

    def opened(account: AccountSettings) -> Provider:
        adapter = adapter_of(account)
        fast = settings.fast_paths.http1_client
        transport = _transport(account, sandbox, trust, fast=fast)
        name = account.display_name or adapter.label
        upstream = UpstreamClient(account, adapter, transport, ttl_s, observe)
        return Provider(adapter, upstream, name, look_up)

    return [opened(account) for account in settings.providers]


def embedded_sandbox(settings: Settings) -> "Sandbox | None":
    """Return a fresh sandbox for the accounts that use one; None: there are none."""
    kinds = {
        each.kind: find(each.kind)
        for each in settings.providers
        if each.base_url == SANDBOX and not isinstance(each, BrokenAccount)
    }
    if not kinds:
        return None
    from gateway.sandbox.app import Sandbox  # noqa: PLC0415  # 0.1 s

    return Sandbox({kind: each.load_sandbox() for kind, each in kinds.items() if each is not None})


def with_webhook_secret(settings: Settings, secret: SecretStr) -> Settings:
    """Give the accounts of an embedded sandbox this webhook secret, if they have none.

    It is known to this process alone, so that nobody else can send webhooks of a sandbox.
    """

    def completed(account: AccountSettings) -> AccountSettings:
        if account.base_url != SANDBOX or not isinstance(account, WebhookAccountSettings):
            return account
        if account.webhook_secret is not None:
            return account
        return account.model_copy(update={"webhook_secret": secret})

    providers = tuple(map(completed, settings.providers))
    return settings.model_copy(update={"providers": providers})


def send_webhooks(sandbox: "Sandbox", providers: Sequence[Provider], receiver: ASGIApp) -> None:
    """Have an embedded sandbox send its webhooks to a receiver in this process."""
    sandbox.deliver(httpx.ASGITransport(receiver))
    for provider in providers:
        if provider.kind in sandbox.sends_webhooks and provider.offers(ReceivesWebhooks):
            url = f"{EMBEDDED}/webhooks/{provider.key}"
            sandbox.send_webhooks(provider.kind, target_of(provider.adapter, url))


def target_of(adapter: ReceivesWebhooks, url: str) -> "TargetOf":
    """Return the targets of an adapter's event types below a URL, for a sandbox."""
    from gateway.sandbox.webhooks import Target  # noqa: PLC0415  # with the sandbox

    def target(event_type: str) -> Target | None:
        found = adapter.webhook_target(url, event_type)
        return None if found is None else Target(*found)

    return target


class EmbeddedTransport(httpx.ASGITransport):
    """Calls to an embedded sandbox, whose webhooks end with its last caller."""

    def __init__(self, sandbox: "Sandbox", kind: str) -> None:
        """Call one provider's server."""
        super().__init__(sandbox.provider(kind))
        self._sandbox = sandbox

    async def aclose(self) -> None:
        """Stop the webhooks."""
        await self._sandbox.close()


def _transport(
    account: AccountSettings, sandbox: "Sandbox | None", trust: ssl.SSLContext, *, fast: bool
) -> httpx.AsyncBaseTransport:
    is_usable = not isinstance(account, BrokenAccount)
    if account.base_url == SANDBOX and sandbox is not None and is_usable:
        return EmbeddedTransport(sandbox, account.kind)
    if account.proxy is not None or not fast:
        from gateway.upstream.http.aiohttp_transport import PooledTransport  # noqa: PLC0415  # 0.1 s

        return PooledTransport(trust, account.proxy)
    return Http1Transport(trust)


def build(
    settings: Settings,
    sandbox: "Sandbox | None" = None,
    ready: Callable[[], None] | None = None,
    read: Callable[[], Settings] | None = None,
    spans: "SpanExport | None" = None,
) -> Starlette:
    """Return the application for these settings; it calls `ready` when it is open.

    A reload calls `read` for the settings to follow from then on. Traces are sent with `spans`;
    without it to the collector of the settings, if there is one.
    """
    metrics = Metrics() if settings.server.metrics else None
    observe = unobserved if metrics is None else metrics.call_ended

    async def open_store() -> Store:
        place = database_url(settings.store.url, os.environ)
        timeout_s = settings.store.connect_timeout_s
        opened = await Store.open(place, accounts=accounts(settings), connect_timeout_s=timeout_s)
        if settings.store.url == TEMPORARY:
            await record_examples(opened, settings)
        return opened

    secret = SecretStr(secrets.token_hex(32))

    def completed(wanted: Settings) -> Settings:
        return with_webhook_secret(wanted, secret) if sandbox is None else wanted

    settings = completed(settings)

    async def providers(wanted: Settings, opened: Store) -> Sequence[Provider]:
        embedded = embedded_sandbox(wanted) if sandbox is None else None
        connected = await connect(wanted, sandbox or embedded, opened, observe)
        if embedded is not None:
            send_webhooks(embedded, connected, gateway.webhook_receiver)
        return connected

    budgets = Budgets(settings.limits)

    schema = schema_of(settings)

    def executor(wanted: Settings) -> Executor:
        return Executor(
            schema,
            wanted.limits,
            budgets=budgets,
            most_calls={each.key: each.max_calls_per_operation for each in wanted.providers},
            compiles=wanted.fast_paths.compiled_queries,
        )

    def read_again() -> Settings:
        return settings if read is None else completed(read())

    if spans is None and settings.traces.endpoint is not None:
        from gateway.observability.otlp import SpanExport  # noqa: PLC0415  # an optional part

        spans = SpanExport(settings.traces)
    parts = Parts(executor, budgets, open_store, providers, read_again, metrics)
    if spans is not None:
        traces = Traces(settings.traces, spans.add)
        parts = parts._replace(traces=traces, close_traces=spans.close)
    gateway = Gateway(settings, parts, ready)
    return gateway.app()


def schema_of(settings: Settings) -> GraphQLSchema:
    """Return the schema that is served."""
    served = SCHEMA
    if settings.federation.enabled:
        from resolvers.federation.schema import SUBGRAPH  # noqa: PLC0415  # as above

        served = SUBGRAPH
    return served._schema  # noqa: SLF001  # Strawberry has no other way to graphql-core's schema


async def record_examples(store: Store, settings: Settings) -> None:
    """Record a few customers of the embedded Instaleap, as if they had been written there.

    The record is all that the gateway shows of it. Nothing is done if they are there already.
    """
    from gateway.sandbox import instaleap, people  # noqa: PLC0415  # as above

    examples = instaleap.recorded_examples([*people.people(EXAMPLES)])
    rows = [Replacement(customer, list(starmap(Tag, tags))) for customer, tags in examples.items()]
    for account in settings.providers:
        if account.kind != instaleap.KIND or account.base_url != SANDBOX:
            continue
        if await store.newest_tags(account.key, rows[0].customer):
            continue
        until = asyncio.get_running_loop().time() + settings.store.connect_timeout_s
        begun = await store.write_intents.begin(account.key, rows, store.new_claim(), until)
        confirmed = {row.customer: Settlement.CONFIRMED for row in begun.claim.rows}
        await store.write_intents.settle(begun.claim, confirmed)


def create() -> Starlette:
    """Return the application for the configuration in the environment; each worker calls this."""

    def read() -> Settings:
        settings = load(None, os.environ)
        log_plugin_problems(settings)
        return settings

    settings = load(None, os.environ)
    start_log(settings.log)
    log_plugin_problems(settings)
    return build(settings, ready=tune_garbage_collection, read=read)


def log_plugin_problems(settings: Settings) -> None:
    """Log each installed package that cannot add its kind."""
    for each in plugin_problems(settings):
        log.error("plugin_broken", **each._asdict())


def tune_garbage_collection() -> None:
    """Exempt all objects that exist now from garbage collection, and collect less often.

    Otherwise each full collection visits them: a third of the time of a query for 200 rows. A row
    is about five objects without cycles; by default every 700 new objects cause a collection.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()  # a worker starts without
