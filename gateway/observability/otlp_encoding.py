"""Encode spans for OTLP, with the classes that OpenTelemetry generates from its definition.

Its SDK encodes only spans of its own, and takes five times as long: docs/decisions/0047.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace.span import TraceState

from gateway import __version__
from gateway.observability.traces import Ended, Kind, Span

_KINDS = {
    Kind.SERVER: trace_pb2.Span.SPAN_KIND_SERVER,
    Kind.INTERNAL: trace_pb2.Span.SPAN_KIND_INTERNAL,
    Kind.CLIENT: trace_pb2.Span.SPAN_KIND_CLIENT,
}
_LOCAL = trace_pb2.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE = _LOCAL | trace_pb2.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK


class Encoder:
    """Encodes the spans of this process."""

    def __init__(self, service_name: str) -> None:
        """Encode spans of this service, with what the environment says of it."""
        names = {"service.name": service_name, "service.version": __version__}
        resource = Resource.create(names)
        self._empty = ExportTraceServiceRequest()
        spans = self._empty.resource_spans.add(schema_url=resource.schema_url)
        _fill(spans.resource.attributes, resource.attributes)
        scope = spans.scope_spans.add().scope
        scope.name, scope.version = "segment-gateway", __version__

    def request(self, batch: Iterable[Ended]) -> bytes:
        """Return the body of the request that exports a batch."""
        request = ExportTraceServiceRequest()
        request.CopyFrom(self._empty)
        # Each part is made where it belongs: what is made elsewhere is copied, by encoding it.
        add = request.resource_spans[0].scope_spans[0].spans.add
        for ended in batch:
            _add(add, ended())
        body: bytes = request.SerializeToString()
        return body


def _add(add: Callable[..., trace_pb2.Span], span: Span) -> None:
    message = add(
        trace_id=span.trace_id.to_bytes(16, "big"),
        span_id=span.id.to_bytes(8, "big"),
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=int(span.started * 1e9),
        end_time_unix_nano=int(span.ended * 1e9),
        flags=_REMOTE if span.is_remote and span.parent is not None else _LOCAL,
    )
    if span.parent is not None:
        message.parent_span_id = span.parent.to_bytes(8, "big")
    _fill(message.attributes, span.attributes)
    if span.state:
        message.trace_state = TraceState.from_header([span.state]).to_header()
    if span.is_error:
        message.status.code = trace_pb2.Status.STATUS_CODE_ERROR
    if span.link is not None:
        message.links.add(
            trace_id=bytes.fromhex(span.link.trace_id),
            span_id=bytes.fromhex(span.link.parent_id),
            flags=_REMOTE,
        )


def _fill(attributes: Any, values: Mapping[str, Any]) -> None:
    """Add values to the attributes of a message."""
    for key, value in values.items():
        _set(attributes.add(key=key).value, value)


def _set(message: AnyValue, value: Any) -> None:
    """Set a value; only resources have others than texts and numbers."""
    if isinstance(value, str):
        message.string_value = value
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int):
        message.int_value = value
    elif isinstance(value, float):
        message.double_value = value
    else:
        for each in value:
            _set(message.array_value.values.add(), each)
