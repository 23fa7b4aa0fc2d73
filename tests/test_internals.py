"""Internals of other projects that the gateway relies on.

An upgrade that changes one of these fails here first. pyproject.toml has an upper bound for each
of these projects; check this list before you raise one.
"""

import ast
import asyncio
import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import aiohttp
import httptools
import pytest
import strawberry
from graphql import GraphQLSchema, Lexer, Location, NameNode, execute
from graphql.language.parser import Parser
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from packaging.requirements import Requirement
from strawberry.types import Info
from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import Server, ServerState

pytestmark = pytest.mark.every_case

ROOT = Path(__file__).resolve().parents[1]

MODULES = {
    "graphql.execution.get_variable_signature": "get_variable_signature",
    "graphql.execution.values": "VariableValues, VariableValueSource",
    "graphql.language.parser": "Parser: counts tokens as it reads",
    "graphql.pyutils": "is_awaitable, is_iterable",
    "sqlalchemy.dialects.sqlite.aiosqlite": "AsyncAdapt_…: how a statement is sent to aiosqlite",
    "strawberry.types.arguments": "convert_arguments: arguments for compiled queries",
    "strawberry.types.union": "StrawberryUnion: which members it has",
    "uvicorn.config": "Config",
    "uvicorn.middleware.proxy_headers": "ProxyHeadersMiddleware: app, trusted_hosts",
    "uvicorn.protocols.http.httptools_impl": "the HTTP protocol, which is subclassed",
    "uvicorn.protocols.websockets.websockets_sansio_impl": "the WebSocket protocol, likewise",
    "uvicorn.server": "Server, ServerState",
    "websockets.exceptions": "InvalidHandshake",
    "websockets.frames": "CloseCode, Frame",
    "websockets.http11": "Request",
}
"""Undocumented modules, and what is used from them."""

BOUNDED = (
    *("aiohttp", "aiosqlite", "graphql-core", "httptools", "opentelemetry-sdk"),
    *("opentelemetry-exporter-otlp-proto-http", "sqlalchemy", "strawberry-graphql", "uvicorn"),
    "websockets",
)
"""Projects whose internals are used."""

PUBLIC = re.compile(
    r"graphql(\.language|\.utilities)?|strawberry(\.types|\.scalars|\.schema\.config|\.schema_directive)?"
    r"|uvicorn|websockets|aiohttp|httptools"
)


def imported() -> Iterator[str]:
    """Yield the modules of those projects that the code imports."""
    for package in ("gateway", "resolvers"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module:
                    yield node.module
                elif isinstance(node, ast.Import):
                    yield from (each.name for each in node.names)


def test_every_internal_module_is_named() -> None:
    """Every import of an undocumented module is in the list."""
    projects = {"graphql", "strawberry", "uvicorn", "websockets", "aiohttp", "httptools"}
    used = {
        name
        for name in imported()
        if (name.partition(".")[0] in projects and not PUBLIC.fullmatch(name))
        or name.startswith("sqlalchemy.dialects.sqlite.")
    }
    assert used == set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_internal_modules_are_there(module: str) -> None:
    """Every module in the list can be imported."""
    importlib.import_module(module)


@pytest.mark.parametrize("project", BOUNDED)
def test_projects_whose_internals_are_used_have_an_upper_bound(project: str) -> None:
    """Each project has an upper bound, so that no unchecked version is installed."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project_table = document["project"]
    listed = [project_table["dependencies"], *project_table["optional-dependencies"].values()]
    wanted = {each.name: each for part in listed for each in map(Requirement, part)}
    assert "<" in {each.operator for each in wanted[project].specifier}


def parameters(function: Any) -> list[str]:
    """Return the names of a function's parameters."""
    return list(inspect.signature(function).parameters)


CONNECTION = ["self", "config", "server_state", "app_state", "_loop"]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (HttpToolsProtocol.__init__, CONNECTION),
        (WebSocketsSansIOProtocol.__init__, CONNECTION),
        (HttpToolsProtocol.connection_made, ["self", "transport"]),
        (HttpToolsProtocol.connection_lost, ["self", "exc"]),
        (HttpToolsProtocol.data_received, ["self", "data"]),
        (HttpToolsProtocol._unset_keepalive_if_required, ["self"]),  # noqa: SLF001  # as it is called
        (HttpToolsProtocol.send_400_response, ["self", "msg"]),
        (HttpToolsProtocol.on_message_begin, ["self"]),
        (HttpToolsProtocol.on_headers_complete, ["self"]),
        (HttpToolsProtocol.on_body, ["self", "body"]),
        (HttpToolsProtocol.on_message_complete, ["self"]),
        (HttpToolsProtocol.on_response_complete, ["self"]),
        (HttpToolsProtocol.timeout_keep_alive_handler, ["self"]),
        (HttpToolsProtocol.pause_writing, ["self"]),
        (RequestResponseCycle.send, ["self", "message"]),
        (WebSocketsSansIOProtocol.data_received, ["self", "data"]),
        (WebSocketsSansIOProtocol.handle_connect, ["self", "event"]),
        (WebSocketsSansIOProtocol.on_task_complete, ["self", "task"]),
        (WebSocketsSansIOProtocol.send, ["self", "message"]),
        (WebSocketsSansIOProtocol.handle_ping, ["self"]),
        (WebSocketsSansIOProtocol.handle_cont, ["self", "event"]),
        (WebSocketsSansIOProtocol.pause_writing, ["self"]),
        (WebSocketsSansIOProtocol.connection_lost, ["self", "exc"]),
        (ProxyHeadersMiddleware.__call__, ["self", "scope", "receive", "send"]),
        (Server.startup, ["self", "sockets"]),
        (Server.handle_exit, ["self", "sig", "frame"]),
        (Server.on_tick, ["self", "counter"]),
        (Server.shutdown, ["self", "sockets"]),
        (Server.capture_signals, ["self"]),
        (Config.bind_socket, ["self"]),
    ],
    ids=lambda each: getattr(each, "__qualname__", ""),
)
def test_methods_of_uvicorn_that_are_overridden_or_called(
    function: Any, expected: list[str]
) -> None:
    """The functions exist, with the expected parameters."""
    assert parameters(function) == expected


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """Do nothing, as an ASGI application."""


