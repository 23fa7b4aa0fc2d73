"""A client that disconnects, or a server that stops, cancels only its own calls."""

import asyncio
from typing import Any

import pytest

from gateway.http.cache_control import cache_control
from gateway.http.disconnect import WATCH_AFTER_S, ClientDisconnected, watch_disconnect
from tests.resilience.accounts import Script, account, circuit, response, scope, things
from tests.resilience.clockwork import now, run


class Client:
    """The receiving end of a request whose body was read."""

    def __init__(self) -> None:
        """Be there."""
        self.gone = asyncio.Event()

    async def receive(self) -> Any:
        """Wait for the client to go."""
        await self.gone.wait()
        return {"type": "http.disconnect"}


def test_all_calls_of_a_client_that_hangs_up_end() -> None:
    """Calls that the operation awaits, and calls in tasks that nothing awaits."""

    async def main() -> None:
        client, script, within = Client(), Script([60.0]), scope(60)
        upstream = account(script, timeout_s=60)
        asyncio.get_running_loop().call_later(2, client.gone.set)
        left: list[asyncio.Task[str]] = []
        started = now()

        async def serve() -> None:
            async with watch_disconnect(client.receive, within):
                left.append(asyncio.create_task(upstream.read(things("/batch"), within)))
                await upstream.read(things("/awaited"), within)

        with pytest.raises(ClientDisconnected):
            await serve()
        assert (script.most, now() - started) == (2, 2)
        await asyncio.wait(left)
        await asyncio.sleep(0)
        assert (script.under_way, upstream.guard.bulkhead.in_use) == (0, 0)
        assert circuit(upstream) == "CLOSED"

    run(main())


@pytest.mark.parametrize(("gone_after_s", "ends_after_s"), [(0, WATCH_AFTER_S), (0.5, 0.5)])
def test_when_a_client_that_hangs_up_is_heard(gone_after_s: float, ends_after_s: float) -> None:
    """Soon: not in the first moment, in which most operations end."""

    async def main() -> None:
        client = Client()
        asyncio.get_running_loop().call_later(gone_after_s, client.gone.set)
        started = now()
        with pytest.raises(ClientDisconnected):
            async with watch_disconnect(client.receive, scope()):
                await asyncio.Event().wait()
        assert now() - started == pytest.approx(ends_after_s)

    run(main())


def test_what_others_wait_for_too_goes_on() -> None:
    """One of two clients disconnects: the other gets the result of the shared call."""

    async def main() -> None:
        client, script = Client(), Script([response()], takes_s=3)
        upstream = account(script)
        asyncio.get_running_loop().call_later(1, client.gone.set)

        async def first() -> None:
            within = scope()
            async with watch_disconnect(client.receive, within):
                await upstream.read(things(), within)

        hung_up, other = await asyncio.gather(
            first(), upstream.read(things(), scope()), return_exceptions=True
        )
        assert (type(hung_up), other, len(script.at)) == (ClientDisconnected, "well", 1)

    run(main())


def test_a_server_that_stops_is_no_client_that_hangs_up() -> None:
    """The cancellation goes through as it is."""

    async def main() -> None:
        client = Client()

        async def serve() -> None:
            async with watch_disconnect(client.receive, scope()):
                await asyncio.Event().wait()

        serving = asyncio.create_task(serve())
        await asyncio.sleep(1)
        serving.cancel()
        await asyncio.wait([serving])
        assert serving.cancelled()

    run(main())


def test_an_answer_in_time_leaves_nothing() -> None:
    """The listener ends, and so does what the response did not wait for."""

    async def main() -> None:
        client, within = Client(), scope()
        upstream = account(Script([60.0]))
        async with watch_disconnect(client.receive, within):
            loose = asyncio.create_task(upstream.read(things(), within))
            await asyncio.sleep(1)
        await asyncio.wait([loose])
        assert loose.cancelled()

    run(main())


def test_who_got_an_answer_as_all_ended_asks_for_nothing_more() -> None:
    """The reply arrived, but its reader has not run since: it is cancelled all the same."""

    async def main() -> None:
        script, within = Script([response()], takes_s=1), scope()
        upstream = account(script)

        async def read_on() -> None:
            for path in ("/one", "/two"):
                await upstream.read(things(path), within)

        reading = asyncio.create_task(read_on())
        await asyncio.sleep(0.5)
        (flight,) = upstream._in_flight._calls.values()  # noqa: SLF001  # nothing else tells its end
        flight.observers = (within.close,)
        await asyncio.wait([reading])
        assert (reading.cancelled(), len(script.at)) == (True, 1)

    run(main())


@pytest.mark.parametrize(
    ("fresh_for_s", "has_errors", "meant"),
    [
        ([], False, "private, no-cache"),
        ([5, 3.7], False, "private, max-age=3"),
        ([5, 0.5], False, "private, no-cache"),
        ([5, 0], False, "no-store"),
        ([5, -1], False, "no-store"),
        ([5], True, "no-store"),
    ],
)
def test_cache_control(fresh_for_s: list[float], meant: str, *, has_errors: bool) -> None:
    """As strict as the strictest part; a response with an error is not cacheable."""

    async def main() -> None:
        within = scope()
        for each in fresh_for_s:
            within.note_freshness(each)
        assert cache_control(within, has_errors=has_errors) == meant.encode()

    run(main())
