"""The mutations of one request, with idempotency keys."""

from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2s
from typing import Any, TypeVar

import msgspec
import structlog

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
from gateway.writes.customers import CustomerWrites
from gateway.writes.dispatch import UserErrors, WriteDispatcher
from gateway.writes.identity import IdentityWrites
from gateway.writes.receipts import DONE, UNKNOWN
from gateway.writes.replace_segments import SegmentReplacement
from gateway.writes.segments import SegmentWrites

log = structlog.get_logger(__name__)

R = TypeVar("R")

MAX_KEY_LENGTH = 255
"""The most characters of an idempotency key."""


class _NothingSent(Exception):
    """Carries a receipt without any sent write, so that the key stays free."""

    def __init__(self, receipt: Any) -> None:
        self.receipt = receipt


class WriteService:
    """All mutations of one request."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        dispatcher: WriteDispatcher,
        store: Store,
        deadline: float,
    ) -> None:
        """Send writes with `dispatcher` until `deadline`, on the event loop's clock."""
        self._providers = providers
        self._store = store
        self._dispatcher = dispatcher
        self._deadline = deadline
        self.segments = SegmentWrites(dispatcher)
        self.bulk = BulkWrites(dispatcher)
        self.assignments = AssignmentWrites(dispatcher)
        self.customers = CustomerWrites(dispatcher)
        self.identity = IdentityWrites(dispatcher, store.identity, providers, deadline)
        self.replacing = SegmentReplacement(dispatcher, store, deadline)

    def restored(self, provider: str, document: bytes) -> Segment:
        """Decode a segment from the provider's own document in a receipt."""
        adapter = self._providers[provider].require(RestoresSegments, "SEGMENT_GET")
        return adapter.segment_from(document)

    def as_sent(self, ref: Ref, document: bytes, error: ProviderError | None) -> Segment:
        """Return a segment that could not be read back, from the document that was sent.

        The values that the provider sets itself are `error`, so that only their fields fail; with
        None they are null.
        """
        segment = self.restored(ref.provider, document)
        unknown: Any = error
        return msgspec.structs.replace(
            segment,
            ref=ref,
            version=unknown,
            created_at=unknown,
            updated_at=unknown,
            raw=unknown,
            origin=Origin.RECORDED,
        )

    async def _once(
        self, key: str, digest: str, run: Callable[[], Awaitable[bytes]], claim: str
    ) -> bytes:
        try:
            return await self._store.once(
                f"{self._dispatcher.owner}\0{key}", digest, run, self._deadline, claim
            )
        except StoreFailed as error:
            self._dispatcher.report(error)
            raise

    async def once(
        self, key: str, digest_input: bytes, write: Callable[[], Awaitable[R]], form: type[R]
    ) -> R:
        """Run a write once for an idempotency key, and return its receipt.

        Each caller has their own keys. The same key with another input raises `UserErrors`.
        Receipts are stored for `RECEIPT_LIFETIME`, except those of writes that were not sent or
        that the provider refused: they may be tried again.
        """
        if not 1 <= len(key) <= MAX_KEY_LENGTH:
            message = f"An idempotency key has 1 to {MAX_KEY_LENGTH} characters."
            raise UserErrors(UserError(message, Reason.INVALID, ("idempotencyKey",)))

        failures: list[ProviderError] = []
        claim = self._store.new_claim()

        async def run() -> bytes:
            self._dispatcher.key_claim = claim
            try:
                return DONE + msgspec.json.encode(await self._sent(write))
            except ProviderError as error:
                if not error.was_sent:
                    raise
                failures.append(error)
                return UNKNOWN
            finally:
                self._dispatcher.key_claim = None

        digest = blake2s(digest_input).hexdigest()
        try:
            stored = await self._once(key, digest, run, claim)
        except _NothingSent as error:
            receipt: R = error.receipt
            return receipt
        except IdempotencyKeyReused as error:
            reused = UserError(str(error), Reason.IDEMPOTENCY_KEY_REUSED, ("idempotencyKey",))
            raise UserErrors(reused) from error
        except (OutcomeUnknown, FirstAttemptRunning) as error:
            raise UserErrors(unfinished(error)) from error
        if failures:
            raise failures[0]
        if stored == UNKNOWN:
            raise UserErrors(unfinished(OutcomeUnknown()))
        return _receipt_of(stored, form)

    async def _sent(self, write: Callable[[], Awaitable[R]]) -> R:
        """Run a write; raise `_NothingSent` if its receipt must not be stored."""
        before = self._dispatcher.counts
        receipt = await write()
        counts = self._dispatcher.counts.since(before)
        if not counts.acted and (counts.undone or counts.unsent):
            raise _NothingSent(receipt)
        return receipt


def _receipt_of(stored: bytes, form: type[R]) -> R:
    """Return the receipt of a stored result; raise `UserErrors` if another version has another."""
    try:
        return msgspec.json.decode(stored[len(DONE) :], type=form)
    except msgspec.MsgspecError as error:
        log.warning("a stored result cannot be read", form=form.__name__, cause=str(error))
        message = (
            "The first request with this idempotency key was answered by another version of the "
            "gateway, and this one cannot show its result. Check the current state, and use a new "
            "key to write again."
        )
        field = ("idempotencyKey",)
        raise UserErrors(UserError(message, Reason.PROVIDER_FAILED, field)) from error


def unfinished(error: GatewayError) -> UserError:
    """Return the error for a key whose outcome is unknown, or not known yet."""
    return UserError(str(error), Reason.PROVIDER_FAILED, ("idempotencyKey",))
