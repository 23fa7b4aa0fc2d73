"""Traces as a collector gets them: what is recorded, under which parents, what not."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gateway.errors import Problem, SettingsError
from gateway.observability.settings import TraceSettings
from gateway.observability.traces import BATCH, EVENT, EXECUTION, PHASES, UNKNOWN
from gateway.settings.loading import load
from gateway.settings.tables import StoreSettings
from tests.e2e.failures import SECRET, answering, silent
from tests.e2e.known import NEVER_BOUGHT
from tests.e2e.serving import Providers, segment_id
from tests.e2e.subscribing import Shop
from tests.observability.tracing import (
    SENDER,
    TRACE,
    TRACEPARENT,
    TRACESTATE,
    UNSAMPLED,
    Spans,
    attributes,
    id_of,
    is_call,
    trace_of,
    traced,
)
from tests.security.logged import logged
from tests.security.served import post, really_serving, settings_of
from tests.security.sockets import INIT, opened, subscribe

FOUR = """query Four($stuut: ID!, $voucherify: ID!, $instaleap: ID!, $emporix: ID!) {
  stuut: segment(id: $stuut) { name }
  voucherify: segment(id: $voucherify) { name }
  instaleap: segment(id: $instaleap) { name }
  emporix: segment(id: $emporix) {
    name
    assignments(first: 2) { nodes { customer { name } } }
  }
}"""
IDS = {
    "stuut": segment_id("stuut", "unknown"),
    "voucherify": segment_id("voucherify", NEVER_BOUGHT),
    "instaleap": segment_id("instaleap", "unknown"),
    "emporix": segment_id("emporix", "golden"),
}
ONE = "query One($id: ID!) { segment(id: $id) { name } }"
GOLDEN = {"id": IDS["emporix"]}
PREPARING = [PHASES["parse"], PHASES["validate"]]


@pytest.fixture
def providers() -> Providers:
    """Return providers of this test alone, because it looks at the headers of their calls."""
    return Providers()


def sent(providers: Providers) -> list[str | None]:
    """Return what providers got as `traceparent`, in order."""
    return [headers.get("traceparent") for _, headers in providers.headers]


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "graphql-core"])
@pytest.mark.parametrize("direct", [True, False], ids=["direct", "asgi"])
async def test_one_trace_for_a_query_over_four_providers(
    providers: Providers, *, direct: bool, compiled: bool
) -> None:
    """Batches and calls are below their parents, and each call has its span in its headers.

    Instaleap cannot be read, so the store answers for it, without a call.
    """
    paths = {"direct_answers": direct, "compiled_queries": compiled}
    async with traced(providers, fast_paths=paths) as gateway:
        answer = await gateway.ask(FOUR, IDS, TRACEPARENT, TRACESTATE)
        spans = gateway.spans

        assert answer.json["data"]["emporix"]["name"] == "Golden customers"
        below = [
            (f"{BATCH} customer", ["emporix customers.of_ids"]),
            (
                f"{BATCH} segment",
                [
                    "emporix oauth.token",
                    "emporix segments.get",
                    "stuut segments.list",
                    "voucherify segments.get",
                ],
            ),
            "emporix members.list",
        ]
        planning = [PHASES["plan"]] if compiled else []
        assert spans.tree(SENDER) == [("query", [*PREPARING, (EXECUTION, below), *planning])]
        assert {trace_of(span) for span in spans.all} == {TRACE}
        calls = {id_of(span) for span in spans.all if is_call(span)}
        assert set(sent(providers)) == {f"00-{TRACE}-{each}-01" for each in calls}
        assert {headers["tracestate"] for _, headers in providers.headers} == {
            TRACESTATE.decode().removeprefix("tracestate: ")
        }
        for span in spans.all:
            assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
            assert span.status.code == Status.STATUS_CODE_UNSET
        assert attributes(spans.named("query")) == {
            "graphql.operation.type": "query",
            "graphql.operation.name": "Four",
        }
        assert attributes(spans.named(f"{BATCH} segment")) == {
            "graphql.processing.type": "dataloader_batch",
            "graphql.dataloader.name": "segment",
            "graphql.dataloader.batch.size": 4,
        }
        assert attributes(spans.named("emporix customers.of_ids")) == {
            "gateway.provider": "emporix",
            "gateway.provider.operation": "customers.of_ids",
            "gateway.provider.source": "network",
            "gateway.provider.keys": 2,
            "http.response.status_code": 200,
        }


async def test_a_document_is_prepared_once(providers: Providers) -> None:
    """Only the request that parses, validates and plans it has spans of that."""
    async with traced(providers) as gateway:
        for _ in range(2):
            await gateway.ask("{ providers { key } }", None, TRACEPARENT)

        assert gateway.spans.tree(SENDER) == [
            ("query", [*PREPARING, EXECUTION, PHASES["plan"]]),
            ("query", [EXECUTION]),
        ]


@pytest.mark.parametrize("share", [0, 1])
@pytest.mark.parametrize("direct", [True, False], ids=["direct", "asgi"])
async def test_what_the_sender_does_not_record(
    providers: Providers, share: float, *, direct: bool
) -> None:
    """Its headers reach the providers as they came; nothing is recorded."""
    paths, traces = {"direct_answers": direct}, {"sampler": share}
    async with traced(providers, traces=traces, fast_paths=paths) as gateway:
        await gateway.ask(ONE, GOLDEN, UNSAMPLED, TRACESTATE)

        assert list(gateway.spans.all) == []
    assert sent(providers) == [f"00-{TRACE}-{SENDER}-00"] * 2
    assert {headers["tracestate"] for _, headers in providers.headers} == {
        TRACESTATE.decode().removeprefix("tracestate: ")
    }


async def test_the_share_of_traces_that_begin_here(providers: Providers) -> None:
    """None of them: nothing is recorded or sent, but a sender's trace is continued."""
    async with traced(providers, traces={"sampler": 0}) as gateway:
        await gateway.ask(ONE, GOLDEN)
        assert list(gateway.spans.all) == []
        assert sent(providers) == [None, None]

        await gateway.ask("{ providers { key } }", None, TRACEPARENT)
        assert {trace_of(span) for span in gateway.spans.all} == {TRACE}


