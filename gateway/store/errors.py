"""What can go wrong with the record, for its callers."""

from enum import Enum
from typing import ClassVar

from gateway.errors import BadInput, GatewayError


class StoreState(Enum):
    """How the database is. The value completes the sentence "The record cannot be used: …"."""

    READY = "ready"
    DOWN = "it cannot be reached"
    FROZEN = "it does not answer in time"
    LOCKED = "another program has it locked"
    READ_ONLY = "it is read-only"
    FULL = "its disk is full"
    DENIED = "the gateway lacks a permission there"
    DAMAGED = "it is damaged"
    REPLACED = "its file was deleted, replaced or truncated; restart the gateway"
    TOO_OLD = "its tables are of an older version of this program; restart the gateway"
    TOO_NEW = "its tables are of a newer version of this program; run that one"
    BROKEN = "it has a fault of its own"


class StoreFailed(GatewayError):
    """The database cannot be used at the moment. What was to be written was not."""

    retryable: ClassVar[bool] = True

    def __init__(self, state: StoreState = StoreState.DOWN, cause: str = "") -> None:
        """Name the state to the client; `cause` is for the log and the operator."""
        self.state = state
        self.cause = cause
        super().__init__(f"The gateway's own record cannot be used at the moment: {state.value}.")


class StoreBusy(GatewayError):
    """Another write of the same customers was not settled in time. Nothing was done."""

    def __init__(self, provider: str) -> None:
        """Name the provider's key, and no customer."""
        self.provider = provider
        super().__init__(
            f"Another write to the same customers of provider {provider!r} is under way."
        )


class Unrecordable(BadInput):
    """A text that the record cannot hold; see `gateway.store.limits`."""


class IdempotencyKeyReused(GatewayError):
    """The key was used before, with another input."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("This idempotency key was used before, with another input.")


class FirstAttemptRunning(GatewayError):
    """The first request of this idempotency key was not finished before the deadline."""

    def __init__(self, *, has_broken_off: bool = False) -> None:
        """Say so; `has_broken_off`: what it began is being settled without it."""
        text = "broke off, and what it began is being settled" if has_broken_off else "is running"
        super().__init__(
            f"The first request with this idempotency key {text}; repeat this request later."
        )


class OutcomeUnknown(GatewayError):
    """The first request of this key ended without an answer: it may have been carried out."""

    def __init__(self) -> None:
        """Say what follows."""
        super().__init__(
            "The first request with this idempotency key broke off; it may have been carried out. "
            "See what is there, and use a new key to write again."
        )
