"""The write side of one request."""

from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2s
from typing import Any, TypeVar

import msgspec

from gateway.domain.entities import Origin, Ref, Segment
from gateway.domain.mutations import Reason, UserError
from gateway.errors import GatewayError, ProviderError
from gateway.providers.base.adapter import RestoresSegments
from gateway.store.errors import (
    FirstAttemptRunning,
    IdempotencyKeyReused,
    OutcomeUnknown,
    StoreFailed,
)
from gateway.store.store import Store
from gateway.upstream.provider import Provider
from gateway.writes.assignments import AssignmentWrites
from gateway.writes.bulk import BulkWrites
from gateway.writes.dispatch import UserErrors, WriteDispatcher
from gateway.writes.receipts import DONE, UNKNOWN
from gateway.writes.replace_segments import SegmentReplacement
from gateway.writes.segments import SegmentWrites

R = TypeVar("R")

LONGEST_KEY = 255
"""Characters of an idempotency key."""


class _NothingSent(Exception):
    """A result in which nothing was sent, so that its key stays free."""

    def __init__(self, receipt: Any) -> None:
        self.receipt = receipt


class WriteService:
    """Everything that one request may change."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        desk: WriteDispatcher,
        record: Store,
        deadline: float,
    ) -> None:
        """Work at this desk, until the request's deadline on the loop's clock."""
        self._providers = providers
        self._record = record
        self._desk = desk
        self._deadline = deadline
        self.segments = SegmentWrites(desk)
        self.bulk = BulkWrites(desk)
        self.assignments = AssignmentWrites(desk)
        self.replacing = SegmentReplacement(desk, record, deadline)

    def restored(self, provider: str, document: bytes) -> Segment:
        """Return the segment that a receipt keeps as the provider's own document."""
        adapter = self._providers[provider].require(RestoresSegments, "SEGMENT_GET")
        return adapter.segment_from(document)

    def as_sent(self, ref: Ref, document: bytes, error: ProviderError | None) -> Segment:
        """Return a segment that was written and cannot be read again: what was sent of it.

        What the provider decides by itself is `error` there, which fails the fields that show it,
        and no others; None: null.
        """
        segment = self.restored(ref.provider, document)
        unread: Any = error
        return msgspec.structs.replace(
            segment,
            ref=ref,
            version=unread,
            created_at=unread,
            updated_at=unread,
            raw=unread,
            origin=Origin.RECORDED,
        )

    async def _recorded(
        self, key: str, digest: str, run: Callable[[], Awaitable[bytes]], claim: str
    ) -> bytes:
        try:
            return await self._record.once(
                f"{self._desk.owner}\0{key}", digest, run, self._deadline, claim
            )
        except StoreFailed as error:
            self._desk.report(error)
            raise

    async def once(
        self, key: str, asked: bytes, write: Callable[[], Awaitable[R]], form: type[R]
    ) -> R:
        """Do a write unless this key did it already; then return its receipt.

        Each caller has keys of their own. The same key with another input raises `UserErrors`.
        Receipts are kept for `RECEIPT_LIFETIME`, but for those of which nothing was sent, or
        nothing done as the provider says: they may be tried again.
        """
        if not 1 <= len(key) <= LONGEST_KEY:
            told = f"An idempotency key has 1 to {LONGEST_KEY} characters."
            raise UserErrors(UserError(told, Reason.INVALID, ("idempotencyKey",)))

        failures: list[ProviderError] = []
        claim = self._record.new_claim()

        async def run() -> bytes:
            self._desk.key_claim = claim
            try:
                return DONE + msgspec.json.encode(await self._tried(write))
            except ProviderError as error:
                if not error.was_sent:
                    raise
                failures.append(error)
                return UNKNOWN
            finally:
                self._desk.key_claim = None

        digest = blake2s(asked).hexdigest()
        try:
            kept = await self._recorded(key, digest, run, claim)
        except _NothingSent as error:
            unkept: R = error.receipt
            return unkept
        except IdempotencyKeyReused as error:
            reused = UserError(str(error), Reason.IDEMPOTENCY_KEY_REUSED, ("idempotencyKey",))
            raise UserErrors(reused) from error
        except (OutcomeUnknown, FirstAttemptRunning) as error:
            raise UserErrors(unfinished(error)) from error
        if failures:
            raise failures[0]
        if kept == UNKNOWN:
            raise UserErrors(unfinished(OutcomeUnknown()))
        return msgspec.json.decode(kept[len(DONE) :], type=form)

    async def _tried(self, write: Callable[[], Awaitable[R]]) -> R:
        """Do a write; raise `_NothingSent` with a result that its key must not be bound to."""
        before = self._desk.counts
        receipt = await write()
        counts = self._desk.counts.since(before)
        if not counts.acted and (counts.undone or counts.unsent):
            raise _NothingSent(receipt)
        return receipt


def unfinished(error: GatewayError) -> UserError:
    """Say that a key was used before and that its outcome is not known, or not yet."""
    return UserError(str(error), Reason.PROVIDER_FAILED, ("idempotencyKey",))
