"""The endpoint follows the protocol's rules for HTTP, and is not there while it is off."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.auth.api_keys import make
from gateway.auth.settings import AuthSettings
from gateway.errors import Problem, SettingsError
from gateway.settings.loading import load
from tests.e2e.serving import serving
from tests.e2e.tools.agents import LIST, Agents, agents
from tests.security.served import PATIENCE_S, post, settings_of

REFUSED: Mapping[str, tuple[dict[str, Any], tuple[int, str, str]]] = {
    "a page of another site": (
        {"origin": "https://evil.example"},
        (403, "Pages of this origin are not allowed.", "FORBIDDEN"),
    ),
    "no stream from GET": ({"method": "GET"}, (405, "Use POST.", "BAD_USER_INPUT")),
    "no session to DELETE": ({"method": "DELETE"}, (405, "Use POST.", "BAD_USER_INPUT")),
    "a preflight request": ({"method": "OPTIONS"}, (405, "Use POST.", "BAD_USER_INPUT")),
    "a form": (
        {"content_type": "text/plain"},
        (415, "Send the request as application/json.", "BAD_USER_INPUT"),
    ),
    "too large": (
        {"body": {**LIST, "params": {"cursor": "x" * 2000}}},
        (
            413,
            "body_bytes is 2077 or more; at most 1000 are allowed (limits.body_bytes).",
            "LIMIT_EXCEEDED",
        ),
    ),
}


async def test_requests_that_are_refused() -> None:
    """By us with an error of JSON-RPC and our code, by the SDK with the status of the protocol."""
    settings = settings_of(limits={"body_bytes": 1000})
    async with agents(settings) as served:
        for request, expected in REFUSED.values():
            reply = await served.send(**request)
            error = reply.json()["error"]
            assert (reply.status_code, error["message"], error["data"]["code"]) == expected
            assert error["data"]["requestId"] == reply.headers["x-request-id"]
            assert (reply.json()["jsonrpc"], reply.json()["id"]) == ("2.0", None)
            if reply.status_code == 405:
                assert reply.headers["allow"] == "POST"
        rebound = await served.send(host="evil.example")
        assert rebound.status_code == 421
        await statuses(served)
        body = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        note = await served.send(body=body)
        assert (note.status_code, note.content) == (202, b"")
        assert note.headers["cache-control"] == "no-store"
        assert not served.providers.calls


async def statuses(served: Agents) -> None:
    """Check the statuses of what the SDK refuses."""
    assert (await served.send(accept="text/html")).status_code == 406
    assert (await served.send(mcp_protocol_version="1999-01-01")).status_code == 400
    assert (await served.send(body=[LIST])).status_code == 400
    unknown = await served.send(body={**LIST, "method": "resources/list"})
    assert unknown.json()["error"]["code"] == -32601
    missing = await served.send(body={**LIST, "method": "tools/call", "params": {"name": "x"}})
    assert missing.json()["error"] == {
        "code": -32602,
        "message": "There is no such tool; tools/list lists them.",
    }


CALL = b"""{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
  "name": "find_segments", "arguments": {"nameContains": %b}, "_meta": {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {}
  }
}}"""
MODERN = {
    "mcp_protocol_version": "2026-07-28",
    "mcp_method": "tools/call",
    "mcp_name": "find_segments",
}


async def test_bodies_that_are_not_json() -> None:
    """They are refused before the SDK reads them, which is less strict; deep ones end there."""
    bad = [b'"\\ud800"', b"NaN", b'"\xff"', b"9" * 5000, b"[" * 20_000 + b"]" * 20_000]
    async with agents() as served:
        for headers in ({}, MODERN):
            for value in bad:
                reply = await served.send(body=CALL % value, **headers)
                error = reply.json()["error"]
                assert (reply.status_code, error["message"]) == (400, "The request is not JSON.")
        deep = await served.send(body=CALL % (b"[" * 500 + b"]" * 500), **MODERN)
        (error,) = deep.json()["result"]["structuredContent"]["errors"]
        assert error["message"] == (
            "variable_depth is 33 or more; at most 32 are allowed (limits.variable_depth)."
        )
        assert not served.providers.calls


REPEATED = {
    "the id": b'{"jsonrpc": "2.0", "id": 1, "id": 2, "method": "tools/list"}',
    "the id, escaped": b'{"jsonrpc": "2.0", "id": 1, "\\u0069d": 2, "method": "tools/list"}',
    "the tool": CALL.replace(b'"name"', b'"name": "recent_changes", "name"') % b'"x"',
    "an argument": CALL % b'"x", "nameContains": "y"',
}


@pytest.mark.parametrize("body", REPEATED.values(), ids=REPEATED)
async def test_names_that_are_repeated(body: bytes) -> None:
    """They are refused wherever they are: programs disagree on which of the two counts."""
    async with agents() as served:
        reply = await served.send(body=body)
        assert not served.providers.calls
    error = reply.json()["error"]
    message = "An object in the request has the same name twice."
    assert (reply.status_code, error["code"], error["message"]) == (400, -32600, message)
    assert error["data"]["code"] == "BAD_USER_INPUT"


MESSAGES: Mapping[str, tuple[Any, str]] = {
    "a batch": ([LIST], "Expected `object`, got `array`"),
    "no method": ({"jsonrpc": "2.0", "id": 1}, "Object missing required field `method`"),
    "another version": ({**LIST, "jsonrpc": "1.0"}, "Invalid enum value '1.0' - at `$.jsonrpc`"),
    "an object as its id": (
        {**LIST, "id": {"a": 1}},
        "Expected `int | str | null`, got `object` - at `$.id`",
    ),
    "a list of parameters": (
        {**LIST, "params": ["secret"]},
        "Expected `object | null`, got `array` - at `$.params`",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
async def test_messages_of_another_kind(name: str) -> None:
    """They are refused in our words: the SDK's name a library and its version."""
    body, problem = MESSAGES[name]
    async with agents() as served:
        reply = await served.send(body=body)
        error = reply.json()["error"]

    assert (reply.status_code, error["code"]) == (400, -32600)
    assert error["message"] == f"This is not a request of JSON-RPC 2.0: {problem}."
    assert error["data"]["requestId"] == reply.headers["x-request-id"]


