"""`/metrics`: who may read it, and that it contains nothing secret or personal."""

import httpx
import pytest

from gateway.auth.authenticator import Authenticator
from gateway.settings.tables import FastPathSettings
from tests.e2e.serving import Front, serving, settings_with
from tests.four_kinds import CREDENTIALS
from tests.observability.running import of, values_of
from tests.proxies.processes import free_port
from tests.security.callers import EVERY_SCOPE, guarded, signed
from tests.security.served import settings_of

SCRAPE = {"accept": "text/plain;version=0.0.4"}


async def scraped(front: Front, **headers: str) -> httpx.Response:
    """Scrape the gateway with these headers."""
    return await front.client.get("/metrics", headers={**SCRAPE, **headers})


@pytest.mark.parametrize("scopes", [("metrics:read",), ("admin",), ("segments:read", "admin")])
async def test_metrics_read_and_admin_may_scrape(scopes: tuple[str, ...]) -> None:
    """With either scope, at all providers, the response is Prometheus' text."""
    async with guarded() as front:
        reply = await scraped(front, authorization=signed(*scopes))

    assert (reply.status_code, reply.headers["content-type"]) == (
        200,
        "text/plain; version=0.0.4; charset=utf-8",
    )
    assert reply.headers["cache-control"] == "no-store"
    assert of(values_of(reply.text), "gateway_processes") == {(): 1}


@pytest.mark.parametrize(
    "scopes",
    [
        [each for each in EVERY_SCOPE if each not in {"metrics:read", "admin"}],
        ["metrics:read@stuut"],
        ["admin@stuut,emporix"],
    ],
    ids=["all others", "at one provider", "an administrator of some"],
)
async def test_others_may_not(scopes: list[str]) -> None:
    """The metrics are of all providers, so the scope must be, too."""
    async with guarded() as front:
        reply = await scraped(front, authorization=signed(*scopes))

    assert (reply.status_code, reply.json()["errors"][0]["extensions"]["code"]) == (
        403,
        "FORBIDDEN",
    )


async def test_metrics_read_alone_shows_no_data() -> None:
    """Neither providers, nor their health, nor calls."""
    async with guarded() as front:
        headers = {"authorization": signed("metrics:read"), "x-show-calls": "1"}
        query = {"query": "{ providers { key } }"}
        answer = (await front.client.post("/graphql", json=query, headers=headers)).json()
        ready = (await front.client.get("/readyz", headers=headers)).json()

    assert answer["data"] == {"providers": []}
    assert "upstreamCalls" not in answer["extensions"]
    assert ready["providers"] == []


async def test_without_credentials_they_are_needed() -> None:
    """Where anonymous callers may not do everything."""
    settings = settings_of(server={"allow_anonymous": False})
    async with serving(settings=settings) as front:
        missing = await scraped(front)
        unknown = await scraped(front, authorization="Bearer sgk_nonsense")

    assert (missing.status_code, unknown.status_code) == (401, 401)
    assert missing.headers["www-authenticate"] == "Bearer"


async def test_a_page_cannot_read_them_by_dns_rebinding(front: Front) -> None:
    """Without credentials the request must be for a host that is served."""
    assert (await scraped(front)).status_code == 200
    assert (await scraped(front, host="attacker.example")).status_code == 421


async def test_a_remote_caller_needs_credentials(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only this machine is served without them."""
    monkeypatch.setattr(Authenticator, "allows_anonymous", lambda *_: False)

    assert (await scraped(front)).status_code == 401


async def test_switched_off_there_is_no_such_path() -> None:
    """With `server.metrics = false` nothing is counted or served."""
    async with serving(settings=settings_of(server={"metrics": False})) as front:
        await front.data("{ providers { key } }")

        assert (await scraped(front)).status_code == 404


async def test_an_address_of_their_own() -> None:
    """They are served there without credentials, and nowhere else; nothing else is served."""
    address = f"127.0.0.1:{free_port()}"
    settings = settings_of(server={"metrics": address, "allow_anonymous": False})
    async with serving(settings=settings) as front, httpx.AsyncClient(trust_env=False) as client:
        there = await client.get(f"http://{address}/metrics")
        other = await client.get(f"http://{address}/graphql")
        here = await scraped(front)

    assert (there.status_code, other.status_code, here.status_code) == (200, 404, 404)
    assert of(values_of(there.text), "gateway_processes") == {(): 1}


async def test_no_label_or_value_is_secret_personal_or_chosen_by_a_client() -> None:
    """Names of operations, ids, emails, paths, methods and credentials do not appear."""
    settings = settings_with().model_copy(update={"fast_paths": FastPathSettings()})
    async with serving(settings=settings) as front:
        email = "someone@example.com"
        query = "query Leak($e: String!) { customers(filter: {email: {eq: $e}}) { totalCount } }"
        await front.client.post(
            "/graphql",
            json={"query": query, "variables": {"e": email}, "operationName": "Leak"},
            headers={"x-request-id": "leak-1", "user-agent": "leaking/1.0"},
        )
        await front.client.post("/graphql", json={"query": "query Leak { leakedField }"})
        await front.client.get("/webhooks/leaked-provider/leaked-type")
        await front.client.get("/leaked/path?leaked=query")
        await front.client.request("LEAKED", "/graphql")
        text = (await scraped(front)).text

    assert "leak" not in text.lower()
    assert "example.com" not in text
    for values in CREDENTIALS.values():
        assert not [each for each in values.values() if str(each) in text]
