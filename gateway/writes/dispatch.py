"""What all writes share: finding the provider, sending, turning refusals into user errors."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from gateway.domain.change_log import Observation
from gateway.domain.entities import Customer, Ref, Segment
from gateway.domain.mutations import Outcome, Reason, RowResult, SegmentDraft, UserError
from gateway.errors import (
    Denied,
    GatewayError,
    ProviderError,
    RateLimited,
    Refusal,
    Refused,
    Unsupported,
)
from gateway.loaders.request_loaders import RequestLoaders
from gateway.providers.base.exchange import Exchange, Reply
from gateway.providers.base.write_protocols import ResolvesMembers
from gateway.request_scope import NO_WRITES, Scope, WriteCounts
from gateway.store.change_log import ChangeLog
from gateway.store.errors import StoreFailed
from gateway.store.leases import LEASE
from gateway.store.reporting import report
from gateway.upstream.provider import Provider
from gateway.writes.observations import touched

T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")

LARGEST_BATCH = 8 * 1024 * 1024
"""Bytes of the rows of one call: below the 10 MB that Emporix takes (standard-practices)."""

MOST_RESOLVED = 100
"""Members of a new segment that are looked up, each by a call."""

AT_ONCE = 8
"""Calls of one bulk under way: so that a long one leaves places for others."""


ANONYMOUS = "anonymous"


class UserErrors(GatewayError):
    """The caller's mistakes: the write ends here, with user errors and nothing sent."""

    def __init__(self, *errors: UserError) -> None:
        """Keep all of them."""
        self.errors = errors
        super().__init__("; ".join(error.message for error in errors))


