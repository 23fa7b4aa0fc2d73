"""Send spans to a collector by OTLP over HTTP, with OpenTelemetry's exporter (the extra `otel`).

Importing this module imports the SDK, so it is imported only where traces are on.
"""

import logging
import threading
from collections import deque
from typing import Final, Protocol

import requests
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from gateway.observability.otlp_encoding import Encoder
from gateway.observability.settings import TraceSettings
from gateway.observability.traces import Ended

EVERY_S: Final = 5.0
"""How often spans are sent, if there are any: the default of OpenTelemetry's specification."""

QUEUED: Final = 8192
"""Spans that wait to be sent; beyond it the oldest are dropped."""

BATCH: Final = 512
"""Spans per request, which is sent as soon as there are so many.

While they are encoded, in 4 ms, the event loop waits: more would wait for longer.
"""

TIMEOUT_S: Final = 5.0
"""How long a request may take, repetitions included."""

CLOSE_S: Final = 5.0
"""How long the last spans may take when the process stops."""

TRACES_PATH = "/v1/traces"

log = structlog.get_logger(__name__)


class Exporter(Protocol):
    """Sends requests to a collector."""

    def send(self, body: bytes) -> bool:
        """Send a request and return whether it was accepted. Blocks."""

    def shutdown(self) -> None:
        """Close the connection, and give up what is being sent."""


class OtlpExporter(OTLPSpanExporter):
    """OpenTelemetry's exporter, for spans that are encoded already."""

    def send(self, body: bytes) -> bool:
        """Send a request and return whether it was accepted. Blocks."""
        return self._client.export(body).success


class SpanExport:
    """Sends spans in the background, in batches."""

    def __init__(self, settings: TraceSettings, exporter: Exporter | None = None) -> None:
        """Send them to the collector of the settings, or with another exporter."""
        self._exporter = exporter or otlp_exporter(settings)
        self._encoder = Encoder(settings.service_name)
        self._reporting = Reporting()
        self._queue: deque[Ended] = deque(maxlen=QUEUED)
        self._is_due = threading.Event()
        self._is_closing = False
        self._sending = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def add(self, ended: Ended) -> None:
        """Queue a span."""
        self._queue.append(ended)
        if len(self._queue) >= BATCH and not self._is_due.is_set():
            self._is_due.set()

    def flush(self) -> None:
        """Send what is queued, and wait for it."""
        with self._sending:
            while self._queue:
                self._send_batch()

    def close(self) -> None:
        """Send what is queued, for at most `CLOSE_S`, and stop."""
        self._is_closing = True
        self._is_due.set()
        self._thread.join(CLOSE_S)
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._is_closing:
            is_full = self._is_due.wait(EVERY_S)
            self._is_due.clear()
            with self._sending:
                if not is_full:
                    self._send_batch()
                while len(self._queue) >= BATCH:
                    self._send_batch()
        self.flush()

    def _send_batch(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        if not batch:
            return
        try:
            is_sent = self._exporter.send(self._encoder.request(batch))
        except Exception:  # the next batch may be a better one
            log.exception("bug")
            return
        self._reporting.note(len(batch), is_sent=is_sent)


class Reporting:
    """Logs when sending begins to fail, and when it works again."""

    def __init__(self) -> None:
        """Nothing is lost yet."""
        self._lost = 0

    def note(self, spans: int, *, is_sent: bool) -> None:
        """Note whether so many spans were sent."""
        if not is_sent:
            if not self._lost:
                log.error("traces cannot be sent", setting="traces.endpoint")
            self._lost += spans
        elif self._lost:
            log.warning("traces are sent again", lost_spans=self._lost)
            self._lost = 0


def otlp_exporter(settings: TraceSettings) -> Exporter:
    """Return the exporter of these settings."""
    # Its own messages may quote URLs and headers: `Reporting` says what an operator needs.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    url = settings.endpoint or ""
    session = requests.Session()
    session.trust_env = False  # no proxy and no password of this user's environment
    return OtlpExporter(
        endpoint=url.rstrip("/") + TRACES_PATH if url.count("/") == 2 + url.endswith("/") else url,
        headers={name: value.get_secret_value() for name, value in settings.headers.items()},
        timeout=TIMEOUT_S,
        session=session,
    )


def reaches_collector(settings: TraceSettings) -> bool:
    """Return whether the collector accepts a request without spans. Blocks."""
    exporter = otlp_exporter(settings)
    try:
        return exporter.send(b"")
    finally:
        exporter.shutdown()
