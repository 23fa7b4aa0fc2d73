"""How spans are encoded, batched, dropped and sent at the end."""

import threading
from collections.abc import Sequence
from functools import partial

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from gateway import __version__
from gateway.observability.otlp import BATCH, QUEUED, SpanExport
from gateway.observability.otlp_encoding import Encoder
from gateway.observability.settings import TraceSettings
from gateway.observability.trace_context import TraceContext
from gateway.observability.traces import Kind, Span
from tests.observability.tracing import SENDER, TRACE, Kept
from tests.proxies.processes import PATIENCE_S
from tests.security.logged import logged

SAMPLED = TraceFlags(TraceFlags.SAMPLED)
ATTRIBUTES = {"graphql.operation.name": "One", "gateway.cost": 3, "gateway.provider.wait_ms": 0.5}
INNER = Span(
    "call",
    Kind.CLIENT,
    trace_id=int(TRACE, 16),
    id=8,
    parent=7,
    is_remote=False,
    state="",
    started=1.0,
    ended=2.5,
    attributes={},
)
FIRST = INNER._replace(
    name="query One",
    kind=Kind.SERVER,
    id=7,
    parent=int(SENDER, 16),
    is_remote=True,
    state="vendor=7,other=x",
    attributes=ATTRIBUTES,
    is_error=True,
    link=TraceContext(f"00-{'4b' * 16}-{'00' * 7}01-01"),
)
ALONE = INNER._replace(kind=Kind.INTERNAL, id=9, parent=None)
RESOURCE = {"service.name": "shop", "service.version": __version__}


def numbered(number: int) -> Span:
    """Return a span with this id."""
    return INNER._replace(id=number)


def ids(batch: Sequence[Message]) -> list[int]:
    """Return the ids of spans."""
    return [int.from_bytes(span.span_id, "big") for span in batch]


def of_sdk(span: Span, kind: SpanKind, status: StatusCode = StatusCode.UNSET) -> ReadableSpan:
    """Return a span as the SDK's own encoder takes it."""
    state = TraceState.from_header([span.state]) if span.state else None
    parent = span.parent and SpanContext(span.trace_id, span.parent, span.is_remote, SAMPLED)
    link = span.link and SpanContext(
        int(span.link.trace_id, 16), int(span.link.parent_id, 16), is_remote=True
    )
    return ReadableSpan(
        span.name,
        SpanContext(span.trace_id, span.id, False, SAMPLED, state),  # noqa: FBT003  # is_remote
        parent or None,
        Resource.create(RESOURCE),
        span.attributes,
        links=[Link(link)] if link else [],
        kind=kind,
        status=Status(status),
        start_time=int(span.started * 1e9),
        end_time=int(span.ended * 1e9),
        instrumentation_scope=InstrumentationScope("segment-gateway", __version__),
    )


def test_spans_are_encoded_as_by_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own encoder makes the same message of the same spans, with the same resource."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    spans = [
        of_sdk(FIRST, SpanKind.SERVER, StatusCode.ERROR),
        of_sdk(INNER, SpanKind.CLIENT),
        of_sdk(ALONE, SpanKind.INTERNAL),
    ]
    expected = encode_spans(spans)
    for each in expected.resource_spans[0].scope_spans[0].spans[1:]:
        each.ClearField("status")  # it is empty: the same to a reader

    body = Encoder("shop").request([lambda: FIRST, lambda: INNER, lambda: ALONE])
    assert ExportTraceServiceRequest.FromString(body) == expected


def test_a_full_batch_is_sent_at_once() -> None:
    """Nothing waits for the next time that spans are sent, except what is too few."""
    sent = threading.Event()

    class Noting(Kept):
        def send(self, body: bytes) -> bool:
            is_sent = super().send(body)
            sent.set()
            return is_sent

    kept = Noting()
    export = SpanExport(TraceSettings(), kept)
    for number in range(BATCH):
        export.add(partial(numbered, number))
    assert sent.wait(PATIENCE_S)
    assert [ids(batch) for batch in kept.batches] == [list(range(BATCH))]

    export.add(lambda: numbered(BATCH))
    export.close()
    assert [len(batch) for batch in kept.batches] == [BATCH, 1]


def test_the_oldest_are_dropped() -> None:
    """While a collector hangs, no more than `QUEUED` wait; all of these are sent at the end."""
    began, goes_on = threading.Event(), threading.Event()

    class Hanging(Kept):
        def send(self, body: bytes) -> bool:
            began.set()
            assert goes_on.wait(PATIENCE_S)
            return super().send(body)

    kept = Hanging()
    export = SpanExport(TraceSettings(), kept)
    for number in range(BATCH):
        export.add(partial(numbered, number))
    assert began.wait(PATIENCE_S)
    for number in range(BATCH, BATCH + QUEUED + 10):
        export.add(partial(numbered, number))
    goes_on.set()
    export.close()

    sent = [number for batch in kept.batches for number in ids(batch)]
    assert sent == [*range(BATCH), *range(BATCH + 10, BATCH + QUEUED + 10)]
    assert {len(batch) for batch in kept.batches} == {BATCH}


def test_a_span_that_cannot_be_made() -> None:
    """It costs its batch, and is logged; what follows is sent."""
    kept = Kept()
    export = SpanExport(TraceSettings(), kept)
    with logged() as log:
        export.add(lambda: INNER._replace(id=-1))
        export.flush()
        export.add(lambda: INNER)
        export.close()

    assert [(line["level"], line["event"]) for line in log.lines] == [("error", "bug")]
    assert [ids(batch) for batch in kept.batches] == [[8]]


def test_a_collector_that_is_away() -> None:
    """It is logged once, and once more when it is back, with the number of spans lost."""
    kept = Kept()
    export = SpanExport(TraceSettings(), kept)
    with logged() as log:
        for is_reachable, spans in ((False, 2), (False, 1), (True, 1), (True, 1)):
            kept.is_reachable = is_reachable
            for _ in range(spans):
                export.add(lambda: INNER)
            export.flush()
    export.close()

    assert [(line["level"], line["event"], line.get("lost_spans")) for line in log.lines] == [
        ("error", "traces cannot be sent", None),
        ("warning", "traces are sent again", 3),
    ]
