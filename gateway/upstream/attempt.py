"""A call and its attempts: what is recorded of each, and how its reply is read."""

import time
from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

from gateway.errors import ProviderError
from gateway.network_failures import Progress
from gateway.providers.base.exchange import Call, Exchange, Reply, Token
from gateway.request_scope import CallRecord, Scope, SpanIds
from gateway.upstream.health import Health
from gateway.upstream.odd_replies import report
from gateway.upstream.reply_reader import read_reply
from gateway.upstream.response_cache import CachedReply
from gateway.upstream.single_flight import InFlightCall

T = TypeVar("T")

ObserveCall = Callable[[CallRecord], object]
"""Called with the record of each attempt, when it has ended."""


class Credentials(NamedTuple):
    """What authorizes calls: headers, and their token, if the account has one."""

    headers: Mapping[str, str]
    token: Token | None = None


class Account(Protocol):
    """What an attempt uses of the account it is made with."""

    key: str
    health: Health

    def note_rate_limit(self, reply: Reply) -> float:
        """Note what a reply says about the rate limit; return the event loop's time."""

    def observe(self, record: CallRecord) -> object:
        """Take the record of an attempt that has ended."""


class OutgoingCall(Generic[T]):
    """One call, over all its attempts, which follow one another."""

    __slots__ = (
        "_failure",
        "_progress",
        "_span",
        "_started",
        "_was_sent_before",
        "attempts",
        "deadline",
        "denied_token",
        "exchange",
        "in_flight",
        "scope",
        "token",
        "waits_since",
        "was_sent",
    )

    in_flight: InFlightCall[CachedReply[T]]
    """What passes its reply on; set if others may share it."""

    def __init__(
        self,
        exchange: Exchange[T],
        scope: Scope,
        deadline: float,
        progress: Progress | None = None,
    ) -> None:
        """Start without an attempt."""
        self.exchange = exchange
        self.scope = scope
        self.deadline = deadline
        self._progress = progress
        self.was_sent = False
        """The provider may have acted on it."""
        self.attempts = 0
        """How many have begun."""
        self.waits_since = time.perf_counter()
        """When the wait for the next attempt began."""
        self.token: Token | None = None
        """That of an attempt without a task; None: it has none."""
        self.denied_token: Token | None = None
        """A token that was denied: the next attempt has a new one."""

    @property
    def progress(self) -> Progress:
        """The progress of the attempt; few have to wait for a connection."""
        if self._progress is None:
            self._progress = Progress()
        return self._progress

    def begin(self) -> Call:
        """Begin an attempt; return what to send: the call, with the headers of its trace."""
        scope, sent = self.scope, self.exchange.call
        own: Mapping[str, str] | None = None
        self._span: SpanIds | None = None
        if scope.trace is not None:
            self._span = scope.trace.begin()
            own = scope.trace.headers(self._span)
        elif scope.passed_on is not None:
            own = scope.passed_on.headers
        if own:
            sent = msgspec.structs.replace(sent, headers={**sent.headers, **own})
        self._failure: ProviderError | None = None
        self._was_sent_before, self.was_sent = self.was_sent, True
        self.attempts += 1
        if self._progress is not None:
            self._progress.is_connecting = False
        self._started = time.perf_counter()
        return sent

    def read(self, account: Account, reply: Reply) -> CachedReply[T]:
        """Read the reply. Raises a `ProviderError`; pass it to `fail`."""
        exchange = self.exchange
        at, fetched_at = account.note_rate_limit(reply), time.time()
        value = read_reply(account.key, exchange, reply)
        if reply.oddities:
            report(account.key, exchange.operation, self.scope.request_id, reply.oddities)
        return CachedReply(reply, at, fetched_at, exchange, value)

    def fail(self, error: ProviderError) -> None:
        """Note why the attempt failed."""
        self._failure = error
        self.was_sent = self._was_sent_before or error.was_sent

    def cancel(self, timeout: ProviderError | None) -> None:
        """Note that the attempt was cancelled; `timeout`: its deadline is over."""
        if self.progress.is_connecting:
            self.was_sent = self._was_sent_before
        self._failure = timeout

    def end(self, account: Account, status: int | None) -> None:
        """Record the attempt; `status` is that of the reply, if there was one."""
        exchange, scope, failure, started = self.exchange, self.scope, self._failure, self._started
        ended = time.perf_counter()
        if status is not None or failure is not None:
            account.health.note((ended - started) * 1000, failure)
        record = CallRecord(
            account.key,
            exchange.operation,
            status,
            started,
            ended - started,
            attempt=self.attempts,
            keys=exchange.keys,
            waited_s=started - self.waits_since,
        )
        if failure is not None:
            record.error, record.reason = type(failure), failure.reason
        self.waits_since = ended
        scope.calls.append(record)
        account.observe(record)
        if self._span is not None and scope.trace is not None:
            scope.trace.call_ended(self._span, record)
