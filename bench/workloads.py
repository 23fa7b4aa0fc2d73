"""The workloads of equal requests, in each schema. The leaf values of all responses are equal."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from graphql import FieldNode, NameNode, Visitor, parse, print_ast, visit

GATEWAY, PLAIN, HIVE = "gateway", "plain", "hive"
"""The schemas: this gateway's, the peers' common one, and Mesh's, generated from REST."""

NEW = "@NEW@"
"""In a body: a name that is another one each time the body is sent."""
_START = re.compile(r"^((?:\s|#[^\n]*\n)*)(?:query\b(?:\s+\w+)?)?\s*([({])")
"""Comments, and a query up to its variables or selection."""


@dataclass(frozen=True)
class Workload:
    """One workload; the operation for PLAIN is used for every schema without one of its own."""

    name: str
    what: str
    operations: Mapping[str, str]
    variables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """The variables of each request, in turn; equally many for all schemas."""

    def bodies(self, schema: str) -> Sequence[bytes]:
        """Return the bodies of the POSTs, in turn."""
        query = self.operations.get(schema, self.operations[PLAIN])
        variables = self.variables.get(schema, self.variables.get(PLAIN))
        requests: Sequence[dict[str, Any]] = (
            [{"query": query, "variables": each} for each in variables]
            if variables
            else [{"query": query}]
        )
        return [json.dumps(each).encode() for each in requests]

    def body(self, schema: str) -> bytes:
        """Return the body of the first POST."""
        return self.bodies(schema)[0]


SIX = "externalId name createdAt updatedAt membership status"
SIX_PLAIN = "id name created_at updated_at membership status"
EIGHT = "externalId name description createdAt updatedAt membership status emitsMembershipEvents"
EIGHT_PLAIN = "id name description created_at updated_at membership status emits_events"
EMPORIX = "externalId siteCode name description status version createdAt updatedAt"
EMPORIX_PLAIN = (
    "id siteCode name { en } description { en } status metadata { version createdAt modifiedAt }"
)


def _n_plus_1(provider: str) -> str:
    people = "nodes { createdAt customer { name email phone } }"
    rows = f"externalId name assignments(first: 5) {{ {people} }}"
    return f'{{ provider(key: "{provider}") {{ segments(first: 20) {{ nodes {{ {rows} }} }} }} }}'


def _n_plus_1_plain(person: str) -> str:
    people = f"metadata {{ createdAt }} {person} {{ name email phone }}"
    rows = f"id name {{ en }} customers(first: 5) {{ {people} }}"
    return f"{{ emporixSegments(first: 20, page: 1) {{ {rows} }} }}"


def _listed(provider: str, rows: str) -> str:
    return f'provider(key: "{provider}") {{ segments(first: 100) {{ nodes {{ {rows} }} }} }}'


