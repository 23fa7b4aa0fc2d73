"""Every error has a code, and shows a client what it may and nothing else."""

from importlib import import_module
from typing import Any, TypeVar

import pytest

from gateway import errors
from gateway.errors import GatewayError, ProviderError
from resolvers.error_codes import CODES, ErrorCode, code, extensions

T = TypeVar("T")

ROOTS = {GatewayError, ProviderError}

DOCUMENTED = set(ErrorCode.__members__)


import_module("gateway.asgi")  # and with it every module whose errors can be met


def subclasses(root: type[T]) -> set[type[T]]:
    """Return a class and all below it."""
    return {root}.union(*(subclasses(each) for each in root.__subclasses__()))


def test_every_error_has_a_code() -> None:
    """A new class without one fails here; so does a code that is documented nowhere."""
    assert set(CODES) == subclasses(GatewayError) - ROOTS
    assert set(CODES.values()) <= DOCUMENTED


def test_codes_are_those_of_the_contract() -> None:
    """The enum is complete: those of features to come are there, so that it never changes."""
    assert {
        "PROVIDER_UNREACHABLE",
        "PROVIDER_TIMEOUT",
        "PROVIDER_RATE_LIMITED",
        "PROVIDER_DENIED",
        "PROVIDER_REFUSED",
        "PROVIDER_BROKEN",
        "PROVIDER_MALFORMED",
        "PROVIDER_UNAVAILABLE",
        "PROVIDER_BUSY",
        "UNSUPPORTED",
        "BAD_USER_INPUT",
        "UNAUTHENTICATED",
        "FORBIDDEN",
        "LIMIT_EXCEEDED",
        "STORE_UNAVAILABLE",
        "CURSOR_EXPIRED",
        "LAGGED",
        "SHUTTING_DOWN",
        "INTERNAL",
    } == DOCUMENTED


PROVIDER_ERRORS = sorted(subclasses(ProviderError) - ROOTS, key=lambda each: each.__name__)
SECRETS = "https://upstream.test/?token=4711"


@pytest.mark.parametrize("kind", PROVIDER_ERRORS, ids=lambda each: each.__name__)
def test_a_providers_failure_is_told_in_our_words(kind: type[Any]) -> None:
    """The message and the extensions hold nothing that the provider wrote."""
    error = kind("acme", "things.list", status=418, retry_after_s=1.5, detail=SECRETS)
    assert extensions(error, "request-1") == {
        "code": code(error),
        "provider": "acme",
        "retryable": kind.retryable,
        "retryAfterMs": 1500,
        "upstreamStatus": 418,
        "requestId": "request-1",
    }
    assert str(error) == f"Provider 'acme' {kind.sentence}."
    assert SECRETS not in str(error) + repr(error)


def test_which_failures_may_be_repeated() -> None:
    """`retryable` is for clients, `transient` for the gateway's own retries."""
    assert {each.__name__: (each.retryable, each.transient) for each in PROVIDER_ERRORS} == {
        "Unreachable": (True, True),
        "TimedOut": (True, False),
        "RateLimited": (True, True),
        "Denied": (False, False),
        "Refused": (False, False),
        "Broken": (True, True),
        "Malformed": (False, False),
        "Unavailable": (True, False),
        "Busy": (True, False),
        "TooManyCalls": (False, False),
    }


def test_what_is_not_a_providers_failure_says_so() -> None:
    """A caller's mistake carries its code alone; what a provider cannot do, which provider."""
    assert extensions(errors.BadInput("no"), "request-1") == {"code": "BAD_USER_INPUT"}
    unsupported = errors.Unsupported("acme", "SEGMENT_LIST")
    assert extensions(unsupported, "request-1") == {"code": "UNSUPPORTED", "provider": "acme"}
    assert str(unsupported) == "Provider 'acme' does not support SEGMENT_LIST."
