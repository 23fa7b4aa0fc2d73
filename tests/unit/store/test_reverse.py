from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from gateway.domain.mutations import Tag
from gateway.http.instaleap_callback import InstaleapCallback
from gateway.providers.instaleap.adapter import InstaleapSettings
from gateway.store.database_url import database_url
from gateway.store.errors import StoreFailed
from gateway.store.store import Store
from gateway.store.write_intents import Settlement
from tests.unit.store.shop_writes import claim, settle, wanted, write

TOKEN = {"authorization": "Bearer let-me-in"}
UNAUTHENTICATED = {
    "error": {"code": "UNAUTHENTICATED", "message": "The bearer token is missing or wrong."}
}
NOT_FOUND = {"error": {"code": "NOT_FOUND", "message": "There is nothing here."}}


def account(key: str, reverse_token: str | None) -> InstaleapSettings:
    """Return the settings of a shop."""
    return InstaleapSettings(
        key=key,
        kind="instaleap",
        base_url="https://shop.example",
        token=SecretStr("token"),
        reverse_token=None if reverse_token is None else SecretStr(reverse_token),
    )


@pytest.fixture
async def record(sqlite_url: str) -> AsyncIterator[Store]:
    """Return an open record."""
    opened = await Store.open(database_url(sqlite_url, {}))
    yield opened
    await opened.close()


def client(record: Store | None) -> httpx.AsyncClient:
    """Return a client of the reverse call of two shops, of which one may ask."""
    call = InstaleapCallback(
        [account("shop", "let-me-in"), account("other", None)], lambda: record
    )
    transport = httpx.ASGITransport(Starlette(routes=[call.route]))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@pytest.fixture
async def shop(record: Store) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the reverse call."""
    async with client(record) as opened:
        yield opened


def path(document_id: str, key: str = "shop") -> str:
    """Return the path of a customer's segments."""
    return f"/providers/{key}/customers/{quote(document_id, safe='')}/segments"


@pytest.mark.parametrize(
    "document_id", ["CC-1020304050", "a/segments", "a b%2F?#", "größe", "segments/"]
)
async def test_segments(shop: httpx.AsyncClient, record: Store, document_id: str) -> None:
    """A customer's segments are answered in the documented form, whatever their id."""
    await write(record, wanted(document_id, "SILVER", "GOLD"), wanted("somebody else", "X"))
    answer = await shop.get(path(document_id), headers=TOKEN)
    assert answer.status_code == 200
    assert answer.json() == {
        "segments": [{"type": "t", "value": "SILVER"}, {"type": "t", "value": "GOLD"}]
    }
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


async def test_none(shop: httpx.AsyncClient, record: Store) -> None:
    """A customer without segments has none, and so has one of whom nothing is recorded."""
    await write(record, wanted("ada"))
    for document_id in ("ada", "nobody", "\0", ""):
        answer = await shop.get(path(document_id), headers=TOKEN)
        assert (answer.status_code, answer.json()) == (200, {"segments": []})


async def test_email(shop: httpx.AsyncClient, record: Store) -> None:
    """Who is searched by an email address is not known to have no segments, unless it is an id."""
    await write(record, wanted("id@shop.example", "SILVER"))
    answer = await shop.get(path("ada@shop.example"), headers=TOKEN)
    message = "Customers are known by their document ids only."
    expected = {"error": {"code": "NOT_FOUND", "message": message}}
    assert (answer.status_code, answer.json()) == (404, expected)
    answer = await shop.get(path("id@shop.example"), headers=TOKEN)
    assert answer.json() == {"segments": [{"type": "t", "value": "SILVER"}]}


@pytest.mark.parametrize("settlement", [None, Settlement.UNKNOWN, Settlement.CONFIRMED])
async def test_open(shop: httpx.AsyncClient, record: Store, settlement: Settlement | None) -> None:
    """A customer is shown as the newest write wants them, also before it is confirmed."""
    await write(record, wanted("ada", "OLD"))
    mine = await claim(record, wanted("ada", "NEW"))
    if settlement is not None:
        await settle(record, mine, settlement)
    answer = await shop.get(path("ada"), headers=TOKEN)
    assert answer.json() == {"segments": [{"type": "t", "value": "NEW"}]}


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer let-me-on",
        "Bearer let-me-in-é",
        "Basic let-me-in",
        "let-me-in",
    ],
)
async def test_token(shop: httpx.AsyncClient, authorization: str | None) -> None:
    """Without the token nothing is told."""
    headers = httpx.Headers(
        {} if authorization is None else {"authorization": authorization}, encoding="utf-8"
    )
    answer = await shop.get(path("ada"), headers=headers)
    assert (answer.status_code, answer.json()) == (401, UNAUTHENTICATED)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_scheme(shop: httpx.AsyncClient) -> None:
    """The scheme's case does not matter (RFC 9110, 11.1)."""
    answer = await shop.get(path("ada"), headers={"authorization": "bearer let-me-in"})
    assert answer.status_code == 200


@pytest.mark.parametrize("key", ["other", "nobody"])
async def test_not_configured(shop: httpx.AsyncClient, key: str) -> None:
    """A provider that may not ask is not there."""
    answer = await shop.get(path("ada", key), headers=TOKEN)
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


class Failing(Store):
    """A record that cannot answer."""

    def __init__(self, error: Exception) -> None:
        """Raise this."""
        self.error = error

    async def newest_tags(
        self, provider: str, customer: str, deadline: float | None = None
    ) -> Sequence[Tag]:
        """Raise it."""
        assert (provider, customer) == ("shop", "ada")
        assert deadline is not None
        raise self.error


@pytest.mark.parametrize(
    ("record_or_none", "status", "error"),
    [
        (
            Failing(StoreFailed()),
            503,
            {
                "code": "UNAVAILABLE",
                "message": "The gateway's own store cannot be used at the moment: "
                "it cannot be reached.",
            },
        ),
        (
            Failing(LookupError("secret")),
            500,
            {"code": "INTERNAL", "message": "Internal error."},
        ),
        (
            None,
            503,
            {
                "code": "UNAVAILABLE",
                "message": "The gateway is starting or shutting down.",
            },
        ),
    ],
    ids=["store failed", "bug", "not open"],
)
async def test_failure(record_or_none: Store | None, status: int, error: dict[str, str]) -> None:
    """Whatever fails, the answer has the documented form and tells nothing of the cause."""
    async with client(record_or_none) as opened:
        answer = await opened.get(path("ada"), headers=TOKEN)
    assert (answer.status_code, answer.json()) == (status, {"error": error})
