"""What the sandbox of one provider has."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from starlette.types import ASGIApp

from gateway.sandbox.people import Person


class SandboxProvider(Protocol):
    """A module that plays one provider."""

    @property
    def CREDENTIALS(self) -> Mapping[str, str]:  # noqa: N802  # a constant of a module
        """What it accepts, under the names the configuration file has for it."""

    def build(self, cast: Sequence[Person], now: Callable[[], datetime]) -> ASGIApp:
        """Return a server with a state of its own, over these people and this clock."""
