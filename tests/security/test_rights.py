"""The permissions that an operation requires are checked before anything is sent."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from graphql import FragmentDefinitionNode, OperationDefinitionNode, parse, validate

from gateway.auth.permissions import Permission, Requirement
from resolvers.execution.document import Document
from resolvers.execution.required_permissions import required_permissions
from resolvers.types.nodes import Node
from tests.e2e.asking import GRAPHQL
from tests.e2e.known import HIRO_AT
from tests.e2e.serving import Front, Providers, assignment_id, customer_id, segment_id
from tests.security.callers import ask, guarded, refusal, signed
from tests.security.routes import CORE

GOLDEN, ANA = segment_id("emporix", "golden"), customer_id("emporix", "90000000")
GOLDEN_ANA = assignment_id("emporix", "golden", "90000000")
HIRO = customer_id("emporix", HIRO_AT["emporix"])
READER = signed("segments:read", "customers:read", "assignments:read")


@pytest.fixture(params=["plan", "graphql-core"])
async def front(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Front]:
    """Serve a gateway that accepts any described caller, with either executor."""
    if request.param == "graphql-core":
        monkeypatch.setattr(Document, "plan", lambda *_: None)
    async with guarded() as front:
        yield front


# What an operation needs.


def sites(text: str) -> tuple[Mapping[str, str], bool]:
    """Return the scopes that a document's first operation requires, with their fields; and own."""
    document = parse(text)
    assert validate(CORE, document) == []
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    fragments = {
        d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
    }
    required = required_permissions(CORE, operations[0], fragments)
    assert required.requirement.permissions == set(required.sites)
    return {right.value: at.path for right, at in required.sites.items()}, required.requirement.own


SEGMENT_LIST = {"segments:read": "segments"}
NEEDED: Mapping[str, tuple[str, Mapping[str, str], bool]] = {
    "nothing": ("{ providers { key } __typename }", {}, True),
    "introspection": ("{ __schema { types { fields { name } } } }", {}, True),
    "its root": ("{ segments { __typename } }", SEGMENT_LIST, False),
    "below": (
        "{ segments { nodes { customers { nodes { raw } } } } }",
        {
            **SEGMENT_LIST,
            "assignments:read": "segments.nodes.customers",
            "customers:read": "segments.nodes.customers",
            "raw:read": "segments.nodes.customers.nodes.raw",
        },
        False,
    ),
    "the name, not the alias": ("{ innocent: segments { __typename } }", SEGMENT_LIST, False),
    "what is skipped": (
        "{ providers { key } segments @skip(if: true) { totalCount } }",
        SEGMENT_LIST,
        False,
    ),
    "inline fragments": (
        '{ node(id: "x") { ... on Customer { name } ... on Segment { status } } }',
        {"customers:read": "node.name", "segments:read": "node.status"},
        True,
    ),
    "fragments": (
        (
            "query { ...A } fragment A on Query { segments { ...B } } "
            "fragment B on SegmentConnection { nodes { customersCount { count } } }"
        ),
        {
            "segments:read": "Query.segments",
            "assignments:read": "SegmentConnection.nodes.customersCount",
        },
        False,
    ),
    "only its own fragments": (
        (
            "query A { providers { key } } query B { ...C } "
            "fragment C on Query { segments { totalCount } }"
        ),
        {},
        True,
    ),
    "what the own view lacks, first": (
        '{ customer(id: "x") { name attributes } }',
        {"customers:read": "customer.attributes"},
        False,
    ),
    "a write and what it shows": (
        (
            'mutation { segmentDelete(input: {id: "x"}) { userErrors { code } } '
            'segmentUpsert(input: {provider: "x", externalId: "x"}) { segment { name } } }'
        ),
        {"segments:write": "segmentDelete", "segments:read": "segmentUpsert.segment.name"},
        False,
    ),
}


@pytest.mark.parametrize("case", NEEDED)
def test_needs_of_an_operation(case: str) -> None:
    """Each scope with the first field that requires it, at any depth."""
    text, scopes, own = NEEDED[case]
    assert sites(text) == (scopes, own)


def test_fragments_are_looked_at_once() -> None:
    """40 fragments that each spread the next twice are visited 40 times, not 2^40 times."""
    fragments = "".join(
        f"fragment F{n} on Query {{ a: providers {{ key }} ...F{n + 1} ...F{n + 1} }} "
        for n in range(40)
    )
    document = parse(
        f"{{ ...F0 }} {fragments} fragment F40 on Query {{ segments {{ totalCount }} }}"
    )
    first, *rest = document.definitions
    assert isinstance(first, OperationDefinitionNode)
    known = {d.name.value: d for d in rest if isinstance(d, FragmentDefinitionNode)}
    required = required_permissions(CORE, first, known)
    assert required.requirement == Requirement(frozenset({Permission.SEGMENTS_READ}), own=False)


