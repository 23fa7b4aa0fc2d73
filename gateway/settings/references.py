"""Check what tables of the configuration say of providers, whatever else is wrong with them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from gateway.auth.settings import check_scope
from gateway.errors import Problem
from gateway.identity.settings import RuleSettings, problems_of_rules
from gateway.providers.base.adapter import ListsMembers, ReadsMembers
from gateway.settings.accounts import customer_keys, usable

Tables = Sequence[Mapping[str, Any]]


def wrong_references(
    document: Mapping[str, Any], watch: Tables, kinds: Mapping[str, str], broken: Collection[str]
) -> Iterator[Problem]:
    """Yield the references to providers that there are not, or that cannot be meant.

    `kinds` has the kind of each provider, by key. What those of `broken` offer cannot be said now.
    """
    yield from _of_keys(_tables(document, "auth", "keys"), kinds)
    yield from _of_watch(watch, kinds, broken)
    rules = dict(_rules(_tables(document, "identity", "rules")))
    known = {key: customer_keys(kind) for key, kind in kinds.items() if key not in broken}
    named = [key.name for each in rules.values() for key in each.rule.keys]
    yield from problems_of_rules(rules, known | dict.fromkeys(broken, named))


def _of_keys(tables: Tables, kinds: Mapping[str, str]) -> Iterator[Problem]:
    for index, table in enumerate(tables):
        for place, scope in enumerate(_list(table.get("scopes"))):
            try:
                check_scope(scope)
            except (TypeError, ValueError):
                continue  # reported already
            provider = scope.partition("@")[2]
            if provider and provider not in kinds:
                path = f"auth.keys[{index}].scopes[{place}]"
                yield Problem(path, f"no [[providers]] table has the key {provider!r}")


def _of_watch(
    tables: Tables, kinds: Mapping[str, str], broken: Collection[str]
) -> Iterator[Problem]:
    for index, table in enumerate(tables):
        key, path = table.get("provider"), f"watch[{index}].provider"
        if not isinstance(key, str) or key in broken:
            continue
        known = usable(kinds.get(key))
        if key not in kinds:
            yield Problem(path, f"no [[providers]] table has the key {key!r}")
        elif known is not None and not issubclass(known.adapter, ListsMembers):
            lists = issubclass(known.adapter, ReadsMembers)
            reason = "does not count the members" if lists else "lists no members"
            text = f"cannot be watched: {known.adapter.label} {reason} of segments"
            yield Problem(path, text)


def _rules(tables: Tables) -> Iterator[tuple[int, RuleSettings]]:
    """Yield the rules that can be read, each with its place; the others are reported already."""
    for index, table in enumerate(tables):
        try:
            yield index, RuleSettings.model_validate(table)
        except ValidationError:
            continue


def _tables(document: Mapping[str, Any], table: str, name: str) -> Tables:
    """Return the tables of an array, each in its place; one that is none is empty."""
    parent = document.get(table)
    found = _list(parent.get(name)) if isinstance(parent, dict) else []
    return [each if isinstance(each, dict) else {} for each in found]


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else []
