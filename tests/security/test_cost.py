"""What an operation costs: exact figures, never fewer calls than it took, refused before any."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_introspection_query,
    get_named_type,
)

from bench.varied import VARIED
from bench.workloads import GATEWAY, WORKLOADS
from gateway.http.pages.examples import examples
from gateway.limits.settings import LimitSettings
from gateway.providers.emporix import listing as emporix
from gateway.providers.registry import ADAPTERS
from gateway.providers.stuut.adapter import PARTNERS, SEGMENTS
from gateway.providers.voucherify import listing as voucherify
from resolvers.execution.cost_analysis import CALL_COST, CostAnalysis
from resolvers.execution.documents import Documents
from resolvers.execution.field_costs import ASSUMED_LENGTH, COSTS, ROWS_PER_CALL, SHARED_CALLS
from resolvers.federation.schema import SUBGRAPH
from resolvers.schema import SCHEMA
from tests.e2e.serving import Front, customer_id, segment_id
from tests.security.bounded import ask, bounded, codes, errors_of

CORE = SCHEMA._schema  # noqa: SLF001  # as gateway.asgi
ROOT = Path(__file__).parents[2]
MOST = LimitSettings().cost_per_minute
PROVIDERS = ("stuut", "voucherify", "instaleap", "emporix")


def cost_of(query: str, variables: Any = None, providers: Any = PROVIDERS) -> tuple[int, int]:
    """Return calls, and objects, of an operation of everybody."""
    document = Documents(CORE).read(query)
    assert document.is_good, document.errors
    pricing = document.cost_analysis(None)
    assert isinstance(pricing, CostAnalysis)
    cost = pricing.cost(variables, providers, None)
    return cost.calls, cost.requested - CALL_COST * cost.calls


def test_cursors_do_not_differ_in_cost() -> None:
    """So that paging through a list takes one computation; elsewhere, the value counts."""
    text = "query ($c: String, $by: SegmentSortKey) {{ segments({}) {{ nodes {{ id }} }} }}"
    document = Documents(CORE).read(text.format("first: 7, after: $c, sortKey: $by"))
    pricing = document.cost_analysis(None)
    assert isinstance(pricing, CostAnalysis)
    asked: list[Any] = [None, "", "a", "b", "c"]
    costs = [pricing.cost({"c": each}, PROVIDERS, None).calls for each in asked]
    assert costs == [4, 4, 8, 8, 8]
    assert len(pricing._cache) == 2  # noqa: SLF001  # nothing shows it; with and without
    assert pricing.cost({"c": "a", "by": "NAME"}, PROVIDERS, None).calls == 400


@pytest.mark.parametrize(
    ("query", "calls", "objects"),
    [
        ("{ __typename }", 0, 1),
        ('{ provider(key: "stuut") { key } }', 0, 2),
        ("{ providers { key } }", 0, 1 + 4),
        ('{ providers(keys: ["stuut"]) { key } }', 0, 1 + 1),
        ("{ segments { totalCount } }", 4, 1 + 1),
        ("{ segments { nodes { id } } }", 4, 1 + 1 + 50),
        ("{ segments(first: null) { nodes { id } } }", 4, 1 + 1 + 50),
        ("{ segments(first: 101) { nodes { id } } }", 4 * 2, 1 + 1 + 101),
        ("{ segments(first: 250) { nodes { id } edges { node { id } } } }", 12, 2 + 250 + 500),
        ('{ segments(first: 7, after: "x") { nodes { id } } }', 4 * 2, 1 + 1 + 7),
        ('{ segments(first: 7, filter: {providers: ["emporix"]}) { nodes { id } } }', 1, 9),
        ('{ segments(first: 7, filter: {ids: ["a", "b"]}) { nodes { id } } }', 2, 9),
        ("{ segments(first: 7, sortKey: NAME) { nodes { id } } }", 400, 9),
        ("{ segments(first: 7, reverse: true) { nodes { id } } }", 400, 9),
        ('{ segments(first: 7, filter: {nameContains: "x"}) { nodes { id } } }', 400, 9),
        ("{ segments(first: 7, sortKey: MEMBERS_COUNT) { nodes { id } } }", 400 + 500, 9),
        (
            (
                '{ segments(first: 7, sortKey: MEMBERS_COUNT, filter: {ids: ["a", "b"]}) '
                "{ nodes { id } } }"
            ),
            2 + 2,
            9,
        ),
        ('{ segments(first: 7, filter: {externalId: "a"}) { nodes { id } } }', 4, 9),
        ('{ segments(first: 7, filter: {updatedAfter: "2026-01-01"}) { nodes { id } } }', 400, 9),
        (
            (
                '{ segments(first: 7, filter: {providers: ["emporix"], containsItem: '
                '{type: PRODUCT, externalId: "p"}}) { nodes { id } } }'
            ),
            2,
            9,
        ),
        ('{ customers(first: 7, filter: {nameContains: "a"}) { nodes { id } } }', 400, 9),
        ('{ customers(first: 7, filter: {phone: "1"}) { nodes { id } } }', 400, 9),
        (
            '{ customers(first: 7, filter: {segmentId: "a", phone: "1"}) { nodes { id } } }',
            (1 + 7) * 100,
            9,
        ),
        (
            '{ customers(first: 3, filter: {inAny: ["a"], nameContains: "b"}) { totalCount } }',
            200 + 3,
            2,
        ),
        ("{ segments { sources { totalCount } } }", 4, 1 + 1 + 4),
        ("{ providers { segments(first: 9) { nodes { id } sources { totalCount } } } }", 4, 49),
        ("{ segments(first: 3) { nodes { assignments(first: 7) { nodes { id } } } } }", 4 + 3, 29),
        (
            (
                "{ segments(first: 3) { nodes { assignments(first: 7) { nodes "
                "{ kind createdAt customer { id } } } } } }"
            ),
            4 + 3 + 2 * 21,
            1 + 1 + 3 + 3 + 21 + 21,
        ),
        ("{ segments(first: 3) { nodes { customers(first: 7) { nodes { id } } } } }", 28, 29),
        ("{ segments(first: 3) { nodes { customersCount { count } } } }", 4 + 3, 8),
        ("{ customers(first: 3) { nodes { segments(first: 2) { nodes { id } } } } }", 10, 14),
        ('{ customers(first: 3, filter: {inAny: ["a", "b"]}) { totalCount } }', 200 + 3, 2),
        (
            (
                '{ customers(first: 3, filter: {inAll: "a", inNone: ["b"], segmentId: "c"}) '
                "{ totalCount } }"
            ),
            300 + 3,
            2,
        ),
        ('{ segmentsCompare(segmentIds: ["a", "b"]) { sets { count } } }', 2 * 101, 1 + 1 + 6),
        (
            (
                '{ segmentsCompare(segmentIds: ["a", "b"]) { regions { customers(first: 2) '
                "{ nodes { id } } } } }"
            ),
            2 * 101 + 63 * 3,
            1 + 1 + 63 + 63 + 2 * 63,
        ),
        ('{ nodes(ids: ["a", "b"]) { id } }', 6, 1 + 2),
        ('{ nodes(ids: "a") { id } }', 3, 1 + 1),
        (
            (
                '{ nodes(ids: ["a", "b"]) { ... on Customer { name } ... on Segment '
                "{ assignments(first: 5) { nodes { id } } } } }"
            ),
            6 + 2,
            1 + 2 + 2 + 10,
        ),
        (
            (
                '{ segmentMemberships(customerIds: ["a", "b"], segmentIds: ["c", "d", "e"]) '
                "{ isMember customer { id } } }"
            ),
            2 * 2 + 6,
            1 + 6 + 6,
        ),
        ("{ providers { limits { current } } }", 4 * ASSUMED_LENGTH, 1 + 4 + 4 * ASSUMED_LENGTH),
        ("{ providers { capabilities { operation } } }", 0, 1 + 4 + 100),
        (
            (
                "{ segments(first: 2) { nodes { a: id b: id c: id d: id e: id f: id g: id h: id "
                "i: id "
                "j: id k: id } } }"
            ),
            4,
            1 + 1 + 2 * 2,
        ),
        ("{ segments(first: 2) { nodes { raw } } }", 4, 1 + 1 + 2),
        ("{ segments(first: 2) { nodes { raw attributes } } }", 4, 1 + 1 + 2 * 2),
        (
            (
                "{ segments(first: 2) { ...A ...A } } fragment A on SegmentConnection { nodes { "
                "id } }"
            ),
            4,
            4,
        ),
        ("{ segments(first: 2) { nodes @skip(if: true) { id } totalCount } }", 4, 4),
        (
            'mutation { segmentBulkDelete(input: {ids: ["a", "b"]}) { results { index } } }',
            3 * 3,
            1 + 1 + 2,
        ),
        (
            (
                'mutation { customerSegmentsReplace(input: {provider: "x", customers: [{'
                "externalId: "
                '"a", segmentIds: ["b", "c"]}]}) { results { outcome } userErrors { code } } }'
            ),
            3 * 4,
            1 + 1 + 3 + 3 + 10,
        ),
    ],
    ids=str,
)
def test_cost(query: str, calls: int, objects: int) -> None:
    """Lists and connections multiply what is below them."""
    assert cost_of(query) == (calls, objects)


@pytest.mark.parametrize(
    ("query", "variables", "calls", "objects"),
    [
        ("query($n: Int) { segments(first: $n) { nodes { id } } }", None, 4, 52),
        ("query($n: Int = 9) { segments(first: $n) { nodes { id } } }", {}, 4, 11),
        ("query($n: Int = 9) { segments(first: $n) { nodes { id } } }", {"n": 250}, 12, 252),
        ("query($n: Int) { segments(first: $n) { nodes { id } } }", {"n": 250.0}, 12, 252),
        ("query($n: Int) { segments(first: $n) { nodes { id } } }", {"n": 10**9}, 12, 252),
        ("query($n: Int) { segments(first: $n) { nodes { id } } }", {"n": -5}, 0, 2),
        ("query($n: Int) { segments(first: $n) { nodes { id } } }", {"n": "9"}, 4, 52),
        ("query($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": ["a"] * 5}, 15, 6),
        ("query($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": "a"}, 3, 2),
        ("query($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": [1, "a"]}, 6, 3),
        ("query($i: ID!) { nodes(ids: [$i, $i]) { id } }", {"i": "a"}, 6, 3),
        ("query($k: [String!]) { providers(keys: $k) { key } }", {"k": ["stuut"] * 99}, 0, 5),
        (
            "query($f: SegmentFilter) { segments(filter: $f) { totalCount } }",
            {"f": {"providers": ["emporix", "stuut"], "status": None}},
            2,
            2,
        ),
        (
            "query($p: [String!]) { segments(filter: {providers: $p}) { totalCount } }",
            {"p": ["emporix"]},
            1,
            2,
        ),
        (
            "query($s: SegmentSortKey) { segments(sortKey: $s) { totalCount } }",
            {"s": "NAME"},
            400,
            2,
        ),
        (
            (
                "mutation($i: SegmentBulkCreateInput!) { segmentBulkCreate(input: $i) "
                "{ results { segment { id } } } }"
            ),
            {"i": {"provider": "x", "segments": [{"customers": ["a", "b"]}, {}]}},
            3 * 5,
            1 + 1 + 4 + 4 + 2 * 10,
        ),
    ],
    ids=str,
)
def test_cost_with_variables(query: str, variables: Any, calls: int, objects: int) -> None:
    """As they came, or else by their defaults; what is no number counts as none given."""
    document = Documents(CORE).read(query)
    pricing = document.cost_analysis(None)
    assert pricing is not None
    for _ in range(2):  # the second time it may be known
        cost = pricing.cost(variables, PROVIDERS, None)
        assert (cost.calls, cost.requested - CALL_COST * calls) == (calls, objects)


def test_cost_is_of_the_providers_in_sight() -> None:
    """Who sees fewer asks fewer, and the kept cost of one is not another's."""
    pricing = Documents(CORE).read("{ segments { totalCount } }").cost_analysis(None)
    assert pricing is not None
    for seen, calls in ((PROVIDERS, 4), (("stuut",), 1), (PROVIDERS, 4), ({"a": 1, "b": 2}, 2)):
        assert pricing.cost(None, seen, None).calls == calls
    # No provider is asked more often than it allows one operation.
    pricing = (
        Documents(CORE).read("{ segments(sortKey: NAME) { totalCount } }").cost_analysis(None)
    )
    assert pricing is not None
    assert pricing.cost(None, PROVIDERS, dict.fromkeys(PROVIDERS, 30)).calls == 120


