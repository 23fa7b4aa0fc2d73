"""Who asks, and what they may do: rights, and at which providers they hold them.

Who somebody is, is found out by `gateway.sign_in`; what a field needs is declared on the schema.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Right(StrEnum):
    """What a caller may do, by the name that tokens and keys give it (OAuth: a scope)."""

    SEGMENTS_READ = "segments:read"
    SEGMENTS_WRITE = "segments:write"
    ASSIGNMENTS_READ = "assignments:read"
    ASSIGNMENTS_WRITE = "assignments:write"
    CUSTOMERS_READ = "customers:read"
    RAW_READ = "raw:read"
    """The providers' own documents, with whatever they hold."""
    OWN_READ = "own:read"
    """A shop's end customer: their own active segments and assignments, and nothing else."""
    ADMIN = "admin"
    """All of the others but `own:read`."""


class Needs(NamedTuple):
    """What a field needs of its caller."""

    rights: frozenset[Right]
    """All of these …"""
    own: bool = False
    """… or `own:read`, which then shows only what is the caller's own."""


OPEN = Needs(frozenset(), own=True)
"""What led to the field decided already."""


Grants = Mapping[Right, frozenset[str] | None]
"""Each right that is held, and the keys of the providers where; None: at all of them."""

EVERY_RIGHT: Grants = {right: None for right in Right if right is not Right.OWN_READ}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. It holds no secret."""

    id: str
    """Tells callers apart: budgets, idempotency keys and the audit log go by it."""
    grants: Grants
    own: Mapping[str, str] | None = None
    """With `own:read`: the customer's external id by provider key."""
    may_explore: bool = False
    """Introspection, and suggestions in error messages."""

    @property
    def may_everything(self) -> bool:
        """True for who holds every right at every provider."""
        return self.grants is EVERY_RIGHT

    def providers_for(self, needs: Collection[Right], known: Collection[str]) -> Collection[str]:
        """Return those of the known providers at which all these rights are held, in their order.

        For no rights: those at which any is held.
        """
        if self.may_everything:
            return known
        held = [self._at(right) for right in needs]
        if not held:
            anywhere = [at for right, at in self.grants.items() if right is not Right.OWN_READ]
            return [key for key in known if any(at is None or key in at for at in anywhere)]
        return [key for key in known if all(at is None or key in at for at in held)]

    def may(self, right: Right, provider: str) -> bool:
        """Tell whether a right is held at a provider."""
        at = self._at(right)
        return at is None or provider in at

    def _at(self, right: Right) -> frozenset[str] | None:
        if Right.ADMIN not in self.grants:
            return self.grants.get(right, frozenset())
        everywhere, here = self.grants[Right.ADMIN], self.grants.get(right, frozenset())
        return None if everywhere is None or here is None else everywhere | here


def everybody(name: str = "anonymous", *, may_explore: bool = True) -> Caller:
    """Return who may do everything: where nobody has to sign in."""
    return Caller(name, EVERY_RIGHT, may_explore=may_explore)
