"""The README's table of operations: every field there is, and makes the call that its row says."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from graphql import GraphQLObjectType

from gateway.sandbox.people import person
from resolvers.schema import SCHEMA
from tests.e2e.known import APP_BETA, DACH_STRATEGIC, HIRO_AT, SILVER_MEMBERS
from tests.e2e.serving import Front, assignment_id, customer_id, segment_id
from tests.e2e.writes.asking import buyers, document, shoppers

README = Path(__file__).parents[3] / "README.md"
HEAD = "| Provider | Operation | GraphQL |"
FIELD = re.compile(r"`([A-Z]\w+)\.(\w+)`")
CALL = re.compile(r"`([A-Z]+) (/[^`]+)`")
NONE = "none: "


class Row(NamedTuple):
    """One row of the table."""

    provider: str
    operation: str
    graphql: str

    @property
    def fields(self) -> Sequence[tuple[str, str]]:
        """The types and fields that are named."""
        return FIELD.findall(self.graphql)


def table() -> Sequence[Row]:
    """Return the rows of the README's table."""
    lines = README.read_text(encoding="utf-8").splitlines()
    start = lines.index(HEAD) + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append(Row(*(cell.strip() for cell in line.strip("|").split(" | "))))
    return rows


BUYER, HIRO = buyers(1)[0], HIRO_AT["emporix"]
STAFF, GOLDEN = segment_id("emporix", "staff"), segment_id("emporix", "golden")
PARTNERS = segment_id("emporix", "b2b-partners")
BETA, DACH = segment_id("voucherify", APP_BETA), segment_id("stuut", DACH_STRATEGIC)
SILVER = segment_id("voucherify", SILVER_MEMBERS)
LONG = "x" * 7_000
WHO = {"identity": {"provider": "emporix", "externalId": BUYER}}
ENTITY = "contact"
NEW = {"externalId": "new", "name": "New", "siteCode": "main"}
ITEMS = {"segmentId": STAFF, "items": [{"externalId": "p1001", "type": "PRODUCT"}]}

Asked = tuple[str, Mapping[str, Any]]


def mutation(field: str, given: Mapping[str, Any]) -> Asked:
    """Return a mutation of which only the user errors are asked."""
    return document(field, selection="__typename"), {"m0": given}


def of_segment(selection: str, key: str) -> Asked:
    """Return a query for parts of a segment."""
    return f"query($id: ID!) {{ segment(id: $id) {{ {selection} }} }}", {"id": key}


def of_customer(selection: str, key: str) -> Asked:
    """Return a query for parts of a customer."""
    return f"query($id: ID!) {{ customer(id: $id) {{ {selection} }} }}", {"id": key}


def memberships(customers: Sequence[str], segments: Sequence[str]) -> Asked:
    """Return a membership test."""
    query = """query($c: [ID!]!, $s: [ID!]!) {
      segmentMemberships(customerIds: $c, segmentIds: $s) { isMember } }"""
    return query, {"c": customers, "s": segments}


def listed(provider: str, what: str = "segments") -> Asked:
    """Return a query for a merged list of one provider."""
    query = f"query($in: [String!]) {{ {what}(filter: {{providers: $in}}) {{ nodes {{ id }} }} }}"
    return query, {"in": [provider]}


def of_provider(provider: str) -> Asked:
    """Return a query for a provider's own list."""
    query = "query($key: String!) { provider(key: $key) { segments { nodes { id } } } }"
    return query, {"key": provider}


def node(key: str) -> Asked:
    """Return a query by global id."""
    return "query($id: ID!) { node(id: $id) { id } }", {"id": key}


NAME = "segments { nodes { externalId } }"
ASSIGNMENTS = "assignments { nodes { id } }"
SEGMENTS = "/customer-segment/{tenant}/segments"
STUUT_HIRO = customer_id("stuut", HIRO_AT["stuut"])
VOUCHERIFY_HIRO = customer_id("voucherify", HIRO_AT["voucherify"])
LIMITS = """{ provider(key: "voucherify") { limits { name current } } }"""
REPLACED = {"provider": "emporix", "customers": [{"externalId": BUYER, "segmentIds": [PARTNERS]}]}
SHOPPED = {
    "provider": "instaleap",
    "customers": [{"externalId": shoppers(1)[0], "segments": None}],
}
MATCH = (
    "query($in: SegmentItemsMatchInput!) { segmentItemsMatch(input: $in) { externalId } }",
    {
        "in": {
            "provider": "emporix",
            "siteCode": "main",
            "itemIds": ["p1001"],
            "segmentIds": [GOLDEN],
        }
    },
)
STUUT_NEW = {"name": "New", "priority": 1}
STATIC = {"name": "New", "customerExternalIds": [HIRO_AT["voucherify"]]}
MEMBERS = "customers { nodes { id } }"
COUNTED = "customersCount { count }"

