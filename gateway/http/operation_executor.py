"""What this package knows of the schema."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gateway.auth.permissions import Caller
from gateway.context import EventSource, RequestContext
from gateway.errors import GatewayError
from gateway.http.metric_samples import CacheUses


class OperationExecutor(Protocol):
    """Executes operations; this package knows nothing else of the schema."""

    @property
    def codes(self) -> Sequence[str]:
        """The codes that errors may have."""

    @property
    def cache_uses(self) -> CacheUses:
        """How often the caches of documents and plans were of use."""

    def count(self, caller: Caller) -> None:
        """Count a request against the caller's budget.

        Raises `LimitExceeded`, and `LeaseNeeded` if it has to wait.
        """

    def document(self, text: str, *, explores: bool) -> Any:
        """Return a document, parsed and validated; `explores`: introspection is allowed."""

    def trust(self, text: str) -> Sequence[str]:
        """Cache a document permanently; return the problems with it."""

    def begin(
        self,
        document: Any,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> Any:
        """Execute an operation of a document: return its result, or a coroutine if it waits."""

    async def subscribe(
        self,
        document: Any,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
    ) -> Any:
        """Return the `EventSource` of a subscription, or the result that refuses it."""

    async def deliver(  # noqa: PLR0913, PLR0917  # those of `begin`, and the event
        self,
        document: Any,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: RequestContext,
        source: EventSource,
        event: Any,
    ) -> Any:
        """Execute a subscription for one event; None: the caller may not see the event.

        Raises `Forbidden`, `LimitExceeded` and `LeaseNeeded`.
        """

    def code_of(self, error: type[GatewayError]) -> str:
        """Return the code of a class of errors."""

    def ended(self, error: GatewayError, cursor: str) -> Mapping[str, Any]:
        """Return the error that ends a subscription, for a client that resumes at `cursor`."""
