"""Every argument of every field, and every part of every input, as any JSON: never a fault."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    get_named_type,
    is_required_argument,
    is_required_input_field,
)
from structlog.testing import capture_logs

from gateway.asgi import build
from gateway.settings.tables import StoreSettings
from resolvers.schema import SCHEMA
from tests.e2e.known import HIRO_AT, SILVER_MEMBERS
from tests.e2e.serving import Providers, customer_id, segment_id, settings_with
from tests.sizes import size

CORE = SCHEMA._schema  # noqa: SLF001  # as gateway.asgi
SILVER = segment_id("voucherify", SILVER_MEMBERS)
HIRO = customer_id("emporix", HIRO_AT["emporix"])
SHAPES: tuple[Any, ...] = (
    None,
    True,
    ["NAME"],
    {"a": 1},
    1,
    "",
    [],
    {},
    [[None]],
    1.5,
    -1,
    2**31,
    "x",
    "golden\u0000",
    "\ud800",
    [True, 1, 1.0],
    1e308,
    10**40,
    SILVER,
    [SILVER, HIRO],
    {"provider": ["emporix"], "externalId": {"x": [None]}},
)
"""What is sent for each argument; CI takes the first ones."""
MOST = size("SHAPES", 14, len(SHAPES))

PATHS: Mapping[str, str] = {
    "Query": "{}",
    "Provider": 'provider(key: "emporix") {{ {} }}',
    "Segment": f'segment(id: "{segment_id("emporix", "golden")}") {{{{ {{}} }}}}',
    "Customer": f'customer(id: "{HIRO}") {{{{ {{}} }}}}',
    "Person": f'person(id: "{HIRO}") {{{{ {{}} }}}}',
    "SegmentItem": f'segment(id: "{segment_id("emporix", "golden")}") '
    "{{ items {{ nodes {{ {} }} }} }}",
    "ComparisonRegion": f'segmentsCompare(segmentIds: ["{segment_id("emporix", "golden")}", '
    f'"{segment_id("emporix", "vip-2026")}"]) {{{{ regions {{{{ {{}} }}}} }}}}',
    "Mutation": "{}",
}
"""How to reach the fields of each type that has fields with arguments."""

SOUND: Mapping[str, Any] = {
    "Boolean": True,
    "DateTime": "2026-01-31T09:30:00.000Z",
    "ID": segment_id("emporix", "no-such"),
    "ItemType": "PRODUCT",
    "JSON": {"a": 1},
    "String": "emporix",
}
"""A sound value of each type that something requires."""

PYTHON = re.compile(r"""'[^']*'|"[^"]*"|\b(None|True|False|Undefined)\b""")


def sound(definition: GraphQLArgument | GraphQLInputField) -> Any:
    """Return a sound value of what is required; of a list one item."""
    kind = get_named_type(definition.type)
    if isinstance(kind, GraphQLInputObjectType):
        return {
            name: sound(field)
            for name, field in kind.fields.items()
            if is_required_input_field(field)
        }
    return SOUND[kind.name]


def values(definition: GraphQLArgument | GraphQLInputField) -> Iterator[Any]:
    """Yield each shape in the place of a value, and of each part of it with the rest sound."""
    kind = get_named_type(definition.type)
    yield from SHAPES[:MOST]
    if isinstance(kind, GraphQLInputObjectType):
        whole = sound(definition)
        for name, field in kind.fields.items():
            for value in values(field):
                yield {**whole, name: value}


def requests() -> Iterator[tuple[str, str, Any]]:
    """Yield the coordinate of each argument, its document, and each value of its variable."""
    for parent in CORE.type_map.values():
        if not isinstance(parent, GraphQLObjectType) or parent.name.startswith("__"):
            continue
        if parent is CORE.subscription_type:
            continue  # plain HTTP refuses them; their arguments are those of `changes`
        for name, field in parent.fields.items():
            for argument, definition in field.args.items():
                others = {
                    other: each
                    for other, each in field.args.items()
                    if other != argument and is_required_argument(each)
                }
                given = ", ".join(f"{other}: ${other}" for other in (argument, *others))
                kinds = " ".join(
                    f"${other}: {each.type}"
                    for other, each in {argument: definition, **others}.items()
                )
                below = " { __typename }" if hasattr(get_named_type(field.type), "fields") else ""
                operation = "mutation" if parent is CORE.mutation_type else "query"
                inside = PATHS[parent.name].format(f"{name}({given}){below}")
                query = f"{operation} ({kinds}) {{ {inside} }}"
                rest = {other: sound(each) for other, each in others.items()}
                coordinate = f"{parent.name}.{name}({argument}:)"
                yield coordinate, query, {**rest, argument: definition}


REQUESTS = {coordinate: (query, variables) for coordinate, query, variables in requests()}


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """Return the loop that the gateway runs in."""
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def client(
    runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.AsyncClient]:
    """Return a client of a gateway over providers of its own."""
    path: Path = tmp_path_factory.mktemp("record") / "gateway.db"

    async def opened(stack: AsyncExitStack) -> httpx.AsyncClient:
        store = StoreSettings(url=f"sqlite:///{path}")
        app = build(settings_with().model_copy(update={"store": store}), Providers())
        await stack.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app)
        made = httpx.AsyncClient(transport=transport, base_url="http://localhost")
        return await stack.enter_async_context(made)

    stack = AsyncExitStack()
    yield runner.run(opened(stack))
    runner.run(stack.aclose())


@pytest.mark.parametrize("coordinate", REQUESTS)
def test_every_shape(coordinate: str, runner: asyncio.Runner, client: httpx.AsyncClient) -> None:
    """Whatever JSON stands for an argument, the answer is ours: no 5xx, no fault, no Python."""
    query, variables = REQUESTS[coordinate]
    name = coordinate.rpartition("(")[2][:-2]
    for value in values(variables[name]):
        request = {"query": query, "variables": {**variables, name: value}}
        body = json.dumps(request).encode("utf-8", "surrogatepass")
        headers = {"content-type": "application/json"}
        with capture_logs() as logged:
            reply = runner.run(client.post("/graphql", content=body, headers=headers))
        assert reply.status_code < 500, value
        errors = reply.json().get("errors", ())
        assert "INTERNAL" not in {error["extensions"]["code"] for error in errors}, (value, errors)
        assert "bug" not in {line["event"] for line in logged}, value
        for error in errors:
            words = {match[1] for match in PYTHON.finditer(error["message"]) if match[1]}
            assert not words, error["message"]


def test_every_argument_is_met() -> None:
    """Each argument of the schema has a test here, but for those of subscriptions."""
    expected = {
        f"{parent.name}.{name}({argument}:)"
        for parent in CORE.type_map.values()
        if isinstance(parent, GraphQLObjectType) and not parent.name.startswith("__")
        if parent is not CORE.subscription_type
        for name, field in parent.fields.items()
        for argument in field.args
    }
    assert REQUESTS.keys() == expected
    assert len(expected) > 40
