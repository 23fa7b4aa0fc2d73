"""Who gets which events: each change needs the scope of its own sort, at its own provider."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.serving import customer_id
from tests.e2e.subscribing import Shop, shop
from tests.e2e.writes.asking import shoppers
from tests.security.callers import Believing, signed
from tests.security.sockets import ACK, INIT, opened, subscribe

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
