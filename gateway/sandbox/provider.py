"""The interface of a provider's sandbox."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from starlette.types import ASGIApp

from gateway.sandbox.people import Person


class SandboxProvider(Protocol):
    """A module that simulates one provider."""

    @property
    def CREDENTIALS(self) -> Mapping[str, str]:  # noqa: N802  # a constant of a module
        """The accepted credentials, under their names in the configuration file."""

    def build(self, cast: Sequence[Person], now: Callable[[], datetime]) -> ASGIApp:
        """Return a server with its own state, for these people and this clock."""
