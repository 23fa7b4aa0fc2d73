"""Webhooks of the sandbox: sent as providers send them, and again until they are accepted."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

import httpx
from starlette.types import ASGIApp

LATENCY_S: Final = 0.05
"""The delay of the first attempt: providers report a change after they have responded to it."""
MAX_PENDING: Final = 10_000
"""Webhooks that wait for their delivery; further ones are dropped."""
MAX_CONNECTIONS: Final = 10
NOT_SENT: Final = (httpx.HTTPError, httpx.InvalidURL, ValueError)
"""What httpx raises, for odd URLs too."""


class Target(NamedTuple):
    """Where events of one type are sent, and the secret that signs them."""

    url: str
    secret: str


TargetOf = Callable[[str], Target | None]
"""Returns the target for an event type; None: such events are not sent."""


class Message(NamedTuple):
    """One webhook, signed."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Policy(NamedTuple):
    """How a provider delivers."""

    retry_after_s: Sequence[float]
    """The delays between one attempt and the next."""
    timeout_s: float
    """How long the receiver may take to respond."""


class WebhookSender:
    """Sends the webhooks of one provider, each in a task of its own."""

    def __init__(self, policy: Policy) -> None:
        """Deliver by this policy, over the network; see `connect`."""
        self._policy = policy
        self._transport: httpx.AsyncBaseTransport | None = None
        self._sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self._client: httpx.AsyncClient | None = None
        self._pending: set[asyncio.Task[None]] = set()

    def connect(
        self,
        transport: httpx.AsyncBaseTransport | None,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """Send over this transport instead of the network, and wait by this function."""
        self._transport = transport
        self._sleep = sleep

    @property
    def pending(self) -> int:
        """The number of webhooks that are not delivered yet."""
        return len(self._pending)

    def send(self, message: Message, give_up: Callable[[], None] = lambda: None) -> None:
        """Deliver a message in the background; call `give_up` after the last failed attempt."""
        if len(self._pending) < MAX_PENDING:
            task = asyncio.create_task(self._deliver(message, give_up))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    async def accepts(self, url: str) -> bool:
        """Return whether a URL responds to HEAD or OPTIONS with success."""
        for method in ("HEAD", "OPTIONS"):
            try:
                if (await self._open_client().request(method, url)).is_success:
                    return True
            except NOT_SENT:
                return False
        return False

    async def close(self) -> None:
        """Stop delivering."""
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _deliver(self, message: Message, give_up: Callable[[], None]) -> None:
        for delay_s in (LATENCY_S, *self._policy.retry_after_s):
            await self._sleep(delay_s)
            if await self._attempt(message):
                return
        give_up()

    async def _attempt(self, message: Message) -> bool:
        headers = {"content-type": "application/json", **message.headers}
        try:
            response = await self._open_client().post(
                message.url, content=message.body, headers=headers
            )
        except NOT_SENT:
            return False
        return response.is_success

    def _open_client(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=self._transport,
                timeout=self._policy.timeout_s,
                limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
                trust_env=False,
            )
        return self._client


class Webhooks(Protocol):
    """The webhooks of one provider's server."""

    @property
    def sender(self) -> WebhookSender:
        """What sends them."""

    def add(self, target: TargetOf) -> None:
        """Report every kind of event, also to this target."""


@runtime_checkable
class SendsWebhooks(Protocol):
    """A module that simulates a provider which sends webhooks."""

    def webhooks_of(self, app: ASGIApp) -> Webhooks:
        """Return the webhooks of a server that the module built."""
