"""When connections end whose requests are answered directly: on a clock that jumps."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.http.server.options import server_options
from gateway.http.server.repeated_heads import RawResponse
from tests.resilience.clockwork import now, run
from tests.security.served import post, settings_of
from tests.security.test_http_answers import Wire
from tests.switches import needs

DONE = RawResponse(200, b"content-length: 2\r\n", b"ok")
KEPT_S = 4
"""With a second of grace: 5."""
EMPTY = b"\r\n"


class Direct:
    """An application that answers directly, after as many seconds as the body says."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take nothing."""
        raise TypeError((scope, receive, send))

    def fast_path_handler(self, _: Any) -> Any:
        """Take every head."""
        return lambda _: self._answer

    def _answer(self, body: bytes) -> RawResponse | Coroutine[Any, Any, RawResponse]:
        return _later(int(body)) if int(body) else DONE


async def _later(wait_s: int) -> RawResponse:
    await asyncio.sleep(wait_s)
    return DONE


@needs("direct_answers")
@pytest.mark.parametrize(
    ("sent", "answers", "ends"),
    [
        pytest.param({0: post(b"0")}, 1, 5, id="one"),
        pytest.param({0: post(b"0"), 3: post(b"0"), 7: post(b"0")}, 3, 12, id="repeated"),
        pytest.param({0: post(b"0"), 3: post(b"0", b"a: b")}, 2, 8, id="parsed"),
        pytest.param(
            {at: post(b"0", b"x-request-id: %d" % at) for at in (0, 3, 7)}, 3, 12, id="similar"
        ),
        pytest.param({0: post(b"0"), 3: post(b"00")[:-1], 4: b"0"}, 2, 9, id="in two pieces"),
        pytest.param({0: post(b"0"), 3: post(b"0") + EMPTY}, 2, 8, id="an empty line behind"),
        pytest.param({0: post(b"0"), 1: post(b"9")}, 2, 15, id="longer than idle ones last"),
        pytest.param(
            {0: post(b"0"), 1: post(b"9", b"x-request-id: 1")}, 2, 15, id="longer, and parsed"
        ),
        pytest.param({0: post(b"9")}, 1, 14, id="the first is long"),
        pytest.param({0: post(b"0"), 1: EMPTY}, 1, 3, id="an empty line"),
        pytest.param({0: post(b"0"), 1: EMPTY, 2: post(b"0")}, 2, 7, id="repeated after it"),
        pytest.param({0: post(b"0"), 1: EMPTY, 2: post(b"9")}, 2, 16, id="long after it"),
    ],
)
def test_when_a_connection_ends(sent: dict[int, bytes], answers: int, ends: int) -> None:
    """It is closed `keep_alive_s` after its last response, and sooner after an empty line."""

    async def main() -> None:
        settings = settings_of(limits={"header_timeout_s": 2})
        options = {**server_options(settings), "log_config": None, "timeout_keep_alive": KEPT_S}
        config = Config(Direct(), **options)
        config.load()
        make: Any = config.http_protocol_class
        serving, wire = make(config, ServerState(), {}), Wire()
        wire.get_protocol = lambda: serving  # type: ignore[method-assign]
        serving.connection_made(wire)
        began = now()
        for at, data in sent.items():
            await asyncio.sleep(began + at - now())
            serving.data_received(data)
        await asyncio.sleep(began + ends - 0.1 - now())
        assert (len(wire.pieces), wire.is_closed) == (answers, False)
        await asyncio.sleep(0.2)
        assert (len(wire.pieces), wire.is_closed) == (answers, True)
        serving.connection_lost(None)

    run(main())
