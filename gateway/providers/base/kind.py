"""A kind of provider, as the registry has it and as a package of its own exports it."""

from importlib import import_module
from typing import Final, NamedTuple, cast

from gateway.providers.base.adapter import Adapter
from gateway.sandbox.provider import SandboxProvider

INTERFACE: Final = 1
"""The version of what adapters implement and import (decision 0035).

It rises when an adapter that was written for the version before may no longer work.
"""


class ProviderKind(NamedTuple):
    """A kind of provider: its adapter, and the module of its sandbox if it has one."""

    adapter: type[Adapter]
    sandbox: str | None = None

    def load_sandbox(self) -> SandboxProvider:
        """Import the sandbox. This takes up to 0.1 s, and most processes do not need it."""
        if self.sandbox is None:
            raise LookupError(f"The kind {self.adapter.kind} has no sandbox.")
        return cast("SandboxProvider", import_module(self.sandbox))
