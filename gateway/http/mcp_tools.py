"""List tools, and call them: each call is an operation of its caller like any other."""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as ShownTool
from starlette.types import Receive

from gateway.auth.permissions import Caller
from gateway.errors import Forbidden
from gateway.http.disconnect import ClientDisconnected
from gateway.http.graphql_over_http import GraphQLRequest, RequestError, graphql_error
from gateway.http.operation_runner import GraphQLResponse, OperationRunner, request_error
from gateway.http.request_options import RequestOptions
from gateway.http.tool_catalog import Tool
from gateway.observability.trace_context import TRACED

CALL = "gateway.mcp"
"""The key of an `McpCall` in the scope of its connection."""

Context = ServerRequestContext[Any]
JsonObject = Mapping[str, Any]


class McpCall(NamedTuple):
    """Who sent a request, and what its headers say."""

    caller: Caller
    options: RequestOptions
    receive: Receive
    """Reports that the client has disconnected."""


class McpTools:
    """The tools, as the protocol shows them."""

    def __init__(
        self, runner: OperationRunner, tools: Mapping[str, Tool], result_bytes: int
    ) -> None:
        """Call these tools, by name; a result has at most `result_bytes`."""
        self._runner = runner
        self._tools = tools
        self._shown = {name: _shown(tool) for name, tool in tools.items()}
        self._result_bytes = result_bytes

    def input_schema(self, name: str) -> JsonObject | None:
        """Return the schema of a tool's arguments; None: there is no such tool."""
        tool = self._tools.get(name)
        return None if tool is None else tool.input_schema

    async def list(self, context: Context, _: PaginatedRequestParams | None) -> ListToolsResult:
        """List the tools that the caller has the permissions for."""
        call = _call_of(context)
        shown = [self._shown[name] for name in self._tools if self._may_call(name, call)]
        return ListToolsResult(tools=shown)

    async def call(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        """Call a tool. Raises `MCPError` if there is none of this name."""
        call, tool = _call_of(context), self._tools.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, "There is no such tool; tools/list lists them.")
        options = call.options.begin_trace(self._runner.telemetry.traces)
        TRACED.set(options)
        try:
            _check_names(params.arguments or {}, tool.input_schema)
            request = GraphQLRequest(query=tool.document.text, variables=params.arguments)
            response = await self._runner.run(
                request, call.caller, options, call.receive, is_counted=True
            )
            return self._result(response)
        except ClientDisconnected:  # nobody reads it
            raise MCPError(INTERNAL_ERROR, "The client has disconnected.") from None
        except Exception as error:  # noqa: BLE001  # every error must result in a response
            return _failed(graphql_error(request_error(error), options.request_id))

    def _may_call(self, name: str, call: McpCall) -> bool:
        """Return whether the caller has the permissions for a tool at any provider."""
        operations, text = self._runner.operations, self._tools[name].document.text
        document = operations.document(text, explores=call.caller.may_explore)
        requirements = document.requirements(None)
        context = self._runner.context(
            call.caller, call.options, perf_counter(), document.labels(None)
        )
        try:
            context.admit(requirements.requirement)
            context.change_requirements = requirements.changes
            return not requirements.changes or bool(context.visibility.providers)
        except Forbidden:
            return False

    def _result(self, response: GraphQLResponse) -> CallToolResult:
        data, errors = response.body.get("data"), response.body.get("errors", ())
        extensions = response.body.get("extensions", {})
        meta = {"requestId": response.scope.request_id, **extensions}
        shown: dict[str, Any] = {"data": data}
        if errors:  # the caller does not see the document that the locations are in
            shown["errors"] = [{k: v for k, v in e.items() if k != "locations"} for e in errors]
        text = msgspec.json.encode(shown)
        if len(text) > self._result_bytes:
            error = self._too_large(len(text), response)
            return _failed(graphql_error(error, response.scope.request_id), meta)
        is_empty = data is None or all(value is None for value in data.values())
        return _result(text, meta, is_error=bool(errors) and is_empty)

    def _too_large(self, size: int, response: GraphQLResponse) -> RequestError:
        is_write = response.scope.operation[0] == "mutation"
        text = (
            f"result_bytes is {size}; at most {self._result_bytes} are allowed "
            "(mcp.result_bytes). "
            + (
                "It was carried out."
                if is_write
                else "Ask for less, for example a smaller `first`."
            )
        )
        return RequestError(200, text, "LIMIT_EXCEEDED")


def _shown(tool: Tool) -> ShownTool:
    writes = tool.document.writes
    return ShownTool(
        name=tool.name,
        title=tool.name.replace("_", " ").capitalize(),
        description=tool.description,
        input_schema={**tool.input_schema},
        annotations=ToolAnnotations(
            read_only_hint=not writes,
            destructive_hint=writes and tool.document.is_destructive,
            idempotent_hint=not writes or tool.document.is_idempotent,
            open_world_hint=False,
        ),
    )


def _call_of(context: Context) -> McpCall:
    if context.request is None:
        raise TypeError(context)
    call: McpCall = context.request.scope[CALL]
    return call


def _check_names(arguments: JsonObject, schema: JsonObject) -> None:
    """Raise `RequestError` for an argument that the tool does not have: GraphQL ignores it."""
    known: Sequence[str] = [*schema["properties"]]
    if not arguments.keys() <= set(known):
        text = f"An argument is not known; known are {', '.join(known) or 'none'}."
        raise RequestError(200, text)


def _failed(error: JsonObject, meta: JsonObject | None = None) -> CallToolResult:
    text = msgspec.json.encode({"data": None, "errors": [error]})
    return _result(text, meta or {"requestId": error["extensions"]["requestId"]}, is_error=True)


def _result(text: bytes, meta: JsonObject, *, is_error: bool) -> CallToolResult:
    """Return a result: as JSON, and for clients that do not know that, as text."""
    return CallToolResult(
        content=[TextContent(text=text.decode())],
        structured_content=msgspec.json.decode(text),
        is_error=is_error,
        _meta={**meta},
    )
