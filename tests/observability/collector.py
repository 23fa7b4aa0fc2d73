"""A collector of traces: it takes OTLP over HTTP and keeps what it got."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What was sent."""

    def __init__(self, port: int) -> None:
        """Listen at this port."""
        self.endpoint = f"http://127.0.0.1:{port}"
        self.paths: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.resources: list[Mapping[str, Any]] = []
        self._spans: list[Span] = []
        self._arrived = threading.Condition()

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Keep a request."""
        request = ExportTraceServiceRequest.FromString(body)
        with self._arrived:
            self.paths.append(path)
            self.headers.append(headers)
            for each in request.resource_spans:
                self.resources.append(attributes(each.resource.attributes))
                for scope in each.scope_spans:
                    self._spans += scope.spans
            self._arrived.notify_all()

    def trace(self, trace_id: str, count: int, patience_s: float) -> Sequence[Span]:
        """Wait until there are as many spans of a trace, and return them."""

        def those() -> Sequence[Span]:
            return [span for span in self._spans if span.trace_id.hex() == trace_id]

        with self._arrived:
            assert self._arrived.wait_for(lambda: len(those()) >= count, patience_s), those()
            return those()


def attributes(pairs: Sequence[KeyValue]) -> Mapping[str, Any]:
    """Return attributes as values of Python."""
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value")
        for each in pairs
    }


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector in a thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            collector.take(self.path, dict(self.headers), self.rfile.read(length))
            body = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
