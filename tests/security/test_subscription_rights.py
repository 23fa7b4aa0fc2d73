"""Who gets which events: each change needs the scope of its own sort, at its own provider."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.auth import jwt
from gateway.auth.settings import JwtSettings
from tests.e2e.serving import customer_id
from tests.e2e.subscribing import Shop, shop
from tests.e2e.writes.asking import shoppers
from tests.security import signing
from tests.security.callers import EVERY_SCOPE, Believing, signed
from tests.security.sockets import ACK, INIT, Socket, opened, subscribe

ONE, TWO = shoppers(2)
REPLACE = """mutation($input: CustomerSegmentsReplaceInput!) {
  customerSegmentsReplace(input: $input) { userErrors { message } }
}"""
FIELDS = {
    "changed": "changed(after: $after) { ... on AssignmentChange { customerId } "
    "... on SegmentChange { segmentId } }",
    "assignmentChanged": "assignmentChanged(after: $after) { customerId }",
    "segmentChanged": "segmentChanged(after: $after) { segmentId }",
    "nested": "changed(after: $after) { ... on AssignmentChange { customerId customer { name } } "
    "... on SegmentChange { segmentId } }",
}
S, A, B, NO = "segment", "one", "two", "FORBIDDEN"


@pytest.fixture
async def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """Serve a gateway with callers that a header describes."""
    monkeypatch.setattr("gateway.http.live_settings.Authenticator", Believing)
    async with shop(tmp_path) as served:
        yield served


async def write(gateway: Shop) -> dict[str, str]:
    """Create a segment at Emporix and two assignments at Instaleap; return their names."""
    (segment,) = await gateway.create()
    pairs = [{"type": "t", "value": segment[-6:]}]
    customers = [{"externalId": each, "segments": pairs} for each in (ONE, TWO)]
    given = {"input": {"provider": "instaleap", "customers": customers}}
    assert await gateway.ask(REPLACE, given) == {"customerSegmentsReplace": {"userErrors": []}}
    people = {customer_id("instaleap", ONE): A, customer_id("instaleap", TWO): B}
    return {segment: S, **people}


CASES: list[tuple[str, str, list[str]]] = [
    ("changed", signed("admin"), [S, A, B]),
    ("changed", signed("segments:read"), [S]),
    ("changed", signed("assignments:read"), [A, B]),
    ("changed", signed("assignments:read@emporix"), []),
    ("changed", signed("segments:read", "assignments:read@instaleap"), [S, A, B]),
    ("changed", signed("own:read", instaleap=ONE), [A]),
    ("changed", signed("customers:read"), [NO]),
    ("nested", signed("segments:read", "assignments:read"), [S]),
    ("nested", signed("segments:read", "assignments:read", "customers:read"), [S, A, B]),
    ("assignmentChanged", signed("assignments:read"), [A, B]),
    ("assignmentChanged", signed("own:read", instaleap=TWO), [B]),
    ("assignmentChanged", signed("segments:read"), [NO]),
    ("segmentChanged", signed("segments:read@emporix"), [S]),
    ("segmentChanged", signed("segments:read@instaleap"), []),
    ("segmentChanged", signed("own:read", instaleap=ONE), [NO]),
]


async def test_events(gateway: Shop) -> None:
    """Each caller gets the changes that they may see, and nothing else."""
    start = (await gateway.ask("{ changesCursor }"))["changesCursor"]
    before = await write(gateway)
    shown: dict[int, list[Any]] = {}
    for number, (field, caller, expected) in enumerate(CASES):
        async with opened(gateway.server, additional_headers={"authorization": caller}) as socket:
            await socket.say(INIT)
            assert await socket.heard() == ACK
            query = f"subscription($after: String) {{ {FIELDS[field]} }}"
            await socket.say(subscribe("1", query, variables={"after": start}))
            events: list[Any] = []
            for _ in expected:
                message = await socket.heard()
                events.append(shown_by(message, before))
            # Nothing else comes before a later operation is answered.
            await socket.say(subscribe("2", "{ __typename }"))
            assert [(await socket.heard())["id"] for _ in range(2)] == ["2", "2"]
            shown[number] = events
    assert shown == {number: expected for number, (*_, expected) in enumerate(CASES)}


def shown_by(message: Any, names: dict[str, str]) -> str:
    """Return what a message shows: a change, or the code of an error."""
    if message["type"] == "error":
        (error,) = message["payload"]
        code: str = error["extensions"]["code"]
        return code
    change = next(iter(message["payload"]["data"].values()))
    return names[change.get("customerId") or change["segmentId"]]


PLACES = ("", "@emporix", "@instaleap", "@stuut")
MATRIX = [
    *(signed(f"{scope}{place}") for scope in EVERY_SCOPE for place in PLACES),
    *(
        signed(f"segments:read{one}", f"assignments:read{other}")
        for one in PLACES
        for other in PLACES
    ),
    signed("own:read", instaleap=ONE),
    signed("own:read@stuut", instaleap=ONE),
    signed("own:read", instaleap=TWO, emporix=ONE),
    signed("own:read", "segments:read@emporix", instaleap=ONE),
]


def expected(field: str, caller: str) -> list[str]:
    """Return what a caller gets, by the rules of docs/changes.md."""
    segments, assignments = set(), set()
    own: dict[str, str] = {}
    for word in caller.split():
        if "=" in word:
            provider, _, key = word.partition("=")
            own[provider] = key
    for word in caller.split():
        scope, _, place = word.partition("@")
        places = {place} if place else {"stuut", "voucherify", "emporix", "instaleap"}
        if scope in {"segments:read", "admin"} and field != "assignmentChanged":
            segments |= places
        if scope in {"assignments:read", "admin"} and field != "segmentChanged":
            assignments |= places
        if scope == "own:read":
            own = {provider: key for provider, key in own.items() if provider in places}
    if segments or assignments:
        return [S] * ("emporix" in segments) + [A, B] * ("instaleap" in assignments)
    if "own:read" in caller and own and field != "segmentChanged":
        return [name for key, name in ((ONE, A), (TWO, B)) if own.get("instaleap") == key]
    return [NO]


async def heard(socket: Socket, names: dict[str, str]) -> dict[str, list[str]]:
    """Return what each subscription of a connection has got, by its id."""
    # Nothing else comes before a later operation is answered.
    await socket.say(subscribe("end", "{ __typename }"))
    events: dict[str, list[str]] = {}
    while (message := await socket.heard())["id"] != "end":
        events.setdefault(message["id"], []).append(shown_by(message, names))
    assert (await socket.heard())["type"] == "complete"
    return events


@pytest.mark.parametrize("is_live", [False, True], ids=["from the log", "live"])
async def test_matrix(gateway: Shop, is_live: bool) -> None:  # noqa: FBT001  # a case
    """Callers by events: each gets what the rules allow, in every field, and nothing else."""
    fields = ("changed", "assignmentChanged", "segmentChanged")
    start = (await gateway.ask("{ changesCursor }"))["changesCursor"]
    names = {} if is_live else await write(gateway)
    async with AsyncExitStack() as stack:
        sockets = []
        for caller in MATRIX:
            how = opened(gateway.server, additional_headers={"authorization": caller})
            socket = await stack.enter_async_context(how)
            await socket.say(INIT)
            assert await socket.heard() == ACK
            for field in fields:
                query = f"subscription($after: String) {{ {FIELDS[field]} }}"
                await socket.say(subscribe(field, query, variables={"after": start}))
            sockets.append(socket)
        if is_live:
            refused = [await heard(socket, names) for socket in sockets]
            names = await write(gateway)
        else:
            refused = [{} for _ in sockets]
        wanted = {
            (caller, field): expected(field, caller) for caller in MATRIX for field in fields
        }
        shown: dict[tuple[str, str], list[str]] = {}
        for caller, socket, before in zip(MATRIX, sockets, refused, strict=True):
            due = sum(len(wanted[caller, field]) for field in fields)
            events = before
            while sum(map(len, events.values())) < due:
                for name, more in (await heard(socket, names)).items():
                    events.setdefault(name, []).extend(more)
            for name, more in (await heard(socket, names)).items():
                events.setdefault(name, []).extend(more)
            shown |= {(caller, field): events.get(field, []) for field in fields}
    assert shown == wanted
    assert {len(each) for each in wanted.values()} == {0, 1, 2, 3}


@pytest.mark.parametrize("key", ["emporix", "nobody"], ids=["not visible", "unknown"])
async def test_health_of_no_provider(gateway: Shop, key: str) -> None:
    """A provider that the caller may not see is refused like one that does not exist."""
    caller = {"authorization": signed("segments:read@stuut")}
    query = f'subscription {{ providerHealthChanged(keys: ["stuut", "{key}"]) {{ key }} }}'
    async with opened(gateway.server, additional_headers=caller) as socket:
        await socket.say(INIT, subscribe("1", query))
        assert await socket.heard() == ACK
        message = await socket.heard()
    (error,) = message.pop("payload")
    assert message == {"id": "1", "type": "error"}
    assert error["message"] == f"keys: no provider has the key {key!r}."
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_a_token_that_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle subscriptions get `UNAUTHENTICATED` and their cursor when it ends."""
    monkeypatch.setattr(jwt, "CACHED_S", 0.2)  # its end is known also when it was verified again
    keys = tmp_path / "jwks.json"
    keys.write_bytes(signing.key_set(signing.rsa()))
    issuer = {
        "issuer": signing.ISSUER,
        "audience": signing.AUDIENCE,
        "jwks_file": keys,
        "leeway_s": 0,
    }
    tables: Any = {"auth": {"jwt": (JwtSettings.model_validate(issuer),)}}
    async with shop(tmp_path, **tables) as gateway:
        ends = int(time.time()) + 3
        bearer = f"Bearer {signing.signed(signing.claims(exp=ends))}"
        start = (await gateway.ask("{ changesCursor }", authorization=bearer))["changesCursor"]
        query = f"subscription($after: String) {{ {FIELDS['changed']} }}"
        async with (
            gateway.socket(authorization=bearer) as socket,
            gateway.stream(query, {"after": start}, authorization=bearer) as stream,
        ):
            for name in ("1", "2"):
                await socket.say(subscribe(name, query, variables={"after": start}))
            errors = [await socket.heard() for _ in range(2)]
            event = await stream.event()
            late_s = time.time() - ends
            assert await socket.closed() == (4403, "Forbidden")
            assert (await stream.event()).event == "complete"
    for (error,) in (errors[0]["payload"], errors[1]["payload"], event.data["errors"]):
        assert error["extensions"] == {"code": "UNAUTHENTICATED", "cursor": start}
    assert sorted(each["id"] for each in errors) == ["1", "2"]
    assert 0 <= late_s < 5  # not at the next check half a minute later
