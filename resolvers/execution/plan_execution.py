"""Execute a plan level by level: one call per field for all objects of its level.

A field continues as soon as its own results arrive; it does not wait for the fields beside it.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any

from graphql import GraphQLError, GraphQLNonNull, GraphQLSchema
from graphql.execution.values import VariableValues

from gateway.context import RequestContext
from gateway.errors import Unsupported
from resolvers.execution.completion import Failure, SlowPathCompletion
from resolvers.execution.null_propagation import settle
from resolvers.execution.planner import FieldPlan, Plan, SelectionPlan, fill
from resolvers.execution.response_keys import OwnKeys
from resolvers.field_declarations import ResolverKind, is_null_if_unsupported
from resolvers.lookahead import FieldInfo


class PlanExecution:
    """One execution of a plan."""

    def __init__(
        self,
        plan: Plan,
        schema: GraphQLSchema,
        context: RequestContext,
        variables: VariableValues | None,
        own_keys: Mapping[str, str] | None = None,
    ) -> None:
        """Set what differs between executions. Raises `UnplannableError` before anything runs.

        `own_keys`: the keys of the response by those of the plan, if they differ.
        """
        self._plan = plan
        self._own_keys = own_keys
        self._failures: list[Failure] = []
        self._data: dict[str, Any] | None = None
        self._slots = slots = plan.slots.copy()
        for number in plan.lists:
            slots[number] = []
        slots[plan.kinds] = {}
        for number, selection in plan.info_slots:
            slots[number] = FieldInfo(context, selection)
        if variables is not None:
            for field, definition in plan.varying:
                fill(schema, field, definition, variables, slots)

    def start(self) -> None:
        """Complete what needs no waiting."""
        plan = self._plan
        try:
            self._data = plan.start(self._slots)
        except Exception:  # noqa: BLE001  # the slow path repeats it and notes the error
            self._empty(plan.below)
            self._data = self._slow_path().start(plan.root)

    @property
    def waits(self) -> bool:
        """True if there may be something to `read`."""
        return self._data is not None and bool(self._plan.below)

    def read(self) -> Awaitable[Any] | None:
        """Read the remaining fields, level by level; None if there is nothing to wait for."""
        return self._read(self._plan.below)

    def result(self) -> tuple[dict[str, Any] | None, Sequence[GraphQLError]]:
        """Return the data and its errors."""
        data, kinds = self._data, self._slots[self._plan.kinds]
        errors: Sequence[GraphQLError] = ()
        if self._failures:
            data, errors = settle(self._plan, data, self._failures, kinds)
        if self._own_keys is None:
            return data, errors
        own = OwnKeys(self._own_keys, kinds)
        for error in errors:
            own.rename_path(error)
        return None if data is None else own.renamed(self._plan.root, [data])[0], errors

    def _slow_path(self) -> SlowPathCompletion:
        return SlowPathCompletion(self._slots, self._plan.kinds, self._failures)

    def _empty(self, below: Sequence[SelectionPlan]) -> None:
        for selection in below:
            self._slots[selection.values] = []  # it may hold lazy rows
            self._slots[selection.objects].clear()

    def _read(self, below: Sequence[SelectionPlan]) -> Awaitable[Any] | None:
        """Read the fields of these selections, and the levels below them."""
        fields = []
        for selection in below:
            values, objects = self._slots[selection.values], self._slots[selection.objects]
            for field in selection.reads if values else ():
                results = self._shortcut(field, values)
                if results is None:
                    fields.append(self._field(field, values, objects))
                else:
                    self._put(field, results, objects)
        if not fields:
            return None
        return fields[0] if len(fields) == 1 else asyncio.gather(*fields)

    async def _field(
        self, field: FieldPlan, values: Sequence[Any], objects: Sequence[dict[str, Any]]
    ) -> None:
        declaration = field.declaration
        if declaration is None:
            raise TypeError(field)
        read, info = declaration.function, self._slots[field.info_slot]
        arguments = [self._slots[number] for number in field.arguments]
        results: Sequence[Any]
        try:
            if declaration.kind is ResolverKind.READ_ALL:
                results = await read(values, info, *arguments)
            elif len(values) == 1:
                results = (await read(values[0], info, *arguments),)
            else:
                results = await _gather(read(value, info, *arguments) for value in values)
        except Exception as error:  # noqa: BLE001  # a bug: every object of the level reports it
            results = [error] * len(values)
        if Unsupported in map(type, results) and is_null_if_unsupported(
            field.type, self._is_root(field)
        ):
            results = [None if type(each) is Unsupported else each for each in results]
        self._put(field, results, objects)
        below = self._read(field.below) if field.below else None
        if below is not None:
            await below

    def _is_root(self, field: FieldPlan) -> bool:
        return field.parent is self._plan.root.type

    def _shortcut(self, field: FieldPlan, values: Sequence[Any]) -> Sequence[Any] | None:
        """Return the results of a leaf field's shortcut, if it applies: a task would cost more."""
        declaration = field.declaration
        shortcut = declaration.shortcut if declaration else None
        if shortcut is None or field.below:
            return None
        try:
            return (
                [shortcut.function(value) for value in values] if shortcut.of_all(values) else None
            )
        except Exception:  # noqa: BLE001  # a bug, which the read reports for each value
            return None

    def _put(
        self, field: FieldPlan, results: Sequence[Any], objects: Sequence[dict[str, Any]]
    ) -> None:
        """Add results or errors to their objects."""
        if not self._complete(field, results, objects):
            good, objects = self._without_failed(field, results, objects)
            if len(good) == len(results) or not self._complete(field, good, objects):
                self._slow_path().complete(field, good, objects)

    def _complete(
        self, field: FieldPlan, results: Sequence[Any], objects: Sequence[dict[str, Any]]
    ) -> bool:
        """Add results to their objects; return False if one does not match the schema."""
        try:
            field.complete(results, objects, self._slots)
        except Exception:  # noqa: BLE001  # as above
            self._empty(field.below)
            return False
        return True

    def _without_failed(
        self, field: FieldPlan, results: Sequence[Any], objects: Sequence[dict[str, Any]]
    ) -> tuple[Sequence[Any], Sequence[dict[str, Any]]]:
        nulls_object = isinstance(field.type, GraphQLNonNull)
        succeeded: list[Any] = []
        parents: list[dict[str, Any]] = []
        for result, parent in zip(results, objects, strict=True):
            if isinstance(result, Exception):
                self._failures.append(Failure(parent, (field.key,), field, result, nulls_object))
            else:
                succeeded.append(result)
                parents.append(parent)
        return succeeded, parents


async def _gather(reads: Iterable[Awaitable[Any]]) -> Sequence[Any]:
    """Return a value or an error for each, in order."""
    results = await asyncio.gather(*reads, return_exceptions=True)
    for result in results:
        if isinstance(result, asyncio.CancelledError):
            raise result
    return results
