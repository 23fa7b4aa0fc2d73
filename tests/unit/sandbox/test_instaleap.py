from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.sandbox import instaleap
from gateway.sandbox.people import people

PATH = "/api/v3/customers/segments"
CAST = tuple(people(12))
ANA = "DE-1020000000"
CHLOE = "CO-1020015838"
GOLD = {"type": "membership", "value": "GOLD"}
REGULAR = {"type": "affiliation", "value": "RECURRENT_CUSTOMER"}


@pytest.fixture
def app() -> Starlette:
    """Return a fresh server over twelve people."""
    return instaleap.build(CAST, lambda: datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a caller with the right token."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),
        base_url="http://instaleap",
        headers={"Authorization": "Bearer sandbox-instaleap-token"},
    ) as client:
        yield client


def test_example(app: Starlette) -> None:
    """Initially all of its customers exist, and some have segments."""
    known = [one.instaleap_id for one in CAST if one.instaleap_id]

    assert list(app.state.segments) == known
    assert known[:3] == [ANA, CAST[1].crm_id, CHLOE]
    assert len(known) == 8
    assert {one for one, segments in app.state.segments.items() if segments} == {
        ANA,
        CAST[1].crm_id,
        CAST[6].instaleap_id,
        CAST[9].crm_id,
    }


async def test_replace(app: Starlette, client: httpx.AsyncClient) -> None:
    """Segments are replaced, repeatably; unknown customers are silently left out."""
    body = {
        "customers": [
            {"document_id": CHLOE, "segments": [GOLD, REGULAR]},
            {"document_id": "CC-9999999999", "segments": [GOLD]},
            {"document_id": ANA, "segments": [REGULAR]},
        ]
    }
    for _ in range(2):
        answer = await client.post(PATH, json=body)
        assert (answer.status_code, answer.json()) == (200, {"updatedCustomers": [CHLOE, ANA]})

    assert app.state.segments[CHLOE] == [GOLD, REGULAR]
    assert app.state.segments[ANA] == [REGULAR]
    assert "CC-9999999999" not in app.state.segments


async def test_repeated_customer(app: Starlette, client: httpx.AsyncClient) -> None:
    """Of several entries for one customer only the first counts."""
    body = {
        "customers": [
            {"document_id": CHLOE, "segments": [GOLD]},
            {"document_id": CHLOE, "segments": [REGULAR]},
            {"document_id": CHLOE, "segments": None},
        ]
    }
    answer = await client.post(PATH, json=body)

    assert answer.json() == {"updatedCustomers": [CHLOE]}
    assert app.state.segments[CHLOE] == [GOLD]


@pytest.mark.parametrize("segments", [None, []], ids=["null", "empty"])
async def test_clear(
    app: Starlette, client: httpx.AsyncClient, segments: list[Any] | None
) -> None:
    """Null and an empty list clear a customer's segments."""
    body = {"customers": [{"document_id": ANA, "segments": segments}]}
    answer = await client.post(PATH, json=body)

    assert answer.json() == {"updatedCustomers": [ANA]}
    assert app.state.segments[ANA] == []


async def test_nobody(client: httpx.AsyncClient) -> None:
    """A call that updates no customer is not an error."""
    body = {"customers": [{"document_id": "none", "segments": []}]}
    answer = await client.post(PATH, json=body)

    assert (answer.status_code, answer.json()) == (200, {"updatedCustomers": []})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"{}",
        b'{"customers": []}',
        b'{"customers": null}',
        b'{"customers": [{"document_id": "DE-1020000000"}]}',
        b'{"customers": [{"segments": []}]}',
        b'{"customers": [{"document_id": 1, "segments": []}]}',
        b'{"customers": [{"document_id": "x", "segments": {}}]}',
        b'{"customers": [{"document_id": "x", "segments": [{"type": "a"}]}]}',
        b'{"customers": [{"document_id": "x", "segments": [{"type": "a", "value": null}]}]}',
    ],
)
async def test_refused_body(app: Starlette, client: httpx.AsyncClient, body: bytes) -> None:
    """A body that does not fit is 400, and nothing of it is done."""
    before = dict(app.state.segments)
    answer = await client.post(PATH, content=body)

    error = answer.json()["error"]
    assert (answer.status_code, set(answer.json())) == (400, {"error"})
    assert (error["code"], set(error)) == ("INVALID_BODY", {"code", "message"})
    assert app.state.segments == before


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "sandbox-instaleap-token"])
async def test_bad_token(client: httpx.AsyncClient, header: str) -> None:
    """A missing or wrong token is 401, before the body is looked at."""
    answer = await client.post(PATH, content=b"{", headers={"Authorization": header})

    assert (answer.status_code, answer.json()) == (
        401,
        {"error": {"code": "UNAUTHORIZED", "message": "The access token is not valid."}},
    )


async def test_nothing_is_read(client: httpx.AsyncClient) -> None:
    """Nothing can be read back."""
    assert (await client.get(PATH)).status_code == 405
    assert (await client.get(f"{PATH}/{ANA}")).status_code == 404