@pytest.mark.parametrize(
    ("trace", "is_recorded"), [("0" * 31 + "1", True), ("1" + "f" * 31, False)]
)
async def test_senders_that_do_not_decide(
    providers: Providers, trace: str, *, is_recorded: bool
) -> None:
    """Without `parent_based_sampler` the share counts, and the trace's id decides."""
    traces = {"sampler": 0.5, "parent_based_sampler": False}
    header = f"traceparent: 00-{trace}-{SENDER}-01".encode()
    async with traced(providers, traces=traces) as gateway:
        await gateway.ask("{ providers { key } }", None, header)

        recorded = [trace_of(span) for span in gateway.spans.all if span.name == "query"]
        assert recorded == [trace] * is_recorded


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "asgi"])
async def test_the_log_names_a_trace_that_begins_here(
    providers: Providers, *, direct: bool
) -> None:
    """Each request has a trace of its own, also over one connection."""
    body = b'{"query":"{ providers { key } }"}'
    tables = {"fast_paths": {"direct_answers": direct}, "log": {"requests": True}}
    with logged() as log:
        async with traced(providers, **tables) as gateway, gateway.server.line() as line:
            for _ in range(2):
                await line.write(post(body))
                await line.answer()
            first, second = [
                trace_of(span) for span in gateway.spans.all if not span.parent_span_id
            ]

    named = [each["trace_id"] for each in log.lines if each["event"] == "operation"]
    assert named == [first, second]
    assert first != second


LIST = '{ provider(key: "stuut") { segments(first: 1) { nodes { name } } } }'


async def test_retries(providers: Providers) -> None:
    """Each attempt is a span, with the kind of its failure, in our own words."""
    async with traced(providers, account={"retries": 1}) as gateway:
        providers.instead["stuut"] = answering(503, SECRET.encode())
        await gateway.ask(LIST, None, TRACEPARENT)
        first, second = [span for span in gateway.spans.all if span.name == "stuut segments.list"]
        root = gateway.spans.named("query")

    assert [attributes(each) for each in (first, second)] == [
        {
            "gateway.provider": "stuut",
            "gateway.provider.operation": "segments.list",
            "gateway.provider.source": "network",
            "http.response.status_code": 503,
            "error.type": "broken",
            **more,
        }
        for more in ({}, {"http.request.resend_count": 1})
    ]
    assert first.parent_span_id == second.parent_span_id != b""
    assert {each.status.code for each in (first, second)} == {Status.STATUS_CODE_ERROR}
    assert attributes(root)["error.type"] == "PROVIDER_BROKEN"
    assert root.status.code == Status.STATUS_CODE_ERROR


async def test_a_call_that_nobody_waits_for_any_more(providers: Providers) -> None:
    """Its span is there, too, though it ends after its operation."""
    async with traced(providers, account={"timeout_s": 0.2}) as gateway:
        providers.instead["stuut"] = silent
        await gateway.ask(LIST, None, TRACEPARENT)
        while not [span for span in gateway.spans.all if is_call(span)]:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0.01)

        assert gateway.spans.tree(SENDER) == [
            ("query", [*PREPARING, (EXECUTION, ["stuut segments.list"]), PHASES["plan"]])
        ]
        assert (
            attributes(gateway.spans.named("stuut segments.list"))["error.type"]
            == "answer_timeout"
        )


async def test_a_call_of_another_request(providers: Providers) -> None:
    """Who waits for it has a span of the wait, in a trace of their own."""
    async with traced(providers) as gateway:
        other = TRACEPARENT.replace(b"b7", b"c7")
        await asyncio.gather(gateway.ask(LIST, None, TRACEPARENT), gateway.ask(LIST, None, other))
        spans = [span for span in gateway.spans.all if span.name == "stuut segments.list"]

    assert {attributes(each)["gateway.provider.source"]: each.kind for each in spans} == {
        "network": Span.SPAN_KIND_CLIENT,
        "shared": Span.SPAN_KIND_INTERNAL,
    }
    assert len(sent(providers)) == 1


