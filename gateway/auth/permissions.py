"""Who asks, and what they may do: rights, and at which providers they hold them.

Who somebody is, is found out by `gateway.auth`; what a field needs is declared on the schema.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Permission(StrEnum):
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


class Requirement(NamedTuple):
    """What a field needs of its caller, or an operation with all of its fields."""

    permissions: frozenset[Permission]
    """All of these …"""
    own: bool = False
    """… or `own:read`, which then shows only what is the caller's own."""


OPEN = Requirement(frozenset(), own=True)
"""What led to the field decided already."""

UNDECLARED = Requirement(frozenset({Permission.ADMIN}))
"""Of a field that does not say what it needs."""


Grants = Mapping[Permission, frozenset[str] | None]
"""Each right that is held, and the keys of the providers where; None: at all of them."""

NOWHERE: frozenset[str] = frozenset()

EVERY_RIGHT: Grants = {right: None for right in Permission if right is not Permission.OWN_READ}


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
    seen: dict[Requirement, Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """What `RequestContext.admit` found before, by needs: there are as many as sets of rights."""

    @property
    def is_unrestricted(self) -> bool:
        """True for who holds every right at every provider."""
        return self.grants.get(Permission.ADMIN, NOWHERE) is None

    def providers_for(
        self, needs: Collection[Permission], known: Collection[str]
    ) -> Collection[str]:
        """Return those of the known providers at which all these rights are held, in their order.

        For no rights: those at which any is held, `own:read` left aside.
        """
        if needs:
            held = [at for at in map(self._at, needs) if at is not None]
            if not held:
                return known
            at_all = held[0].intersection(*held[1:])
            return [key for key in known if key in at_all]
        anywhere = [at for right, at in self.grants.items() if right is not Permission.OWN_READ]
        return [key for key in known if any(at is None or key in at for at in anywhere)]

    def own_at(self, known: Collection[str]) -> Mapping[str, str]:
        """Return the known providers at which `own:read` is held, with the customer's id there."""
        at = self.grants.get(Permission.OWN_READ, NOWHERE)
        ids = self.own or {}
        return {key: ids[key] for key in known if ids.get(key) and (at is None or key in at)}

    def may(self, right: Permission, provider: str) -> bool:
        """Tell whether a right is held at a provider."""
        at = self._at(right)
        return at is None or provider in at

    def holds(self, right: Permission) -> bool:
        """Tell whether a right is held anywhere."""
        return self._at(right) != NOWHERE

    def _at(self, right: Permission) -> frozenset[str] | None:
        here = self.grants.get(right, NOWHERE)
        if here is None or Permission.ADMIN not in self.grants:
            return here
        everywhere = self.grants[Permission.ADMIN]
        return None if everywhere is None else everywhere | here


class SignedIn(NamedTuple):
    """Who asks, and until when that is sure: in seconds of Unix time."""

    caller: Caller
    until: float


def unrestricted_caller(name: str = "anonymous", *, may_explore: bool = True) -> Caller:
    """Return who may do everything: where nobody has to sign in."""
    return Caller(name, EVERY_RIGHT, may_explore=may_explore)
