"""Send writes to providers, and turn their refusals into user errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TypeVar

import msgspec

from gateway.domain.change_log import Observation, provider_of
from gateway.domain.entities import Customer, Ref, Segment
from gateway.domain.mutations import Outcome, Reason, RowResult, SegmentDraft, UserError
from gateway.errors import (
    Denied,
    GatewayError,
    ProviderError,
    RateLimited,
    Refusal,
    Refused,
    TimedOut,
    Unsupported,
)
from gateway.loaders.request_loaders import RequestLoaders
from gateway.providers.base.adapter import ReadsCustomers
from gateway.providers.base.exchange import Exchange, Reply
from gateway.providers.base.write_protocols import ResolvesMembers
from gateway.request_scope import NO_WRITES, Scope, WriteCounts
from gateway.store.change_log import ChangeLog
from gateway.store.errors import StoreFailed
from gateway.store.leases import LEASE
from gateway.store.reporting import report
from gateway.upstream.provider import Provider
from gateway.writes.observations import by_clock, clock_behind, touched

T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")

MAX_BATCH_BYTES = 8 * 1024 * 1024
"""The most bytes of one call's rows: Emporix accepts 10 MB (standard-practices)."""

MAX_RESOLVED = 100
"""The most members of a new segment that are looked up, each with a call."""

AT_ONCE = 8
"""The most concurrent calls of one bulk write, so that others can be sent meanwhile."""


ANONYMOUS = "anonymous"


class UserErrors(GatewayError):
    """The caller's mistakes: nothing was written, and the payload reports the user errors."""

    def __init__(self, *errors: UserError) -> None:
        """Join their messages."""
        self.errors = errors
        super().__init__("; ".join(error.message for error in errors))


