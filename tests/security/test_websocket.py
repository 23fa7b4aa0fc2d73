"""`/graphql` over WebSocket, as graphql-transport-ws says, through the real server."""

import asyncio
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from gateway.auth.authenticator import Authenticator
from gateway.auth.permissions import Caller, VerifiedCaller, unrestricted_caller
from gateway.errors import Unauthenticated
from tests.e2e.writes.asking import do, document, shoppers
from tests.resilience.held import serving
from tests.security.served import PATIENCE_S, really_serving, settings_of
from tests.security.sockets import (
    ACK,
    FOUND,
    INIT,
    KEY,
    PROTOCOL,
    READ,
    Waiting,
    answers,
    opened,
    subscribe,
    talking,
)

pytestmark = pytest.mark.every_case

SIGNED = Caller("key:someone", unrestricted_caller().grants)


async def test_operations() -> None:
    """Queries are answered by one result and the end, with variables, by name, several times."""
    named = "query A($key: String!) { provider(key: $key) { key } } query B { __typename }"
    async with talking() as socket:
        for message, data in (
            (subscribe("1"), FOUND),
            (subscribe("1"), FOUND),
            (subscribe("ü", named, operationName="A", variables={"key": "stuut"}), FOUND),
            (subscribe("2", variables=None, operationName=None, extensions=None), FOUND),
            (subscribe("3", "mutation { __typename }"), {"__typename": "Mutation"}),
        ):
            await socket.say(message)
            heard = [await socket.heard(), await socket.heard()]
            assert heard == answers(message["id"], data)


async def test_several_at_once() -> None:
    """Each is answered under its own id."""
    names = [str(number) for number in range(20)]
    async with talking() as socket:
        await socket.say(*(subscribe(name) for name in names))
        heard = [await socket.heard() for _ in range(40)]

    assert sorted(heard, key=json.dumps) == sorted(
        [message for name in names for message in answers(name)], key=json.dumps
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ nothing }", "Cannot query field 'nothing' on type 'Query'."),
        ("{", "Syntax Error: Expected Name, found <EOF>."),
        (
            "subscription { segments }",
            "Cannot query field 'segments' on type 'Subscription'.",
        ),
    ],
)
async def test_operations_that_cannot_run(query: str, message: str) -> None:
    """They end with their errors; the connection goes on."""
    async with talking() as socket:
        await socket.say(subscribe("1", query))
        error = await socket.heard()
        await socket.say(subscribe("1"))

        assert (error["id"], error["type"]) == ("1", "error")
        assert error["payload"][0]["message"] == message
        assert [await socket.heard(), await socket.heard()] == answers("1")


async def test_a_byte_order_mark() -> None:
    """It is skipped before the JSON of a message, too."""
    async with talking() as socket:
        await socket.say("\ufeff" + json.dumps(subscribe("1")))
        assert [await socket.heard(), await socket.heard()] == answers("1")


async def test_pings() -> None:
    """A ping gets its pong, also before the beginning; a pong gets nothing."""
    async with really_serving() as server, opened(server) as socket:
        await socket.say({"type": "ping"}, {"type": "pong"}, {"type": "pong", "payload": {}})
        assert await socket.heard() == {"type": "pong"}
        await socket.say({"type": "ping", "payload": {"a": [1]}}, INIT)
        assert await socket.heard() == {"type": "pong", "payload": {"a": [1]}}
        assert await socket.heard() == ACK


