"""All errors of the gateway as one tree, split by what the reader does next.

A message names the provider (its key) and the operation, never a secret, a URL, a body or personal
data: it may be shown to a client. The cause (`raise … from`) is for the log.
"""

import re
from collections.abc import Awaitable, Sequence
from typing import ClassVar, NamedTuple, Self, TypeVar

_KEY = re.compile(r"[A-Za-z][\w.-]{0,63}", re.ASCII)


class GatewayError(Exception):
    """The root of all errors that the gateway expects."""


class Problem(NamedTuple):
    """One problem in the configuration, with its path in the file."""

    path: str
    text: str


def missing_extra(name: str) -> str:
    """Return the text of a problem: the setting needs an optional part that is not installed."""
    return f"needs an optional part; install it: pip install 'segment-gateway[{name}]'"


class SettingsError(GatewayError):
    """The configuration cannot be used: do not start. Carries all problems at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Store the problems in file order."""
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{path}: {text}" for path, text in self.problems))


class BadInput(GatewayError):
    """An argument cannot be used (an id, a cursor, a page size): the caller must change it."""


class Unauthenticated(GatewayError):
    """The credentials are missing or invalid. The message says no more than that."""


class Forbidden(GatewayError):
    """The caller lacks a permission. The message names the permission, and no data."""


class LimitExceeded(GatewayError):
    """The request exceeds a limit. The message names the limit and the figure."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        """`retry_after_s` is when the same request is within the limit; None: never."""
        self.retry_after_s = retry_after_s
        super().__init__(message)


class CursorExpired(GatewayError):
    """The entry of a cursor is no longer in the change log: the client reads its list again."""

    def __init__(self, cursor: str | None = None) -> None:
        """Say how to continue; `cursor` is where the log stands, if a subscription ends."""
        self.cursor = cursor
        super().__init__(
            "The change log no longer has the entry of this cursor; read your list again, and "
            "follow from a new changesCursor."
        )


class Lagged(GatewayError):
    """A subscriber received nothing for too long: its subscription ends."""

    def __init__(self, cursor: str) -> None:
        """Continue from `cursor`."""
        self.cursor = cursor
        super().__init__("The subscription made no progress for too long; subscribe again.")


class ShuttingDown(GatewayError):
    """The server is stopping: a subscription ends, or does not start."""

    def __init__(self, cursor: str) -> None:
        """Continue from `cursor` on another server."""
        self.cursor = cursor
        super().__init__("The server is stopping; subscribe again.")


class Unsupported(GatewayError):
    """The provider does not support the operation. Nothing was sent."""

    def __init__(self, provider: str, operation: str) -> None:
        """Name the provider's key and the operation as `Provider.capabilities` names it."""
        self.provider = provider
        self.operation = operation
        super().__init__(f"Provider {provider!r} does not support {operation}.")


class ProviderError(GatewayError):
    """A provider failed: one call, or everything that depended on it.

    Each subclass sets `retryable` and `transient` to whether a repetition may succeed.
    """

    retryable: ClassVar[bool] = False
    """For clients: the same request may succeed later."""
    transient: ClassVar[bool] = False
    """For the gateway's own retries: the same call may succeed within this request.

    `gateway.upstream.resilience.retry` excludes some statuses.
    """
    sentence: ClassVar[str] = "failed"
    key: str | None = None
    """The documented key of the error, if the reply has one: for the log."""

    def __init__(  # noqa: PLR0913  # parts of one report, all but two by name
        self,
        provider: str,
        operation: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        was_sent: bool = True,
        reason: str | None = None,
        detail: str = "",
    ) -> None:
        """Name the provider's key and its operation.

        `status` is the HTTP status, if there was a reply. `was_sent` is False when the provider
        cannot have acted on the call. `reason` is the `NetworkFailure`, if no reply arrived; it is
        for operators. `detail` is for the log only: it may contain the provider's own text.
        """
        self.provider = provider
        self.operation = operation
        self.status = status
        self.retry_after_s = retry_after_s
        self.was_sent = was_sent
        self.reason = reason
        self.detail = detail
        self.may_repeat = True
        """False: the provider may have carried it out, and a repetition would do it twice."""
        super().__init__(f"Provider {provider!r} {self.sentence}.")

    @property
    def path(self) -> str | None:
        """The path of the part of the reply that cannot be read, without values."""
        return None

    def copy(self) -> Self:
        """Return an equal error: raising the same one twice would extend its first traceback."""
        copy = type(self).__new__(type(self), *self.args)
        copy.__dict__.update(self.__dict__)
        return copy


class Unreachable(ProviderError):
    """No connection, or it was lost before the reply was complete."""

    retryable = True
    transient = True
    sentence = "cannot be reached"


class TimedOut(ProviderError):
    """The provider did not reply in time."""

    retryable = True
    sentence = "did not reply in time"


class RateLimited(ProviderError):
    """Too many calls (429); `retry_after_s` if the provider states it."""

    retryable = True
    transient = True
    sentence = "accepts no more calls at the moment"


class Denied(ProviderError):
    """Wrong or expired credentials, or a missing permission (401, 402, 403, a failed sign-in)."""

    sentence = "rejects the gateway's credentials, or they lack a permission"


class Refusal(NamedTuple):
    """Why a provider refused, if its reply says so in a documented way."""

    reason: str
    """A code of `gateway.domain.mutations.Reason`."""
    message: str
    """One sentence, written by us."""
    field: tuple[str, ...] | None = None
    """The part of the caller's input that was refused."""


class Refused(ProviderError):
    """The provider does not accept this request (any other 4xx)."""

    sentence = "does not accept this request"
    refusal: Refusal | None = None

    def with_key(self, key: str | None) -> Self:
        """Store the key of the reply if it looks like one: anything else is free text."""
        self.key = key if key and _KEY.fullmatch(key) else None
        return self

    def with_refusal(
        self, reason: str, message: str, field: tuple[str, ...] | None = None
    ) -> Self:
        """Store why the provider refused; see `Refusal`."""
        self.refusal = Refusal(reason, message, field)
        return self


class Broken(ProviderError):
    """The provider failed internally (5xx)."""

    retryable = True
    transient = True
    sentence = "failed internally"


class Malformed(ProviderError):
    """The reply is not JSON, or not of the documented form (`detail`: where)."""

    sentence = "sent a reply that cannot be read"
    is_of_one_row: bool = False
    """Only one row is malformed: that is no sign of the provider's health."""

    @property
    def path(self) -> str | None:
        """The path; None if the reply is not JSON, or malformed as a whole."""
        return self.detail.rpartition(" - at ")[2] if " - at " in self.detail else None


class Unavailable(ProviderError):
    """The provider's circuit is open: nothing was sent."""

    retryable = True
    sentence = "failed too often; calls to it are paused"


class Busy(ProviderError):
    """Too many calls to this provider are in flight: nothing was sent."""

    retryable = True
    sentence = "has too many calls in flight"


class TooManyCalls(ProviderError):
    """One operation needs more calls to this provider than it may make: nothing was sent."""

    sentence = "would be called more often than one operation may call it; request less at once"


T = TypeVar("T")


async def settled(result: Awaitable[T]) -> T | GatewayError:
    """Return the awaited result, or the error that it raised."""
    try:
        return await result
    except GatewayError as error:
        return error
