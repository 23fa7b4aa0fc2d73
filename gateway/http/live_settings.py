"""What serves requests, and follows the settings while it runs.

A reload prepares everything that may fail, then applies it at once: no request sees a part of the
old settings and a part of the new ones.
"""

from collections.abc import Callable

from gateway.auth.authenticator import Authenticator
from gateway.http.cors import OriginPolicy
from gateway.http.operation_executor import OperationExecutor
from gateway.http.operation_runner import OperationRunner
from gateway.http.persisted_documents import PersistedDocuments
from gateway.http.subscriptions import Subscriptions
from gateway.http.tool_catalog import tools_of
from gateway.observability.metrics import Metrics
from gateway.observability.telemetry import Telemetry
from gateway.observability.traces import Traces
from gateway.settings.tables import Settings
from gateway.tools import documents as tool_documents

Apply = Callable[[], None]
"""Puts into effect what was prepared; it neither waits nor fails."""


class LiveSettings:
    """The objects whose behaviour depends on the settings."""

    def __init__(
        self,
        settings: Settings,
        executor: Callable[[Settings], OperationExecutor],
        metrics: Metrics | None,
        traces: Traces | None = None,
    ) -> None:
        """Build them; `executor` returns one for some settings. Raises `SettingsError`."""
        self.settings = settings
        self._executor = executor
        server = settings.server
        self.authenticator = Authenticator(
            settings.auth,
            [each.key for each in settings.providers],
            allow_anonymous=server.allow_anonymous,
            introspection=settings.documents.introspection,
        )
        self.origins = OriginPolicy(server, is_open=_is_open(settings))
        operations = executor(settings)
        self._tool_documents = tool_documents.read(settings.mcp)
        self.tools = tools_of(self._tool_documents, operations)
        persisted = PersistedDocuments(settings.documents, operations.trust, self.tools)
        self.runner = OperationRunner(
            operations,
            persisted,
            server.request_timeout_s,
            settings.limits,
            metrics,
            Telemetry(logs_requests=settings.log.requests, traces=traces),
        )
        self.subscriptions = Subscriptions(self.runner, settings.limits, settings.changes.lag_s)

    def prepare(self, settings: Settings) -> Apply:
        """Prepare other settings. Raises `SettingsError`."""
        server = settings.server
        authenticator = Authenticator(
            settings.auth,
            [each.key for each in settings.providers],
            allow_anonymous=server.allow_anonymous,
            introspection=settings.documents.introspection,
            previous=self.authenticator,
        )
        operations = self.runner.operations
        if _for_executor(settings) != _for_executor(self.settings):
            operations = self._executor(settings)
        persisted = self.runner.persisted
        is_same = settings.documents == self.settings.documents
        # A manifest is a file, which may have changed, too.
        if operations is not self.runner.operations or not is_same or settings.documents.manifest:
            tools = tools_of(self._tool_documents, operations)
            persisted = PersistedDocuments(settings.documents, operations.trust, tools)

        def apply() -> None:
            self.settings = settings
            self.authenticator.follow(authenticator)
            self.origins.configure(server, is_open=_is_open(settings))
            self.runner.configure(operations, persisted, server.request_timeout_s, settings.limits)
            self.subscriptions.configure(settings.limits, settings.changes.lag_s)

        return apply


def _is_open(settings: Settings) -> bool:
    """Return whether some callers need no credentials."""
    anonymous = settings.server.allow_anonymous
    return settings.auth.is_empty if anonymous is None else anonymous


def _for_executor(settings: Settings) -> tuple[object, ...]:
    calls = {each.key: each.max_calls_per_operation for each in settings.providers}
    return settings.limits, settings.fast_paths, calls