README = re.findall(r"```graphql\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
N_PLUS_1 = """{ provider(key: "%s") { segments(first: 20) { nodes { externalId name
  assignments(first: 5) { nodes { createdAt customer { name email phone } } } } } } }"""
CUSTOMER = customer_id("emporix", "90000037"), customer_id("voucherify", "crm-00000")
SEGMENT = segment_id("emporix", "staff"), segment_id("stuut", "seg_ChSVXpe3")
HONEST: dict[str, tuple[str, Any]] = {
    **{each["name"]: (each["query"], None) for each in examples() if "\nquery " in each["query"]},
    **{f"README {i}": (query, None) for i, query in enumerate(README)},
    **{
        f"bench {each.name}": (request["query"], request.get("variables"))
        for each in (*WORKLOADS, *VARIED)
        for request in [json.loads(each.body(GATEWAY))]
        if not re.search('"(comma|many)"', request["query"])
    },
    **{f"20 x 5 of {key}": (N_PLUS_1 % key, None) for key in PROVIDERS},
    "250 x 50": (
        (
            "{ segments(first: 250) { nodes { id assignments(first: 50) { nodes { id kind "
            "state origin"
            " createdAt updatedAt version provider { key kind displayName } customer { name "
            "} } } } } }"
        ),
        None,
    ),
    "members": (
        (
            "{ segments(first: 50) { nodes { customers(first: 50) { nodes { name } } "
            "customersCount { count } items(first: 10) { nodes { name } } } } }"
        ),
        None,
    ),
    "customers": (
        (
            "{ customers(first: 250) { nodes { segments { nodes { name createdAt } } "
            "primarySegment "
            "{ name } assignments { nodes { kind customer { name } segment { createdAt } } } } } }"
        ),
        None,
    ),
    "memberships": (
        (
            "query($c: [ID!]!, $s: [ID!]!) { segmentMemberships(customerIds: $c, segmentIds: $s) "
            "{ isMember customer { name } segment { name } } }"
        ),
        {"c": CUSTOMER, "s": SEGMENT},
    ),
    "nodes": (
        (
            "query($i: [ID!]!) { nodes(ids: $i) { id ... on Customer { segments { totalCount } } "
            "... on Segment { assignments { totalCount } } } }"
        ),
        {"i": [*CUSTOMER, *SEGMENT]},
    ),
    "by customer": (
        "query($c: ID!) { segments(filter: {customerId: $c}) { nodes { name createdAt } } }",
        {"c": CUSTOMER[1]},
    ),
    "by segment": (
        "query($s: ID!) { customers(filter: {segmentId: $s}) { nodes { name } totalCount } }",
        {"s": SEGMENT[0]},
    ),
    "in sets": (
        "query($s: [ID!]) { customers(filter: {inAny: $s}) { nodes { name } totalCount } }",
        {"s": SEGMENT[:1]},
    ),
    "comparison": (
        (
            "query($s: [ID!]!) { segmentsCompare(segmentIds: $s) { total asOf sets { count "
            "segment { name } } regions { count customers { nodes { name } totalCount } } } }"
        ),
        {"s": [SEGMENT[0], segment_id("emporix", "golden")]},
    ),
    "by key": ('{ customers(filter: {externalId: "crm-00000"}) { nodes { name } } }', None),
    "nested": (
        "{ providers { segments { nodes { provider { segments { nodes { id } } } } } } }",
        None,
    ),
}


@pytest.mark.parametrize("name", HONEST)
async def test_honest_operations_pass_and_take_no_more_calls(front: Front, name: str) -> None:
    """Every example runs, and asks its providers no more often than its cost says."""
    query, variables = HONEST[name]
    await ask(front, "{ segments(first: 1) { totalCount } customers(first: 1) { totalCount } }")
    front.forget()
    reply = await ask(front, query, variables)
    cost = reply.json()["extensions"]["cost"]
    assert "data" in reply.json()
    assert cost["calls"] >= len(front.calls)
    assert cost["requested"] <= LimitSettings().cost
    assert set(cost) == {"requested", "calls", "remaining"}


async def test_introspection_of_graphiql_passes(front: Front) -> None:
    """Once in an operation; under many aliases it is refused."""
    query = get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
    )
    reply = await ask(front, query)
    assert reply.json()["data"]["__schema"]["queryType"]["name"] == "Query"
    deep = "types { fields { args { type { name } } type { fields { name } } } }"
    bomb = "{ " + " ".join(f"a{i}: __schema {{ {deep} }}" for i in range(10)) + " }"
    assert [code for _, code in errors_of(await ask(front, bomb))[1]] == ["LIMIT_EXCEEDED"]