class WriteDispatcher:
    """Sends the writes of one request to the providers."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        loaders: RequestLoaders,
        scope: Scope,
        changes: ChangeLog,
    ) -> None:
        """Write to these providers, by key, for the request of this scope."""
        self._providers = providers
        self._changes = changes
        self._scope = scope
        self._behind: dict[str, timedelta] = {}
        """By provider: how far its clock is behind ours."""
        self.loaders = loaders
        self.key_claim: str | None = None
        """The claim of the current run, if the request has an idempotency key."""

    @property
    def counts(self) -> WriteCounts:
        """The results of this request's write calls so far."""
        return self._scope.writes or NO_WRITES

    def note_unsent(self) -> None:
        """Count a write that failed before its call was sent."""
        self._scope.note_write(acted=False, replied=False)

    @property
    def request_id(self) -> str:
        """The request's id in the log."""
        return self._scope.request_id

    @property
    def owner(self) -> str:
        """The owner of the idempotency keys: the caller; anonymous callers share one.

        An address would not do: it may change before a client repeats a request.
        """
        caller = self._scope.caller.id
        return ANONYMOUS if caller.partition(":")[0] == ANONYMOUS else caller

    def provider(self, key: str, *field: str, known: Sequence[UserError] = ()) -> Provider:
        """Return a provider; `field` is the input field that names it.

        Raises `UserErrors` with `known`, the caller's other mistakes, if there is none.
        """
        provider = self._providers.get(key)
        if provider is None:
            error = UserError(f"No provider has the key {key!r}.", Reason.INVALID, field or None)
            raise UserErrors(error, *known)
        return provider

    def adapter(
        self,
        provider: Provider,
        protocol: type[P],
        operation: str,
        *field: str,
        known: Sequence[UserError] = (),
    ) -> P:
        """Return the adapter as this protocol. Raises `UserErrors` if it does not support it."""
        try:
            return provider.require(protocol, operation)
        except Unsupported as error:
            problem = UserError(str(error), Reason.UNSUPPORTED, field or None, provider.key)
            raise UserErrors(problem, *known) from error

    async def send(self, provider: Provider, exchange: Exchange[T]) -> T:
        """Send a call that writes, and invalidate everything that was read before.

        A provider's refusal is raised as `UserErrors`, any other failure as it is, with
        `was_sent` False if the provider reports that it did nothing.
        """

        def read(reply: Reply) -> T:
            date = reply.headers.get("date", "")
            self._behind[provider.key] = clock_behind(date, datetime.now(UTC))
            try:
                return exchange.read(reply)
            except (Denied, RateLimited, Refused) as error:
                error.was_sent = False
                raise

        acted = replied = True
        is_unknown = False
        try:
            return await provider.send(msgspec.structs.replace(exchange, read=read), self._scope)
        except Refused as error:
            raise UserErrors(user_error(error, self.request_id)) from error
        except ProviderError as error:
            acted, replied = error.was_sent, error.status is not None
            error.may_repeat = not acted or exchange.is_idempotent
            is_unknown = acted
            raise
        finally:
            self._scope.note_write(acted=acted, replied=replied)
            self.invalidate(provider)
            if is_unknown:  # other processes must invalidate what they read, too
                await self.settle([touched(provider.key)])

    async def delete(self, provider: Provider, exchange: Exchange[None]) -> None:
        """Send a call that deletes one object.

        If an attempt that may have deleted it failed, the next one finds nothing: a success.
        """
        try:
            await self.send(provider, exchange)
        except UserErrors as errors:
            refused = errors.__cause__
            if not isinstance(refused, Refused) or refused.status != HTTPStatus.NOT_FOUND:
                raise
            if not refused.was_sent:
                raise

    def invalidate(self, provider: Provider) -> None:
        """Drop what this request has read, and the provider's cached replies."""
        self.loaders.invalidate()
        provider.invalidate()

    async def settle(self, observations: Sequence[Observation]) -> None:
        """Append a write's observations to the change log.

        If the store fails, the write succeeds all the same, and appending is repeated in the
        background.
        """
        if observations:
            deadline = self._scope.deadline
            seen = [
                by_clock(each, self._behind.get(provider_of(each), timedelta()))
                for each in observations
            ]
            await self._changes.settle(seen, deadline, deadline + LEASE.total_seconds())

    def report(self, error: GatewayError) -> None:
        """Log why the store failed, once for this request."""
        if isinstance(error, StoreFailed) and self._scope.is_first_report("", StoreFailed):
            report(error, self._scope.request_id)

    async def current(self, ref: Ref) -> Segment | None:
        """Read the segment that is to be changed. `was_sent` of a failure is False."""
        try:
            return await self.loaders.segment.load(ref)
        except ProviderError as error:
            self.note_unsent()
            raise not_sent(error) from error

    async def current_customer(self, provider: Provider, key: str) -> Customer | None:
        """Read the customer who is to be changed, not from the cache: parts of it are sent back.

        `was_sent` of a failure is False.
        """
        adapter = provider.require(ReadsCustomers, "CUSTOMER_GET")
        ((_, exchange),) = adapter.customers_by_key((key,))
        if not isinstance(exchange, Exchange):
            raise Unsupported(provider.key, "CUSTOMER_GET")
        try:
            customers: Mapping[str, Customer] = await provider.send(exchange, self._scope)
        except ProviderError as error:
            self.note_unsent()
            raise not_sent(error) from error
        return customers.get(key)

    @asynccontextmanager
    async def exclusively(self, provider: Provider, customer: str) -> AsyncIterator[None]:
        """Let no other request of this process change the customer meanwhile.

        Raises `TimedOut` if the others take too long.
        """
        async with AsyncExitStack() as stack:
            hold = provider.customer_locks.hold(customer, self._scope.deadline)
            try:
                await stack.enter_async_context(hold)
            except TimeoutError as error:
                self.note_unsent()
                raise TimedOut(provider.key, "customers.update", was_sent=False) from error
            yield

    async def resolved(self, provider: Provider, draft: SegmentDraft) -> SegmentDraft:
        """Replace the members' external ids with the provider's own keys.

        Raises `UserErrors` for unknown members, and for more than `MAX_RESOLVED`.
        """
        if not provider.offers(ResolvesMembers):
            return draft
        names = provider.require(ResolvesMembers, "SEGMENT_CREATE").members_to_resolve(draft)
        if len(names) > MAX_RESOLVED:
            text = f"{len(names)} customers are not named by id; at most {MAX_RESOLVED} may be."
            raise UserErrors(
                UserError(text, Reason.LIMIT_EXCEEDED, ("customerExternalIds",), provider.key)
            )
        refs = [Ref(provider.key, name) for name in names]
        by_name = dict(zip(names, await self._customers(refs), strict=True))
        unknown = [name for name, customer in by_name.items() if customer is None]
        if unknown:
            shown = repr(unknown[0]) if len(unknown) == 1 else f"{unknown[0]!r} …"
            text = f"The provider does not know {len(unknown)} of the customers: {shown}"
            raise UserErrors(
                UserError(text, Reason.NOT_FOUND, ("customerExternalIds",), provider.key)
            )
        keys = {
            name: customer.ref.key for name, customer in by_name.items() if customer is not None
        }
        members = dict.fromkeys(keys.get(each, each) for each in draft.customers or ())
        return msgspec.structs.replace(draft, customers=tuple(members)) if keys else draft

    async def _customers(self, refs: Sequence[Ref]) -> Sequence[Customer | None]:
        """Read customers before a write. `was_sent` of a failure is False."""
        customers: list[Customer | None] = []
        for result in await self.loaders.customer.load_results(refs):
            if isinstance(result, ProviderError):
                self.note_unsent()
                raise not_sent(result) from result
            if isinstance(result, GatewayError):
                raise result
            customers.append(result)
        return customers

    async def send_batches(
        self,
        provider: Provider,
        rows: Sequence[T],
        per_call: int,
        exchange: Callable[[Sequence[T]], Exchange[Sequence[RowResult]]],
        observe: Callable[[T, RowResult], Observation | None] | None = None,
    ) -> Sequence[RowResult]:
        """Write rows in batches, `AT_ONCE` at a time; return a result for each row, in order.

        The failure of a batch is the result of its rows only. `observe` returns what a row
        changed; it is appended to the change log batch by batch.
        """
        limit = asyncio.Semaphore(AT_ONCE)

        async def send_batch(batch: Sequence[T]) -> Sequence[RowResult]:
            try:
                async with limit:
                    results = await self.send(provider, exchange(batch))
            except (UserErrors, ProviderError) as error:
                return [failed_row(error, self.request_id)] * len(batch)
            if observe is not None:
                observed = map(observe, batch, results)
                await self.settle([each for each in observed if each is not None])
            return results

        results = await asyncio.gather(*(send_batch(batch) for batch in batches(rows, per_call)))
        return [traced(row, self.request_id) for batch in results for row in batch]

    async def send_rows(
        self, rows: Sequence[T], write: Callable[[T], Awaitable[RowResult]]
    ) -> Sequence[RowResult]:
        """Write each row with its own call, `AT_ONCE` at a time."""
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(row: T) -> RowResult:
            try:
                async with limit:
                    return await write(row)
            except (UserErrors, ProviderError) as error:
                return failed_row(error, self.request_id)

        return await asyncio.gather(*(one(row) for row in rows))

    async def read_back(self, refs: Sequence[Ref]) -> Mapping[Ref, Segment]:
        """Read segments again after a write; leave out those that cannot be read."""
        results = await asyncio.gather(
            *(self.loaders.segment.load(ref) for ref in refs), return_exceptions=True
        )
        segments = {}
        for ref, segment in zip(refs, results, strict=True):
            if isinstance(segment, Segment) and segment.raw is not None:
                segments[ref] = segment
            elif isinstance(segment, BaseException) and not isinstance(segment, GatewayError):
                raise segment
        return segments


