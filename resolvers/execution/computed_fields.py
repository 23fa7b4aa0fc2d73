"""Call the functions of computed fields, with the arguments of one execution."""

from collections.abc import Callable, Sequence
from typing import Any

from resolvers.execution.columns import check_length
from resolvers.execution.planner import FieldPlan
from resolvers.execution.selected_fields import UnplannableError

Slots = list[Any]

One = Callable[[Any, Slots], Any]
"""Completes one value, or gets a field of one object."""

Many = Callable[[Sequence[Any], Slots], Sequence[Any]]
"""The same for many; returns one per value, in order."""


def computed_value(field: FieldPlan) -> One:
    """Return the function that computes a field of one object."""
    if field.declaration is None:
        raise UnplannableError
    function, numbers = field.declaration.function, _argument_slots(field)
    if not numbers:
        return lambda x, _: function(x)
    return lambda x, slots: function(x, *[slots[number] for number in numbers])


def computed_column(field: FieldPlan) -> Many:
    """Return the function that computes a field of many objects."""
    if field.declaration is None:
        raise UnplannableError
    function, many = field.declaration.function, field.declaration.many
    numbers = _argument_slots(field)
    if many is not None:

        def compute(xs: Sequence[Any], slots: Slots) -> Sequence[Any]:
            return check_length(many(xs, *[slots[number] for number in numbers]), xs)

        return compute

    def compute_each(xs: Sequence[Any], slots: Slots) -> Sequence[Any]:
        arguments = [slots[number] for number in numbers]
        return [function(x, *arguments) for x in xs] if arguments else [*map(function, xs)]

    return compute_each


def _argument_slots(field: FieldPlan) -> Sequence[int]:
    return [field.info_slot, *field.arguments] if field.info_slot >= 0 else field.arguments