async def test_a_client_that_leaves() -> None:
    """Its calls to providers are cancelled."""
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def hanging(*_: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    body = CALL % b'"x"'
    async with agents() as served:
        for headers in ({}, MODERN):
            served.providers.instead["stuut"] = hanging
            begun.clear()
            cancelled.clear()
            lines = [
                f"{name.replace('_', '-')}: {value}".encode() for name, value in headers.items()
            ]
            accept = b"accept: application/json, text/event-stream"
            request = post(body, accept, *lines).replace(b"/graphql", b"/mcp", 1)
            async with served.server.line() as line, asyncio.timeout(PATIENCE_S):
                await line.write(request)
                await begun.wait()
            async with asyncio.timeout(PATIENCE_S):
                await cancelled.wait()


async def test_credentials() -> None:
    """The same keys as at `/graphql`; without one the response says how to send it."""
    key, hashed = make()
    auth = AuthSettings.model_validate(
        {"keys": [{"name": "agent", "hash": hashed, "scopes": ["segments:read"]}]}
    )
    settings = settings_of().model_copy(update={"auth": auth})
    async with agents(settings, believes=False) as served:
        for headers in ({}, {"authorization": "Bearer gw_wrong"}):
            refused = await served.send(**headers)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert refused.json()["error"]["data"]["code"] == "UNAUTHENTICATED"
        listed = await served.send(authorization=f"Bearer {key}")
        assert [tool["name"] for tool in listed.json()["result"]["tools"]] == [
            "find_segments",
            "recent_changes",
            "provider_health",
        ]


async def test_off() -> None:
    """Without the setting there is no such path."""
    async with serving() as front:
        reply = await front.client.post("/mcp", json=LIST)
        assert reply.status_code == 404


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, tools that are on are a problem of the configuration."""
    monkeypatch.setattr(
        "gateway.settings.loading.find_spec", lambda name: None if name == "mcp" else name
    )
    file = tmp_path / "gateway.toml"
    file.write_text("[mcp]\nenabled = true\n", encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        load(file, {})
    assert raised.value.problems == (
        Problem(
            "mcp.enabled",
            "needs an optional part; install it: pip install 'segment-gateway[mcp]'",
        ),
    )