@pytest.mark.parametrize(
    "query",
    [
        (
            "{ providers { segments(first: 250) { nodes { provider { segments(first: 250) { nodes "
            "{ id } } } } } } }"
        ),
        (
            "{ segments(first: 250) { nodes { customers(first: 250) { nodes { "
            "segments(first: 250) "
            "{ nodes { name } } } } } } }"
        ),
        (
            "{ segments(first: 250) { edges { node { assignments(first: 250) { edges { node "
            "{ customer"
            " { assignments(first: 250) { nodes { id } } } } } } } } } }"
        ),
        "{ segments(first: 250) { nodes { assignments(first: 250) { nodes { "
        + " ".join(f"a{i}: id" for i in range(40))
        + " } } } } }",
    ],
    ids=["through the provider", "there and back", "edges", "many aliases"],
)
async def test_bombs_are_refused_before_any_call(front: Front, query: str) -> None:
    """The error names the bound and the figure, and the cost stands beside it."""
    reply = await ask(front, query)
    cost = reply.json()["extensions"]["cost"]
    message = f"cost is {cost['requested']}; at most 100000 are allowed (limits.cost)."
    assert errors_of(reply) == (400, [(message, "LIMIT_EXCEEDED")])
    assert front.calls == []


async def test_the_bound_exactly() -> None:
    """4 calls and 12 objects are 52; 51 are not enough."""
    query = "{ segments(first: 10) { nodes { id } } }"
    async with bounded(cost=52) as front:
        reply = await ask(front, query)
        assert reply.json()["extensions"]["cost"]["requested"] == 52
        assert "data" in reply.json()
    async with bounded(cost=51) as front:
        reply = await ask(front, query)
        message = "cost is 52; at most 51 are allowed (limits.cost)."
        assert errors_of(reply) == (400, [(message, "LIMIT_EXCEEDED")])
        assert front.calls == []


