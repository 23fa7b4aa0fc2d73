"""Make a call without a task: the reply is read as soon as its last part has arrived.

A task costs three turns of the event loop and the frames of all coroutines on the way. Most calls
need none: they are admitted at once, go out over an idle connection, and succeed. All others are
made or completed by a task (`CallSender.send`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Generic, Protocol, TypeVar

from gateway.errors import Busy, ProviderError, TimedOut
from gateway.providers.base.exchange import Reply
from gateway.upstream import attempt
from gateway.upstream.attempt import Credentials, OutgoingCall
from gateway.upstream.failures import TRANSPORT_ERRORS, provider_error
from gateway.upstream.http.client import Http1Client
from gateway.upstream.http.http1_connection import Connection
from gateway.upstream.resilience.guard import (
    BUG,
    CANCELLED,
    GOOD,
    Admission,
    Outcome,
    UpstreamGuard,
)
from gateway.upstream.response_cache import CachedReply

T = TypeVar("T")

Ended = Callable[[OutgoingCall[T], CachedReply[T] | None, BaseException | None], object]
"""Called once, with the call, and with its reply or its error."""


class Account(attempt.Account, Protocol):
    """What a call uses of the account it is made with."""

    guard: UpstreamGuard

    def credentials(self, now: float) -> Credentials | None:
        """Return those of attempts that are made now; None: they need a sign-in."""


class DirectCall(Generic[T]):
    """A call under way. The event loop's callbacks drive it, in the context of its request."""

    __slots__ = (
        "_account",
        "_admission",
        "_call",
        "_client",
        "_connection",
        "_ended",
        "_task",
        "_turn",
        "context",
    )

    _admission: Admission

    def __init__(
        self, account: Account, client: Http1Client, call: OutgoingCall[T], ended: Ended[T]
    ) -> None:
        """Begin with `send` or `queue`. `ended` without a reply or an error: nothing was sent."""
        self._account = account
        self._client = client
        self._call = call
        self._ended: Ended[T] | None = ended
        self._turn: asyncio.Future[bool] | None = None
        """What it waits for in the queue."""
        self.context: Context = copy_context()
        """That of its request."""
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def deadline(self) -> float:
        """When it expires, on the event loop's clock."""
        return self._call.deadline

    def queue(self, turn: "asyncio.Future[bool]") -> None:
        """Send the call when it is its turn."""
        self._turn = turn
        turn.add_done_callback(self._take_turn)

    def _take_turn(self, turn: "asyncio.Future[bool]") -> None:
        if self._turn is None:
            return  # it has left the queue
        self._turn = None
        account, operation = self._account, self._call.exchange.operation
        if not turn.result():
            self._finish(None, Busy(account.key, operation, was_sent=False))
            return
        is_background = self._call.scope.is_background
        try:
            admission = account.guard.take_turn(operation, is_background=is_background)
        except ProviderError as error:
            self._finish(None, error)
            return
        if admission is None:
            self._finish(None, None)
            return
        credentials = account.credentials(admission.at)
        if credentials is None:
            account.guard.end(admission, CANCELLED)
            self._finish(None, None)
        else:
            self.send(credentials, admission)

    def send(self, credentials: Credentials, admission: Admission) -> None:
        """Send the call, which the guard has admitted; a new connection is opened by a task."""
        self._admission = admission
        headers, self._call.token = credentials
        try:
            sent = self._call.begin()
            self._connection = self._client.send_now(sent, headers, self)
        except Exception as error:  # noqa: BLE001  # whoever waits gets it
            # Later: whoever makes a call does not expect that it has ended already.
            asyncio.get_running_loop().call_soon(self._fail_with, error)
            return
        if self._connection is None:
            progress = self._call.progress
            self._run(partial(self._client.exchange, sent, headers, progress))

    def cancel(self) -> None:
        """Cancel the call: nobody waits for it any more."""
        if self._turn is not None:
            self._leave_queue()
            self._finish(None, asyncio.CancelledError())
        elif self._ended is not None:
            self._abort(None)
            self._end(None, asyncio.CancelledError(), None, CANCELLED)

    def expire(self) -> None:
        """End the call at its deadline."""
        if self._ended is not None:
            self.context.run(self._expire)

    def _expire(self) -> None:
        key, operation = self._account.key, self._call.exchange.operation
        if self._turn is not None:
            self._leave_queue()
            self._finish(None, TimedOut(key, operation, was_sent=False))
            return
        reason = self._call.progress.timeout
        self._abort(TimedOut(key, operation, reason=reason))
        error = TimedOut(key, operation, was_sent=self._call.was_sent, reason=reason)
        outcome = self._account.guard.cancelled(self._admission, self.deadline)
        self._end(None, error, None, outcome)

    def _leave_queue(self) -> None:
        if self._turn is not None:
            self._account.guard.bulkhead.leave_queue(id(self._call.scope), self._turn)
            self._turn = None

    def _abort(self, timeout: ProviderError | None) -> None:
        if self._call.attempts:
            self._call.cancel(timeout)
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            self._connection.close()

    def received(self, connection: Connection) -> None:
        """Read the reply, or wait for the rest of it."""
        if self._ended is None:
            return
        try:
            reply = self._client.buffered_reply(connection)
        except Exception as error:  # noqa: BLE001  # whoever waits gets it
            self._fail_with(error)
            return
        if reply is None:
            self._run(partial(self._client.read_rest, connection))
        else:
            self._read(reply)

    def _run(self, read: Callable[[], Awaitable[Reply]]) -> None:
        """Wait for the reply by a task."""
        self._task = asyncio.get_running_loop().create_task(self._wait(read))

    async def _wait(self, read: Callable[[], Awaitable[Reply]]) -> None:
        try:
            reply = await read()
        except Exception as error:  # noqa: BLE001  # whoever waits gets it
            self._fail_with(error)
        else:
            self._read(reply)

    def _fail_with(self, error: Exception) -> None:
        """End the call with the error of the connection, or a bug: whoever waits gets it."""
        if isinstance(error, TRANSPORT_ERRORS):
            operation = self._call.exchange.operation
            self._fail(provider_error(error, self._account.key, operation))
        elif self._ended is not None:
            self._end(None, error, None, BUG)

    def _read(self, reply: Reply) -> None:
        if self._ended is None:
            return
        try:
            cached_reply = self._call.read(self._account, reply)
        except ProviderError as error:
            self._fail(error, reply.status)
        except Exception as error:  # noqa: BLE001  # a bug: whoever waits gets it
            self._end(None, error, reply.status, BUG)
        else:
            self._end(cached_reply, None, reply.status, GOOD)

    def _fail(self, error: ProviderError, status: int | None = None) -> None:
        if self._ended is None:
            return
        if self._call.attempts:
            self._call.fail(error)
        self._end(None, error, status, self._account.guard.outcome(error))

    def _end(
        self,
        reply: CachedReply[T] | None,
        error: BaseException | None,
        status: int | None,
        outcome: Outcome,
    ) -> None:
        try:
            if self._call.attempts:
                self._call.end(self._account, status)
        except Exception as bug:  # noqa: BLE001  # likewise
            reply, error, outcome = None, bug, BUG
        self._account.guard.end(self._admission, outcome)
        self._finish(reply, error)

    def _finish(self, reply: CachedReply[T] | None, error: BaseException | None) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self._call, reply, error)
