"""From what failed in a run to the answer's errors and nulls, by the rules of GraphQL.

Errors stand in the order of the answer, whichever executor ran: by time, which is graphql-core's,
two runs of one operation would differ.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from graphql import GraphQLError, GraphQLList, GraphQLNonNull, is_object_type, located_error

from resolvers.execution.completion import Failure, Place
from resolvers.execution.planner import FieldPlan, Plan, SelectionPlan


class _Site(NamedTuple):
    """Where an object stands, and where null goes when it must go."""

    place: Place
    holder: Any
    """The object or list that holds the nearest place that may be null; None: the answer."""
    key: str | int
    falls_to: Place


class FieldSites:
    """Where each object of an answer stands."""

    def __init__(
        self, plan: Plan, data: dict[str, Any], kinds: Mapping[int, SelectionPlan]
    ) -> None:
        """Walk through the whole answer: only for one with errors."""
        self._kinds = kinds
        self._found: dict[int, _Site] = {}
        self._walk(plan.root, data, _Site((), None, "", ()))

    def get(self, made: dict[str, Any]) -> _Site | None:
        """Return the site of an object; None when it stands nowhere any more."""
        return self._found.get(id(made))

    def _walk(self, selection: SelectionPlan, made: dict[str, Any], site: _Site) -> None:
        self._found[id(made)] = site
        for field in selection.fields if type(made) is dict else ():  # in a struct nothing is put
            if field.selections:
                place = (*site.place, field.key)
                self._below(field, field.type, made[field.key], site, (place, made, field.key))

    def _below(
        self, field: FieldPlan, kind: Any, value: Any, site: _Site, here: tuple[Place, Any, Any]
    ) -> None:
        if value is None:
            return
        place, holder, key = here
        if isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
            site = site._replace(place=place)
        else:
            site = _Site(place, holder, key, place)
        if isinstance(kind, GraphQLList):
            for index, item in enumerate(value):
                self._below(field, kind.of_type, item, site, ((*place, index), value, index))
            return
        selection = field.selections[kind] if is_object_type(kind) else self._kinds[id(value)]
        self._walk(selection, value, site)


def settle(
    plan: Plan,
    data: dict[str, Any] | None,
    failures: Sequence[Failure],
    kinds: Mapping[int, SelectionPlan],
) -> tuple[dict[str, Any] | None, list[GraphQLError]]:
    """Put the nulls into the answer; return it and its errors."""
    sites = None if data is None else FieldSites(plan, data, kinds)
    found: list[tuple[GraphQLError, Place]] = []
    fallen: dict[Place, list[tuple[Any, str | int, GraphQLError]]] = {}
    for failure in failures:
        site = _Site((), None, "", ())
        if failure.within is not None:
            known = None if sites is None else sites.get(failure.within)
            if known is None:
                continue
            site = known
        place = (*site.place, *failure.place)
        error = located_error(failure.error, list(failure.field.nodes), list(place))
        if failure.takes_object:
            fallen.setdefault(site.falls_to, []).append((site.holder, site.key, error))
        else:
            found.append((error, place))
    errors = [error for error, place in found if not any(_above(place, top) for top in fallen)]
    order = _Order(data)
    for top, causes in fallen.items():
        if not any(_above(top, other) for other in fallen if other != top):
            errors.append(min((cause[2] for cause in causes), key=order.of))
    errors.sort(key=order.of)
    for causes in fallen.values():
        holder, key, _ = causes[0]
        if holder is None:
            data = None
        else:
            holder[key] = None
    return data, errors


def in_order(data: Any, errors: Sequence[GraphQLError]) -> list[GraphQLError]:
    """Return errors in the order of the answer."""
    return sorted(errors, key=_Order(data).of)


class _Order:
    """The order of places in an answer."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self._keys: dict[int, dict[str, int]] = {}

    def of(self, error: GraphQLError) -> list[int]:
        """Return the position of each part of an error's path."""
        return list(self._positions(error.path or ()))

    def _positions(self, path: Sequence[str | int]) -> Iterator[int]:
        value = self._data
        for part in path:
            if isinstance(value, dict):
                keys = self._keys.get(id(value))
                if keys is None:
                    keys = self._keys[id(value)] = {key: i for i, key in enumerate(value)}
                yield keys.get(str(part), len(keys))
                value = value.get(str(part))
            elif isinstance(value, list) and isinstance(part, int):
                yield part
                value = value[part] if part < len(value) else None
            else:
                return


def _above(place: Place, top: Place) -> bool:
    return place[: len(top)] == top
