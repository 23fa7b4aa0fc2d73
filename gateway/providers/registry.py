"""The kinds of providers, by the `kind` of the configuration."""

from collections.abc import Mapping

from gateway.providers.base.adapter import Adapter
from gateway.providers.base.kind import ProviderKind
from gateway.providers.emporix.adapter import Emporix
from gateway.providers.instaleap.adapter import Instaleap
from gateway.providers.stuut.adapter import Stuut
from gateway.providers.voucherify.adapter import Voucherify
from gateway.sandbox.provider import SandboxProvider

KINDS: Mapping[str, ProviderKind] = {
    each.adapter.kind: each
    for each in (
        ProviderKind(Stuut, sandbox="gateway.sandbox.stuut"),
        ProviderKind(Voucherify, sandbox="gateway.sandbox.voucherify"),
        ProviderKind(Instaleap, sandbox="gateway.sandbox.instaleap"),
        ProviderKind(Emporix, sandbox="gateway.sandbox.emporix"),
    )
}

ADAPTERS: Mapping[str, type[Adapter]] = {kind: each.adapter for kind, each in KINDS.items()}

SANDBOXED = tuple(kind for kind, each in KINDS.items() if each.sandbox is not None)
"""The kinds that have a sandbox. They are served if there is no configuration."""


def sandboxes() -> Mapping[str, SandboxProvider]:
    """Import every sandbox; return them by kind."""
    return {kind: KINDS[kind].load_sandbox() for kind in SANDBOXED}