def user_error(error: Refused, request_id: str) -> UserError:
    """Return the user error for a provider's refusal."""
    refusal = error.refusal or Refusal(Reason.PROVIDER_REFUSED.value, str(error))
    return UserError(
        refusal.message, Reason(refusal.reason), refusal.field, error.provider, request_id
    )


def not_sent(error: ProviderError) -> ProviderError:
    """Return the error of a read before a write, which was therefore not sent."""
    error = error.copy()
    error.was_sent = False
    return error


def traced(row: RowResult, request_id: str) -> RowResult:
    """Add the request's id to the error of a row that has none."""
    if row.error is None or row.error.request_id is not None:
        return row
    error = msgspec.structs.replace(row.error, request_id=request_id)
    return msgspec.structs.replace(row, error=error)


def failed_row(error: UserErrors | ProviderError, request_id: str) -> RowResult:
    """Return the result of each row of a failed call."""
    if isinstance(error, UserErrors):
        return RowResult(Outcome.FAILED, error=error.errors[0])
    problem = UserError(str(error), Reason.PROVIDER_FAILED, None, error.provider, request_id)
    return RowResult(Outcome.UNKNOWN if error.was_sent else Outcome.FAILED, error=problem)


def batches(rows: Sequence[T], per_call: int) -> Sequence[Sequence[T]]:
    """Split rows into batches of at most `per_call` rows and `MAX_BATCH_BYTES` bytes."""
    parts: list[list[T]] = []
    size = MAX_BATCH_BYTES
    for row in rows:
        row_size = len(msgspec.json.encode(row, enc_hook=str))
        if size + row_size > MAX_BATCH_BYTES or len(parts[-1]) == per_call:
            parts.append([])
            size = 0
        parts[-1].append(row)
        size += row_size
    return parts