MALFORMED: Mapping[str, Any] = {
    "no JSON": "{",
    "nothing": "",
    "binary": b'{"type":"ping"}',
    "null": "null",
    "array": "[]",
    "text": '"ping"',
    "number": "7",
    "deep": '{"type":"ping","payload":' + '{"a":' * 5000,
    "no type": {"id": "1"},
    "type of another kind": {"type": 7},
    "unknown type": {"type": "start"},
    "a server's type": {"type": "next", "id": "1", "payload": {}},
    "object as id": {"type": "complete", "id": {}},
    "null as id": {"type": "complete", "id": None},
    "empty id": {"type": "complete", "id": ""},
    "no id": {"type": "complete"},
    "subscribe without id": {"type": "subscribe", "payload": {"query": KEY}},
    "subscribe with a number as id": {"type": "subscribe", "id": 1, "payload": {"query": KEY}},
    "payload null": {"type": "subscribe", "id": "1", "payload": None},
    "payload a list": {"type": "subscribe", "id": "1", "payload": []},
    "payload missing": {"type": "subscribe", "id": "1"},
    "payload empty": {"type": "subscribe", "id": "1", "payload": {}},
    "payload without a document": {"type": "subscribe", "id": "1", "payload": {"variables": {}}},
    "payload with empty names": {"type": "subscribe", "id": "1", "payload": {"documentId": ""}},
    "payload with other extensions": subscribe("1", query=None, extensions={"a": 1}),  # type: ignore[arg-type]
    "query null": subscribe("1", query=None),  # type: ignore[arg-type]
    "query a number": subscribe("1", query=7),  # type: ignore[arg-type]
    "variables a list": subscribe("1", variables=[]),
    "variables a text": subscribe("1", variables="{}"),
    "operation name a number": subscribe("1", operationName=7),
    "extensions a text": subscribe("1", extensions="x"),
    "ping with null": {"type": "ping", "payload": None},
    "a long reason": {"type": "subscribe", "id": "1", "payload": {"query": "x" * 500, "id": []}},
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_messages(name: str) -> None:
    """Whatever is no message of the protocol ends the connection with 4400."""
    async with talking() as socket:
        await socket.say(MALFORMED[name])

        code, reason = await socket.closed()
        assert (code, bool(reason)) == (4400, True)


QUERY = json.dumps(KEY)
TWICE = {
    "query": f'{{"type":"subscribe","id":"1","payload":{{"query":"{{a}}","query":{QUERY}}}}}',
    "variables": '{"type":"subscribe","id":"1","payload":'
    f'{{"query":{QUERY},"variables":{{}},"v\\u0061riables":{{}}}}}}',
    "type": f'{{"type":"ping","type":"subscribe","id":"1","payload":{{"query":{QUERY}}}}}',
    "id": f'{{"type":"subscribe","id":"1","id":"2","payload":{{"query":{QUERY}}}}}',
    "payload": f'{{"type":"subscribe","id":"1","payload":{{}},"payload":{{"query":{QUERY}}}}}',
}


@pytest.mark.parametrize("name", TWICE)
async def test_a_member_twice(name: str) -> None:
    """One reader takes the first, another one the last: it is refused, as in a POST."""
    async with talking() as socket:
        await socket.say(TWICE[name])

        assert await socket.closed() == (4400, f"The parameter {name} is repeated.")


async def test_credentials_twice() -> None:
    """So are two in one payload."""
    async with really_serving() as server, opened(server) as socket:
        await socket.say(
            '{"type":"connection_init","payload":{"authorization":"a","authorization":"b"}}'
        )

        assert await socket.closed() == (4400, "The parameter authorization is repeated.")


async def test_names_that_do_not_matter() -> None:
    """The same names elsewhere, and names that say nothing, may stand there as they like."""
    async with talking() as socket:
        await socket.say(
            '{"type":"ping","a":1,"a":2,"payload":{"query":1,"query":2}}',
            subscribe("1", "query($id: JSON) { __typename }", variables={"id": {"id": "é"}}),
        )
        assert (await socket.heard())["type"] == "pong"
        assert (await socket.heard())["type"] in {"next", "error"}


@pytest.mark.parametrize("payload", [None, [], "x", {"authorization": 7}])
async def test_malformed_beginnings(payload: Any) -> None:
    """So does what is no beginning."""
    async with really_serving() as server, opened(server) as socket:
        await socket.say({**INIT, "payload": payload})

        assert (await socket.closed())[0] == 4400


async def test_asking_before_the_beginning() -> None:
    """Nothing runs for who has not begun."""
    async with really_serving() as server, opened(server) as socket:
        await socket.say(subscribe("1"))

        assert await socket.closed() == (4401, "Unauthorized")


async def test_beginning_twice() -> None:
    """One beginning is enough."""
    async with talking() as socket:
        await socket.say(INIT)

        assert await socket.closed() == (4429, "Too many initialisation requests")


@pytest.mark.parametrize("said", [(), ({"type": "ping"},)])
async def test_a_client_that_does_not_begin(said: tuple[Mapping[str, Any], ...]) -> None:
    """It has its time, and no more for saying something else."""
    settings = settings_of(limits={"init_timeout_s": 0.2})
    async with really_serving(settings) as server, opened(server) as socket:
        await socket.say(*said)
        for _ in said:
            await socket.heard()

        assert await socket.closed() == (4408, "Connection initialisation timeout")


@pytest.mark.parametrize("name", ["1", "ü" * 200])
async def test_an_id_that_is_taken(name: str) -> None:
    """An id names one operation at a time."""
    query = "{ segments(first: 250) { nodes { id } } }"
    async with talking() as socket:
        await socket.say(subscribe(name, query), subscribe(name, query))

        code, reason = await socket.closed()
        assert (code, reason.startswith(f"Subscriber for {name[:20]}")) == (4409, True)


async def test_more_operations_than_are_allowed() -> None:
    """One too many ends with an error of its own; the others are answered."""
    query = "{ segments(first: 250) { nodes { id } } }"
    async with talking(settings_of(limits={"operations_per_connection": 1})) as socket:
        await socket.say(subscribe("1", query), subscribe("2"))
        refused = await socket.heard()
        answered = await socket.heard()

    (error,) = refused["payload"]
    assert (refused["id"], refused["type"]) == ("2", "error")
    assert error["message"] == (
        "operations_per_connection is 2; at most 1 are allowed (limits.operations_per_connection)."
    )
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert (answered["id"], answered["type"]) == ("1", "next")


async def test_large_messages() -> None:
    """A message that is too large ends the connection."""
    async with talking(settings_of(limits={"message_bytes": 1000})) as socket:
        await socket.say(subscribe("1"))
        assert [await socket.heard(), await socket.heard()] == answers("1")
        await socket.say(subscribe("2", KEY.ljust(1000)))

        assert (await socket.closed())[0] == 1009


@pytest.mark.parametrize("protocols", [None, [Subprotocol("graphql-ws")]])
async def test_other_protocols(protocols: list[Subprotocol] | None) -> None:
    """Who speaks another protocol is told which one is spoken here."""
    async with really_serving() as server, opened(server, subprotocols=protocols) as socket:
        code, reason = await socket.closed()

    assert (code, reason) == (4406, f"Subprotocol not acceptable: speak {PROTOCOL}")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Origin": "https://evil.test"}, 403, "FORBIDDEN"),
        ({"Origin": "null"}, 403, "FORBIDDEN"),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-site"}, 403, "FORBIDDEN"),
        ({"Host": "evil.test"}, 400, "BAD_USER_INPUT"),
    ],
)
async def test_handshakes_that_are_refused(
    headers: Mapping[str, str], status: int, code: str
) -> None:
    """Pages of other sites may not connect, nor those whose name was made to lead here."""
    async with really_serving() as server:
        with pytest.raises(InvalidStatus) as refused:
            async with opened(server, additional_headers=headers):
                pass

    response = refused.value.response
    assert response.status_code == status
    (error,) = json.loads(response.body)["errors"]
    assert error["extensions"]["code"] == code
    assert response.headers["x-request-id"] == error["extensions"]["requestId"]


