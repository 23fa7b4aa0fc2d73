"""Every transport against a server that misbehaves: each call is sent once, as it is, or not."""

import asyncio
import socket

import httpx
import pytest

from tests.unit.upstream.misbehaving import Act, ok, serving
from tests.unit.upstream.transports import LOST, ask


async def test_a_refused_port_is_not_sent(transport: httpx.AsyncBaseTransport) -> None:
    """Nothing listens: the call was certainly not made."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(httpx.ConnectError):
            await ask(transport, f"http://127.0.0.1:{held.getsockname()[1]}/")


async def test_an_unknown_name_is_not_sent(transport: httpx.AsyncBaseTransport) -> None:
    """No such host: the call has certainly not been made."""
    with pytest.raises(httpx.ConnectError):
        await ask(transport, "http://nowhere.invalid/")


async def test_a_connection_that_never_comes_about_is_not_sent(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """The time for connecting ends it."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.settimeout(0)
            each.connect_ex(full.getsockname())
        try:
            with pytest.raises(httpx.ConnectTimeout):
                await ask(
                    transport,
                    f"http://127.0.0.1:{full.getsockname()[1]}/",
                    extensions={"timeout": {"connect": 0.05}},
                )
        finally:
            for each in waiting:
                each.close()


async def test_a_server_that_speaks_no_tls_is_not_sent_anything(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """The call is not made in the clear instead."""

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok())
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        with pytest.raises(httpx.ConnectError):
            await ask(transport, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("act", [Act.CLOSE, Act.RESET], ids=lambda act: act.value)
@pytest.mark.parametrize("before", [0, 1], ids=["new connection", "kept connection"])
async def test_a_call_that_was_sent_is_never_sent_again(
    transport: httpx.AsyncBaseTransport, method: str, act: Act, before: int
) -> None:
    """No response on a new or reused connection is an error that says so, after one attempt."""
    async with serving(*[[ok()]] * before, [act]) as server:
        for _ in range(before):
            await ask(transport, server.url)
        with pytest.raises(LOST):
            await ask(transport, server.url, method, content=b"{}")
        assert len(server.requests) == before + 1
        assert server.connections == 1
        assert (await ask(transport, server.url))[2] == b"well"


async def test_a_connection_reset_at_once_may_have_carried_the_call(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """The server reads nothing; the client cannot know, and does not try again."""
    accepted = 0

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        writer.transport.abort()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LOST):
            await ask(transport, f"http://127.0.0.1:{port}/", "POST", content=b"x" * 1_000_000)
    assert accepted == 1


async def test_a_connection_that_was_closed_while_idle_is_not_used(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """The next call goes over a new one, and once."""
    async with serving([ok(), Act.END]) as server:
        await ask(transport, server.url)
        await server.hung_up.wait()
        assert (await ask(transport, server.url, "POST", content=b"{}"))[2] == b"well"
        assert [each.connection for each in server.requests] == [1, 2]


async def test_a_request_is_sent_as_it_is(transport: httpx.AsyncBaseTransport) -> None:
    """Exactly its headers and its body, which a DELETE may have as well."""
    async with serving() as server:
        headers = {"x-tenant": "acme", "accept": "application/json", "authorization": "Bearer 1"}
        await ask(transport, f"{server.url}/bulk", "DELETE", headers=headers, content=b'["a"]')
        (request,) = server.requests
    assert (request.method, request.target, request.body) == ("DELETE", "/bulk", b'["a"]')
    assert sorted(request.headers) == sorted(
        [*headers.items(), ("host", f"127.0.0.1:{server.port}"), ("content-length", "5")]
    )


@pytest.mark.parametrize(
    "target",
    [
        "/a%2Fb",
        "/a%2fb",
        "/%C3%A9",
        "/%c3%a9",
        "/%7Ea~a",
        "/%41",
        "/a+b",
        "/a%20b",
        "/a%3Ab:c@d",
        "/%25",
        "/%2E%2E/x",
        "//y",
        "/;a=1,b",
        "/!$&'()*",
        "/q?ids%5B%5D=a&ids%5B%5D=b",
        "/q?a=1&a=2&a=",
        "/q?q=a+b%20c%2Bd%26e",
        "/q?d=2024-01-01T00%3A00%3A00%2B02%3A00",
        "/q?a",
        "/q?x=/a?b",
    ],
)
async def test_a_target_arrives_byte_for_byte(
    transport: httpx.AsyncBaseTransport, target: str
) -> None:
    """What is encoded stays encoded, in the spelling it was given."""
    async with serving() as server:
        await ask(transport, server.url + target)
        assert [each.target for each in server.requests] == [target]


@pytest.mark.parametrize(
    "begun", [[], [ok()[:-2]]], ids=["before the head", "in the middle of the body"]
)
async def test_a_cancelled_call_closes_its_connection(
    transport: httpx.AsyncBaseTransport, begun: list[bytes]
) -> None:
    """The server sees the client disconnect; the connection is not reused."""
    async with serving([*begun, Act.HANG]) as server:
        call = asyncio.create_task(ask(transport, server.url))
        await server.heard.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.hung_up.wait()
        assert (await ask(transport, server.url))[2] == b"well"
        assert [each.connection for each in server.requests] == [1, 2]


async def test_connections_are_used_again(transport: httpx.AsyncBaseTransport) -> None:
    """As many as there are calls at once, and no more for those that follow."""
    async with serving() as server:
        for _ in range(3):
            await asyncio.gather(*(ask(transport, server.url) for _ in range(10)))
        assert (len(server.requests), server.connections) == (30, 10)


async def test_many_cancelled_calls_leave_the_transport_whole(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """After calls cancelled at every possible moment, others succeed."""
    async with serving() as server:
        for steps in range(60):
            call = asyncio.create_task(ask(transport, server.url))
            for _ in range(steps % 15):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
        answers = await asyncio.gather(*(ask(transport, server.url) for _ in range(10)))
        assert [body for *_, body in answers] == [b"well"] * 10
