"""What each field costs: the calls to providers that it may take, and how many values it has.

Most of it follows from how a field is declared: what is read for each value takes a call for each,
and a connection one for each page at a provider. Only what differs is told here, by coordinate.

Two things are not known before they are asked, and count as one call: a provider's list that has
to be read to its end for want of a better way (Stuut's, by id; the segments of one customer), and
a retry. What an operation took beyond its price is charged to its caller afterwards.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
)

from gateway.domain.pages import (
    DEFAULT_FIRST,
    LARGEST_FIRST,
    MOST_CALLS,
    MOST_NODES,
    MOST_PAIRS,
)

Arguments = Mapping[str, Any]
"""Those of `WEIGHED` that are given, as the caller wrote them: any JSON, right or wrong.

An operation is priced before its variables are coerced.
"""

WEIGHED = frozenset(
    {
        "after",
        "customerIds",
        "filter",
        "first",
        "ids",
        "input",
        "keys",
        "reverse",
        "segmentIds",
        "sortKey",
    }
)
"""The arguments that a price may depend on; of `after` only whether it is given."""

PAGE = 100
"""Rows of one call: the least that any provider tells at once (Voucherify)."""

FEW = 5
"""Values of a list whose length only its provider knows: languages, identities, conditions."""

IN_LIST = 3
"""Calls for each item of a mutation's lists, and for itself: read, write, read again."""

IN_INPUT = 10
"""What an object in a mutation's input costs: it is read and checked, in some 50 us."""


class FieldCost(NamedTuple):
    """What one field costs for one parent."""

    calls: int = 0
    size: int = 1
    """Values of a list; 1 of anything else."""
    rows: int = 0
    """Of a connection: on its page. Of a payload: in its lists."""
    sources: int = 1
    """Of a connection: providers that may contribute."""
    objects: int = 0
    """What it costs beside its calls and what is below it."""


Rule = Callable[[Arguments, int], FieldCost]
"""`(arguments, providers in sight) -> Price`."""


def length(value: Any) -> int:
    """Return how many a list argument names; a single value stands for a list of one."""
    return len(value) if isinstance(value, list) else int(value is not None)


def rows_of(arguments: Arguments) -> int:
    """Return the rows of a connection's page."""
    first = arguments.get("first")
    if isinstance(first, float) and first.is_integer():
        first = int(first)  # GraphQL takes 250.0 for an Int
    return min(max(first, 0), LARGEST_FIRST) if type(first) is int else DEFAULT_FIRST


