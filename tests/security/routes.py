"""One operation for each field of the schema: the shortest way there, with arguments that do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLOutputType,
    get_named_type,
    is_introspection_type,
    is_leaf_type,
)

from resolvers.schema import SCHEMA
from tests.e2e.serving import customer_id, segment_id

CORE = SCHEMA._schema  # noqa: SLF001  # as gateway.asgi
Kind = GraphQLObjectType | GraphQLInterfaceType

NOWHERE = 'provider: "nowhere"'
NO_SEGMENT = segment_id("nowhere", "x")
"""A segment of a provider that there is not: a mutation of it is refused before it is sent."""

NO_CUSTOMER = customer_id("nowhere", "x")

SEGMENT_OF_NONE = f'segmentId: "{NO_SEGMENT}"'
WHO = 'identity: {provider: "nowhere", externalId: "x"}'
ITEMS = f'input: {{{SEGMENT_OF_NONE}, items: [{{externalId: "x", type: PRODUCT}}]}}'
EMPORIX = 'first: 2, filter: {providers: ["emporix"]}'

ARGUMENTS = {
    "Query.node": 'id: "%(customer)s"',
    "Query.nodes": 'ids: ["%(customer)s", "%(segment)s", "%(assignment)s"]',
    "Query.provider": 'key: "emporix"',
    "Query.segment": 'id: "%(segment)s"',
    "Query.segments": EMPORIX,
    "Query.customer": 'id: "%(customer)s"',
    "Query.customers": EMPORIX,
    "Query.person": 'id: "%(customer)s"',
    "Query.people": "first: 2",
    "Query.identityLinks": "first: 2",
    "Query.segmentMemberships": 'customerIds: ["%(customer)s"], segmentIds: ["%(segment)s"]',
    "Query.segmentItemsMatch": 'input: {provider: "emporix", siteCode: "main", '
    'itemIds: ["p1001"], segmentIds: ["%(segment)s"]}',
    "Query.segmentsCompare": f'segmentIds: ["%(segment)s", "{segment_id("emporix", "vip-2026")}"]',
    "Mutation.segmentCreate": f"input: {{{NOWHERE}}}",
    "Mutation.segmentUpdate": f'input: {{id: "{NO_SEGMENT}", name: "x"}}',
    "Mutation.segmentUpsert": f'input: {{{NOWHERE}, externalId: "x"}}',
    "Mutation.segmentDelete": f'input: {{id: "{NO_SEGMENT}"}}',
    "Mutation.segmentBulkCreate": f"input: {{{NOWHERE}, segments: [{{}}]}}",
    "Mutation.segmentBulkUpsert": f"input: {{{NOWHERE}, segments: [{{}}]}}",
    "Mutation.segmentBulkDelete": f'input: {{ids: ["{NO_SEGMENT}"]}}',
    "Mutation.segmentsReorder": f'input: {{{NOWHERE}, ids: ["{NO_SEGMENT}"]}}',
    "Mutation.assignmentCreate": f"input: {{{SEGMENT_OF_NONE}, {WHO}}}",
    "Mutation.assignmentDelete": f"input: {{{SEGMENT_OF_NONE}, {WHO}}}",
    "Mutation.assignmentBulkCreate": f"input: {{{SEGMENT_OF_NONE}, assignments: [{{{WHO}}}]}}",
    "Mutation.assignmentBulkDelete": f"input: {{{SEGMENT_OF_NONE}, assignments: [{{{WHO}}}]}}",
    "Mutation.customerSegmentsReplace": f'input: {{{NOWHERE}, customers: [{{externalId: "x"}}]}}',
    "Mutation.customerAttributesUpdate": f"input: {{{WHO}, attributes: {{}}}}",
    "Mutation.customersLink": f'input: {{customerIds: ["{NO_CUSTOMER}"]}}',
    "Mutation.customersUnlink": f'input: {{customerIds: ["{NO_CUSTOMER}"]}}',
    "Mutation.identityLinkDecide": 'input: {linkId: "x", accept: true}',
    "Mutation.segmentItemsBulkAssign": ITEMS,
    "Mutation.segmentItemsBulkUnassign": ITEMS,
}


class Route(NamedTuple):
    """A way from the root to a field: the coordinates of the fields passed, it last."""

    coordinates: tuple[str, ...]

    @property
    def path(self) -> Sequence[str]:
        """The names of the fields."""
        return [each.partition(".")[2] for each in self.coordinates]

    @property
    def text(self) -> str:
        """The operation; `%(customer)s`, `%(segment)s`, `%(assignment)s` stand for ids."""
        last, name = self.coordinates[-1].split(".")
        inner = "" if is_leaf_type(get_named_type(_fields(last)[name])) else " { __typename }"
        for coordinate in reversed(self.coordinates):
            given = ARGUMENTS.get(coordinate)
            arguments = f"({given})" if given else ""
            inner = f" {{ {coordinate.partition('.')[2]}{arguments}{inner} }}"
        return ("mutation" if self.coordinates[0].startswith("Mutation") else "query") + inner

    @property
    def is_of_changes(self) -> bool:
        """Whether it starts at the change log."""
        return self.coordinates[0] == "Query.changes"


def _fields(name: str) -> Mapping[str, GraphQLOutputType]:
    kind = CORE.type_map[name]
    assert isinstance(kind, Kind)
    return {field: of.type for field, of in kind.fields.items()}


def coordinates() -> Iterator[str]:
    """Yield the coordinate of every field of the schema."""
    for name, kind in CORE.type_map.items():
        if isinstance(kind, Kind) and not is_introspection_type(kind):
            yield from (f"{name}.{field}" for field in kind.fields)


def routes(passable: Callable[[str], bool] = lambda _: True) -> dict[str, Route]:
    """Return the shortest way to each field, over passable fields; what can be read is read."""
    shortest: dict[str, Route] = {}
    known = set()
    for root in ("Query", "Mutation"):
        waiting: list[tuple[str, tuple[str, ...]]] = [(root, ())]
        while waiting:
            name, way = waiting.pop(0)
            if name in known:
                continue
            known.add(name)
            for field, kind in _fields(name).items():
                here = (*way, f"{name}.{field}")
                if not passable(here[-1]):
                    continue
                shortest[here[-1]] = Route(here)
                named = get_named_type(kind)
                if isinstance(named, Kind):
                    waiting.append((named.name, here))
    return shortest
