"""Which trace a request's headers state, by W3C Trace Context."""

import pytest

from gateway.observability.settings import TraceSettings
from gateway.observability.trace_context import PassedOn, TraceContext, trace_context
from gateway.observability.traces import Traces

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
IDS = f"{TRACE}-{SPAN}"


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        (f"00-{IDS}-01", "01"),
        (f"00-{IDS}-00", "00"),
        (f"00-{IDS}-ab", "01"),
        (f"00-{IDS}-fe", "00"),
        (f" 00-{IDS}-01\t", "01"),
        (f"cc-{IDS}-01", "01"),
        (f"01-{IDS}-01-00", "01"),
    ],
)
def test_what_is_understood(given: str, flags: str) -> None:
    """Of the flags only the lowest, and of later versions what version 00 has."""
    context = trace_context(given.encode(), None)
    assert context == TraceContext(f"00-{IDS}-{flags}")
    assert (context.trace_id, context.parent_id) == (TRACE, SPAN)
    assert context.is_sampled == (flags == "01")


@pytest.mark.parametrize(
    "given",
    [
        None,
        b"",
        f"ff-{IDS}-01".encode(),
        f"00-{IDS}-01-00".encode(),
        f"00-{IDS}-01-".encode(),
        f"01-{IDS}-01.00".encode(),
        f"00-{IDS}-1".encode(),
        f"00-{IDS.upper()}-01".encode(),
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE}{SPAN}--01".encode(),
        f"00-{IDS}-\xe9e".encode("latin-1"),
    ],
)
def test_what_is_not(given: bytes | None) -> None:
    """Providers do not get it, either."""
    assert trace_context(given, b"vendor=7") is None
    assert PassedOn(given or b"", b"vendor=7").headers == {}


@pytest.mark.parametrize(
    ("state", "is_passed_on"),
    [("vendor=7", True), ("a" * 512, True), ("a" * 513, False), ("a=\x01", False), ("é", False)],
)
def test_what_other_systems_add(state: str, *, is_passed_on: bool) -> None:
    """It is passed on if it is printable and not too long."""
    more = {"tracestate": state} if is_passed_on else {}
    headers = PassedOn(f"00-{IDS}-00".encode(), state.encode("latin-1")).headers
    assert headers == {"traceparent": f"00-{IDS}-00", **more}


@pytest.mark.parametrize(
    ("sampler", "follows", "end", "passes_by"),
    [
        (0, True, "-00", True),
        (0, True, "-01", False),
        (0, True, "-01-00", False),
        (1, True, "-00", False),  # it may not be valid, and begin a trace here
        (0, False, "-00", False),
    ],
)
def test_what_needs_no_look(sampler: float, end: str, *, follows: bool, passes_by: bool) -> None:
    """A request that is not recorded, whatever the rest of the header says."""
    settings = TraceSettings(sampler=sampler, parent_based_sampler=follows)
    assert Traces(settings, print).passes_by(f"00-{IDS}{end}".encode()) is passes_by
