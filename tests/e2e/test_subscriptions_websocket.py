"""Subscriptions over graphql-transport-ws, through a real socket."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.asgi import build
from gateway.auth.authenticator import Authenticator
from gateway.auth.permissions import Caller, Permission, VerifiedCaller, unrestricted_caller
from gateway.errors import LimitExceeded, Unauthenticated
from gateway.limits import caller_budgets
from gateway.limits.caller_budgets import Budgets
from tests.e2e.serving import Providers
from tests.e2e.subscribing import CHANGED, Shop, next_segments, segments, shop
from tests.security.served import PATIENCE_S, settings_of
from tests.security.sockets import PROTOCOL, Socket, subscribe
from tests.sizes import size

READERS = size("SUBSCRIPTION_READERS", 5, 50)
WRITES = size("SUBSCRIPTION_WRITES", 8, 200)


def changed(name: str, after: str | None = None) -> Any:
    """Return the message that subscribes to all changes behind a cursor."""
    return subscribe(name, CHANGED, variables={"after": after})


async def ended(socket: Socket) -> tuple[str, str, str | None]:
    """Return the id, the code and the cursor of the error that ends a subscription."""
    message = await socket.heard()
    (error,) = message["payload"]
    assert message["type"] == "error", message
    return message["id"], error["extensions"]["code"], error["extensions"].get("cursor")


async def test_from_a_cursor_then_live(tmp_path: Path) -> None:
    """What the log has behind the cursor comes first, then what happens; the cursor resumes."""
    async with shop(tmp_path) as gateway, gateway.socket() as socket:
        start = await gateway.cursor()
        created = await gateway.create(3)
        await socket.say(changed("1", start))
        events = list(await next_segments(socket, 3))
        created += await gateway.create(2)
        events += await next_segments(socket, 2)
        assert segments(events) == created

        await socket.say(changed("2", events[1][0]))
        assert await next_segments(socket, 3, "2") == events[2:]
        await socket.say({"type": "complete", "id": "1"})
        created += await gateway.create(1)
        assert segments(await next_segments(socket, 1, "2")) == created[-1:]


@pytest.mark.no_fast_paths  # the other executor pauses elsewhere: turns are not as even
async def test_readers_take_turns(tmp_path: Path) -> None:
    """Those that catch up get their events in turn, and other operations are served meanwhile."""
    async with shop(tmp_path) as gateway, gateway.socket() as socket:
        start = await gateway.cursor()
        await gateway.create(30)
        await socket.say(*(changed(name, start) for name in "123"))
        names = [(await socket.heard())["id"]]
        await socket.say(subscribe("query", "{ __typename }"))
        names += [(await socket.heard())["id"] for _ in range(91)]
        events = [name for name in names if name != "query"]
        assert sorted(events[-9:]) == [*"111222333"]
        assert 0 < names.index("query") < 45


async def test_without_a_cursor(tmp_path: Path) -> None:
    """The stream starts now: a write that was answered before is not in it."""
    async with shop(tmp_path) as gateway, gateway.socket() as socket:
        await gateway.create(2)
        await socket.say(changed("1"), subscribe("end", "{ __typename }"))
        assert [(await socket.heard())["id"] for _ in range(2)] == ["end", "end"]
        end = await gateway.cursor()
        await socket.say(changed("2", end))
        # Both have started once an unknown cursor of a third was refused.
        await socket.say(changed("3", "x"))
        assert (await ended(socket))[:2] == ("3", "BAD_USER_INPUT")
        created = await gateway.create(1)
        heard = sorted([await socket.heard() for _ in range(2)], key=lambda each: each["id"])
        assert [
            (each["id"], each["payload"]["data"]["changed"]["segmentId"]) for each in heard
        ] == [
            ("1", created[0]),
            ("2", created[0]),
        ]


async def test_readers_that_come_and_go(tmp_path: Path) -> None:
    """Each reader sees every change once, in one order, however often it was cut off."""
    async with shop(tmp_path) as gateway:
        start = await gateway.cursor()
        total = 5 * WRITES

        async def read(step: int) -> list[tuple[str, str]]:
            seen: list[tuple[str, str]] = []
            while len(seen) < total:
                async with gateway.socket() as socket:
                    await socket.say(changed("1", seen[-1][0] if seen else start))
                    seen += await next_segments(socket, min(step, total - len(seen)))
                    socket.vanish()
            return seen

        reading = [asyncio.create_task(read(3 + 4 * number)) for number in range(READERS)]
        created: list[str] = []
        for _ in range(WRITES):
            created += await gateway.create(5)
        first, *others = await asyncio.gather(*reading)
        assert segments(first) == created
        assert all(other == first for other in others)


async def test_filters(tmp_path: Path) -> None:
    """Each sort has its subscription, and arguments narrow it."""
    async with shop(tmp_path) as gateway, gateway.socket() as socket:
        start = await gateway.cursor()
        one, two = await gateway.create(2)
        for name, field in (
            ("one", f'segmentChanged(after: "{start}", segmentIds: ["{two}"]) {{ segmentId }}'),
            ("none", f'segmentChanged(after: "{start}", providers: []) {{ segmentId }}'),
            ("unseen", f'segmentChanged(after: "{start}", providers: ["x"]) {{ segmentId }}'),
            ("sort", f'assignmentChanged(after: "{start}") {{ segmentId }}'),
            ("kind", f'changed(after: "{start}", filter: {{kinds: [DELETED]}}) {{ kind }}'),
            ("id", 'segmentChanged(segmentIds: ["x"]) { segmentId }'),
            ("customer", 'assignmentChanged(customerId: "x") { segmentId }'),
        ):
            await socket.say(subscribe(name, f"subscription {{ {field} }}"))
        heard = [await socket.heard() for _ in range(3)]
        by_name = {each["id"]: each for each in heard}
        assert by_name.keys() == {"one", "id", "customer"}
        assert by_name["one"]["payload"] == {"data": {"segmentChanged": {"segmentId": two}}}
        for name in ("id", "customer"):
            (error,) = by_name[name]["payload"]
            assert (by_name[name]["type"], error["extensions"]["code"]) == (
                "error",
                "BAD_USER_INPUT",
            )
        await gateway.ask(
            "mutation($id: ID!) { segmentDelete(input: {id: $id, force: true}) "
            "{ userErrors { message } } }",
            {"id": one},
        )
        assert await socket.heard() == {
            "id": "kind",
            "type": "next",
            "payload": {"data": {"changed": {"kind": "DELETED"}}},
        }


async def test_an_expired_cursor(tmp_path: Path) -> None:
    """The cursor of another database is refused, and the connection goes on."""
    (tmp_path / "other").mkdir()
    async with shop(tmp_path / "other") as gateway:
        foreign = await gateway.cursor()
    async with shop(tmp_path) as gateway, gateway.socket() as socket:
        await socket.say(changed("1", foreign))
        now = await gateway.cursor()
        assert await ended(socket) == ("1", "CURSOR_EXPIRED", now)
        await socket.say(changed("1", now))
        created = await gateway.create(1)
        assert segments(await next_segments(socket, 1)) == created


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ('changed(filter: {segmentIds: ["x"]})', "filter.segmentIds[0]"),
        ('assignmentChanged(segmentId: "x")', "segmentId"),
        ('assignmentChanged(customerId: "x")', "customerId"),
        ('segmentChanged(segmentIds: ["x"])', "segmentIds[0]"),
    ],
)
async def test_a_bad_id(tmp_path: Path, field: str, place: str) -> None:
    """A text that is no id is refused by its argument, and the connection goes on."""
    async with shop(tmp_path) as gateway, gateway.socket() as socket:
        await socket.say(subscribe("1", f"subscription {{ {field} {{ cursor }} }}"))
        message = await socket.heard()
        assert await gateway.create(1)
    (error,) = message["payload"]
    assert error["message"] == f"{place} is not an id of this gateway."
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_health(tmp_path: Path) -> None:
    """A provider whose status changes is sent; the others are not, and nothing at the start."""
    fails = 'query { provider(key: "stuut") { segments(first: 1) { nodes { id } } } }'
    query = "subscription { providerHealthChanged { key health { status } } }"
    async with shop(tmp_path) as gateway, gateway.socket() as socket:
        await socket.say(subscribe("1", query), subscribe("2", "{ __typename }"))
        assert [(await socket.heard())["id"] for _ in range(2)] == ["2", "2"]
        await gateway.ask(fails)
        assert await socket.heard() == {
            "id": "1",
            "type": "next",
            "payload": {
                "data": {"providerHealthChanged": {"key": "stuut", "health": {"status": "UP"}}}
            },
        }


@pytest.mark.parametrize(
    ("limit", "is_same"),
    [
        ("subscriptions_per_connection", True),
        ("subscriptions_per_caller", False),
        ("subscriptions", False),
    ],
)
async def test_limits(limit: str, is_same: bool, tmp_path: Path) -> None:  # noqa: FBT001  # a case
    """One subscription beyond a limit is refused; when another one ends there is room again."""
    async with (
        shop(tmp_path, limits={limit: 1}) as gateway,
        gateway.socket() as socket,
        gateway.socket() as other,
    ):
        second = socket if is_same else other
        await socket.say(changed("1", await gateway.cursor()))
        (created,) = await gateway.create()
        assert segments(await next_segments(socket, 1)) == [created]
        await second.say(changed("2"))
        (error,) = (await second.heard())["payload"]
        assert error["message"] == f"{limit} is 2; at most 1 are allowed (limits.{limit})."
        assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
        await socket.say({"type": "complete", "id": "1"})
        refused: list[str] = []
        while True:
            await second.say(changed(f"again {len(refused)}", await gateway.cursor()))
            await gateway.create()
            message = await second.heard()
            if message["type"] == "next":
                break
            refused += [each["extensions"]["code"] for each in message["payload"]]
        assert set(refused) <= {"LIMIT_EXCEEDED"}


async def test_counts_in_no_other_limit(tmp_path: Path) -> None:
    """Open subscriptions leave room for operations, and outlive the time of a request."""
    limits = {"operations_per_connection": 1, "concurrent_requests": 1}
    async with (
        shop(tmp_path, limits=limits, server={"request_timeout_s": 0.5}) as gateway,
        gateway.socket() as socket,
    ):
        start = await gateway.cursor()
        await socket.say(*(changed(str(number), start) for number in range(3)))
        await asyncio.sleep(0.6)  # longer than a request may take
        await socket.say(subscribe("query", "{ __typename }"))
        assert [(await socket.heard())["type"] for _ in range(2)] == ["next", "complete"]
        (created,) = await gateway.create()
        heard = [await socket.heard() for _ in range(3)]
        assert sorted(each["id"] for each in heard) == ["0", "1", "2"]
        assert {each["payload"]["data"]["changed"]["segmentId"] for each in heard} == {created}


class Toggled(Authenticator):
    """Accepts everybody as one caller, until told otherwise."""

    caller: Caller | None = None

    def authenticate_now(self, *_: Any) -> VerifiedCaller | None:
        """Return the caller, for a very short time."""
        if Toggled.caller is None:
            raise Unauthenticated("No valid credentials.")
        return VerifiedCaller(Toggled.caller, 0)


@pytest.fixture
def toggled(monkeypatch: pytest.MonkeyPatch) -> type[Toggled]:
    """Replace the authenticator."""
    monkeypatch.setattr("gateway.http.live_settings.Authenticator", Toggled)
    Toggled.caller = unrestricted_caller()
    return Toggled


async def test_a_credential_that_ends(toggled: type[Toggled], tmp_path: Path) -> None:
    """Each subscription gets its error, with its cursor; then the connection is closed."""
    async with shop(tmp_path) as gateway, gateway.socket() as socket:
        start = await gateway.cursor()
        await socket.say(changed("1", start), changed("2", start))
        await gateway.create()
        heard = [await socket.heard() for _ in range(2)]
        cursors = {each["id"]: each["payload"]["data"]["changed"]["cursor"] for each in heard}
        toggled.caller = None
        errors = sorted([await ended(socket) for _ in range(2)])
        assert errors == [(name, "UNAUTHENTICATED", cursors[name]) for name in ("1", "2")]
        assert await socket.closed() == (4403, "Forbidden")


async def test_a_permission_that_is_withdrawn(toggled: type[Toggled], tmp_path: Path) -> None:
    """That subscription ends, the others and the connection go on; nothing more is shown."""
    async with shop(tmp_path) as gateway, gateway.socket() as socket:
        start = await gateway.cursor()
        await socket.say(
            changed("1", start),
            subscribe("2", "subscription { segmentChanged { cursor } }"),
        )
        await gateway.create()
        heard = {each["id"]: each for each in [await socket.heard() for _ in range(2)]}
        cursor = heard["1"]["payload"]["data"]["changed"]["cursor"]
        allowed = (Permission.ASSIGNMENTS_READ, Permission.SEGMENTS_WRITE)
        toggled.caller = Caller("other", dict.fromkeys(allowed))
        await gateway.create()
        assert await ended(socket) == ("2", "FORBIDDEN", cursor)
        await socket.say(subscribe("3", "{ __typename }"))
        assert [(await socket.heard())["id"] for _ in range(2)] == ["3", "3"]


async def test_the_server_stops(tmp_path: Path) -> None:
    """Each subscription gets `SHUTTING_DOWN` and its cursor; then the connection is closed."""
    async with shop(tmp_path) as gateway, gateway.socket() as socket:
        start = await gateway.cursor()
        await socket.say(changed("1", start), changed("2", start))
        await gateway.create()
        heard = [await socket.heard() for _ in range(2)]
        cursors = {each["id"]: each["payload"]["data"]["changed"]["cursor"] for each in heard}
        stopping = asyncio.create_task(gateway.server.stop())
        errors = sorted([await ended(socket) for _ in range(2)])
        assert errors == [(name, "SHUTTING_DOWN", cursors[name]) for name in ("1", "2")]
        assert (await socket.closed())[0] == 1001
        await stopping


async def test_a_used_up_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delivery waits until the caller has some again; every change comes, none as an error."""
    refused, moment = 0, 0.0

    class Refilled(Budgets):
        """Is refilled only when it was used up, so that it is on any machine."""

        def spend(self, caller: str, cost: int, now: float) -> None:
            nonlocal refused, moment
            try:
                super().spend(caller, cost, now)
            except LimitExceeded:
                refused, moment = refused + 1, moment + 0.1
                raise

        def _of(self, caller: str, now: float) -> Any:
            return super()._of(caller, min(now, moment))

    monkeypatch.setattr("gateway.asgi.Budgets", Refilled)
    monkeypatch.setattr(caller_budgets, "MINUTE", 1.0)
    async with shop(tmp_path, limits={"cost_per_minute": 450}) as gateway:
        start = await gateway.cursor()
        created = await gateway.create(10)
        nested = "segment { customersCount { count } name } segmentId"
        query = CHANGED.replace("segmentId", nested)
        async with gateway.socket() as socket:
            await socket.say(*(subscribe(n, query, variables={"after": start}) for n in "123"))
            heard = [await socket.heard() for _ in range(30)]
    for name in "123":
        changes = [each["payload"]["data"]["changed"] for each in heard if each["id"] == name]
        assert [each["segmentId"] for each in changes] == created
    assert refused > 0