WORKLOADS = (
    Workload(
        "Q1",
        "a field that needs no call",
        {GATEWAY: '{ provider(key: "voucherify") { displayName } }', PLAIN: "{ greet }"},
    ),
    Workload(
        "Q2",
        "100 segments x 6 fields, 1 call",
        {
            GATEWAY: f"{{ {_listed('voucherify', SIX)} }}",
            PLAIN: f"{{ segments(first: 100) {{ {SIX_PLAIN} }} }}",
            HIVE: f"{{ segmentList(first: 100) {{ data {{ {SIX_PLAIN} }} }} }}",
        },
    ),
    Workload(
        "Q3",
        "20 segments, their 5 assignments each, the 30 customers one by one: 51 calls",
        {GATEWAY: _n_plus_1("comma"), PLAIN: _n_plus_1_plain("person")},
    ),
    Workload(
        "Q3b",
        "the same, the customers in one call: 22 calls",
        {GATEWAY: _n_plus_1("emporix"), PLAIN: _n_plus_1_plain("personBatched")},
    ),
    Workload(
        "Q4",
        "one list merged of two providers, 200 segments x 8 fields, 2 calls",
        {
            GATEWAY: '{ segments(first: 200, filter: {providers: ["voucherify", "emporix"]}) '
            "{ nodes { externalId provider { key } name description membership status createdAt "
            "updatedAt } } }",
            PLAIN: "{ merged { id provider name description membership status createdAt "
            "updatedAt } }",
        },
    ),
    Workload(
        "Q4b",
        "two lists, 2 x 100 segments x 8 fields, 2 calls",
        {
            GATEWAY: f"{{ v: {_listed('voucherify', EIGHT)} e: {_listed('emporix', EMPORIX)} }}",
            PLAIN: f"{{ v: segments(first: 100) {{ {EIGHT_PLAIN} }} "
            f"e: emporixSegments(first: 100, page: 1) {{ {EMPORIX_PLAIN} }} }}",
            HIVE: f"{{ v: segmentList(first: 100) {{ data {{ {EIGHT_PLAIN} }} }} "
            f"e: emporixSegments(first: 100, page: 1) {{ {EMPORIX_PLAIN} }} }}",
        },
    ),
    Workload(
        "Q5",
        "one segment by its id",
        {
            GATEWAY: f"query One($id: ID!) {{ segment(id: $id) {{ {SIX} }} }}",
            PLAIN: f"query One($id: ID!) {{ segment(id: $id) {{ {SIX_PLAIN} }} }}",
            HIVE: f"query One($id: String!) {{ segment(id: $id) {{ {SIX_PLAIN} }} }}",
        },
        # The gateway's id of the same segment: base64 of ["s","voucherify","seg_042"].
        {
            GATEWAY: [{"id": "WyJzIiwidm91Y2hlcmlmeSIsInNlZ18wNDIiXQ"}],
            PLAIN: [{"id": "seg_042"}],
        },
    ),
)


def is_query(document: str) -> bool:
    """Return whether a document begins with a query."""
    return _START.match(document) is not None


def unseen(query: str) -> str:
    """Return a query with `NEW` as the name of its operation. Raises `ValueError` for others."""
    renamed, count = _START.subn(rf"\1query {NEW}\2", query, count=1)
    if not count:
        raise ValueError(f"not a query: {query}")
    return renamed


def unseen_body(body: bytes) -> bytes:
    """Return a body whose document is a new one each time it is sent."""
    request = json.loads(body)
    return json.dumps({**request, "query": unseen(request["query"])}).encode()


def unseen_keys_body(body: bytes) -> bytes:
    """Return a body whose document has a new alias for each field each time it is sent."""
    request = json.loads(body)
    return json.dumps({**request, "query": unseen_keys(request["query"])}).encode()


def unseen_keys(query: str) -> str:
    """Return a query whose fields all have aliases with `NEW`."""
    return print_ast(visit(parse(query), _Aliasing())).replace(_TO_REPLACE, NEW)


_TO_REPLACE = "to_replace"
"""Stands for `NEW` in what is parsed."""


class _Aliasing(Visitor):
    """Gives each field an alias of its own."""

    def __init__(self) -> None:
        self._count = 0
        super().__init__()

    def leave_field(self, node: FieldNode, *_: Any) -> FieldNode:
        """Replace a field."""
        self._count += 1
        return replace(node, alias=NameNode(value=f"{_TO_REPLACE}_{self._count}"))


def inlined_body(body: bytes) -> bytes:
    """Return a body whose document has the values of its variables in it, as literals."""
    request = json.loads(body)
    query = re.sub(r"^query \w+\([^)]*\)", "query", request["query"])
    for name, value in request.get("variables", {}).items():
        query = re.sub(rf"\${name}\b", json.dumps(value), query)
    return json.dumps({"query": query}).encode()


def growing(segments: int, members: int) -> bytes:
    """Return a query for assignments of 10 fields, 1 + `segments` calls."""
    row = "id kind state origin createdAt updatedAt version provider { key kind displayName }"
    lists = f"assignments(first: {members}) {{ nodes {{ {row} }} }}"
    request = f"segments(first: {segments}) {{ nodes {{ {lists} }} }}"
    return json.dumps({"query": f'{{ provider(key: "emporix") {{ {request} }} }}'}).encode()
