"""Send spans to a collector by OTLP over HTTP, with OpenTelemetry's SDK (the extra `otel`).

Importing this module imports the SDK, so it is imported only where traces are on.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Final

import requests
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import AttributeValue

from gateway import __version__
from gateway.observability.settings import TraceSettings
from gateway.observability.trace_context import TraceContext
from gateway.observability.traces import Kind, Span

EVERY_S: Final = 1.0
"""How often spans are sent, if there are any."""

QUEUED: Final = 8192
"""Spans that wait to be sent; beyond it the oldest are dropped."""

BATCH: Final = 256
"""Spans per request: encoding more would keep the event loop waiting for longer."""

TIMEOUT_S: Final = 5.0
"""How long a request may take, repetitions included."""

CLOSE_S: Final = 5.0
"""How long the last spans may take when the process stops."""

TRACES_PATH = "/v1/traces"

_KINDS = {
    Kind.SERVER: SpanKind.SERVER,
    Kind.INTERNAL: SpanKind.INTERNAL,
    Kind.CLIENT: SpanKind.CLIENT,
}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_ERROR, _UNSET = Status(StatusCode.ERROR), Status(StatusCode.UNSET)

log = structlog.get_logger(__name__)


class SpanExport:
    """Sends spans in the background, in batches."""

    def __init__(self, settings: TraceSettings, exporter: SpanExporter | None = None) -> None:
        """Send them to the collector of the settings, or to another exporter."""
        self._processor = BatchSpanProcessor(
            Reporting(exporter or otlp_exporter(settings)),
            max_queue_size=QUEUED,
            schedule_delay_millis=EVERY_S * 1000,
            max_export_batch_size=BATCH,
        )
        names = {"service.name": settings.service_name, "service.version": __version__}
        created = Resource.create(names)
        self._resource = _HashedResource(created.attributes, created.schema_url)
        self._scope = InstrumentationScope("segment-gateway", __version__)

    def add(self, span: Span) -> None:
        """Queue a span."""
        state = TraceState.from_header([span.state]) if span.state else None
        parent = None
        if span.parent is not None:
            parent = SpanContext(span.trace_id, span.parent, span.is_remote, _SAMPLED, state)
        # The SDK's own spans take three times as long: docs/decisions/0032.
        ended = ReadableSpan(
            span.name,
            SpanContext(
                span.trace_id, span.id, is_remote=False, trace_flags=_SAMPLED, trace_state=state
            ),
            parent,
            self._resource,
            span.attributes,
            links=() if span.link is None else (Link(_context_of(span.link)),),
            kind=_KINDS[span.kind],
            status=_ERROR if span.is_error else _UNSET,
            start_time=int(span.started * 1e9),
            end_time=int(span.ended * 1e9),
            instrumentation_scope=self._scope,
        )
        self._processor.on_end(ended)

    def flush(self) -> None:
        """Send what is queued, and wait for it."""
        self._processor.force_flush()

    def close(self) -> None:
        """Send what is queued, for at most `CLOSE_S`, and stop."""
        # Its own limit is 30 s; a thread that is no daemon would keep the process from ending.
        closing = threading.Thread(target=self._processor.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_S)


def otlp_exporter(settings: TraceSettings) -> SpanExporter:
    """Return the exporter of these settings."""
    # Its own messages may quote URLs and headers: `Reporting` says what an operator needs.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    url = settings.endpoint or ""
    session = requests.Session()
    session.trust_env = False  # no proxy and no password of this user's environment
    return OTLPSpanExporter(
        endpoint=url.rstrip("/") + TRACES_PATH if url.count("/") == 2 + url.endswith("/") else url,
        headers={name: value.get_secret_value() for name, value in settings.headers.items()},
        timeout=TIMEOUT_S,
        session=session,
    )


def reaches_collector(settings: TraceSettings) -> bool:
    """Return whether the collector accepts a request without spans. Blocks."""
    exporter = otlp_exporter(settings)
    try:
        return exporter.export(()) is SpanExportResult.SUCCESS
    finally:
        exporter.shutdown()


class Reporting(SpanExporter):
    """Logs when sending begins to fail, and when it works again."""

    def __init__(self, exporter: SpanExporter) -> None:
        """Send with this exporter."""
        self._exporter = exporter
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                log.warning("traces are sent again", lost_spans=self._lost)
            self._lost = 0
        else:
            if not self._lost:
                log.error("traces cannot be sent", setting="traces.endpoint")
            self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()


class _HashedResource(Resource):
    """Computes its hash once; the exporter asks for it with each span."""

    def __init__(self, attributes: Mapping[str, AttributeValue], schema_url: str) -> None:
        super().__init__(attributes, schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other


def _context_of(context: TraceContext) -> SpanContext:
    return SpanContext(
        int(context.trace_id, 16),
        int(context.parent_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(context.is_sampled)),
    )
