"""The cost of each field: the upstream calls that it may cause, and how many values it has.

Most costs follow from the declaration of a field: a field that is read costs one call per value,
and a connection one per page of a provider. Only exceptions are listed here, by coordinate.

Two things are unknown in advance and count as one call: a provider's list that has to be read to
its end (Stuut's, by id; the segments of one customer), and a retry. Calls beyond the estimate are
charged to the caller afterwards.
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
    COUNTED_SEGMENTS,
    DEFAULT_CHANGES_PAGE_SIZE,
    DEFAULT_PAGE_SIZE,
    MAX_CALLS_PER_PAGE,
    MAX_COMPARED_SEGMENTS,
    MAX_NODES,
    MAX_PAGE_SIZE,
    MAX_PAIRS,
)

Arguments = Mapping[str, Any]
"""The given arguments out of `COST_ARGUMENTS`, uncoerced: any JSON, valid or not.

Cost is computed before variables are coerced.
"""

COST_ARGUMENTS = frozenset(
    {
        "after",
        "customerIds",
        "email",
        "filter",
        "first",
        "ids",
        "input",
        "keys",
        "representations",
        "reverse",
        "segmentIds",
        "sortKey",
    }
)
"""The arguments that affect costs; for `after`, only whether it is given."""

ROWS_PER_CALL = 100
"""Rows per call: the smallest page size of all providers (Voucherify)."""

ASSUMED_LENGTH = 5
"""Assumed length of lists that only the provider knows: languages, identities, conditions."""

CALLS_PER_ITEM = 3
"""Calls per item of a mutation's lists, and for the mutation itself: read, write, read again."""

INPUT_OBJECT_COST = 10
"""The cost of an object in a mutation's input: decoding and checking takes about 50 us."""


class FieldCost(NamedTuple):
    """The cost of one field for one parent object."""

    calls: int = 0
    size: int = 1
    """The length of a list; 1 for everything else."""
    rows: int = 0
    """For a connection: rows of its page. For a payload: rows of its lists."""
    sources: int = 1
    """For a connection: providers that may contribute."""
    objects: int = 0
    """Cost beyond its calls and the fields below it."""


Rule = Callable[[Arguments, int], FieldCost]
"""`(arguments, number of visible providers) -> FieldCost`."""


def length(value: Any) -> int:
    """Return the length of a list argument; a single value is a list of one."""
    return len(value) if isinstance(value, list) else int(value is not None)


def rows_of(arguments: Arguments) -> int:
    """Return the page size of a connection."""
    first = arguments.get("first")
    if isinstance(first, float) and first.is_integer():
        first = int(first)  # GraphQL accepts 250.0 as an Int
    return min(max(first, 0), MAX_PAGE_SIZE) if type(first) is int else DEFAULT_PAGE_SIZE


