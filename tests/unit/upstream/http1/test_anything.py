import asyncio
import ssl
from collections.abc import Callable

import httpx
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstream.http.http1_pool import Http1Transport
from tests.unit.upstream.http1.test_connection import ANYTHING
from tests.unit.upstream.misbehaving import Act, Script, ok, serving

ENDS = st.sampled_from([[], [Act.CLOSE], [Act.RESET], [Act.END]])

LOOPS = st.sampled_from([asyncio.new_event_loop, uvloop.new_event_loop])


@settings(max_examples=150)
@given(ANYTHING, ENDS, st.sampled_from(["GET", "HEAD", "POST"]), LOOPS)
def test_any_bytes_are_an_answer_or_an_error_and_nobody_elses(
    sent: bytes, end: Script, method: str, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """On a socket: no hang, no other exception, and the next call gets its own reply."""

    async def check() -> None:
        transport = Http1Transport(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        async with asyncio.timeout(10), serving([ok()], [sent, *end]) as server:
            for number in range(4):
                # Only the arbitrary bytes may leave the client waiting: all other calls end by
                # themselves, however busy the machine is.
                timeout = {"read": 0.05 if number == 1 else 10}
                request = httpx.Request(
                    method, f"{server.url}/{number}", extensions={"timeout": timeout}
                )
                try:
                    response = await transport.handle_async_request(request)
                    body = await response.aread()
                    await response.aclose()
                except httpx.TransportError:
                    # A connection that is being closed may take the call after.
                    assert number == 1 or (number == 2 and end)
                else:
                    assert number == 1 or body == (b"" if method == "HEAD" else b"well")
            heard = [each.target for each in server.requests]
            assert sorted({"/2", *heard}) == ["/0", "/1", "/2", "/3"]
            assert len(heard) == len(set(heard))
            await transport.aclose()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(check())
