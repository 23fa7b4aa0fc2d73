"""Callers, and the permissions that they have at each provider.

`gateway.auth` identifies callers; the schema declares the permissions that a field requires.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Permission(StrEnum):
    """A permission, by its name in keys and tokens (OAuth: a scope)."""

    SEGMENTS_READ = "segments:read"
    SEGMENTS_WRITE = "segments:write"
    ASSIGNMENTS_READ = "assignments:read"
    ASSIGNMENTS_WRITE = "assignments:write"
    CUSTOMERS_READ = "customers:read"
    CUSTOMERS_WRITE = "customers:write"
    IDENTITY_WRITE = "identity:write"
    """Link and unlink the customers of persons."""
    RAW_READ = "raw:read"
    """The providers' own documents, complete."""
    OWN_READ = "own:read"
    """For end customers of a shop: their own active segments and assignments, and nothing else."""
    FEDERATION_READ = "federation:read"
    """The schema as a subgraph (`_service`), for composition; it shows no data."""
    METRICS_READ = "metrics:read"
    """The gateway's metrics, of all providers; it shows no data."""
    ADMIN = "admin"
    """All other permissions except `own:read`."""


class Requirement(NamedTuple):
    """The permissions that a field requires, or an operation with all of its fields."""

    permissions: frozenset[Permission]
    """The caller must have all of them."""
    own: bool = False
    """`own:read` suffices as well; it limits the result to the caller's own data."""


OPEN = Requirement(frozenset(), own=True)
"""For fields whose parent field has already been checked."""

UNDECLARED = Requirement(frozenset({Permission.ADMIN}))
"""For fields that declare no requirement."""


Grants = Mapping[Permission, frozenset[str] | None]
"""The keys of the providers at which each permission is granted; None: at all of them."""

NOWHERE: frozenset[str] = frozenset()

NO_DATA = frozenset({Permission.OWN_READ, Permission.FEDERATION_READ, Permission.METRICS_READ})
"""Permissions that alone show nothing of a provider, except the caller's own data."""

ALL_PERMISSIONS: Grants = {
    permission: None for permission in Permission if permission is not Permission.OWN_READ
}


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request. It contains no secret."""

    id: str
    """Identifies the caller for budgets, idempotency keys and the audit log."""
    grants: Grants
    own: Mapping[str, str] | None = None
    """With `own:read`: the customer's external id by provider key."""
    may_explore: bool = False
    """Whether introspection, and suggestions in error messages, are allowed."""
    seen: dict[Requirement, Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """The cache of `RequestContext.admit`: one entry for each set of permissions."""

    @property
    def is_unrestricted(self) -> bool:
        """Whether the caller has every permission at every provider."""
        return self.grants.get(Permission.ADMIN, NOWHERE) is None

    def providers_for(
        self, permissions: Collection[Permission], providers: Collection[str]
    ) -> Collection[str]:
        """Return the providers at which the caller has all these permissions, in the given order.

        Without permissions: the providers at which the caller has any, except those in `NO_DATA`.
        """
        if permissions:
            limits = [at for at in map(self._granted_at, permissions) if at is not None]
            if not limits:
                return providers
            allowed = limits[0].intersection(*limits[1:])
            return [key for key in providers if key in allowed]
        granted = [at for permission, at in self.grants.items() if permission not in NO_DATA]
        return [key for key in providers if any(at is None or key in at for at in granted)]

    def own_at(self, providers: Collection[str]) -> Mapping[str, str]:
        """Return the customer's id by provider, where the caller has `own:read`."""
        at = self.grants.get(Permission.OWN_READ, NOWHERE)
        ids = self.own or {}
        return {key: ids[key] for key in providers if ids.get(key) and (at is None or key in at)}

    def may(self, permission: Permission, provider: str) -> bool:
        """Return whether the caller has a permission at a provider."""
        at = self._granted_at(permission)
        return at is None or provider in at

    def holds(self, permission: Permission) -> bool:
        """Return whether the caller has a permission at any provider."""
        return self._granted_at(permission) != NOWHERE

    def holds_everywhere(self, permission: Permission) -> bool:
        """Return whether the caller has a permission at all providers."""
        return self._granted_at(permission) is None

    def _granted_at(self, permission: Permission) -> frozenset[str] | None:
        granted = self.grants.get(permission, NOWHERE)
        if granted is None or Permission.ADMIN not in self.grants:
            return granted
        admin = self.grants[Permission.ADMIN]
        return None if admin is None else admin | granted


class VerifiedCaller(NamedTuple):
    """A caller whose credentials are valid until a Unix time, in seconds."""

    caller: Caller
    until: float


def unrestricted_caller(name: str = "anonymous", *, may_explore: bool = True) -> Caller:
    """Return a caller with all permissions: for gateways that require no credentials."""
    return Caller(name, ALL_PERMISSIONS, may_explore=may_explore)