def pages(arguments: Arguments) -> int:
    """Return the calls for a page at one provider; with a cursor it may take one more.

    Providers number their pages, and a cursor may point into the middle of a provider's page.
    """
    return -(-rows_of(arguments) // ROWS_PER_CALL) + bool(arguments.get("after"))


def connection(arguments: Arguments, _: int) -> FieldCost:
    """Return the cost of a page of one provider."""
    return FieldCost(pages(arguments), rows=rows_of(arguments))


def _filter(arguments: Arguments) -> Mapping[str, Any]:
    given = arguments.get("filter")
    return {k: v for k, v in given.items() if v is not None} if isinstance(given, dict) else {}


def _in_scope(arguments: Arguments, providers: int) -> int:
    wanted = _filter(arguments).get("providers")
    return providers if wanted is None else min(providers, length(wanted))


def _segments_of_one(arguments: Arguments, _: int) -> FieldCost:
    return _segments_at(arguments, 1)


def _segments(arguments: Arguments, providers: int) -> FieldCost:
    scope = _in_scope(arguments, providers)
    cost = _segments_at(arguments, scope)
    if arguments.get("sortKey") != "MEMBERS_COUNT":
        return cost
    wanted = _filter(arguments)
    counted = length(wanted["ids"]) if "ids" in wanted else COUNTED_SEGMENTS
    return cost._replace(calls=cost.calls + min(counted, COUNTED_SEGMENTS))


def _segments_at(arguments: Arguments, scope: int) -> FieldCost:
    """Return the cost of a page of the segments of so many providers, without counts."""
    wanted = _filter(arguments)
    cost = FieldCost(rows=rows_of(arguments), sources=scope)
    is_sorted = arguments.get("sortKey") not in ("PROVIDER", None)  # any JSON: no set
    if wanted.keys() & {"ids", "customerId", "externalId", "containsItem"}:
        # A global id is only looked up at its own provider, any other one at all of them.
        by_id = length(wanted.get("ids")) + 3 * ("customerId" in wanted)
        by_key = ("externalId" in wanted) + 2 * ("containsItem" in wanted)
        return cost._replace(calls=by_id + by_key * scope)
    if is_sorted or arguments.get("reverse") or wanted.keys() - {"providers"}:
        return cost._replace(calls=MAX_CALLS_PER_PAGE * scope)
    return cost._replace(calls=pages(arguments) * scope)


def _customers(arguments: Arguments, providers: int) -> FieldCost:
    wanted, rows = _filter(arguments), rows_of(arguments)
    scope = _in_scope(arguments, providers)
    is_local = bool(wanted.keys() & {"email", "nameContains", "phone"})
    if "externalId" in wanted:
        return FieldCost(2 * scope, rows=rows, sources=scope)
    if sets := sum(length(wanted.get(name)) for name in ("inAll", "inAny", "inNone")):
        # All are of one provider, and read to their end; so are their customers to be filtered.
        lists = sets + ("segmentId" in wanted) + is_local
        return FieldCost(MAX_CALLS_PER_PAGE * lists + rows, rows=rows)
    if "segmentId" in wanted:
        members = _member_customers(arguments, 1)
        return members._replace(calls=members.calls * (MAX_CALLS_PER_PAGE if is_local else 1))
    # Rows that only look like the wanted ones are left out here, so more are read.
    is_filtered = bool(wanted.keys() & {"nameContains", "phone"})
    calls = MAX_CALLS_PER_PAGE if is_filtered else pages(arguments)
    return FieldCost(calls * scope, rows=rows, sources=scope)


def _member_customers(arguments: Arguments, _: int) -> FieldCost:
    rows = rows_of(arguments)
    return FieldCost(pages(arguments) + rows, rows=rows)


def _providers(arguments: Arguments, providers: int) -> FieldCost:
    keys = arguments.get("keys")
    return FieldCost(size=providers if keys is None else min(providers, length(keys)))


def _nodes(arguments: Arguments, _: int) -> FieldCost:
    count = min(length(arguments.get("ids")) + length(arguments.get("representations")), MAX_NODES)
    return FieldCost(_ASSIGNMENT * count, size=count)


def _memberships(arguments: Arguments, _: int) -> FieldCost:
    customers, segments = length(arguments.get("customerIds")), length(arguments.get("segmentIds"))
    pairs = customers * segments
    if pairs > MAX_PAIRS:
        return FieldCost()  # it is refused
    # The lists of the segments are tried first if they are fewer, then those of the customers.
    return FieldCost(customers + min(customers, segments), size=pairs)


def _compared(arguments: Arguments, _: int) -> FieldCost:
    return FieldCost((MAX_CALLS_PER_PAGE + 1) * length(arguments.get("segmentIds")))


def _person(arguments: Arguments, providers: int) -> FieldCost:
    # By an email address in two rounds; otherwise each provider once.
    return FieldCost(providers * (1 if arguments.get("email") is None else 2))


def _person_segments(arguments: Arguments, providers: int) -> FieldCost:
    return FieldCost(2 * providers, rows=rows_of(arguments), sources=providers)


def _person_assignments(arguments: Arguments, providers: int) -> FieldCost:
    return FieldCost(providers, rows=rows_of(arguments), sources=providers)


def _people(arguments: Arguments, providers: int) -> FieldCost:
    wanted, rows = _filter(arguments), rows_of(arguments)
    sets = sum(length(wanted.get(name)) for name in ("inAll", "inAny", "inNone"))
    calls = MAX_CALLS_PER_PAGE * sets + (providers if "email" in wanted else 1)
    return FieldCost(calls, rows=rows, sources=providers)


def _links(arguments: Arguments, _: int) -> FieldCost:
    return FieldCost(1, rows=rows_of(arguments))


def _changes(arguments: Arguments, _: int) -> FieldCost:
    first = arguments.get("first")
    return FieldCost(
        1, rows=DEFAULT_CHANGES_PAGE_SIZE if first is None else rows_of(arguments), sources=0
    )


def _matches(arguments: Arguments, _: int) -> FieldCost:
    given = arguments.get("input")
    return FieldCost(1, size=length(given.get("itemIds")) if isinstance(given, dict) else 1)


def items(value: Any) -> int:
    """Return the number of items in all lists of an input, at any depth."""
    if isinstance(value, list):
        return len(value) + sum(map(items, value))
    return sum(map(items, value.values())) if isinstance(value, dict) else 0


def objects(value: Any) -> int:
    """Return the number of objects in an input, at any depth."""
    if isinstance(value, dict):
        return 1 + sum(map(objects, value.values()))
    return sum(map(objects, value)) if isinstance(value, list) else 0


def mutation(arguments: Arguments, _: int) -> FieldCost:
    """Return the cost of a mutation by the size of its input; its payload has a row per item."""
    given = arguments.get("input")
    count = items(given)
    return FieldCost(
        CALLS_PER_ITEM * (1 + count),
        rows=max(count, 1),
        objects=INPUT_OBJECT_COST * max(objects(given) - 1, 0),
    )


_ASSIGNMENT = 3
"""Calls for an assignment by its id: itself, else its customer and that customer's segments."""

COSTS: Mapping[str, Rule] = {
    "Query.node": lambda *_: FieldCost(_ASSIGNMENT),
    "Query.nodes": _nodes,
    "Query._entities": _nodes,
    "Query.providers": _providers,
    "Query.segments": _segments,
    "Query.customers": _customers,
    "Query.segmentMemberships": _memberships,
    "Query.segmentItemsMatch": _matches,
    "Query.segmentsCompare": _compared,
    "Query.changes": _changes,
    "Provider.capabilities": lambda *_: FieldCost(size=25),
    "Provider.segments": _segments_of_one,
    "Segment.sizeHistory": lambda *_: FieldCost(size=100),
    "Segment.customers": _member_customers,
    "SegmentsComparison.sets": lambda *_: FieldCost(size=MAX_COMPARED_SEGMENTS),
    "SegmentsComparison.regions": lambda *_: FieldCost(size=2**MAX_COMPARED_SEGMENTS - 1),
    "ComparisonRegion.customers": _member_customers,
    "Query.person": _person,
    "Query.people": _people,
    "Query.identityLinks": _links,
    "Person.customers": lambda _, providers: FieldCost(providers, size=providers),
    "Person.segments": _person_segments,
    "Person.assignments": _person_assignments,
    "Person.sources": lambda _, providers: FieldCost(size=providers),
    # One call for the list; if that has the segments only in part, one more for all of them.
    "Customer.segments": lambda arguments, _: FieldCost(2, rows=rows_of(arguments)),
    "Customer.assignments": lambda arguments, _: FieldCost(1, rows=rows_of(arguments)),
}

SHARED_CALLS: Mapping[str, str] = dict.fromkeys(
    (
        f"Assignment.{name}"
        for name in ("kind", "legalEntity", "createdAt", "updatedAt", "version")
    ),
    "details of an assignment",
)
"""Fields that share one call: beside another field of the same group, a field costs no call."""


def introspected(schema: GraphQLSchema) -> Mapping[str, int]:
    """Return the length of each list of introspection; the mean if it varies."""
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
