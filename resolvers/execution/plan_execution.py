"""Run a plan level by level: one call for a field and all objects of its level.

A field goes on as soon as its own answers are there; it waits for nothing beside it.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

from graphql import GraphQLError, GraphQLNonNull, GraphQLSchema
from graphql.execution.values import VariableValues

from gateway.context import RequestContext
from gateway.errors import Unsupported
from resolvers.execution.completion import Failure, SlowPathCompletion
from resolvers.execution.null_propagation import settle
from resolvers.execution.planner import FieldPlan, Plan, SelectionPlan, fill
from resolvers.field_declarations import ResolverKind, lacks
from resolvers.lookahead import FieldInfo


class PlanExecution:
    """One run of a plan."""

    def __init__(
        self,
        plan: Plan,
        schema: GraphQLSchema,
        context: RequestContext,
        variables: VariableValues | None,
    ) -> None:
        """Fill in what differs from run to run. Raises `UnplannableError`; nothing ran then."""
        self._plan = plan
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
        """Make what is there without waiting."""
        plan = self._plan
        try:
            self._data = plan.start(self._slots)
        except Exception:  # noqa: BLE001  # what it was is found out by doing it again
            self._empty(plan.below)
            self._data = self._careful().start(plan.root)

    @property
    def waits(self) -> bool:
        """True when there is something to `read`."""
        below = self._plan.below
        return self._data is not None and any(self._slots[each.values] for each in below)

    def read(self) -> Awaitable[Any] | None:
        """Read the rest, level by level; None: nothing has to be waited for."""
        return self._read(self._plan.below)

    def answer(self) -> tuple[dict[str, Any] | None, Sequence[GraphQLError]]:
        """Return the data and its errors."""
        if not self._failures:
            return self._data, ()
        return settle(self._plan, self._data, self._failures, self._slots[self._plan.kinds])

    def _careful(self) -> SlowPathCompletion:
        return SlowPathCompletion(self._slots, self._plan.kinds, self._failures)

    def _empty(self, below: Sequence[SelectionPlan]) -> None:
        for selection in below:
            self._slots[selection.values].clear()
            self._slots[selection.made].clear()

    def _read(self, below: Sequence[SelectionPlan]) -> Awaitable[Any] | None:
        """Read all that the selections wait for, and what is below that."""
        fields = []
        for selection in below:
            values, objects = self._slots[selection.values], self._slots[selection.made]
            for field in selection.reads if values else ():
                told = self._told(field, values)
                if told is None:
                    fields.append(self._field(field, values, objects))
                else:
                    self._put(field, told, objects)
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
        answers: Sequence[Any]
        try:
            if declaration.kind is ResolverKind.READ_ALL:
                answers = await read(values, info, *arguments)
            elif len(values) == 1:
                answers = (await read(values[0], info, *arguments),)
            else:
                answers = await _settled(read(value, info, *arguments) for value in values)
        except Exception as error:  # noqa: BLE001  # a bug, where it was read for all: each shows it
            answers = [error] * len(values)
        if Unsupported in {*map(type, answers)} and lacks(field.type, self._is_root(field)):
            answers = [None if type(each) is Unsupported else each for each in answers]
        self._put(field, answers, objects)
        below = self._read(field.below)
        if below is not None:
            await below

    def _is_root(self, field: FieldPlan) -> bool:
        return field.parent is self._plan.root.type

    def _told(self, field: FieldPlan, values: Sequence[Any]) -> Sequence[Any] | None:
        """Return the answers where they are there and lead no further; a task for it is dear."""
        declaration = field.declaration
        told = declaration.shortcut if declaration else None
        if told is None or field.below:
            return None
        try:
            return [told.function(value) for value in values] if told.of_all(values) else None
        except Exception:  # noqa: BLE001  # a bug: reading shows it for each value
            return None

    def _put(
        self, field: FieldPlan, answers: Sequence[Any], objects: Sequence[dict[str, Any]]
    ) -> None:
        """Put answers, or errors, into their objects."""
        if not self._completed(field, answers, objects):
            good, objects = self._without_failed(field, answers, objects)
            if len(good) == len(answers) or not self._completed(field, good, objects):
                self._careful().complete(field, good, objects)

    def _completed(
        self, field: FieldPlan, answers: Sequence[Any], objects: Sequence[dict[str, Any]]
    ) -> bool:
        """Put answers into their objects; False: one of them is not as the schema says."""
        try:
            field.complete(answers, objects, self._slots)
        except Exception:  # noqa: BLE001  # as above
            self._empty(field.below)
            return False
        return True

    def _without_failed(
        self, field: FieldPlan, answers: Sequence[Any], objects: Sequence[dict[str, Any]]
    ) -> tuple[Sequence[Any], Sequence[dict[str, Any]]]:
        takes_object = isinstance(field.type, GraphQLNonNull)
        good: list[Any] = []
        kept: list[dict[str, Any]] = []
        for answer, made in zip(answers, objects, strict=True):
            if isinstance(answer, Exception):
                self._failures.append(Failure(made, (field.key,), field, answer, takes_object))
            else:
                good.append(answer)
                kept.append(made)
        return good, kept


async def _settled(reads: Iterable[Awaitable[Any]]) -> Sequence[Any]:
    """Return a value or an error for each, in order."""
    answers = await asyncio.gather(*reads, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, asyncio.CancelledError):
            raise answer
    return answers