async def test_a_mutation(providers: Providers) -> None:
    """Its calls are below its execution; nothing of its input is in the trace."""
    mutation = """mutation Make($name: String!) {
      segmentCreate(input: {provider: "stuut", name: $name, priority: 7341}) { segment { name } }
    }"""
    async with traced(providers) as gateway:
        await gateway.ask(mutation, {"name": SECRET}, TRACEPARENT)

        assert gateway.spans.tree(SENDER) == [
            ("mutation", [*PREPARING, (EXECUTION, ["stuut segments.create"])])
        ]
        assert not shown(gateway.spans.all) & {SECRET, "7341"}


def shown(spans: Sequence[Span]) -> set[str]:
    """Return all words that the spans contain."""
    return {word for span in spans for word in re.findall(r"[\w-]+", str(span))}


REFUSED = [
    (b"{", None, "BAD_USER_INPUT"),
    (b'{"query":"{ nonsense-7f3a }"}', [PHASES["parse"]], "BAD_USER_INPUT"),
    (b'{"query":"{ nonsense }"}', PREPARING, "BAD_USER_INPUT"),
    (b'{"query":"subscription { changed { cursor } }"}', [], "BAD_USER_INPUT"),
]


@pytest.mark.parametrize(("body", "below", "code"), REFUSED)
async def test_what_is_refused(
    providers: Providers, body: bytes, below: Sequence[str] | None, code: str
) -> None:
    """It is a span with the code; what was refused is not in it."""
    async with traced(providers) as gateway:
        await gateway.server.ask(post(body, TRACEPARENT))
        spans = gateway.spans

        if below is None:  # it is not a request yet
            assert list(spans.all) == []
            return
        assert spans.tree(SENDER) == [(UNKNOWN, below) if below else UNKNOWN]
        assert attributes(spans.named(UNKNOWN)) == {"error.type": code}
        assert not shown(spans.all) & {"nonsense", "nonsense-7f3a"}


async def test_a_websocket(providers: Providers) -> None:
    """Each operation has its spans, in the trace that the connection was opened in.

    Their documents are read before, to tell subscriptions from the others.
    """
    headers = {"traceparent": TRACEPARENT.decode().removeprefix("traceparent: ")}
    async with (
        traced(providers) as gateway,
        opened(gateway.server, additional_headers=headers) as socket,
    ):
        await socket.say(INIT)
        await socket.heard()
        for name in ("1", "2"):
            await socket.say(subscribe(name))
            await socket.heard()
            await socket.heard()

        assert gateway.spans.tree(SENDER) == [
            ("query", [EXECUTION, PHASES["plan"]]),
            ("query", [EXECUTION]),
        ]


async def test_events_of_a_subscription(tmp_path: Path) -> None:
    """Each begins a trace with a link to that of its subscription, which may last for days."""
    wanted = TraceSettings(sampler=1.0)
    spans = Spans(wanted)
    settings = settings_of().model_copy(
        update={"traces": wanted, "store": StoreSettings(url=f"sqlite:///{tmp_path}/events.db")}
    )
    headers = {"traceparent": TRACEPARENT.decode().removeprefix("traceparent: ")}
    async with (
        really_serving(settings, Providers(), spans.export) as server,
        httpx.AsyncClient(
            base_url=f"http://{server.host}:{server.port}", trust_env=False
        ) as client,
    ):
        gateway = Shop(server, client)
        async with gateway.stream(**headers) as stream:
            await stream.comment()
            await gateway.create()
            await stream.event()

            event = spans.named(EVENT)
    assert event.parent_span_id == b""
    assert trace_of(event) != TRACE
    assert [link.trace_id.hex() for link in event.links] == [TRACE]
    assert attributes(event)["graphql.operation.type"] == "subscription"


async def test_off(providers: Providers) -> None:
    """By default: a trace of the client does not reach the providers, either."""
    async with really_serving(settings_of(), providers) as server:
        body = json.dumps({"query": ONE, "variables": GOLDEN}).encode()
        await server.ask(post(body, TRACEPARENT, TRACESTATE))

    assert sent(providers) == [None, None]


def test_off_imports_nothing() -> None:
    """OpenTelemetry is imported only where traces are on, MCP's SDK only where tools are."""
    code = """
import sys
from gateway.asgi import build
from gateway.settings.loading import sandbox_settings
build(sandbox_settings())
parts = {"opentelemetry", "requests", "mcp", "mcp_types", "httpx2"}
print([name for name in sys.modules if name.partition(".")[0] in parts])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout == "[]\n"


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, traces that are on are a problem of the configuration."""
    monkeypatch.setattr(
        "gateway.settings.loading.find_spec", lambda name: None if "telemetry" in name else name
    )
    file = tmp_path / "gateway.toml"
    file.write_text('[traces]\nendpoint = "http://127.0.0.1:4318"\n', encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        load(file, {})

    assert raised.value.problems == (
        Problem(
            "traces.endpoint",
            "needs an optional part; install it: pip install 'segment-gateway[otel]'",
        ),
    )
