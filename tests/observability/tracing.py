"""A gateway whose spans end up in memory, and how they are read."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gateway.observability.otlp import SpanExport
from gateway.observability.settings import TraceSettings
from tests.e2e.serving import Providers, settings_with
from tests.observability import collector
from tests.security.served import Answer, Server, post, really_serving, settings_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
SENDER = "b7ad6b7169203331"
TRACEPARENT = f"traceparent: 00-{TRACE}-{SENDER}-01".encode()
UNSAMPLED = f"traceparent: 00-{TRACE}-{SENDER}-00".encode()
TRACESTATE = b"tracestate: vendor=7,other=x"


class Kept:
    """An exporter that keeps the requests."""

    def __init__(self) -> None:
        """Keep none yet."""
        self.requests: list[ExportTraceServiceRequest] = []
        self.is_reachable = True

    def send(self, body: bytes) -> bool:
        """Keep a request, if it is there."""
        if self.is_reachable:
            self.requests.append(ExportTraceServiceRequest.FromString(body))
        return self.is_reachable

    def shutdown(self) -> None:
        """There is nothing to close."""

    @property
    def batches(self) -> Sequence[Sequence[Span]]:
        """The spans of each request."""
        return [request.resource_spans[0].scope_spans[0].spans for request in self.requests]


class Spans:
    """The spans of a gateway."""

    def __init__(self, settings: TraceSettings) -> None:
        """Keep them in memory."""
        self._kept = Kept()
        self.export = SpanExport(settings, self._kept)

    @property
    def all(self) -> Sequence[Span]:
        """Those that have ended."""
        self.export.flush()
        return [span for batch in self._kept.batches for span in batch]

    def tree(self, root: str | None = None) -> Any:
        """Return the names of all spans by their parents, those of one parent in order.

        `root`: the id of a span that is not of this gateway.
        """
        below: dict[str | None, list[Span]] = {}
        for span in self.all:
            below.setdefault(span.parent_span_id.hex() or None, []).append(span)

        def names(parent: str | None) -> Any:
            children = sorted(
                below.pop(parent, ()), key=lambda span: (span.name, span.start_time_unix_nano)
            )
            return [
                (span.name, names(id_of(span))) if id_of(span) in below else span.name
                for span in children
            ]

        tree = names(root)
        assert not below, "a parent is missing"
        return tree

    def named(self, name: str) -> Span:
        """Return the only span of this name."""
        (span,) = [span for span in self.all if span.name == name]
        return span


def id_of(span: Span) -> str:
    """Return the id of a span."""
    return span.span_id.hex()


def trace_of(span: Span) -> str:
    """Return the id of its trace."""
    return span.trace_id.hex()


def is_call(span: Span) -> bool:
    """Return whether it is a call to another system."""
    return span.kind == Span.SPAN_KIND_CLIENT


def attributes(span: Span) -> dict[str, Any]:
    """Return its attributes, without those that differ from run to run."""
    differing = {"gateway.request_id", "gateway.cost", "gateway.provider.wait_ms"}
    shown = collector.attributes(span.attributes)
    return {key: value for key, value in shown.items() if key not in differing}


class Traced(NamedTuple):
    """A gateway and its spans."""

    server: Server
    spans: Spans

    async def ask(
        self, query: str, variables: Mapping[str, Any] | None = None, *headers: bytes
    ) -> Answer:
        """Send a query by POST."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        return await self.server.ask(post(body, *headers))


@contextlib.asynccontextmanager
async def traced(
    providers: Providers,
    *,
    traces: Mapping[str, Any] | None = None,
    account: Mapping[str, Any] | None = None,
    **tables: Mapping[str, Any],
) -> AsyncIterator[Traced]:
    """Serve a gateway that records every operation, unless the settings say otherwise.

    `account`: settings of all providers.
    """
    wanted = TraceSettings(**{"sampler": 1.0, **(traces or {})})
    accounts = settings_with(**(account or {})).providers
    settings = settings_of(**tables).model_copy(update={"traces": wanted, "providers": accounts})
    spans = Spans(wanted)
    async with really_serving(settings, providers, spans.export) as server:
        yield Traced(server, spans)