ASKED: Mapping[str, Mapping[str, Asked]] = {
    "GET /v2/customer-segments": {
        "segments": listed("stuut"),
        "segment": of_segment("id", DACH),
        "Provider.segments": of_provider("stuut"),
    },
    "POST /v2/customer-segments": {
        "segmentCreate": mutation("segmentCreate", {"provider": "stuut", **STUUT_NEW}),
        "segmentBulkCreate": mutation(
            "segmentBulkCreate", {"provider": "stuut", "segments": [STUUT_NEW]}
        ),
    },
    "POST /v2/customer-segments/reorder": {
        "segmentsReorder": mutation("segmentsReorder", {"provider": "stuut", "ids": [DACH]}),
    },
    "GET /v2/customer-segments/partners/{partner_id}": {
        "Customer.segments": of_customer(NAME, STUUT_HIRO),
        "primarySegment": of_customer("primarySegment { id }", STUUT_HIRO),
        "segmentMemberships": memberships([STUUT_HIRO], [DACH]),
    },
    "GET /v1/partners": {
        "customers": listed("stuut", "customers"),
        "customer": of_customer("id", STUUT_HIRO),
    },
    "GET /v1/segments": {
        "segments": listed("voucherify"),
        "Provider.segments": of_provider("voucherify"),
        "limits": (LIMITS, {}),
    },
    "POST /v1/segments": {
        "segmentCreate": mutation("segmentCreate", {"provider": "voucherify", **STATIC}),
        "segmentBulkCreate": mutation(
            "segmentBulkCreate", {"provider": "voucherify", "segments": [STATIC]}
        ),
    },
    "GET /v1/segments/{segmentId}": {"segment": of_segment("id name", BETA)},
    "DELETE /v1/segments/{segmentId}": {
        "segmentDelete": mutation("segmentDelete", {"id": BETA}),
        "segmentBulkDelete": mutation("segmentBulkDelete", {"ids": [BETA]}),
    },
    "GET /v1/customers": {
        "customers": listed("voucherify", "customers"),
        "Segment.customers": of_segment(MEMBERS, BETA),
        "Segment.assignments": of_segment(ASSIGNMENTS, BETA),
        "customersCount": of_segment(COUNTED, BETA),
        "segmentMemberships": memberships([VOUCHERIFY_HIRO], [BETA]),
    },
    "GET /v1/customers/{customerId}": {"customer": of_customer("name", VOUCHERIFY_HIRO)},
    "GET /v1/customers/{customerId}/segments": {
        "Customer.segments": of_customer(NAME, VOUCHERIFY_HIRO),
        "Customer.assignments": of_customer(ASSIGNMENTS, VOUCHERIFY_HIRO),
        "segmentMemberships": memberships([VOUCHERIFY_HIRO], [BETA, SILVER]),
    },
    "POST /api/v3/customers/segments": {
        "customerSegmentsReplace": mutation("customerSegmentsReplace", SHOPPED),
    },
    f"GET {SEGMENTS}": {
        "segments": listed("emporix"),
        "Provider.segments": of_provider("emporix"),
        "Customer.segments": of_customer(NAME, customer_id("emporix", HIRO)),
        "segmentMemberships": memberships([customer_id("emporix", BUYER)], [GOLDEN]),
    },
    f"POST {SEGMENTS}/search": {
        "segments": (
            """query($q: String!) {
              segments(filter: {native: {provider: "emporix", q: $q}}) { nodes { id } } }""",
            {"q": f"id:{LONG}"},
        ),
    },
    f"POST {SEGMENTS}": {
        "segmentCreate": mutation("segmentCreate", {"provider": "emporix", **NEW})
    },
    f"GET {SEGMENTS}/{{segmentId}}": {"segment": of_segment("name", GOLDEN)},
    f"PUT {SEGMENTS}/{{segmentId}}": {
        "segmentUpsert": mutation("segmentUpsert", {"provider": "emporix", **NEW}),
        "segmentUpdate": mutation("segmentUpdate", {"id": GOLDEN, "name": "G", "version": 4}),
    },
    f"PATCH {SEGMENTS}/{{segmentId}}": {
        "segmentUpdate": mutation("segmentUpdate", {"id": GOLDEN, "name": "G"})
    },
    f"DELETE {SEGMENTS}/{{segmentId}}": {
        "segmentDelete": mutation("segmentDelete", {"id": STAFF})
    },
    f"POST {SEGMENTS}/bulk": {
        "segmentBulkCreate": mutation(
            "segmentBulkCreate", {"provider": "emporix", "segments": [NEW]}
        )
    },
    f"PUT {SEGMENTS}/bulk": {
        "segmentBulkUpsert": mutation(
            "segmentBulkUpsert", {"provider": "emporix", "segments": [NEW]}
        )
    },
    f"DELETE {SEGMENTS}/bulk": {
        "segmentBulkDelete": mutation("segmentBulkDelete", {"ids": [STAFF]})
    },
    f"POST {SEGMENTS}/match": {"segmentItemsMatch": MATCH},
    f"GET {SEGMENTS}/{{segmentId}}/customers": {
        "Segment.customers": of_segment(MEMBERS, GOLDEN),
        "Segment.assignments": of_segment(ASSIGNMENTS, GOLDEN),
        "customersCount": of_segment(COUNTED, GOLDEN),
        "segmentMemberships": memberships(
            [customer_id("emporix", each) for each in (BUYER, HIRO)], [GOLDEN]
        ),
    },
    f"GET {SEGMENTS}/{{segmentId}}/customers/{{customerId}}": {
        "node": node(assignment_id("emporix", "golden", BUYER)),
    },
    f"PUT {SEGMENTS}/{{segmentId}}/customers/{{customerId}}": {
        "assignmentCreate": mutation("assignmentCreate", {"segmentId": STAFF, **WHO}),
        "customerSegmentsReplace": mutation("customerSegmentsReplace", REPLACED),
    },
    f"DELETE {SEGMENTS}/{{segmentId}}/customers/{{customerId}}": {
        "assignmentDelete": mutation("assignmentDelete", {"segmentId": STAFF, **WHO}),
        "customerSegmentsReplace": mutation("customerSegmentsReplace", REPLACED),
    },
    f"GET {SEGMENTS}/{{segmentId}}/customers/{{customerId}}/{{legalEntityId}}": {
        "node": node(assignment_id("emporix", "b2b-partners", HIRO, ENTITY))
    },
    f"PUT {SEGMENTS}/{{segmentId}}/customers/{{customerId}}/{{legalEntityId}}": {
        "assignmentCreate": mutation(
            "assignmentCreate", {"segmentId": STAFF, **WHO, "legalEntityId": ENTITY}
        )
    },
    f"DELETE {SEGMENTS}/{{segmentId}}/customers/{{customerId}}/{{legalEntityId}}": {
        "assignmentDelete": mutation(
            "assignmentDelete", {"segmentId": STAFF, **WHO, "legalEntityId": ENTITY}
        )
    },
    f"PUT {SEGMENTS}/{{segmentId}}/customers/bulk": {
        "assignmentBulkCreate": mutation(
            "assignmentBulkCreate", {"segmentId": STAFF, "assignments": [WHO]}
        )
    },
    f"DELETE {SEGMENTS}/{{segmentId}}/customers/bulk": {
        "assignmentBulkDelete": mutation(
            "assignmentBulkDelete", {"segmentId": STAFF, "assignments": [WHO]}
        )
    },
    f"POST {SEGMENTS}/{{segmentId}}/customers/search": {
        "assignmentBulkCreate": mutation(
            "assignmentBulkCreate",
            {
                "segmentId": STAFF,
                "assignments": [{"identity": {"provider": "emporix", "externalId": LONG}}],
            },
        ),
    },
    f"GET {SEGMENTS}/{{segmentId}}/items": {
        "items": of_segment("items { nodes { externalId } }", GOLDEN),
        "segmentItemsBulkAssign": mutation("segmentItemsBulkAssign", ITEMS),
    },
    f"POST {SEGMENTS}/{{segmentId}}/items/search": {
        "segmentItemsBulkAssign": mutation(
            "segmentItemsBulkAssign",
            {"segmentId": STAFF, "items": [{"externalId": LONG, "type": "PRODUCT"}]},
        )
    },
    "PUT /v1/customers/{customerId}": {
        "customerAttributesUpdate": mutation(
            "customerAttributesUpdate",
            {"customerId": VOUCHERIFY_HIRO, "attributes": {"club_level": "Gold"}},
        )
    },
    "PATCH /customer/{tenant}/customers/{customerNumber}": {
        "customerAttributesUpdate": mutation(
            "customerAttributesUpdate", {**WHO, "attributes": {"loyalty": {"tier": "Gold+"}}}
        )
    },
    f"GET {SEGMENTS}/items": {
        "segments": (
            """query($item: ItemKeyInput!) {
              segments(filter: {containsItem: $item}) { nodes { id } } }""",
            {"item": {"type": "PRODUCT", "externalId": "p1012"}},
        ),
    },
    f"PUT {SEGMENTS}/{{segmentId}}/items/{{type}}/bulk": {
        "segmentItemsBulkAssign": mutation("segmentItemsBulkAssign", ITEMS)
    },
    f"DELETE {SEGMENTS}/{{segmentId}}/items/{{type}}/bulk": {
        "segmentItemsBulkUnassign": mutation("segmentItemsBulkUnassign", ITEMS)
    },
    "GET /customer/{tenant}/customers": {"customers": listed("emporix", "customers")},
    "POST /customer/{tenant}/customers/search": {
        "customers": (
            """query($email: String!) {
              customers(filter: {providers: ["emporix"], email: $email}) { nodes { id } } }""",
            {"email": f"{LONG}@example.com"},
        )
    },
    "GET /customer/{tenant}/customers/{customerNumber}": {
        "customer": of_customer("name", customer_id("emporix", HIRO))
    },
}
"""For each operation and each field that its row names, a document that makes the call."""


