"""Turn the failures of an execution into errors and nulls, by the rules of GraphQL.

Errors are in the order of the response, for both executors: graphql-core's order is by time and
may differ between two executions of one operation.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from graphql import GraphQLError, GraphQLList, GraphQLNonNull, is_object_type, located_error

from resolvers.execution.completion import Failure, Path
from resolvers.execution.planner import FieldPlan, Plan, SelectionPlan


class _Site(NamedTuple):
    """The path of an object, and the path that becomes null with it."""

    path: Path
    container: Any
    """The object or list that contains the nearest nullable value; None: the response itself."""
    key: str | int
    null_path: Path


class FieldSites:
    """The site of each object in a response."""

    def __init__(
        self, plan: Plan, data: dict[str, Any], kinds: Mapping[int, SelectionPlan]
    ) -> None:
        """Walk through the whole response: only needed if it has errors."""
        self._kinds = kinds
        self._sites: dict[int, _Site] = {}
        self._walk(plan.root, data, _Site((), None, "", ()))

    def get(self, parent: dict[str, Any]) -> _Site | None:
        """Return the site of an object; None if it is no longer in the response."""
        return self._sites.get(id(parent))

    def _walk(self, selection: SelectionPlan, parent: dict[str, Any], site: _Site) -> None:
        self._sites[id(parent)] = site
        for field in (
            selection.fields if type(parent) is dict else ()
        ):  # structs take no fields later
            if field.selections:
                path = (*site.path, field.key)
                self._below(field, field.type, parent[field.key], site, (path, parent, field.key))

    def _below(
        self, field: FieldPlan, kind: Any, value: Any, site: _Site, here: tuple[Path, Any, Any]
    ) -> None:
        if value is None:
            return
        path, container, key = here
        if isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
            site = site._replace(path=path)
        else:
            site = _Site(path, container, key, path)
        if isinstance(kind, GraphQLList):
            for index, item in enumerate(value):
                self._below(field, kind.of_type, item, site, ((*path, index), value, index))
            return
        selection = field.selections[kind] if is_object_type(kind) else self._kinds[id(value)]
        self._walk(selection, value, site)


def settle(
    plan: Plan,
    data: dict[str, Any] | None,
    failures: Sequence[Failure],
    kinds: Mapping[int, SelectionPlan],
) -> tuple[dict[str, Any] | None, list[GraphQLError]]:
    """Set the nulls in the response; return its data and errors."""
    sites = None if data is None else FieldSites(plan, data, kinds)
    nullable_errors: list[tuple[GraphQLError, Path]] = []
    nulled: dict[Path, list[tuple[Any, str | int, GraphQLError]]] = {}
    for failure in failures:
        site = _Site((), None, "", ())
        if failure.within is not None:
            object_site = None if sites is None else sites.get(failure.within)
            if object_site is None:
                continue
            site = object_site
        path = (*site.path, *failure.path)
        error = located_error(failure.error, list(failure.field.nodes), list(path))
        if failure.nulls_object:
            nulled.setdefault(site.null_path, []).append((site.container, site.key, error))
        else:
            nullable_errors.append((error, path))
    errors = [
        error for error, path in nullable_errors if not any(_above(path, top) for top in nulled)
    ]
    order = _Order(data)
    for top, causes in nulled.items():
        if not any(_above(top, other) for other in nulled if other != top):
            errors.append(min((cause[2] for cause in causes), key=order.of))
    errors.sort(key=order.of)
    for causes in nulled.values():
        container, key, _ = causes[0]
        if container is None:
            data = None
        else:
            container[key] = None
    return data, errors


def in_order(data: Any, errors: Sequence[GraphQLError]) -> list[GraphQLError]:
    """Sort errors in the order of the response."""
    return sorted(errors, key=_Order(data).of)


class _Order:
    """The order of paths in a response."""

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


def _above(path: Path, top: Path) -> bool:
    return path[: len(top)] == top
