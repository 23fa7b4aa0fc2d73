"""Every error of the gateway as one tree, split by what its reader does next.

A message names the provider (its key) and the operation, never a secret, a URL, a body or personal
data: it may be shown to a client. The cause (`raise … from`) is for the log.
"""

import re
from collections.abc import Awaitable, Sequence
from typing import ClassVar, NamedTuple, Self, TypeVar

_KEY = re.compile(r"[A-Za-z][\w.-]{0,63}", re.ASCII)


class GatewayError(Exception):
    """The root of all errors that the gateway foresees."""


class Problem(NamedTuple):
    """One thing that is wrong in the configuration: where, by its path in the file, and what."""

    path: str
    text: str


class SettingsError(GatewayError):
    """The configuration cannot be used: do not start. Carries every problem at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems in file order."""
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{path}: {text}" for path, text in self.problems))


class BadInput(GatewayError):
    """An argument cannot be used (an id, a cursor, a bound): the caller must change it."""


class Unauthenticated(GatewayError):
    """Nobody is known by these credentials, or there are none. Says no more than that."""


class Forbidden(GatewayError):
    """The caller lacks a right for what is asked: it names the right, and nothing of the data."""


class LimitExceeded(GatewayError):
    """More is asked at once, or in a time, than is allowed: it names the bound and the figure."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        """`retry_after_s` is when it is allowed again; None: never."""
        self.retry_after_s = retry_after_s
        super().__init__(message)


class Unsupported(GatewayError):
    """The provider has no such operation. Nothing was sent."""

    def __init__(self, provider: str, operation: str) -> None:
        """Name the provider's key and the operation as `Provider.capabilities` names it."""
        self.provider = provider
        self.operation = operation
        super().__init__(f"Provider {provider!r} does not support {operation}.")


class ProviderError(GatewayError):
    """A provider failed: one call, or everything that waited for it."""

    retryable: ClassVar[bool] = False
    sentence: ClassVar[str] = "failed"
    key: str | None = None
    """The documented key of the error, where the answer tells one: for the log."""

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

        `status` is the HTTP status, where there was one. `was_sent` is False when the provider
        cannot have acted on the call. `reason` is the `NetworkFailure`, where no answer came; it
        is for operators. `detail` says more and goes to the log only: it may hold what the
        provider wrote.
        """
        self.provider = provider
        self.operation = operation
        self.status = status
        self.retry_after_s = retry_after_s
        self.was_sent = was_sent
        self.reason = reason
        self.detail = detail
        self.may_repeat = True
        """False: the provider may have done it already, and a second time would do it twice."""
        super().__init__(f"Provider {provider!r} {self.sentence}.")

    @property
    def place(self) -> str | None:
        """Where an answer could not be read: the path that msgspec tells last, without values."""
        return None

    def again(self) -> Self:
        """Return an equal error: one that is raised twice drags its first traceback along."""
        copy = type(self).__new__(type(self), *self.args)
        copy.__dict__.update(self.__dict__)
        return copy


class Unreachable(ProviderError):
    """No connection, or it broke before the answer was whole."""

    retryable = True
    sentence = "cannot be reached"


class TimedOut(ProviderError):
    """The provider's time ran out."""

    retryable = True
    sentence = "did not answer in time"


class RateLimited(ProviderError):
    """Too many calls (429); `retry_after_s` when the provider says."""

    retryable = True
    sentence = "allows no more calls at the moment"


class Denied(ProviderError):
    """The credentials are wrong, expired or lack a right (401, 402, 403, a failed sign-in)."""

    sentence = "refuses the gateway's credentials or lacks a permission for them"


class Refusal(NamedTuple):
    """Why a provider refused, where its answer says so in a documented way."""

    reason: str
    """A code of `gateway.domain.mutations.Reason`."""
    message: str
    """One sentence of ours."""
    field: tuple[str, ...] | None = None
    """The part of the caller's input that it names."""


class Refused(ProviderError):
    """The provider does not accept this request (any other 4xx)."""

    sentence = "does not accept this request"
    refusal: Refusal | None = None

    def keyed(self, key: str | None) -> Self:
        """Keep the key that the answer tells, if it looks like one: anything else is text."""
        self.key = key if key and _KEY.fullmatch(key) else None
        return self

    def because(self, reason: str, message: str, field: tuple[str, ...] | None = None) -> Self:
        """Say why, in the words of `Refusal`."""
        self.refusal = Refusal(reason, message, field)
        return self


class Broken(ProviderError):
    """The provider has a fault of its own (5xx)."""

    retryable = True
    sentence = "has a fault of its own"


class Malformed(ProviderError):
    """The answer cannot be read: no JSON, or not of the documented form (`detail`: where)."""

    sentence = "gave an answer that cannot be read"
    is_of_one_row: bool = False
    """Only the one thing that was read is odd: that says nothing of the provider's health."""

    @property
    def place(self) -> str | None:
        """The path; None when it is not JSON, or fails as a whole."""
        return self.detail.rpartition(" - at ")[2] if " - at " in self.detail else None


class Unavailable(ProviderError):
    """The provider failed too often and is given a rest: nothing was sent."""

    retryable = True
    sentence = "failed too often and is given a rest"


class Busy(ProviderError):
    """Too many calls to this provider are under way: nothing was sent."""

    retryable = True
    sentence = "has too many calls under way"


class TooManyCalls(ProviderError):
    """One operation asks for more calls to this provider than it may: nothing was sent."""

    sentence = "would be called more often than one operation may call it; ask for less at once"


T = TypeVar("T")


async def settled(answer: Awaitable[T]) -> T | GatewayError:
    """Return what is awaited, or the error that it raised."""
    try:
        return await answer
    except GatewayError as error:
        return error
