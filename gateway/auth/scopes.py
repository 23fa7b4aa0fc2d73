"""Map the scopes of keys and tokens to permissions at providers."""

from collections.abc import Iterable

from gateway.auth.permissions import NOWHERE, Grants, Permission

_PERMISSIONS = {permission.value: permission for permission in Permission}


def grants_of(scopes: Iterable[str]) -> Grants:
    """Map `segments:read` to all providers, and `segments:read@shop` to one.

    Unknown scopes are ignored: they may be meant for other services.
    """
    grants: dict[Permission, frozenset[str] | None] = {}
    for scope in scopes:
        name, at, provider = scope.partition("@")
        permission = _PERMISSIONS.get(name)
        if permission is None or (at and not provider):
            continue
        granted = grants.get(permission, NOWHERE)
        grants[permission] = None if granted is None or not at else granted | {provider}
    return grants
