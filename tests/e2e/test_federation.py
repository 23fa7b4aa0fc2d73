"""The schema as a subgraph of Apollo Federation 2: what a gateway in front asks for.

`tests/clients/test_federation.py` asks through Apollo's own.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLSchema,
    ObjectTypeDefinitionNode,
    SchemaExtensionNode,
    parse,
    print_ast,
    validate_schema,
)

from gateway.auth.api_keys import make
from gateway.auth.permissions import UNDECLARED
from gateway.auth.settings import KeySettings
from gateway.domain.pages import MAX_NODES
from gateway.settings.tables import FederationSettings, Settings, StoreSettings
from resolvers import global_ids
from resolvers.execution.document import Document
from resolvers.execution.executor import Executor
from resolvers.federation.entities import KINDS
from resolvers.federation.schema import SUBGRAPH
from resolvers.federation.sdl import SUBGRAPH_SDL
from resolvers.field_permissions import requirement_of
from resolvers.global_ids import Kind
from resolvers.schema import SCHEMA
from tests.e2e.known import APP_BETA, HIRO, HIRO_AT, NEVER_BOUGHT, SILVER_MEMBERS
from tests.e2e.serving import (
    Front,
    Providers,
    assignment_id,
    customer_id,
    segment_id,
    serving,
    settings_with,
)
from tests.security.callers import ask, guarded, signed

CORE: GraphQLSchema = SUBGRAPH._schema  # noqa: SLF001  # as gateway.asgi
ENTITIES = """query($representations: [_Any!]!) { _entities(representations: $representations) {
  __typename
  ... on Node { id }
  ... on Segment { name }
  ... on Customer { email }
  ... on Provider { key }
} }"""
GOLDEN = segment_id("emporix", "golden")
EMPORIX = global_ids._write(("p", "emporix"))  # noqa: SLF001  # of a provider there is no ref
ID_OF_HIRO = customer_id("emporix", HIRO_AT["emporix"])
ASSIGNMENT = assignment_id("emporix", "dffd98cfedb0231443b923cd", "90000555")


def federated(**changed: Any) -> Settings:
    """Return the sandbox's settings, as a subgraph."""
    enabled = {"federation": FederationSettings(enabled=True), **changed}
    return settings_with().model_copy(update=enabled)


@contextlib.asynccontextmanager
async def subgraph() -> AsyncIterator[Front]:
    """Serve a subgraph to callers of any rights."""
    async with guarded(settings=federated()) as front:
        yield front


@pytest.fixture(params=["plan", "graphql-core"])
async def front(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Front]:
    """Return the front door of a subgraph, by each executor."""
    async with subgraph() as served:
        if request.param == "graphql-core":
            monkeypatch.setattr(Document, "plan", lambda *_: None)
        yield served


def of(name: str, *ids: Any) -> list[Mapping[str, Any]]:
    """Return the representations of entities of one type."""
    return [{"__typename": name, "id": each} for each in ids]


async def entities(
    front: Front, representations: Sequence[Any], caller: str = "admin"
) -> Mapping[str, Any]:
    """Return the answer to a query for entities; errors without their ids of requests."""
    body: dict[str, Any] = await ask(
        front, signed(*caller.split()), ENTITIES, {"representations": representations}
    )
    for error in body.get("errors", ()):
        error.pop("locations")
        error["extensions"] = {"code": error["extensions"]["code"]}
    return body


async def test_each_entity_in_order(front: Front) -> None:
    """Entities of several types come in the order given, one that is not there is null."""
    unknown = segment_id("emporix", "no such")
    representations = [
        *of("Customer", ID_OF_HIRO),
        *of("Segment", GOLDEN, unknown),
        *of("Provider", EMPORIX),
        {**of("Segment", GOLDEN)[0], "name": "of another subgraph"},
    ]
    golden = {"__typename": "Segment", "id": GOLDEN, "name": "Golden customers"}

    assert await entities(front, representations) == {
        "data": {
            "_entities": [
                {"__typename": "Customer", "id": ID_OF_HIRO, "email": HIRO.email},
                golden,
                None,
                {"__typename": "Provider", "id": EMPORIX, "key": "emporix"},
                golden,
            ]
        }
    }


def test_it_is_compiled() -> None:
    """Queries for entities do not fall back to graphql-core."""
    document = Executor(CORE).document(ENTITIES)
    assert document.plan(None, {"representations": of("Segment", GOLDEN)}) is not None


