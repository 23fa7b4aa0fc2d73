"""The permissions of callers at providers."""

from collections.abc import Mapping, Sequence

import pytest

from gateway.auth.permissions import (
    ALL_PERMISSIONS,
    Caller,
    Grants,
    Permission,
    unrestricted_caller,
)

KNOWN = ("a", "b", "c")
EVERYWHERE = None


def caller(own: Mapping[str, str] | None = None, **grants: Sequence[str] | None) -> Caller:
    """Return a caller with these permissions, each at its providers."""
    return Caller(
        "caller",
        {
            Permission[name.upper()]: None if at is None else frozenset(at)
            for name, at in grants.items()
        },
        own,
    )


HELD: Mapping[str, tuple[Caller, str, Sequence[str]]] = {
    "everywhere": (caller(segments_read=EVERYWHERE), "segments:read", KNOWN),
    "at one": (caller(segments_read="b"), "segments:read", ["b"]),
    "where all are held": (
        caller(segments_read="ab", raw_read="bc"),
        "segments:read raw:read",
        ["b"],
    ),
    "nowhere together": (caller(segments_read="a", raw_read="b"), "segments:read raw:read", []),
    "another": (caller(segments_read=EVERYWHERE), "raw:read", []),
    "none": (caller(), "segments:read", []),
    "any for nothing": (caller(segments_read="a", raw_read="c"), "", ["a", "c"]),
    "none for nothing": (caller(), "", []),
    "own is not any": (caller({"a": "x"}, own_read=EVERYWHERE), "", []),
    "admin": (caller(admin=EVERYWHERE), "segments:read raw:read customers:read", KNOWN),
    "admin at one": (caller(admin="b"), "segments:write raw:read", ["b"]),
    "admin at one, another elsewhere": (
        caller(admin="b", segments_read="c"),
        "segments:read",
        ["b", "c"],
    ),
    "of no known provider": (caller(segments_read="z"), "segments:read", []),
    "everybody": (unrestricted_caller(), "segments:write raw:read", KNOWN),
}


@pytest.mark.parametrize("case", HELD)
def test_providers_for(case: str) -> None:
    """The providers at which a caller has all required permissions, in their order."""
    who, needs, expected = HELD[case]
    rights = [Permission(each) for each in needs.split()]
    assert list(who.providers_for(rights, KNOWN)) == list(expected)
    assert [key for key in KNOWN if all(who.may(right, key) for right in rights)] == (
        list(expected) if rights else list(KNOWN)
    )


def test_may_everything() -> None:
    """Only an administrator of all providers is unrestricted."""
    assert caller(admin=EVERYWHERE).is_unrestricted
    assert unrestricted_caller().is_unrestricted
    assert not caller(admin=KNOWN).is_unrestricted
    others: Grants = {
        name: at for name, at in ALL_PERMISSIONS.items() if name is not Permission.ADMIN
    }
    assert not Caller("caller", others).is_unrestricted


def test_own_at() -> None:
    """The providers with `own:read` at which the caller's id is known."""
    ids = {"a": "x", "b": "", "d": "y"}
    assert caller(ids, own_read=EVERYWHERE).own_at(KNOWN) == {"a": "x"}
    assert caller(ids, own_read="bc").own_at(KNOWN) == {}
    assert caller(ids, customers_read=EVERYWHERE).own_at(KNOWN) == {}
    assert caller(own_read=EVERYWHERE).own_at(KNOWN) == {}
