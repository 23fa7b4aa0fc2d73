"""Errors of the store, for its callers."""

from enum import Enum
from typing import ClassVar

from gateway.errors import BadInput, GatewayError


class StoreState(Enum):
    """The state of the database. The value completes "The store cannot be used: …"."""

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
    TOO_NEW = "its tables are of a newer version of this program; run that version"
    BROKEN = "it has an internal error"


class StoreFailed(GatewayError):
    """The database cannot be used at the moment. Nothing was written."""

    retryable: ClassVar[bool] = True

    def __init__(self, state: StoreState = StoreState.DOWN, cause: str = "") -> None:
        """Describe the state to the client; `cause` is for the log and the operator."""
        self.state = state
        self.cause = cause
        super().__init__(f"The gateway's own store cannot be used at the moment: {state.value}.")


class StoreBusy(GatewayError):
    """Another write to the same customers was not settled in time. Nothing was done."""

    def __init__(self, provider: str) -> None:
        """Name the provider's key, but no customer."""
        self.provider = provider
        super().__init__(
            f"Another write to the same customers of provider {provider!r} is in progress."
        )


class Unrecordable(BadInput):
    """A text that the store cannot hold; see `gateway.store.limits`."""


class IdempotencyKeyReused(GatewayError):
    """The key was used before, with another input."""

    def __init__(self) -> None:
        """Set the message."""
        super().__init__("This idempotency key was used before, with another input.")


class FirstAttemptRunning(GatewayError):
    """The first request of this idempotency key was not finished before the deadline."""

    def __init__(self, *, is_interrupted: bool = False) -> None:
        """Set the message; `is_interrupted`: its writes are being settled without it."""
        text = (
            "was interrupted, and its writes are being settled"
            if is_interrupted
            else "is still running"
        )
        super().__init__(
            f"The first request with this idempotency key {text}; repeat this request later."
        )


class OutcomeUnknown(GatewayError):
    """The first request of this key was interrupted: it may have been carried out."""

    def __init__(self) -> None:
        """Set the message."""
        super().__init__(
            "The first request with this idempotency key was interrupted and may have been "
            "carried out. Check the current state, and use a new key to write again."
        )