async def test_one_call_for_all_of_a_provider(front: Front) -> None:
    """Segments of one provider are read with the one call that `nodes` takes."""
    ids = [segment_id("voucherify", each) for each in (APP_BETA, NEVER_BOUGHT, SILVER_MEMBERS)]
    assert "errors" not in await entities(front, of("Segment", *ids, ids[0]))
    calls = list(front.calls)
    front.forget()
    await ask(
        front, signed("admin"), "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ids}
    )

    assert calls == front.calls
    assert front.counts == {"voucherify": 1}


A_KEY = "A representation is an object with __typename and id."
TYPES = (
    "__typename must be one of Assignment, AssignmentChange, Customer, IdentityLink, Person, "
    "Provider, Segment, SegmentChange."
)
A_STRING = "The id of a representation must be a string."
WRONG: Mapping[str, tuple[Any, str]] = {
    "text": ("x", A_KEY),
    "list": ([], A_KEY),
    "empty": ({}, TYPES),
    "unknown type": (of("Order", GOLDEN)[0], TYPES),
    "interface": (of("Node", GOLDEN)[0], TYPES),
    "type of no name": ({"__typename": ["Segment"], "id": GOLDEN}, TYPES),
    "no id": ({"__typename": "Segment"}, A_STRING),
    "number": (of("Segment", 1)[0], A_STRING),
    "list of ids": (of("Segment", [GOLDEN])[0], A_STRING),
    "no global id": (
        of("Segment", "golden")[0],
        "The id of a representation is not an id of this gateway.",
    ),
    "of another type": (
        of("Customer", GOLDEN)[0],
        "This id is not that of an object of type Customer.",
    ),
}


async def test_wrong_representations(front: Front) -> None:
    """Each has an error at its own place; nothing is sent for it, and the others are there."""
    representations = [each for each, _ in WRONG.values()]

    body = await entities(front, [*representations, *of("Segment", GOLDEN)])

    assert body == {
        "data": {
            "_entities": [
                *(None for _ in WRONG),
                {"__typename": "Segment", "id": GOLDEN, "name": "Golden customers"},
            ]
        },
        "errors": [
            {
                "message": message,
                "path": ["_entities", index],
                "extensions": {"code": "BAD_USER_INPUT"},
            }
            for index, (_, message) in enumerate(WRONG.values())
        ],
    }
    assert front.counts == {"emporix": 1}


async def test_in_the_document() -> None:
    """Representations may be literals, and a single one is a list of one."""
    async with subgraph() as front:
        body = await ask(
            front,
            signed("segments:read"),
            f'{{ _entities(representations: {{__typename: "Segment", id: "{GOLDEN}"}}) '
            "{ ... on Segment { name } } }",
        )
    assert body == {"data": {"_entities": [{"name": "Golden customers"}]}}