class _Blocked:
    """A client at the ASGI interface that takes only the first messages."""

    def __init__(self, *messages: Any) -> None:
        self._messages = [{"type": "websocket.connect"}, *messages]
        self.sent: list[Any] = []
        self.blocks = asyncio.Event()
        self.reads = asyncio.Event()
        self.is_ended = asyncio.Event()

    async def receive(self) -> Any:
        """Return the next message of the client, which then stays."""
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)

    async def send(self, message: Any) -> None:
        """Take a message, unless the client does not read any more."""
        if self.blocks.is_set():
            await self.reads.wait()
        self.sent.append(message)
        if '"error"' in message.get("text", ""):
            self.is_ended.set()


async def test_a_client_that_lags(tmp_path: Path) -> None:
    """One that takes nothing for `lag_s` loses the subscription; its cursor misses nothing."""
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    settings = settings_of(changes={"lag_s": 0.2}, store={"url": url})
    app = build(settings, Providers())
    texts = ({"type": "connection_init"}, changed("1"))
    client = _Blocked(*({"type": "websocket.receive", "text": json.dumps(t)} for t in texts))
    scope = {
        "type": "websocket",
        "path": "/graphql",
        "headers": [(b"host", b"localhost")],
        "subprotocols": [PROTOCOL],
        "client": ("127.0.0.1", 1),
        "scheme": "ws",
    }
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http,
    ):
        gateway = Shop(None, http)
        serving = asyncio.create_task(app(scope, client.receive, client.send))
        try:
            async with asyncio.timeout(PATIENCE_S):
                while len(client.sent) < 3:  # the handshake, the acknowledgement, an event
                    await gateway.create()
                seen = json.loads(client.sent[2]["text"])["payload"]["data"]["changed"]
                count = len(client.sent)
                client.blocks.set()
                await gateway.create()
                await asyncio.sleep(0.5)  # longer than `lag_s`
                client.reads.set()
                await client.is_ended.wait()
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
    events = [json.loads(each["text"]) for each in client.sent[2:]]
    last = events[-2]["payload"]["data"]["changed"]["cursor"] if count > 3 else seen["cursor"]
    assert events[-1]["payload"][0]["extensions"] == {"code": "LAGGED", "cursor": last}
