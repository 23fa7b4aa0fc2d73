"""Stuut's segment conditions: their shape, and whether a partner meets them.

Every key present must hold, so `{}` matches everybody. The prose says `and_` and `or_`, the
example `and` and `or`: both are accepted. The meaning of the parts is not documented; this is the
plain reading.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.sandbox.stuut.validation import Location, Problem, check_texts, problem


@dataclass(frozen=True, slots=True)
class Traits:
    """The properties of a partner that conditions test."""

    country: str
    business_unit: str
    custom_fields: Mapping[str, Any]


def check_conditions(value: object, loc: Location) -> list[Problem]:
    """Return what is wrong with the shape of conditions; an undocumented key is wrong."""
    if not isinstance(value, dict):
        return [_no_object(loc)]
    problems = []
    for key, part in value.items():
        problems += CHECKS[key](part, (*loc, key)) if key in CHECKS else [_extra((*loc, key))]
    return problems


def holds(conditions: Mapping[str, Any], traits: Traits) -> bool:
    """Return whether a partner meets conditions of a checked shape."""
    return all(MEANINGS[key](part, traits) for key, part in conditions.items())


def _no_object(loc: Location) -> Problem:
    return problem(loc, "Input should be a valid dictionary", "dict_type")


def _extra(loc: Location) -> Problem:
    return problem(loc, "Extra inputs are not permitted", "extra_forbidden")


def _check_nested(key: str) -> Callable[[object, Location], list[Problem]]:
    """Check `{key: {"in": [text], "nin": [text]}}`."""

    def check(part: object, loc: Location) -> list[Problem]:
        if not isinstance(part, dict):
            return [_no_object(loc)]
        problems = [_extra((*loc, other)) for other in part if other != key]
        lists = part.get(key, {})
        if not isinstance(lists, dict):
            return [*problems, _no_object((*loc, key))]
        for name, texts in lists.items():
            path = (*loc, key, name)
            problems += check_texts(texts, path) if name in {"in", "nin"} else [_extra(path)]
        return problems

    return check


def _check_object(part: object, loc: Location) -> list[Problem]:
    return [] if isinstance(part, dict) else [_no_object(loc)]


def _check_list(part: object, loc: Location) -> list[Problem]:
    if not isinstance(part, list):
        return [problem(loc, "Input should be a valid list", "list_type")]
    return [
        problem
        for index, conditions in enumerate(part)
        for problem in check_conditions(conditions, (*loc, index))
    ]


def _is_among(lists: Mapping[str, list[str]], value: str) -> bool:
    return value in lists.get("in", [value]) and value not in lists.get("nin", [])


def _all_hold(parts: list[Mapping[str, Any]], traits: Traits) -> bool:
    return all(holds(part, traits) for part in parts)


def _any_holds(parts: list[Mapping[str, Any]], traits: Traits) -> bool:
    """Return whether one of them holds; an empty list excludes nobody."""
    return not parts or any(holds(part, traits) for part in parts)


CHECKS: Mapping[str, Callable[[object, Location], list[Problem]]] = {
    "address": _check_nested("country"),
    "businessUnit": _check_nested("name"),
    "customFields": _check_object,
    **dict.fromkeys(("and", "and_", "or", "or_"), _check_list),
}
MEANINGS: Mapping[str, Callable[[Any, Traits], bool]] = {
    "address": lambda part, traits: _is_among(part.get("country", {}), traits.country),
    "businessUnit": lambda part, traits: _is_among(part.get("name", {}), traits.business_unit),
    "customFields": lambda part, traits: part.items() <= traits.custom_fields.items(),
    **dict.fromkeys(("and", "and_"), _all_hold),
    **dict.fromkeys(("or", "or_"), _any_holds),
}