def test_every_node_says_what_it_needs() -> None:
    """A type with a global id requires more than `node` does."""
    with pytest.raises(TypeError):
        type("Forgotten", (Node,), {})


# Who is admitted.


async def test_a_refusal_names_each_scope_and_its_field(front: Front) -> None:
    """Nothing is sent, there is no data, and each error has its location in the document."""
    query = "{ segments { nodes { name customers { nodes { name raw } } } } }"
    body = await ask(front, signed("segments:read", "customers:read"), query)
    assert body == {
        "errors": [
            {
                "message": "segments.nodes.customers needs the scope assignments:read.",
                "locations": [{"line": 1, "column": 27}],
                "extensions": {"code": "FORBIDDEN"},
            },
            {
                "message": "segments.nodes.customers.nodes.raw needs the scope raw:read.",
                "locations": [{"line": 1, "column": 52}],
                "extensions": {"code": "FORBIDDEN"},
            },
        ]
    }
    assert front.calls == []


async def test_a_refusal_is_a_request_error(front: Front) -> None:
    """The status is 400 for clients that accept application/graphql-response+json."""
    sent = {"authorization": signed("customers:read"), "accept": GRAPHQL}
    reply = await front.client.post(
        "/graphql", json={"query": "{ segments { totalCount } }"}, headers=sent
    )
    assert (reply.status_code, list(reply.json())) == (400, ["errors"])


async def test_scopes_at_different_providers(front: Front) -> None:
    """A field with two scopes requires both at the same provider."""
    query = "{ segments { nodes { raw } } }"
    body = await ask(front, signed("segments:read@stuut", "raw:read@emporix"), query)
    message = "No provider grants you all of raw:read, segments:read."
    assert body == {"errors": [{"message": message, "extensions": {"code": "FORBIDDEN"}}]}
    assert front.calls == []


async def test_only_the_operation_that_runs_counts(front: Front) -> None:
    """Other operations of the document do not matter."""
    query = "query A { providers { key } } query B { customers { totalCount } }"
    headers = {"authorization": signed("segments:read@stuut")}
    bodies = []
    for name in ("A", "B", "C"):
        body = {"query": query, "operationName": name}
        bodies.append((await front.client.post("/graphql", json=body, headers=headers)).json())
    assert bodies[0]["data"] == {"providers": [{"key": "stuut"}]}
    assert (
        refusal(bodies[1])["errors"][0]["message"] == "customers needs the scope customers:read."
    )
    assert refusal(bodies[2])["errors"][0]["code"] == "BAD_USER_INPUT"


async def test_a_caller_without_scopes(front: Front) -> None:
    """A caller without scopes is authenticated, but gets no data."""
    query = '{ __typename providers { key } provider(key: "stuut") { key } node(id: "%s") { id } }'
    assert await ask(front, "nobody=1", query % ANA) == {
        "data": {"__typename": "Query", "providers": [], "provider": None, "node": None}
    }
    assert front.calls == []


# What any id may name.

NODES = {"segment": GOLDEN, "customer": ANA, "assignment": GOLDEN_ANA}


@pytest.mark.parametrize("scope", ["segments:read", "customers:read", "assignments:read"])
async def test_node_needs_the_scope_of_what_it_finds(front: Front, scope: str) -> None:
    """Without the scope for its type a node is null, and nothing is sent for it."""
    listed = ", ".join(f'"{each}"' for each in NODES.values())
    for kind, node in NODES.items():
        front.forget()
        body = await ask(front, signed(scope), f'{{ node(id: "{node}") {{ id }} }}')
        is_theirs = scope == f"{kind}s:read"
        assert body == {"data": {"node": {"id": node} if is_theirs else None}}
        assert bool(front.calls) is is_theirs
    front.forget()
    body = await ask(front, signed(scope), f"{{ nodes(ids: [{listed}]) {{ id }} }}")
    assert body["data"]["nodes"] == [
        {"id": node} if scope == f"{kind}s:read" else None for kind, node in NODES.items()
    ]
    assert len(front.calls) == 1


async def test_node_needs_it_at_the_provider_of_the_id(front: Front) -> None:
    """A scope at one provider shows nothing of another."""
    who = signed("segments:read@emporix", "customers:read@stuut")
    query = f'{{ a: node(id: "{GOLDEN}") {{ id }} b: node(id: "{ANA}") {{ id }} }}'
    assert await ask(front, who, query) == {"data": {"a": {"id": GOLDEN}, "b": None}}
    assert len(front.calls) == 1


# Arguments that need more than their field does.

