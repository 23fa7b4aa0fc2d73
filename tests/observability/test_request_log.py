"""The request log, the level of the log, ids that callers and traces give, start and stop."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.auth.permissions import Permission
from gateway.observability.settings import LogSettings
from tests.e2e.serving import segment_id, serving
from tests.security.callers import guarded, signed
from tests.security.logged import Log, logged
from tests.security.served import PATIENCE_S, Server, post, really_serving, settings_of

LOG = {"log": {"requests": True}}
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
QUERY = "query Golden($id: ID!) { segment(id: $id) { name items { totalCount } } }"
GOLDEN = {"id": segment_id("emporix", "golden")}


def requests(log: Log) -> Sequence[dict[str, Any]]:
    """Return the lines of the request log, without durations, which must be positive."""
    lines = [dict(line) for line in log.of("requests")]
    for line in lines:
        assert line.pop("duration_ms") > 0
        assert line.pop("event") == "operation"
    return lines


async def test_one_line_for_each_operation() -> None:
    """With its type, name, caller, errors, cost and calls; never its text or variables."""
    with logged() as log:
        async with guarded(settings=settings_of(**LOG)) as front:
            log.file.truncate(0)
            log.file.seek(0)
            caller = signed("segments:read", "#shop")
            await front.ask(QUERY, GOLDEN, authorization=caller)
            await front.ask("{ nonsense }", authorization=caller)

            assert requests(log) == [
                {
                    "caller": "#shop",
                    "type": "query",
                    "name": "Golden",
                    "cost": 23,
                    "calls": {"emporix": 2},
                },
                {"caller": "#shop", "errors": {"BAD_USER_INPUT": 1}},
            ]
    assert "golden" not in log.text
    assert "nonsense" not in log.text


async def test_it_is_off_by_default() -> None:
    """Then there is no line for an operation that succeeds."""
    async with serving() as front:
        with logged() as log:
            await front.ask(QUERY, GOLDEN)

    assert log.lines == []


async def test_a_subscription_is_one_line() -> None:
    """When it ends, with the number of its events."""
    body = b'{"query":"subscription Health { providerHealthChanged { key } }"}'
    with logged() as log:
        async with really_serving(settings_of(**LOG)) as server:
            async with server.line() as line:
                await line.write(post(body, b"accept: text/event-stream"))
                async with asyncio.timeout(PATIENCE_S):
                    await line.reader.readuntil(b"\r\n:")  # a comment says that it has started
            await server.is_alone()
        lines = [dict(each) for each in requests(log)]

    address = lines[0].pop("address")
    assert address.startswith("#")  # a digest
    assert lines == [
        {"caller": "anonymous", "type": "subscription", "name": "Health", "events": 0}
    ]


WELL_FORMED = [
    "7d5d2a68-6f3e-4f9c-9f3a-0a8f9b1c2d3e",
    "Root=1-67891233-abcdef012345678912345678",
    "a",
    "a" * 128,
]
OTHERS = ["a" * 129, "", "two words", 'quo"ted', "\u00e9", "-a"]


@pytest.mark.parametrize("query", ["{ providers { key } }", "{ nonsense"])
async def test_a_well_formed_request_id_is_kept(query: str) -> None:
    """In the response's header and in the log; any other is replaced by ours."""
    body = json.dumps({"query": query}).encode()
    async with really_serving(settings_of(**LOG)) as server:
        for given in (*WELL_FORMED, *OTHERS):
            with logged() as log:
                line = b"x-request-id: " + given.encode("latin-1")
                answer = await server.ask(post(body, line))
            lines = [each for each in log.lines if each.get("logger") == "requests"]
            (logged_id,) = (each["request_id"] for each in lines)

            assert answer.status == 200
            assert answer.headers["x-request-id"] == logged_id
            assert (logged_id == given) is (given in WELL_FORMED)
            assert given in WELL_FORMED or len(logged_id) == 32


async def test_a_refusal_has_the_given_id() -> None:
    """Also where nothing was executed."""
    with logged() as log:
        async with really_serving() as server:
            bad = await server.ask(post(b"{", b"x-request-id: mine"))
            none = await server.ask(
                b"GET /graphql HTTP/1.1\r\nhost: x\r\nx-request-id: mine\r\n\r\n"
            )

    assert bad.refusal == (400, "BAD_USER_INPUT")
    assert {bad.headers["x-request-id"], none.headers["x-request-id"]} == {"mine"}
    assert {line["request_id"] for line in log.lines if line["event"] == "refused"} == {"mine"}


async def ask_failing(server: Server, *headers: bytes) -> None:
    """Send a query whose only provider fails, so that there is a line in the log."""
    body = json.dumps({"query": QUERY, "variables": GOLDEN}).encode()
    await server.ask(post(body, *headers))


@pytest.mark.parametrize("fast", [True, False])
async def test_every_line_of_a_request_names_its_trace(fast: bool) -> None:  # noqa: FBT001
    """Those of calls in tasks of their own, too; and no line of another request."""
    settings = settings_of(**LOG, fast_paths={"direct_answers": fast})
    with logged() as log:
        async with really_serving(settings) as server:
            await ask_failing(server, b"traceparent: " + TRACEPARENT.encode())
            await ask_failing(server)
            async with server.line() as line:
                for header in ((b"traceparent: " + TRACEPARENT.encode(),), ()):
                    await line.write(post(b'{"query":"{ nonsense }"}', *header))
                    await line.answer()

    traced = {line["request_id"] for line in log.lines if line.get("trace_id") == TRACE}
    others = {
        line["request_id"] for line in log.lines if "request_id" in line and "trace_id" not in line
    }
    assert len(traced) == len(others) == 2
    assert not traced & others


INVALID = [
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    f"00-{TRACE}-0000000000000000-01",
    f"ff-{TRACE}-b7ad6b7169203331-01",
    f"00-{TRACE.upper()}-b7ad6b7169203331-01",
    f"{TRACEPARENT}-more",
    "00-" + TRACE,
    "x" * 55,
]


async def test_an_invalid_traceparent_is_ignored() -> None:
    """As the specification says: the request has no trace. A later version may say more."""
    later = f"cc-{TRACE}-b7ad6b7169203331-01-more"
    with logged() as log:
        async with really_serving(settings_of(**LOG)) as server:
            for value in (*INVALID, later):
                await ask_failing(server, b"traceparent: " + value.encode())

    assert [line["trace_id"] for line in log.lines if "trace_id" in line] == [TRACE]


async def test_start_and_stop_are_logged() -> None:
    """With the version and the providers."""
    with logged() as log:
        async with really_serving():
            pass

    lines = [line for line in log.lines if line["event"] in {"started", "stopped"}]
    started, stopped = lines
    assert started.pop("version")
    assert started["providers"] == ["stuut", "voucherify", "instaleap", "emporix"]
    assert (started["event"], stopped["event"]) == ("started", "stopped")
    assert started["pid"] == stopped["pid"]


async def test_the_level_leaves_out_lines_but_not_the_audit_log() -> None:
    """At `error` no refusal is logged; denied writes and requests still are."""
    settings = LogSettings(level="error")
    create = 'mutation { segmentCreate(input: {provider: "stuut", name: "A"}) { segment { id } } }'
    with logged(settings) as log:
        async with guarded(settings=settings_of(**LOG)) as front:
            log.file.truncate(0)
            log.file.seek(0)
            await front.ask(create, authorization=signed(Permission.SEGMENTS_READ))
            await front.client.post("/graphql", content=b"{")

            assert [line["logger"] for line in log.lines] == ["audit", "requests"]