class WriteDispatcher:
    """Where the writes of one request meet the providers."""

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
        self.loaders = loaders
        self.key_claim: str | None = None
        """Names the run of the idempotency key that is at work, if one is."""

    @property
    def counts(self) -> WriteCounts:
        """How the calls of this request that write have ended so far."""
        return self._scope.writes or NO_WRITES

    def note_unsent(self) -> None:
        """Take in a write that came to nothing before its call was made."""
        self._scope.note_write(acted=False, answered=False)

    @property
    def request_id(self) -> str:
        """What finds this request in the log."""
        return self._scope.request_id

    @property
    def owner(self) -> str:
        """Whose idempotency keys these are: the caller's; who has no credentials shares them.

        The address would not do: it may be another when a client repeats a request.
        """
        caller = self._scope.caller.id
        return ANONYMOUS if caller.partition(":")[0] == ANONYMOUS else caller

    def provider(self, key: str, *field: str, known: Sequence[UserError] = ()) -> Provider:
        """Return a provider; `field` is where the caller named it.

        `known` are the caller's other mistakes, to be told with this one.
        """
        found = self._providers.get(key)
        if found is None:
            told = UserError(f"No provider has the key {key!r}.", Reason.INVALID, field or None)
            raise UserErrors(told, *known)
        return found

    def wanted(
        self,
        provider: Provider,
        protocol: type[P],
        operation: str,
        *field: str,
        known: Sequence[UserError] = (),
    ) -> P:
        """Return the adapter as this protocol, or refuse what the provider cannot do."""
        try:
            return provider.require(protocol, operation)
        except Unsupported as error:
            told = UserError(str(error), Reason.UNSUPPORTED, field or None, provider.key)
            raise UserErrors(told, *known) from error

    async def send(self, provider: Provider, exchange: Exchange[T]) -> T:
        """Make a call that writes; afterwards nothing read before it is believed.

        A refusal of the provider becomes `UserErrors`; any other failure is raised as it is, with
        `was_sent` False when the provider says that it did nothing.
        """

        def read(reply: Reply) -> T:
            try:
                return exchange.read(reply)
            except (Denied, RateLimited, Refused) as error:
                error.was_sent = False
                raise

        acted = answered = True
        is_unknown = False
        try:
            return await provider.send(msgspec.structs.replace(exchange, read=read), self._scope)
        except Refused as error:
            raise UserErrors(user_error(error, self.request_id)) from error
        except ProviderError as error:
            acted, answered = error.was_sent, error.status is not None
            error.may_repeat = not acted or exchange.is_idempotent
            is_unknown = acted
            raise
        finally:
            self._scope.note_write(acted=acted, answered=answered)
            self.invalidate(provider)
            if is_unknown:  # other processes must not believe what they read before either
                await self.settle([touched(provider.key)])

    def invalidate(self, provider: Provider) -> None:
        """Drop what this request has read, and the provider's cached replies."""
        self.loaders.invalidate()
        provider.invalidate()

    async def settle(self, observations: Sequence[Observation]) -> None:
        """Append to the change log what a write came to.

        Where the store fails, the write is answered all the same, and this is tried again
        without its caller.
        """
        if observations:
            deadline = self._scope.deadline
            await self._changes.settle(observations, deadline, deadline + LEASE.total_seconds())

    def report(self, error: GatewayError) -> None:
        """Log why the record failed, once for this request."""
        if isinstance(error, StoreFailed) and self._scope.is_first_report("", StoreFailed):
            report(error, self._scope.request_id)

    async def current(self, ref: Ref) -> Segment | None:
        """Read the segment that is to be changed. A failure says that nothing was written."""
        try:
            return await self.loaders.segment.load(ref)
        except ProviderError as error:
            self.note_unsent()
            raise not_sent(error) from error

    async def resolved(self, provider: Provider, draft: SegmentDraft) -> SegmentDraft:
        """Return a draft whose members have the key that the provider makes a segment of.

        Raises `UserErrors` for members that it does not know, and for more than may be looked up.
        """
        if not provider.offers(ResolvesMembers):
            return draft
        names = provider.require(ResolvesMembers, "SEGMENT_CREATE").members_to_resolve(draft)
        if len(names) > MOST_RESOLVED:
            text = f"{len(names)} customers are not named by id; at most {MOST_RESOLVED} may be."
            raise UserErrors(
                UserError(text, Reason.LIMIT_EXCEEDED, ("customerExternalIds",), provider.key)
            )
        refs = [Ref(provider.key, name) for name in names]
        own = dict(zip(names, await self._customers(refs), strict=True))
        unknown = [name for name, customer in own.items() if customer is None]
        if unknown:
            text = f"The provider does not know {len(unknown)} of the customers: {unknown[0]!r} …"
            raise UserErrors(
                UserError(text, Reason.NOT_FOUND, ("customerExternalIds",), provider.key)
            )
        keys = {name: customer.ref.key for name, customer in own.items() if customer is not None}
        members = dict.fromkeys(keys.get(each, each) for each in draft.customers or ())
        return msgspec.structs.replace(draft, customers=tuple(members)) if keys else draft

    async def _customers(self, refs: Sequence[Ref]) -> Sequence[Customer | None]:
        """Read customers before a write. A failure says that nothing was written."""
        found: list[Customer | None] = []
        for each in await self.loaders.customer.load_results(refs):
            if isinstance(each, ProviderError):
                self.note_unsent()
                raise not_sent(each) from each
            if isinstance(each, GatewayError):
                raise each
            found.append(each)
        return found

    async def rows(
        self,
        provider: Provider,
        rows: Sequence[T],
        per_call: int,
        exchange: Callable[[Sequence[T]], Exchange[Sequence[RowResult]]],
        observe: Callable[[T, RowResult], Observation | None] | None = None,
    ) -> Sequence[RowResult]:
        """Write rows in the provider's batches, some side by side; one result a row, in order.

        What fails a whole batch stands in its rows, and spoils no other batch. `observe` returns
        what a row changed; the change log gets it batch by batch.
        """
        places = asyncio.Semaphore(AT_ONCE)

        async def batch(part: Sequence[T]) -> Sequence[RowResult]:
            try:
                async with places:
                    results = await self.send(provider, exchange(part))
            except (UserErrors, ProviderError) as error:
                return [failed_row(error, self.request_id)] * len(part)
            if observe is not None:
                seen = map(observe, part, results)
                await self.settle([each for each in seen if each is not None])
            return results

        found = await asyncio.gather(*(batch(part) for part in batches(rows, per_call)))
        return [traced(row, self.request_id) for part in found for row in part]

    async def singly(
        self, rows: Sequence[T], write: Callable[[T], Awaitable[RowResult]]
    ) -> Sequence[RowResult]:
        """Write rows by single calls, some side by side under the provider's bound."""
        places = asyncio.Semaphore(AT_ONCE)

        async def one(row: T) -> RowResult:
            try:
                async with places:
                    return await write(row)
            except (UserErrors, ProviderError) as error:
                return failed_row(error, self.request_id)

        return await asyncio.gather(*(one(row) for row in rows))

    async def written(self, refs: Sequence[Ref]) -> Mapping[Ref, Segment]:
        """Read segments again after a write, as far as they can be read, with their documents."""
        found = await asyncio.gather(
            *(self.loaders.segment.load(ref) for ref in refs), return_exceptions=True
        )
        segments = {}
        for ref, segment in zip(refs, found, strict=True):
            if isinstance(segment, Segment) and segment.raw is not None:
                segments[ref] = segment
            elif isinstance(segment, BaseException) and not isinstance(segment, GatewayError):
                raise segment
        return segments


def user_error(error: Refused, request_id: str) -> UserError:
    """Return a provider's refusal as the caller sees it."""
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
    """Return a row that the provider answered, its error with what finds it in the log."""
    if row.error is None or row.error.request_id is not None:
        return row
    error = msgspec.structs.replace(row.error, request_id=request_id)
    return msgspec.structs.replace(row, error=error)


def failed_row(error: UserErrors | ProviderError, request_id: str) -> RowResult:
    """Return what a failed call means for one of its rows."""
    if isinstance(error, UserErrors):
        return RowResult(Outcome.FAILED, error=error.errors[0])
    told = UserError(str(error), Reason.PROVIDER_FAILED, None, error.provider, request_id)
    return RowResult(Outcome.UNKNOWN if error.was_sent else Outcome.FAILED, error=told)


def batches(rows: Sequence[T], per_call: int) -> Sequence[Sequence[T]]:
    """Cut rows into batches of at most `per_call`, and of a size that a provider takes."""
    cut: list[list[T]] = []
    size = LARGEST_BATCH
    for row in rows:
        weight = len(msgspec.json.encode(row, enc_hook=str))
        if size + weight > LARGEST_BATCH or len(cut[-1]) == per_call:
            cut.append([])
            size = 0
        cut[-1].append(row)
        size += weight
    return cut