@pytest.mark.parametrize("origin", ["https://shop.test", "http://127.0.0.1:{port}"])
async def test_pages_that_may_connect(origin: str) -> None:
    """GraphiQL may, and the pages that the operator names."""
    settings = settings_of(server={"cors_origins": ("https://shop.test",)})
    async with really_serving(settings) as server:
        headers = {"Origin": origin.format(port=server.port)}
        async with opened(server, additional_headers=headers) as socket:
            await socket.say(INIT)
            assert await socket.heard() == ACK


async def test_another_path() -> None:
    """There is one place for it."""
    async with really_serving() as server:
        address = f"ws://{server.host}:{server.port}/livez"
        with pytest.raises(InvalidStatus) as refused:
            async with connect(address, subprotocols=[PROTOCOL], proxy=None):
                pass

    assert refused.value.response.status_code == 404


class OneKey(Authenticator):
    """Accept one key until it expires."""

    lasts = True

    def authenticate_now(
        self, authorization: str | None, address: str | None
    ) -> VerifiedCaller | None:
        """Return the caller of the key."""
        del address
        if authorization != "Bearer key" or not self.lasts:
            raise Unauthenticated("Sign in.")
        return VerifiedCaller(SIGNED, math.inf)


@pytest.fixture
def one_key(monkeypatch: pytest.MonkeyPatch) -> type[OneKey]:
    """Accept callers with the key."""
    monkeypatch.setattr("gateway.http.live_settings.Authenticator", OneKey)
    monkeypatch.setattr(OneKey, "lasts", True)
    return OneKey


@pytest.mark.usefixtures("one_key")
@pytest.mark.parametrize(
    ("header", "payload"),
    [
        ("Bearer key", None),
        (None, {"authorization": "Bearer key"}),
        (None, {"Authorization": "Bearer key"}),
        ("Bearer key", {"authorization": None}),
        ("Bearer key", {"authorization": "Bearer key", "Authorization": "Bearer key"}),
    ],
)
async def test_credentials(header: str | None, payload: Mapping[str, str] | None) -> None:
    """They come with the handshake, with the beginning, or with both."""
    headers = {} if header is None else {"Authorization": header}
    async with (
        really_serving() as server,
        opened(server, additional_headers=headers) as socket,
    ):
        await socket.say(INIT if payload is None else {**INIT, "payload": payload})
        assert await socket.heard() == ACK
        await socket.say(subscribe("1"))
        assert [await socket.heard(), await socket.heard()] == answers("1")


