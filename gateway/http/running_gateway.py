"""The running gateway: what it opens, what a reload changes, and its routes."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import structlog
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from gateway import __version__
from gateway.changes.feed import ChangeFeed
from gateway.changes.health import HealthWatch
from gateway.changes.poller import Poller
from gateway.changes.webhooks import WebhookWorker
from gateway.context import Provider
from gateway.errors import Problem, SettingsError
from gateway.http.app import (
    PAGE_PATHS,
    PAGES,
    Application,
    Immutable,
    gzipped,
    has_pages,
    not_found,
    page,
    show_examples,
    show_page,
)
from gateway.http.budget_sharing import BudgetSharing
from gateway.http.graphql_endpoint import GraphQLEndpoint
from gateway.http.health_sharing import HealthSharing
from gateway.http.instaleap_callback import InstaleapCallback
from gateway.http.live_settings import LiveSettings
from gateway.http.metrics_endpoint import MetricsEndpoint
from gateway.http.metrics_server import serving_metrics
from gateway.http.open_providers import OpenProviders
from gateway.http.operation_executor import OperationExecutor
from gateway.http.probes import Probes
from gateway.http.setting_changes import follow
from gateway.http.webhook_endpoint import WebhookEndpoint
from gateway.http.websocket_endpoint import WebSocketEndpoint
from gateway.limits.caller_budgets import Budgets
from gateway.limits.settings import LimitSettings
from gateway.observability.metrics import Metrics
from gateway.observability.traces import Traces
from gateway.settings.loading import accounts
from gateway.settings.tables import Settings
from gateway.store.change_log import Retention
from gateway.store.errors import StoreFailed, StoreState
from gateway.store.store import Store
from gateway.upstream.circuit_probing import keep_probing
from gateway.writes.recovery import keep_recovering

if TYPE_CHECKING:
    from gateway.http.mcp_endpoint import McpEndpoint

log = structlog.get_logger(__name__)

RETRY_S = 1.0
"""The delay before webhooks are followed again after a failure of the store."""


class Parts(NamedTuple):
    """What a gateway is composed of, besides this package."""

    executor: Callable[[Settings], OperationExecutor]
    budgets: Budgets
    open_store: Callable[[], Awaitable[Store]]
    connect: Callable[[Settings, Store], Awaitable[Sequence[Provider]]]
    read_settings: Callable[[], Settings]
    """Reads the configuration again. Raises `SettingsError`."""
    metrics: Metrics | None
    traces: Traces | None = None
    close_traces: Callable[[], None] | None = None
    """Sends the last spans; blocks for some seconds at most."""


class Gateway:
    """The running gateway: its store, its providers, and the runner of operations."""

    def __init__(
        self, settings: Settings, parts: Parts, ready: Callable[[], None] | None = None
    ) -> None:
        """Open the parts when the server starts, then call `ready`."""
        self._live = live = LiveSettings(settings, parts.executor, parts.metrics, parts.traces)
        self._authenticator, self._origins = live.authenticator, live.origins
        self._runner, self._subscriptions = live.runner, live.subscriptions
        self._parts = parts
        self._metrics = metrics = parts.metrics
        self._ready = ready
        self._open_providers = OpenProviders()
        self.providers: Mapping[str, Provider] = self._open_providers.current
        self._store: Store | None = None
        self._webhooks: WebhookWorker | None = None
        self._poller: Poller | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._metrics_endpoint: MetricsEndpoint | None = None
        self._callback = InstaleapCallback(
            settings.providers, lambda: self._store, settings.server.request_timeout_s
        )
        self._webhook_endpoint = WebhookEndpoint(
            self.providers,
            lambda: self._store,
            self._wake_webhooks,
            settings.server.request_timeout_s,
            None if metrics is None else metrics.webhook_ended,
        )
        self._endpoint: GraphQLEndpoint | None = None
        self._websockets: WebSocketEndpoint | None = None
        self._mcp: McpEndpoint | None = None
        self._refused_settings: Sequence[Problem] = ()
        """The problems with the newest configuration, which is not in use therefore."""

    @property
    def webhook_receiver(self) -> ASGIApp:
        """An application of the webhook routes alone, for senders in this process."""
        return Router(self._webhook_endpoint.routes)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Keep the store and the providers open, and settle unfinished writes meanwhile."""
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(log.info, "stopped", pid=os.getpid())
            if self._parts.close_traces is not None:
                stack.push_async_callback(asyncio.to_thread, self._parts.close_traces)
            settings = self._live.settings
            store = self._store = await self._parts.open_store()
            stack.push_async_callback(store.close)
            if self._metrics is not None:
                store.observe(self._metrics.transaction_ended)
                stack.push_async_callback(self._metrics.close)
            stack.push_async_callback(self._open_providers.close)
            use = await self._prepare_providers(settings, store)
            use()
            self._apply_elsewhere(settings, store)
            feed = ChangeFeed(store, self.providers)
            await feed.start()
            stack.push_async_callback(feed.close)
            stack.push_async_callback(self._close_followers)
            stack.push_async_callback(self._stop_restarting)
            await self._start_webhooks(store)
            self._runner.store, self._runner.feed = store, feed
            health_watch = self._runner.health_watch = HealthWatch(self.providers)
            stack.push_async_callback(health_watch.close)
            health_sharing = HealthSharing(store, self.providers, health_watch.look)
            health_sharing.start()
            stack.push_async_callback(health_sharing.close)
            sharing = BudgetSharing(store, self._parts.budgets, self.providers)
            sharing.start()
            stack.push_async_callback(sharing.close)
            self._runner.lease = sharing.lease
            await self._start_metrics(stack)
            if self._mcp is not None:
                await stack.enter_async_context(self._mcp.running())
            if self._ready is not None:
                self._ready()
            self._start_poller(store)
            working = [
                asyncio.create_task(keep_recovering(self.providers, store)),
                asyncio.create_task(keep_probing(self.providers)),
            ]
            log.info("started", version=__version__, pid=os.getpid(), providers=[*self.providers])
            try:
                yield
            finally:
                await self._runner.close()
                for task in working:
                    task.cancel()
                await asyncio.gather(*working, return_exceptions=True)

    async def _start_metrics(self, stack: contextlib.AsyncExitStack) -> None:
        if self._metrics is None or self._metrics_endpoint is None:
            return
        self._metrics.start(self._runner.operations.codes)
        address = self._live.settings.server.metrics
        if isinstance(address, str):
            await stack.enter_async_context(serving_metrics(self._metrics_endpoint, address))

    async def reload(self) -> LimitSettings | None:
        """Follow the configuration as it is now, or none of it if it has a problem.

        Returns the limits if it is used. Requests in progress end as they began.
        """
        store, current = self._store, self._live.settings
        if store is None:
            return None
        try:
            settings, changed, fixed = follow(current, self._parts.read_settings())
            apply = self._live.prepare(settings)
            if [*accounts(settings)] != [*accounts(current)]:
                await store.bind(accounts(settings))
            use_providers = await self._prepare_providers(settings, store)
        except SettingsError as error:
            self._refuse_settings(error.problems)
            return None
        except StoreFailed as error:
            self._refuse_settings([Problem("store.url", f"{error} ({error.cause})")])
            return None
        except Exception:  # a bug, which must not end a server that works
            log.exception("reload_failed")
            return None
        before = self._runner.providers
        use_providers()
        apply()
        self._apply_elsewhere(settings, store)
        self._refused_settings = ()
        log.info("reloaded", changed=changed, needs_restart=fixed)
        has_providers = self._runner.providers is before
        if not (has_providers and settings.watch == current.watch):
            # In the background: the caller must act on the new settings without a pause.
            self._restarting = asyncio.create_task(
                self._restart_followers(store, self._restarting)
            )
        return settings.limits

    def _refuse_settings(self, problems: Sequence[Problem]) -> None:
        self._refused_settings = problems
        log.error("reload_failed", problems=[f"{each.path}: {each.text}" for each in problems])

    async def _prepare_providers(self, settings: Settings, store: Store) -> Callable[[], None]:
        async def connect(wanted: Settings) -> Sequence[Provider]:
            return await self._parts.connect(wanted, store)

        return await self._open_providers.open(settings, connect)

    def _apply_elsewhere(self, settings: Settings, store: Store) -> None:
        """Put settings into effect outside `LiveSettings`."""
        self._runner.providers = self._open_providers.snapshot
        self._parts.budgets.limits = settings.limits
        keep = settings.changes
        store.changes.retention = Retention(timedelta(days=keep.keep_days), keep.keep_rows)
        identity = settings.identity
        store.identity.index.configure(identity.ruleset, identity.secrets)
        self._runner.customer_lists.max_age_s = identity.list_max_age_s
        timeout_s = settings.server.request_timeout_s
        self._callback.configure(settings.providers, timeout_s)
        self._webhook_endpoint.timeout_s = timeout_s
        if self._endpoint is not None and self._websockets is not None:
            self._endpoint.body_bytes = settings.limits.body_bytes
            if self._mcp is not None:
                self._mcp.body_bytes = settings.limits.body_bytes
            self._websockets.limits = settings.limits

    async def _start_webhooks(self, store: Store) -> None:
        self._webhooks = WebhookWorker(store, self._open_providers.snapshot)
        await self._webhooks.start()

    async def _restart_followers(self, store: Store, previous: asyncio.Task[None] | None) -> None:
        if previous is not None:
            previous.cancel()
            await asyncio.gather(previous, return_exceptions=True)
        await self._close_followers()
        self._start_poller(store)
        while True:
            try:
                return await self._start_webhooks(store)
            except StoreFailed:
                await asyncio.sleep(RETRY_S)

    def _start_poller(self, store: Store) -> None:
        watch = self._live.settings.watch
        self._poller = Poller(store, self._open_providers.snapshot, watch)
        self._poller.start()

    async def _stop_restarting(self) -> None:
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)

    async def _close_followers(self) -> None:
        """Stop what follows certain providers."""
        for each in (self._poller, self._webhooks):
            if each is not None:
                await each.close()

    async def _state(self) -> StoreState:
        return StoreState.DOWN if self._store is None else await self._store.state()

    def _wake_webhooks(self) -> None:
        if self._webhooks is not None:
            self._webhooks.wake()

    def announce_stop(self) -> None:
        """Fail health checks, and refuse new subscriptions: the server stops soon."""
        self._subscriptions.is_stopping = True

    def _mcp_endpoint(self) -> "McpEndpoint":
        from gateway.http.mcp_endpoint import McpEndpoint  # noqa: PLC0415  # an optional part

        settings, tools = self._live.settings, {each.name: each for each in self._live.tools}
        return McpEndpoint(
            self._runner,
            self._authenticator,
            self._origins,
            tools,
            settings.limits.body_bytes,
            settings.mcp.result_bytes,
        )

    def app(self) -> Starlette:
        """Return the ASGI application."""
        metrics = self._metrics
        probes = Probes(
            self._live,
            self.providers,
            has_pages,
            self._state,
            lambda: self._refused_settings,
        )
        routes: list[BaseRoute] = [
            *(Route(path, show_page) for path in PAGE_PATHS),
            Route("/examples.json", show_examples),
            *probes.routes,
            self._callback.route,
            *self._webhook_endpoint.routes,
            Mount(
                "/static/assets", gzipped(Immutable(directory=PAGES / "assets", check_dir=False))
            ),
            Mount("/static", gzipped(StaticFiles(directory=PAGES, check_dir=False))),
        ]
        limits, subscriptions = self._live.settings.limits, self._subscriptions
        if metrics is not None:
            shown = MetricsEndpoint(metrics, self._runner, subscriptions, self.providers)
            self._metrics_endpoint = shown
            if self._live.settings.server.metrics is True:
                routes.append(shown.route(self._authenticator, self._origins))
        if self._live.settings.mcp.enabled:
            self._mcp = self._mcp_endpoint()
            routes.append(Route("/mcp", self._mcp))
        endpoint = self._endpoint = GraphQLEndpoint(
            self._runner,
            self._subscriptions,
            self._authenticator,
            self._origins,
            limits.body_bytes,
            page,
            metrics,
        )
        websockets = self._websockets = WebSocketEndpoint(
            self._runner, self._subscriptions, self._authenticator, self._origins, limits
        )
        return Application(
            endpoint,
            websockets,
            self._origins,
            self,
            metrics,
            routes=routes,
            exception_handlers={404: not_found},
            lifespan=self.lifespan,
        )
