"""What can go wrong with the record, for its callers."""

from gateway.errors import BadInput, GatewayError


class RecordFailed(GatewayError):
    """The database cannot be used at the moment (unreachable, locked for too long, full)."""

    def __init__(self) -> None:
        """Say so; the cause is for the log."""
        super().__init__("The gateway's own record cannot be used at the moment.")


class RecordBusy(GatewayError):
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

    def __init__(self) -> None:
        """Say so."""
        super().__init__("The first request with this idempotency key is still running.")


class OutcomeUnknown(GatewayError):
    """The first request of this key ended without an answer: it may have been carried out."""

    def __init__(self) -> None:
        """Say what follows."""
        super().__init__(
            "The first request with this idempotency key broke off; it may have been carried out. "
            "See what is there, and use a new key to write again."
        )
