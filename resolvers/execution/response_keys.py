"""Give a response the keys of its own document, if its plan has the aliases of another one."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from graphql import GraphQLError, GraphQLList, GraphQLOutputType, get_nullable_type
from msgspec.structs import astuple

from resolvers.execution.columns import dict_rows, non_null, scatter, split
from resolvers.execution.planner import FieldPlan, SelectionPlan

flat = chain.from_iterable


class OwnKeys:
    """Replaces the keys of one response."""

    def __init__(self, keys: Mapping[str, str], kinds: Mapping[int, SelectionPlan]) -> None:
        """Take the keys by those of the plan, and the selections of objects of abstract types."""
        self._keys = keys
        self._kinds = kinds

    def rename_path(self, error: GraphQLError) -> None:
        """Replace the keys in the path of an error, which must be of this response alone."""
        if error.path:
            error.path = [self._keys.get(each, each) for each in error.path]  # type: ignore[arg-type]  # indices are no keys

    def renamed(self, selection: SelectionPlan, objects: Sequence[Any]) -> Sequence[Any]:
        """Return new objects of this selection, in order; those that were one stay one."""
        if not objects or not selection.fields:
            return objects
        distinct = {id(each): each for each in objects}
        rows: Sequence[Sequence[Any]] = [
            (*each.values(),) if type(each) is dict else astuple(each)
            for each in distinct.values()
        ]
        if any(field.selections for field in selection.fields):
            columns = zip(selection.fields, zip(*rows, strict=True), strict=True)
            own = [self._column(field, field.type, values) for field, values in columns]
            rows = [*zip(*own, strict=True)]
        keys = tuple(self._keys.get(field.key, field.key) for field in selection.fields)
        made = dict_rows(keys)(rows)
        if len(made) == len(objects):
            return made
        by_id = dict(zip(distinct, made, strict=True))
        return [by_id[id(each)] for each in objects]

    def _column(
        self, field: FieldPlan, kind: GraphQLOutputType, values: Sequence[Any]
    ) -> Sequence[Any]:
        """Return the values of one field in many objects, or the items of many lists."""
        if not field.selections:
            return values
        items = get_nullable_type(kind)
        present = non_null(values)
        completed: Sequence[Any]
        if isinstance(items, GraphQLList):
            completed = split(self._column(field, items.of_type, [*flat(present)]), present)
        elif len(field.selections) == 1:
            (selection,) = field.selections.values()
            completed = self.renamed(selection, present)
        else:
            completed = [self.renamed(self._kinds[id(each)], [each])[0] for each in present]
        return completed if present is values else scatter(completed, values)
