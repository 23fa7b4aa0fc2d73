"""The workloads in each schema. The leaf values of all responses are equal."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

GATEWAY, PLAIN, HIVE = "gateway", "plain", "hive"
"""The schemas: this gateway's, the peers' common one, and Mesh's, generated from REST."""


@dataclass(frozen=True)
class Workload:
    """One workload; the operation for PLAIN is used for every schema without one of its own."""

    name: str
    what: str
    operations: Mapping[str, str]
    variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def body(self, schema: str) -> bytes:
        """Return the body of the POST."""
        request: dict[str, Any] = {"query": self.operations.get(schema, self.operations[PLAIN])}
        variables = self.variables.get(schema, self.variables.get(PLAIN))
        if variables:
            request["variables"] = variables
        return json.dumps(request).encode()


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
    return f"{{ emporixSegments(first: 20) {{ {rows} }} }}"


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
            PLAIN: f"{{ segments {{ {SIX_PLAIN} }} }}",
            HIVE: f"{{ segmentList {{ data {{ {SIX_PLAIN} }} }} }}",
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
            PLAIN: f"{{ v: segments {{ {EIGHT_PLAIN} }} "
            f"e: emporixSegments(first: 100) {{ {EMPORIX_PLAIN} }} }}",
            HIVE: f"{{ v: segmentList {{ data {{ {EIGHT_PLAIN} }} }} "
            f"e: emporixSegments(first: 100) {{ {EMPORIX_PLAIN} }} }}",
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
            GATEWAY: {"id": "WyJzIiwidm91Y2hlcmlmeSIsInNlZ18wNDIiXQ"},
            PLAIN: {"id": "seg_042"},
        },
    ),
)


def growing(segments: int, members: int) -> bytes:
    """Return a query for assignments of 10 fields, 1 + `segments` calls."""
    row = "id kind state origin createdAt updatedAt version provider { key kind displayName }"
    lists = f"assignments(first: {members}) {{ nodes {{ {row} }} }}"
    request = f"segments(first: {segments}) {{ nodes {{ {lists} }} }}"
    return json.dumps({"query": f'{{ provider(key: "emporix") {{ {request} }} }}'}).encode()