def named(row: Row) -> Sequence[str]:
    """Return the fields of a row as `ASKED` names them: with their type where that is needed."""
    return [f"{t}.{f}" if f"{t}.{f}" in _asked(row) else f for t, f in row.fields]


def _asked(row: Row) -> Mapping[str, Asked]:
    [(method, path)] = CALL.findall(row.operation)
    return ASKED[f"{method} {path}"]


def offered() -> Sequence[Row]:
    """Return the rows that name a field."""
    return [row for row in table() if not row.graphql.startswith(NONE)]


def test_fields_exist() -> None:
    """Every field that the table names is one of the schema's; every other row says why not."""
    types = SCHEMA._schema.type_map  # noqa: SLF001  # Strawberry has no other way to it
    for row in table():
        assert bool(row.fields) is not row.graphql.startswith(NONE), row
        for name, field in row.fields:
            kind = types[name]
            assert isinstance(kind, GraphQLObjectType)
            assert field in kind.fields, (name, field)


def test_every_mutation_is_named() -> None:
    """The table names every mutation but those of links, which send nothing to a provider."""
    mutation = SCHEMA._schema.mutation_type  # noqa: SLF001  # likewise
    assert mutation is not None
    assert {field for row in table() for name, field in row.fields if name == "Mutation"} == set(
        mutation.fields
    ) - {"customersLink", "customersUnlink", "identityLinkDecide"}


def test_every_document_belongs_to_a_row() -> None:
    """What is asked here and what the table says are the same."""
    assert {row.operation.strip("`"): set(named(row)) for row in offered()} == {
        operation: set(documents) for operation, documents in ASKED.items()
    }


@pytest.mark.parametrize("operation", ASKED)
async def test_calls(front: Front, operation: str) -> None:
    """Each field of the row makes the call that the row says."""
    method, _, path = operation.partition(" ")
    pattern = re.sub(r"\\\{\w+\\\}", "[^/?]+", re.escape(path))
    wanted = re.compile(rf"{method} {pattern}(\?.*)?")
    for field, (query, variables) in ASKED[operation].items():
        front.forget()
        await front.ask(query, variables)
        made = [call for call in front.calls if wanted.fullmatch(call)]
        assert made, (operation, field, front.calls)


def test_people() -> None:
    """The buyer of these documents is no company's: such are assigned by legal entity."""
    assert person(0).emporix_id == BUYER
    assert person(0).company is None
