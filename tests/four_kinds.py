"""The four kinds of provider that the front-door tests run over, whatever else is registered."""

from collections.abc import Mapping

from gateway.identity.settings import IdentitySettings
from gateway.providers.registry import KINDS
from gateway.sandbox.provider import SandboxProvider
from gateway.settings.loading import sandbox_settings
from gateway.settings.tables import Settings

FOUR = ("stuut", "voucherify", "instaleap", "emporix")
"""In the order of the registry."""

SANDBOXES: Mapping[str, SandboxProvider] = {kind: KINDS[kind].load_sandbox() for kind in FOUR}

CREDENTIALS: Mapping[str, Mapping[str, str]] = {
    kind: sandbox.CREDENTIALS for kind, sandbox in SANDBOXES.items()
}


def four_settings(*, links: bool = False) -> Settings:
    """Return the settings of a server without a configuration that has these kinds alone.

    Without its identity rules, unless `links`: with them, reads fill the index.
    """
    settings = sandbox_settings()
    providers = tuple(each for each in settings.providers if each.kind in FOUR)
    identity = settings.identity if links else IdentitySettings()
    return settings.model_copy(update={"providers": providers, "identity": identity})