def test_the_client_of_opentelemetrys_exporter() -> None:
    """It sends a body that is encoded already, and says whether that was accepted."""
    export = OTLPSpanExporter(endpoint="http://127.0.0.1:9")._client.export  # noqa: SLF001  # as it is used
    assert parameters(export) == ["data"]
    assert "success" in get_type_hints(export)["return"].__annotations__


async def test_state_of_a_connection() -> None:
    """The protocols have the attributes that our subclasses use."""
    config = Config(_nothing, log_config=None)
    config.load()
    protocol = HttpToolsProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    protocol.on_message_begin()
    names = (
        "access_log app app_state connections cycle expect_100_continue flow headers loop parser"
        " pipeline scope server_state tasks timeout_keep_alive timeout_keep_alive_task transport"
        " url ws_protocol_class"
    )
    assert [name for name in names.split() if not hasattr(protocol, name)] == []
    assert {"type", "headers", "client", "server", "scheme"} <= protocol.scope.keys()
    socket = WebSocketsSansIOProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    names = (
        "frames loop transport tasks connections conn handshake_initiated handshake_complete"
        " close_sent"
    )
    assert [name for name in names.split() if not hasattr(socket, name)] == []


def test_state_of_a_server() -> None:
    """The server has what `GracefulServer` reads and sets."""
    server = Server(Config(_nothing, log_config=None))
    names = "config server_state started should_exit force_exit _captured_signals"
    assert [name for name in names.split() if not hasattr(server, name)] == []
    source = inspect.getsource(Server)
    assert "self.servers" in source
    assert "self.lifespan" in source


def test_state_of_proxy_headers() -> None:
    """The middleware exposes its trusted hosts and the wrapped application."""
    middleware = ProxyHeadersMiddleware(_nothing, ["10.0.0.0/8"])
    assert ("10.1.2.3" in middleware.trusted_hosts, "11.1.2.3" in middleware.trusted_hosts) == (
        True,
        False,
    )
    assert middleware.app is _nothing


def test_state_of_a_cycle() -> None:
    """So does the request-response cycle."""
    names = (
        "scope transport flow default_headers message_event on_response disconnected keep_alive"
        " waiting_for_100_continue response_started response_complete"
    )
    source = inspect.getsource(RequestResponseCycle.__init__)
    assert [name for name in names.split() if f"self.{name} = " not in source] == []
    # The class of a cycle is exchanged where its answer can be written in one piece.
    assert "__slots__" not in vars(RequestResponseCycle)


def test_the_parser() -> None:
    """The parser has the methods that are used."""
    parser = httptools.HttpRequestParser(object())
    for name in ("get_method", "get_http_version", "should_keep_alive", "should_upgrade"):
        assert callable(getattr(parser, name))


def test_strawberry() -> None:
    """Strawberry exposes graphql-core's schema and info."""

    @strawberry.type
    class Query:
        @strawberry.field
        def name(self, info: Info) -> str:
            return info._raw_info.field_name  # noqa: SLF001  # as resolvers use it

    schema = strawberry.Schema(Query)
    assert isinstance(schema._schema, GraphQLSchema)  # noqa: SLF001  # as the gateway uses it
    result = execute(schema._schema, Parser("{ name }").parse_document())  # noqa: SLF001  # likewise
    assert getattr(result, "data", None) == {"name": "name"}


def test_graphql_core() -> None:
    """The executor accepts the limits, and the parser has a lexer."""
    assert {"max_coercion_errors", "hide_suggestions"} <= set(parameters(execute))
    assert isinstance(Parser("{ a }")._lexer, Lexer)  # noqa: SLF001  # as the document limits read it
    assert parameters(Parser.advance_lexer) == ["self"]
    # What the quick parser fills without their `__init__`.
    assert vars(NameNode(value="a")) == {"loc": None, "value": "a"}
    assert set(Location.__slots__) == {"start", "end", "start_token", "end_token", "source"}


def test_aiohttp() -> None:
    """The client retries only on its own errors, and calls its middlewares first."""
    assert "middlewares" in parameters(aiohttp.ClientSession.__init__)
    source = inspect.getsource(aiohttp.ClientSession._request)  # noqa: SLF001  # what a comment cites
    assert "except (ClientOSError, ServerDisconnectedError):" in source