async def test_too_many() -> None:
    """As many as `nodes` reads are read; of one more none is, and nothing is sent."""
    async with subgraph() as front:
        most = await entities(front, of("Provider", *[EMPORIX] * MAX_NODES))
        body = await entities(front, of("Segment", *[GOLDEN] * (MAX_NODES + 1)))
        assert front.calls == []
    assert len(most["data"]["_entities"]) == MAX_NODES
    assert body == {
        "data": None,
        "errors": [
            {
                "message": "251 representations were given; at most 250 are read at once.",
                "path": ["_entities"],
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ],
    }


@pytest.mark.parametrize(
    ("scopes", "visible"),
    [
        ("segments:read", {"Segment"}),
        ("customers:read", {"Customer"}),
        ("assignments:read", {"Assignment"}),
        ("segments:read@stuut customers:read@emporix", {"Customer"}),
    ],
)
async def test_an_entity_needs_the_scope_of_its_type(scopes: str, visible: set[str]) -> None:
    """What a caller may not read at its provider is null, as if it were not there."""
    representations = {
        "Segment": of("Segment", GOLDEN)[0],
        "Customer": of("Customer", ID_OF_HIRO)[0],
        "Assignment": of("Assignment", ASSIGNMENT)[0],
    }
    async with subgraph() as front:
        body = await ask(
            front,
            signed(*scopes.split()),
            "query($r: [_Any!]!) { _entities(representations: $r) { __typename } }",
            {"r": [*representations.values()]},
        )
    assert body == {
        "data": {
            "_entities": [
                {"__typename": name} if name in visible else None for name in representations
            ]
        }
    }


async def test_fields_need_their_scopes() -> None:
    """A field of an entity needs the scope that it needs everywhere, before anything is sent."""
    async with subgraph() as front:
        body = await entities(front, of("Segment", GOLDEN), "segments:read")
        assert front.calls == []
    assert body == {
        "errors": [
            {
                "message": "_entities.email needs the scope customers:read.",
                "extensions": {"code": "FORBIDDEN"},
            }
        ]
    }


async def test_of_a_customer_of_their_own() -> None:
    """With `own:read` a customer gets themselves, and of another the same as of nobody."""
    ids = [customer_id("emporix", each) for each in ("90000555", "90000000", "none")]
    async with subgraph() as front:
        body = await ask(
            front,
            signed("own:read", emporix="90000555"),
            "query($r: [_Any!]!) { _entities(representations: $r) { ... on Customer { id } } }",
            {"r": of("Customer", *ids)},
        )
    assert body == {"data": {"_entities": [{"id": ids[0]}, None, None]}}


CREATE = """mutation($input: SegmentCreateInput!) {
  segmentCreate(input: $input) { userErrors { message } }
}"""


async def test_changes(tmp_path: Path) -> None:
    """The ids of the two types of change look alike: one under the other's type is wrong."""
    store = StoreSettings(url=f"sqlite:///{tmp_path / 'gateway.db'}")
    new = {"provider": "emporix", "externalId": "fresh", "name": "A", "siteCode": "main"}
    async with guarded(Providers(), federated(store=store)) as front:
        await ask(front, signed("admin"), CREATE, {"input": new})
        listed = await ask(front, signed("admin"), "{ changes { nodes { id } } }")
        [change] = listed["data"]["changes"]["nodes"]
        given = [
            *of("SegmentChange", change["id"]),
            *of("AssignmentChange", change["id"]),
        ]
        body = await entities(front, given, "segments:read customers:read")
        hidden = await ask(
            front,
            signed("assignments:read"),
            "query($r: [_Any!]!) { _entities(representations: $r) { __typename } }",
            {"r": given},
        )
    assert body == {
        "data": {"_entities": [{"__typename": "SegmentChange", "id": change["id"]}, None]},
        "errors": [
            {
                "message": "This id is not that of an object of type AssignmentChange.",
                "path": ["_entities", 1],
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ],
    }
    assert hidden == {"data": {"_entities": [None, None]}}


async def test_costs_what_nodes_costs() -> None:
    """For the same objects, with the same selection."""
    ids = [GOLDEN, segment_id("emporix", "staff")]
    costs = []
    async with serving(settings=federated()) as front:
        for query, variables in (
            ("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ids}),
            (
                "query($r: [_Any!]!) { _entities(representations: $r) { ... on Node { id } } }",
                {"r": of("Segment", *ids)},
            ),
        ):
            body = {"query": query, "variables": variables}
            reply = (await front.client.post("/graphql", json=body)).json()
            cost = reply["extensions"]["cost"]
            costs.append((cost["requested"], cost["calls"]))
    # One for the operation and two for the objects; each may be an assignment.
    assert costs == [(10 * 6 + 1 + 2, 6)] * 2


def test_every_field_declares_its_requirement() -> None:
    """Those that are not in the schema without federation."""
    ours = SCHEMA._schema.type_map  # noqa: SLF001  # as gateway.asgi
    service, query = CORE.type_map["_Service"], CORE.type_map["Query"]
    declared = {
        f"{kind}.{name}": requirement_of(kind, field)  # type: ignore[arg-type]  # object types
        for kind in (service, query)
        for name, field in kind.fields.items()  # type: ignore[attr-defined]  # likewise
        if kind is service or name not in ours["Query"].fields  # type: ignore[attr-defined]  # likewise
    }
    assert UNDECLARED not in declared.values()
    assert {each: (set(needs.permissions), needs.own) for each, needs in declared.items()} == {
        "_Service.sdl": ({"federation:read"}, False),
        "Query._entities": (set(), True),
        "Query._service": ({"federation:read"}, False),
    }
    assert set(CORE.type_map) - set(ours) == {"_Any", "_Entity", "_Service"}
    assert validate_schema(CORE) == []


INTROSPECTION = """{
  service: __type(name: "_Service") {
    kind fields { name type { kind ofType { name kind } } }
  }
  entity: __type(name: "_Entity") { kind possibleTypes { name } }
  any: __type(name: "_Any") { kind }
}"""


async def test_types_of_the_specification() -> None:
    """Those that Apollo's compatibility tests look for, as they look for them."""
    async with serving(settings=federated()) as front:
        shown = await front.data(INTROSPECTION)
    names = {each["name"] for each in shown["entity"].pop("possibleTypes")}
    text = {"kind": "NON_NULL", "ofType": {"name": "String", "kind": "SCALAR"}}
    assert shown == {
        "service": {"kind": "OBJECT", "fields": [{"name": "sdl", "type": text}]},
        "entity": {"kind": "UNION"},
        "any": {"kind": "SCALAR"},
    }
    assert names == set(KINDS)


def test_the_schema_of_the_subgraph() -> None:
    """Our schema with a key for each object that has an id, and what others may share."""
    document = parse(SUBGRAPH_SDL)
    [link] = [each for each in document.definitions if isinstance(each, SchemaExtensionNode)]
    directives = {
        each.name.value: [print_ast(directive) for directive in each.directives or ()]
        for each in document.definitions
        if isinstance(each, ObjectTypeDefinitionNode) and each.directives
    }
    with_ids = CORE.get_implementations(CORE.type_map["Node"]).objects  # type: ignore[arg-type]  # an interface
    assert print_ast(link) == (
        'extend schema @link(url: "https://specs.apollo.dev/federation/v2.0", '
        'import: ["@key", "@shareable"])'
    )
    assert directives == {
        **{each.name: ['@key(fields: "id")'] for each in with_ids},
        **{name: ["@shareable"] for name in ("DateTimeRange", "LocalizedText", "PageInfo")},
    }
    plain = SUBGRAPH_SDL.replace(' @key(fields: "id")', "").replace(" @shareable", "")
    bare = parse(plain, no_location=True).definitions[1:]
    assert [*map(print_ast, bare)] == [
        print_ast(each) for each in parse(SCHEMA.as_str(), no_location=True).definitions
    ]


SERVICE = "{ _service { sdl } }"


@pytest.mark.parametrize(
    ("scopes", "introspection", "message"),
    [
        (["federation:read"], None, ""),
        (["admin"], None, ""),
        (["segments:read"], None, "_service needs the scope federation:read."),
        (["federation:read"], False, "Introspection is not allowed: _service."),
    ],
    ids=["scope", "admin", "another scope", "no introspection"],
)
async def test_service(
    scopes: list[str],
    introspection: bool | None,  # noqa: FBT001  # as parametrised
    message: str,
) -> None:
    """The schema is for who has the scope, where introspection is allowed."""
    key, digest = make()
    settings = federated()
    auth = settings.auth.model_copy(
        update={
            "keys": (
                KeySettings.model_validate({"name": "router", "hash": digest, "scopes": scopes}),
            )
        }
    )
    documents = settings.documents.model_copy(update={"introspection": introspection})
    settings = settings.model_copy(update={"auth": auth, "documents": documents})
    async with serving(settings=settings) as front:
        sent = {"authorization": f"Bearer {key}"}
        reply = await front.client.post("/graphql", json={"query": SERVICE}, headers=sent)
        assert front.calls == []
    body = reply.json()
    if not message:
        assert body["data"] == {"_service": {"sdl": SUBGRAPH_SDL}}
        return
    assert body.get("data") is None
    [error] = body["errors"]
    assert (error["message"], error["extensions"]["code"]) == (message, "FORBIDDEN")


async def test_off_by_default(front_of_default: Front) -> None:
    """Without the setting there is none of it."""
    for query in (SERVICE, "{ _entities(representations: []) { __typename } }"):
        body = await front_of_default.ask(query)
        assert [each["message"].partition(" on ")[0] for each in body["errors"]] == [
            f"Cannot query field '{query.split()[1].partition('(')[0]}'"
        ]


@pytest.fixture
async def front_of_default() -> AsyncIterator[Front]:
    """Return the front door of a gateway without the setting."""
    async with serving() as front:
        yield front


def test_kinds() -> None:
    """Each member of the union has the kind of its ids, and no other type has one."""
    union = CORE.type_map["_Entity"]
    assert {each.name for each in union.types} == set(KINDS)  # type: ignore[attr-defined]  # a union
    assert set(KINDS.values()) == set(Kind) - {Kind.LEGAL_ENTITY}