ARGUMENTS = {
    "filter.customerId": (
        signed("segments:read"),
        f'{{ segments(filter: {{customerId: "{HIRO}"}}) {{ nodes {{ name }} }} }}',
    ),
    "filter.customerId of a provider's list": (
        signed("segments:read"),
        (
            f'{{ provider(key: "emporix") {{ segments(filter: {{customerId: "{HIRO}"}}) '
            "{ nodes { name } } } }"
        ),
    ),
    "sortKey: MEMBERS_COUNT": (
        signed("segments:read@emporix"),
        "{ segments(sortKey: MEMBERS_COUNT) { nodes { name } } }",
    ),
    "sortKey: MEMBERS_COUNT of one of them": (
        signed("segments:read"),
        (
            '{ segments(sortKey: MEMBERS_COUNT, filter: {providers: ["emporix"]}) '
            "{ nodes { name } } }"
        ),
    ),
    "filter.segmentId": (
        signed("customers:read"),
        f'{{ customers(filter: {{segmentId: "{GOLDEN}"}}) {{ nodes {{ name }} }} }}',
    ),
    **{
        f"filter.{name}": (
            signed("customers:read"),
            f'{{ customers(filter: {{{name}: "{GOLDEN}", externalId: "x"}}) {{ totalCount }} }}',
        )
        for name in ("inAll", "inAny", "inNone")
    },
}


@pytest.mark.parametrize("case", ARGUMENTS)
async def test_who_is_in_a_segment_is_not_told_by_a_filter(front: Front, case: str) -> None:
    """A filter or an order by membership requires `assignments:read` at its provider."""
    who, query = ARGUMENTS[case]
    argument = case.partition(" of ")[0]
    refused = await ask(front, who, query)
    assert refusal({"errors": refused["errors"]})["errors"] == [
        {"message": f"{argument} needs the scope assignments:read.", "code": "FORBIDDEN"}
    ]
    assert front.calls == []
    refused = await ask(front, f"{who} assignments:read@stuut", query)
    assert refused["errors"][0]["extensions"] == {"code": "FORBIDDEN"}
    assert front.calls == []
    shown = await ask(front, f"{who} assignments:read@emporix", query)
    assert "errors" not in shown
    assert shown == await ask(front, signed("admin@emporix"), query)


WITH_MEMBERS = {
    "segmentCreate": 'provider: "voucherify", name: "New", customerExternalIds: ["x"]',
    "segmentCreate by ids": 'provider: "voucherify", name: "New", customers: ["x"]',
    "segmentBulkCreate": 'provider: "voucherify", segments: [{name: "New"}, '
    '{name: "New", customerExternalIds: ["x"]}]',
    "segmentBulkUpsert": 'provider: "voucherify", segments: [{name: "New", customers: ["x"]}]',
}


@pytest.mark.parametrize("case", WITH_MEMBERS)
async def test_new_members_need_the_scope_to_assign(case: str) -> None:
    """Creating a segment with customers assigns them, and requires that permission."""
    field = case.partition(" ")[0]
    query = f"mutation {{ {field}(input: {{{WITH_MEMBERS[case]}}}) {{ userErrors {{ code }} }} }}"
    async with guarded(Providers()) as front:
        for more in ("", "assignments:write@stuut"):
            body = await ask(front, f"segments:write {more}", query)
            message = "A new segment with customers needs the scope assignments:write."
            assert body["data"] == {field: None}
            assert [each["message"] for each in body["errors"]] == [message]
            assert body["errors"][0]["extensions"] == {"code": "FORBIDDEN"}
        assert front.calls == []
        body = await ask(front, "segments:write assignments:write@voucherify", query)
        assert "errors" not in body


async def test_a_write_needs_its_scope_at_its_provider() -> None:
    """A write to a provider without the scope is refused like one to an unknown provider."""
    query = """mutation($key: String!) { segmentCreate(input: {
      provider: $key, name: "New", priority: 1}) {
      segment { name } userErrors { message field code provider } } }"""
    who = signed("segments:write@stuut", "segments:read")
    async with guarded(Providers()) as front:
        refused = await ask(front, who, query, {"key": "emporix"})
        assert refused["data"]["segmentCreate"] == {
            "segment": None,
            "userErrors": [
                {
                    "message": "No provider has the key 'emporix'.",
                    "field": ["provider"],
                    "code": "INVALID",
                    "provider": None,
                }
            ],
        }
        assert front.calls == []
        done = await ask(front, who, query, {"key": "stuut"})
        assert done["data"]["segmentCreate"]["segment"] == {"name": "New"}


async def test_an_administrator_of_one_provider(front: Front) -> None:
    """`admin@provider` grants all scopes there, and none elsewhere."""
    query = "{ providers { key } segments { nodes { raw } sources { provider { key } } } }"
    data: dict[str, Any] = (await ask(front, signed("admin@voucherify"), query))["data"]
    assert data["providers"] == [{"key": "voucherify"}]
    assert [each["provider"]["key"] for each in data["segments"]["sources"]] == ["voucherify"]
    assert all(each["raw"] for each in data["segments"]["nodes"])
    assert set(front.counts) == {"voucherify"}
