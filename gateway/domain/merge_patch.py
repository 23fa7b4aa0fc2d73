"""JSON Merge Patch (RFC 7396)."""

from collections.abc import Mapping
from typing import Any

import msgspec


def merge(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object after a patch: null removes a member, objects are merged."""
    merged = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            inner = merged.get(name)
            merged[name] = merge(inner if isinstance(inner, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def replacement(
    before: Mapping[str, Any], after: Mapping[str, Any], depth: int = -1
) -> dict[str, Any]:
    """Return all of `after`, with null for each member of `before` that it lacks.

    Sent as a patch to something that is `before`, it makes it `after`, as it does where the nulls
    replace nothing. `depth` is how deep members are merged; -1: at any depth.
    """
    removed = dict.fromkeys(name for name in before if name not in after)
    if depth == 0:
        return {**after, **removed}
    merged = {
        name: replacement(inner, value, depth - 1)
        if isinstance(value, dict) and isinstance(inner := before.get(name), dict)
        else value
        for name, value in after.items()
    }
    return {**merged, **removed}


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values are the same JSON; in Python, `1 == True` is true."""
    return _encode(one) == _encode(other)


_encode = msgspec.json.Encoder(order="deterministic").encode
