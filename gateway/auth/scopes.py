"""Scopes, as keys and tokens name them, to rights and the providers where they are held."""

from collections.abc import Iterable

from gateway.auth.permissions import NOWHERE, Grants, Permission

_RIGHTS = {right.value: right for right in Permission}


def grants_of(scopes: Iterable[str]) -> Grants:
    """Return what scopes grant: `segments:read` everywhere, `segments:read@shop` at one provider.

    Others mean something to somebody else, and nothing here.
    """
    grants: dict[Permission, frozenset[str] | None] = {}
    for scope in scopes:
        name, at, provider = scope.partition("@")
        right = _RIGHTS.get(name)
        if right is None or (at and not provider):
            continue
        before = grants.get(right, NOWHERE)
        grants[right] = None if before is None or not at else before | {provider}
    return grants