@pytest.mark.usefixtures("one_key")
@pytest.mark.parametrize("protocols", [None, [PROTOCOL]])
@pytest.mark.parametrize("shown", ["Bearer other", "Bearer ", "Basic a2V5"])
async def test_wrong_credentials_in_the_handshake(
    shown: str, protocols: list[Subprotocol] | None
) -> None:
    """They are refused there: what the beginning would say does not matter."""
    async with really_serving() as server:
        with pytest.raises(InvalidStatus) as refused:
            async with opened(
                server, subprotocols=protocols, additional_headers={"Authorization": shown}
            ):
                pass

    response = refused.value.response
    (error,) = json.loads(response.body)["errors"]
    assert (response.status_code, error["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.usefixtures("one_key")
@pytest.mark.parametrize(
    "payload",
    [
        {"authorization": "Bearer other"},
        {"authorization": ""},
        {"authorization": "Bearer other", "Authorization": "Bearer key"},
        {"authorization": "Bearer key", "Authorization": "Bearer other"},
    ],
)
async def test_wrong_credentials_beside_right_ones(payload: Mapping[str, str]) -> None:
    """Wrong ones are refused wherever they are shown."""
    headers = {"Authorization": "Bearer key"}
    async with (
        really_serving() as server,
        opened(server, additional_headers=headers) as socket,
    ):
        await socket.say({**INIT, "payload": payload})

        assert await socket.closed() == (4403, "Forbidden")


@pytest.mark.usefixtures("one_key")
@pytest.mark.parametrize("payload", [{}, {"authorization": "Bearer other"}, {"authorization": ""}])
async def test_wrong_credentials(payload: Mapping[str, str]) -> None:
    """Nobody is let in without the right ones."""
    async with really_serving() as server, opened(server) as socket:
        await socket.say({**INIT, "payload": payload})

        assert await socket.closed() == (4403, "Forbidden")


async def test_credentials_that_end(one_key: type[OneKey]) -> None:
    """With them ends the connection, at the next operation."""
    async with really_serving() as server, opened(server) as socket:
        await socket.say({**INIT, "payload": {"authorization": "Bearer key"}})
        assert await socket.heard() == ACK
        one_key.lasts = False
        await socket.say(subscribe("1"))

        assert await socket.closed() == (4403, "Forbidden")


@pytest.mark.parametrize("how", ["complete", "close", "break"])
async def test_who_wants_no_answer_any_more(how: str) -> None:
    """Ending an operation, or the connection, ends what was asked for it upstream."""
    async with really_serving() as server, opened(server) as socket:
        waiting = Waiting()
        await socket.say(INIT, subscribe("1", READ))
        assert await socket.heard() == ACK
        async with asyncio.timeout(PATIENCE_S):
            await waiting.arrived.wait()
            if how == "complete":
                await socket.say({"type": "complete", "id": "1"}, subscribe("1"))
                # Nothing more of the first one: its id is free.
                assert [await socket.heard(), await socket.heard()] == answers("1")
            elif how == "close":
                await socket.close()
            else:
                socket.vanish()
            await waiting.ended.wait()
        assert await server.is_well()


@pytest.mark.parametrize("end", ["complete", "disconnect"])
async def test_a_write_goes_on(tmp_path: Path, end: str) -> None:
    """What writes is not torn in two: asked again by its key it is answered as it came out."""
    said: asyncio.Queue[Any] = asyncio.Queue()
    shopper = shoppers(1)[0]
    entry = {"externalId": shopper, "segments": [{"type": "tier", "value": "GOLD"}]}
    given = {"provider": "instaleap", "customers": [entry], "idempotencyKey": "once"}
    subscription = subscribe("1", document("customerSegmentsReplace"), variables={"m0": given})
    types: list[Any] = []

    async def send(message: Any) -> None:
        types.append(message["type"])

    handshake: dict[str, Any] = {
        "type": "websocket",
        "path": "/graphql",
        "subprotocols": [PROTOCOL],
    }
    handshake["headers"] = [(b"host", b"localhost")]
    async with asyncio.timeout(PATIENCE_S), serving(f"sqlite:///{tmp_path}/record") as served:
        said.put_nowait({"type": "websocket.connect"})
        for each in (INIT, subscription):
            said.put_nowait({"type": "websocket.receive", "text": json.dumps(each)})
        connection = asyncio.create_task(served.app(handshake, said.get, send))
        await served.held.arrived.wait()
        ending = json.dumps({"type": "complete", "id": "1"})
        if end == "complete":
            said.put_nowait({"type": "websocket.receive", "text": ending})
        said.put_nowait({"type": "websocket.disconnect", "code": 1005})
        await connection
        again = asyncio.create_task(do(served.front, "customerSegmentsReplace", given))
        served.held.let_go.set()

        assert (await again)["updatedCustomerIds"] == [shopper]
        assert served.held.calls == 1
        assert types == ["websocket.accept", "websocket.send"]
