"""A provider that cannot be reached: the error for the client, and the log."""

import socket

import httpx
from structlog.testing import capture_logs

from gateway.asgi import build
from tests.e2e.serving import settings_with

ONE = '{ node(id: "WyJzIiwic3R1dXQiLCJ4Il0") { id } }'


async def test_the_reason_is_in_the_log_alone() -> None:
    """Under the same request's id; the client learns that it cannot be reached, in our words."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        settings = settings_with()
        (account,) = (each for each in settings.providers if each.key == "stuut")
        away = account.model_copy(update={"base_url": f"http://127.0.0.1:{port}"})
        app = build(settings.model_copy(update={"providers": (away,)}))
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            with capture_logs() as lines:
                reply = await client.post("/graphql", json={"query": ONE})

    (error,) = reply.json()["errors"]
    assert error["message"] == "Provider 'stuut' cannot be reached."
    assert error["extensions"]["code"] == "PROVIDER_UNREACHABLE"
    assert "refused" not in reply.text
    assert str(port) not in reply.text
    (line,) = (each for each in lines if each["event"] == "provider call failed")
    assert (line["reason"], line["request_id"]) == (
        "connection_refused",
        error["extensions"]["requestId"],
    )
