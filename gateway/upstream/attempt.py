"""One attempt of a call: what is recorded of it, and how its reply is read."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from gateway.errors import ProviderError
from gateway.network_failures import Progress
from gateway.providers.base.exchange import Exchange, Reply, Token
from gateway.request_scope import CallRecord, Scope
from gateway.upstream.health import Health
from gateway.upstream.odd_replies import report
from gateway.upstream.reply_reader import read_reply
from gateway.upstream.response_cache import CachedReply

T = TypeVar("T")

ObserveCall = Callable[[CallRecord], object]
"""Called with the record of each attempt, when it has ended."""


class OutgoingCall(msgspec.Struct, Generic[T], gc=False):
    """One call, over all its attempts."""

    exchange: Exchange[T]
    scope: Scope
    deadline: float
    was_sent: bool = False
    """The provider may have acted on it."""
    progress: Progress = msgspec.field(default_factory=Progress)
    attempts: int = 0
    """How many were started."""
    waits_since: float = msgspec.field(default_factory=time.perf_counter)
    """When the wait for the next attempt began."""
    token: Token | None = None
    """That of an attempt without a task; None: it has none."""
    denied_token: Token | None = None
    """A token that was denied: the next attempt has a new one."""


class Account(Protocol):
    """What an attempt uses of the account it is made with."""

    key: str
    health: Health

    def note_rate_limit(self, reply: Reply) -> float:
        """Note what a reply says about the rate limit; return the event loop's time."""

    def observe(self, record: CallRecord) -> object:
        """Take the record of an attempt that has ended."""


class Attempt(Generic[T]):
    """One attempt of a call, from just before it is sent."""

    __slots__ = ("_account", "_before", "_call", "_span", "_started", "failure", "sent")

    def __init__(self, account: Account, call: OutgoingCall[T]) -> None:
        """Begin an attempt."""
        self._account = account
        self._call = call
        self._before = call.was_sent
        self._span = None
        self.sent = call.exchange.call
        """What is sent: the call, with the headers of its trace."""
        own: Mapping[str, str] | None = None
        trace, passed_on = call.scope.trace, call.scope.passed_on
        if trace is not None:
            self._span = trace.begin()
            own = trace.headers(self._span)
        elif passed_on is not None:
            own = passed_on.headers
        if own:
            headers = {**self.sent.headers, **own}
            self.sent = msgspec.structs.replace(self.sent, headers=headers)
        self.failure: ProviderError | None = None
        self._started = time.perf_counter()
        call.was_sent = True
        call.attempts += 1
        call.progress.is_connecting = False

    def read(self, reply: Reply) -> CachedReply[T]:
        """Read the reply. Raises a `ProviderError`; pass it to `fail`."""
        account, exchange = self._account, self._call.exchange
        at, fetched_at = account.note_rate_limit(reply), time.time()
        value = read_reply(account.key, exchange, reply)
        if reply.oddities:
            request_id = self._call.scope.request_id
            report(account.key, exchange.operation, request_id, reply.oddities)
        return CachedReply(reply, at, fetched_at, exchange, value)

    def fail(self, error: ProviderError) -> None:
        """Note why the attempt failed."""
        self.failure = error
        self._call.was_sent = self._before or error.was_sent

    def cancel(self, timeout: ProviderError | None) -> None:
        """Note that the attempt was cancelled; `timeout`: its deadline is over."""
        if self._call.progress.is_connecting:
            self._call.was_sent = self._before
        self.failure = timeout

    def end(self, status: int | None) -> None:
        """Record the attempt; `status` is that of the reply, if there was one."""
        call, account, failure = self._call, self._account, self.failure
        started, ended = self._started, time.perf_counter()
        if status is not None or failure is not None:
            account.health.note((ended - started) * 1000, failure)
        record = CallRecord(
            account.key,
            call.exchange.operation,
            status,
            started,
            ended - started,
            attempt=call.attempts,
            keys=call.exchange.keys,
            waited_s=started - call.waits_since,
        )
        if failure is not None:
            record.error, record.reason = type(failure), failure.reason
        call.waits_since = ended
        call.scope.calls.append(record)
        account.observe(record)
        if self._span is not None:
            trace: Any = call.scope.trace
            trace.call_ended(self._span, record)