def test_prices_are_of_fields_that_there_are() -> None:
    """A field that is renamed takes its price along."""
    for coordinate in (*COSTS, *SHARED_CALLS):
        kind, _, name = coordinate.partition(".")
        parent = SUBGRAPH._schema.get_type(kind)  # noqa: SLF001  # as gateway.asgi; it has them all
        assert isinstance(parent, GraphQLObjectType)
        assert name in parent.fields, coordinate


def test_only_connections_are_called_so() -> None:
    """What has nodes and edges: their price is told by the type's name."""
    composite = [
        kind
        for kind in CORE.type_map.values()
        if isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType))
    ]
    for kind in composite:
        assert kind.name.endswith("Connection") is ({"nodes", "edges"} <= kind.fields.keys())
        for name, field in kind.fields.items():
            if get_named_type(field.type).name.endswith("Connection"):
                assert "first" in field.args, f"{kind.name}.{name}"


def test_lists_of_known_length_are_no_longer() -> None:
    """What counts as few is few."""
    assert all(len(adapter.limits) <= ASSUMED_LENGTH for adapter in ADAPTERS.values())


def test_a_call_reads_as_many_rows_as_the_provider_with_the_smallest_pages() -> None:
    """The rows that the cost analysis expects of one call are those of the adapters."""
    largest = (
        SEGMENTS.largest,
        PARTNERS.largest,
        voucherify.MAX_ROWS_PER_CALL,
        emporix.MAX_ROWS_PER_CALL,
    )
    assert min(largest) == ROWS_PER_CALL


def test_equal_values_of_other_types_cost_their_own() -> None:
    """What `true`, 1 and 1.0 cost is not mixed up, though Python holds them equal."""
    document = Documents(CORE).read("query ($n: Int) { segments(first: $n) { nodes { id } } }")
    pricing = document.cost_analysis(None)
    assert isinstance(pricing, CostAnalysis)

    costs = [pricing.cost({"n": value}, PROVIDERS, None) for value in (True, 1, 1.0, True, 1)]

    dear, cheap = costs[0], costs[1]
    assert costs == [dear, cheap, cheap, dear, cheap]
    assert (dear.requested, cheap.requested) == (4 * CALL_COST + 52, 4 * CALL_COST + 3)


async def test_refused_value_makes_no_later_one_dear() -> None:
    """`{"n": true}` is refused, and `{"n": 1}` of the same document costs what it always did."""
    query = "query ($n: Int) { segments(first: $n) { nodes { id } } }"
    async with bounded() as front:
        refused = await ask(front, query, {"n": True})
        reply = await ask(front, query, {"n": 1})

    assert codes(refused) == {"BAD_USER_INPUT"}
    assert reply.json()["extensions"]["cost"]["requested"] == 4 * CALL_COST + 3