def pages(arguments: Arguments) -> int:
    """Return the calls for a page at one provider; from the middle of a list it may take one more.

    Providers number their pages, and a row in the middle stands on no page's edge.
    """
    return -(-rows_of(arguments) // PAGE) + bool(arguments.get("after"))


def connection(arguments: Arguments, _: int) -> FieldCost:
    """Price a page of one provider."""
    return FieldCost(pages(arguments), rows=rows_of(arguments))


def _filter(arguments: Arguments) -> Mapping[str, Any]:
    given = arguments.get("filter")
    return {k: v for k, v in given.items() if v is not None} if isinstance(given, dict) else {}


def _in_scope(arguments: Arguments, providers: int) -> int:
    wanted = _filter(arguments).get("providers")
    return providers if wanted is None else min(providers, length(wanted))


def _segments_of_one(arguments: Arguments, _: int) -> FieldCost:
    wanted = _filter(arguments)
    rows = rows_of(arguments)
    if "ids" in wanted or "customerId" in wanted:
        return FieldCost(length(wanted.get("ids")) + 3 * ("customerId" in wanted), rows=rows)
    is_sorted = arguments.get("sortKey") not in ("PROVIDER", None)  # any JSON: no set
    if is_sorted or arguments.get("reverse") or wanted.keys() - {"providers"}:
        return FieldCost(MOST_CALLS, rows=rows)
    return FieldCost(pages(arguments), rows=rows)


def _segments(arguments: Arguments, providers: int) -> FieldCost:
    price, scope = _segments_of_one(arguments, 1), _in_scope(arguments, providers)
    is_named = _filter(arguments).keys() & {"ids", "customerId"}
    # What is named by its id is asked of its own provider alone.
    return price._replace(calls=price.calls * (1 if is_named else scope), sources=scope)


def _customers(arguments: Arguments, providers: int) -> FieldCost:
    wanted, rows = _filter(arguments), rows_of(arguments)
    scope = _in_scope(arguments, providers)
    if "externalId" in wanted:
        return FieldCost(2 * scope, rows=rows, sources=scope)
    if "segmentId" in wanted:
        members = _member_customers(arguments, 1)
        return members._replace(calls=members.calls * (MOST_CALLS if "email" in wanted else 1))
    return FieldCost(pages(arguments) * scope, rows=rows, sources=scope)


def _member_customers(arguments: Arguments, _: int) -> FieldCost:
    rows = rows_of(arguments)
    return FieldCost(pages(arguments) + rows, rows=rows)


def _providers(arguments: Arguments, providers: int) -> FieldCost:
    keys = arguments.get("keys")
    return FieldCost(size=providers if keys is None else min(providers, length(keys)))


def _nodes(arguments: Arguments, _: int) -> FieldCost:
    count = min(length(arguments.get("ids")), MOST_NODES)
    return FieldCost(_ASSIGNMENT * count, size=count)


def _memberships(arguments: Arguments, _: int) -> FieldCost:
    customers, segments = length(arguments.get("customerIds")), length(arguments.get("segmentIds"))
    pairs = customers * segments
    if pairs > MOST_PAIRS:
        return FieldCost()  # it is refused
    # The lists of the segments are tried where they are fewer, and given up for the customers.
    return FieldCost(customers + min(customers, segments), size=pairs)


def _matches(arguments: Arguments, _: int) -> FieldCost:
    asked = arguments.get("input")
    return FieldCost(1, size=length(asked.get("itemIds")) if isinstance(asked, dict) else 1)


def items(value: Any) -> int:
    """Return how many items there are in all lists of an input, however deep."""
    if isinstance(value, list):
        return len(value) + sum(map(items, value))
    return sum(map(items, value.values())) if isinstance(value, dict) else 0


def objects(value: Any) -> int:
    """Return how many objects there are in an input, however deep."""
    if isinstance(value, dict):
        return 1 + sum(map(objects, value.values()))
    return sum(map(objects, value)) if isinstance(value, list) else 0


def mutation(arguments: Arguments, _: int) -> FieldCost:
    """Price a write by what its input holds; as many rows as items its payload may have."""
    given = arguments.get("input")
    count = items(given)
    return FieldCost(
        IN_LIST * (1 + count), rows=max(count, 1), objects=IN_INPUT * max(objects(given) - 1, 0)
    )


_ASSIGNMENT = 3
"""Calls for one assignment by its id: itself, else its customer and what they are in."""

PRICES: Mapping[str, Rule] = {
    "Query.node": lambda *_: FieldCost(_ASSIGNMENT),
    "Query.nodes": _nodes,
    "Query.providers": _providers,
    "Query.segments": _segments,
    "Query.customers": _customers,
    "Query.segmentMemberships": _memberships,
    "Query.segmentItemsMatch": _matches,
    "Provider.capabilities": lambda *_: FieldCost(size=20),
    "Provider.segments": _segments_of_one,
    "Segment.customers": _member_customers,
    # A call for what they are in; where that tells segments only in part, one for the whole.
    "Customer.segments": lambda arguments, _: FieldCost(2, rows=rows_of(arguments)),
    "Customer.assignments": lambda arguments, _: FieldCost(1, rows=rows_of(arguments)),
}

TOGETHER: Mapping[str, str] = dict.fromkeys(
    (
        f"Assignment.{name}"
        for name in ("kind", "legalEntity", "createdAt", "updatedAt", "version")
    ),
    "the rest of an assignment",
)
"""Fields that one and the same call answers: beside another of the kind a field costs none."""


def introspected(schema: GraphQLSchema) -> Mapping[str, int]:
    """Return how many values the lists of introspection have, the mean where they differ."""
    kinds = list(schema.type_map.values())
    fields = [
        field
        for kind in kinds
        if isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType))
        for field in kind.fields.values()
    ]
    arguments = sum(len(field.args) for field in fields)
    inputs = sum(len(kind.fields) for kind in kinds if isinstance(kind, GraphQLInputObjectType))
    values = sum(len(kind.values) for kind in kinds if isinstance(kind, GraphQLEnumType))
    return {
        "__Schema.types": len(kinds),
        "__Schema.directives": len(schema.directives),
        "__Type.fields": -(-len(fields) // len(kinds)),
        "__Field.args": -(-arguments // max(len(fields), 1)),
        "__Directive.args": 2,
        "__Type.inputFields": -(-inputs // len(kinds)),
        "__Type.enumValues": -(-values // len(kinds)),
    }
