"""Which hosts and pages are served: DNS rebinding, other sites' pages, CORS, health."""

from collections.abc import Mapping

import httpx
import pytest

from gateway.settings.tables import CORS_ALLOW_HEADERS
from tests.e2e.asking import JSON, KEYS, refusal
from tests.e2e.serving import PROVIDERS, Front, serving
from tests.security.callers import guarded
from tests.security.served import settings_of

OURS = "http://localhost"
SHOP = "https://shop.test"
MAY_NOT = (403, JSON, "Pages of this origin are not allowed.", "FORBIDDEN")
PATHS = ("/", "/graphql", "/graphql?query={__typename}", "/examples.json")
NO_NAME = (421, JSON, "This host name is not served here (server.hosts).", "BAD_USER_INPUT")


async def ask(front: Front, method: str, headers: Mapping[str, str]) -> httpx.Response:
    """Ask the same by one method or the other, as a page would."""
    if method == "GET":
        return await front.client.get("/graphql", params={"query": KEYS}, headers=headers)
    return await front.client.post("/graphql", json={"query": KEYS}, headers=headers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host",
    ["evil.test", "evil.test:80", "localhost.evil.test", "127.0.0.1.evil.test", "0x7f.1", "a b"],
)
async def test_hosts_where_nobody_signs_in(front: Front, path: str, host: str) -> None:
    """A page whose name was made to lead here learns nothing."""
    reply = await front.client.get(path, headers={"host": host})

    assert refusal(reply) == NO_NAME


async def test_probes_of_any_host(front: Front) -> None:
    """They are told whether we are well, and of the providers only where the host is served."""
    probe = (await front.client.get("/readyz")).json()
    other = (await front.client.get("/readyz", headers={"host": "evil.test"})).json()
    alive = await front.client.get("/livez", headers={"host": "evil.test"})

    assert (probe.keys(), other.keys()) == (
        {"status", "version", "providers"},
        {"status", "version"},
    )
    assert alive.json() == {"status": "alive"}


USUAL = (
    *("accept-language", "authorization", "content-type", "x-show-calls"),
    *("traceparent", "tracestate", "baggage", "x-request-id", "sentry-trace"),
    *("apollographql-client-name", "apollographql-client-version"),
    *("x-apollo-operation-name", "x-apollo-operation-type", "apollo-require-preflight"),
)


def test_headers_that_pages_usually_send() -> None:
    """Tracing and the clients of GraphQL work without a setting."""
    assert set(USUAL) <= set(CORS_ALLOW_HEADERS)
    assert len(set(CORS_ALLOW_HEADERS)) == len(CORS_ALLOW_HEADERS)


async def test_headers_that_pages_may_send() -> None:
    """The operator may name others instead."""
    server = {"cors_origins": (SHOP,), "cors_allow_headers": ("authorization", "X-Shop")}
    headers = {"access-control-request-method": "POST", "origin": SHOP}
    async with serving(settings=settings_of(server=server)) as front:
        reply = await front.client.options("/graphql", headers=headers)

    assert reply.headers["access-control-allow-headers"] == "authorization, X-Shop"


@pytest.mark.parametrize("path", ["/livez", "/graphql?query={__typename}"])
@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:80", "[::1]:8000", "10.0.0.7"]
)
async def test_hosts_that_no_page_can_take(front: Front, path: str, host: str) -> None:
    """`localhost` and addresses cannot be made to lead elsewhere."""
    reply = await front.client.get(path, headers={"host": host})

    assert reply.status_code == 200


@pytest.mark.parametrize(
    ("host", "is_served"),
    [
        ("api.shop.test", True),
        ("API.shop.test.:8443", True),
        ("[2001:db8::1]", True),
        ("localhost", False),
        ("127.0.0.1", False),
        ("shop.test", False),
        ("x.api.shop.test", False),
    ],
)
async def test_named_hosts(host: str, *, is_served: bool) -> None:
    """Where hosts are named, it is those and no others."""
    hosts = {"hosts": ("api.shop.test", "2001:db8::1")}
    async with serving(settings=settings_of(server=hosts)) as front:
        reply = await front.client.get("/examples.json", headers={"host": host})

        assert reply.status_code == (200 if is_served else 421)


async def test_hosts_where_all_sign_in() -> None:
    """Credentials are worth more than a name: then any is served."""
    async with serving(settings=settings_of(server={"allow_anonymous": False})) as front:
        reply = await front.client.get("/examples.json", headers={"host": "anything.test"})

        assert reply.status_code == 200


FOREIGN: Mapping[str, Mapping[str, str]] = {
    "another site": {"origin": "https://evil.test", "sec-fetch-site": "cross-site"},
    "a sister": {"origin": "http://api.localhost", "sec-fetch-site": "same-site"},
    "an old browser": {"origin": "https://evil.test"},
    "a sandboxed frame": {"origin": "null"},
    "an image": {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    "another port": {"origin": "http://localhost:8001"},
    "a longer name": {"origin": "http://localhost.evil.test"},
    "no origin at all": {"origin": ""},
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", FOREIGN)
async def test_pages_of_other_sites(front: Front, name: str, method: str) -> None:
    """A browser carries their requests; nothing is done for them, and they may read nothing."""
    reply = await ask(front, method, FOREIGN[name])

    assert refusal(reply) == MAY_NOT
    assert not any(header.startswith("access-control") for header in reply.headers)
    assert front.calls == []


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": OURS, "sec-fetch-site": "same-origin"},
        {"origin": OURS},
        {"sec-fetch-site": "none"},
        # Behind a proxy that calls us by another name, only the browser knows.
        {"origin": "https://gateway.test", "sec-fetch-site": "same-origin"},
    ],
)
async def test_who_may_ask(front: Front, headers: Mapping[str, str], method: str) -> None:
    """Programs, our own pages, and who types the address."""
    reply = await ask(front, method, headers)

    assert reply.status_code == 200
    assert not any(header.startswith("access-control") for header in reply.headers)


async def test_a_link_to_the_page(front: Front) -> None:
    """Another site may link to GraphiQL: it shows nobody's data, and nobody may frame it."""
    headers = {"accept": "text/html", "sec-fetch-site": "cross-site"}
    reply = await front.client.get("/graphql", headers=headers)

    assert reply.status_code in {200, 503}
    if reply.status_code == 200:
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]


@pytest.mark.parametrize("body", [{"query": KEYS}, {"query": "{ nothing }"}, {}])
async def test_allowed_pages(body: Mapping[str, str]) -> None:
    """The operator names whose pages may ask, and read refusals; of others it holds as before."""
    async with serving(settings=settings_of(server={"cors_origins": (SHOP,)})) as front:
        headers = {"origin": SHOP, "sec-fetch-site": "cross-site"}
        reply = await front.client.post("/graphql", json=body, headers=headers)
        other = await ask(front, "POST", {"origin": "https://evil.test"})
        plain = await ask(front, "POST", {})

    assert reply.headers["access-control-allow-origin"] == SHOP
    assert reply.headers["access-control-expose-headers"] == "retry-after, x-request-id"
    assert "access-control-allow-credentials" not in reply.headers
    assert refusal(other) == MAY_NOT
    for each in (reply, other, plain):
        assert "origin" in each.headers["vary"].split(", ")
    assert "access-control-allow-origin" not in plain.headers


async def test_preflights() -> None:
    """A browser that asks first is told exactly what an allowed page may send."""
    preflight = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    async with serving(settings=settings_of(server={"cors_origins": (SHOP,)})) as front:
        allowed = await front.client.options("/graphql", headers={**preflight, "origin": SHOP})
        evil = {**preflight, "origin": "https://evil.test"}
        refused = await front.client.options("/graphql", headers=evil)
        plain = await front.client.options("/graphql", headers=preflight)

    assert (allowed.status_code, allowed.content) == (204, b"")
    headers = {n: v for n, v in allowed.headers.items() if n.startswith("access-control")}
    assert headers == {
        "access-control-allow-origin": SHOP,
        "access-control-expose-headers": "retry-after, x-request-id",
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": ", ".join(CORS_ALLOW_HEADERS),
        "access-control-max-age": "600",
    }
    assert "origin" in allowed.headers["vary"].split(", ")
    assert refusal(refused) == MAY_NOT
    assert (plain.status_code, plain.headers["allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/examples.json", "/nothing", "/"])
async def test_headers_of_other_answers(front: Front, path: str) -> None:
    """All answers tell a browser to run, frame and hand on nothing of it."""
    reply = await front.client.get(path)

    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    assert "default-src 'none'" in reply.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("caller", "seen"),
    [
        ("", ()),
        ("own:read stuut=c1", ()),
        ("segments:read", PROVIDERS),
        ("segments:read@stuut", ("stuut",)),
        ("admin", PROVIDERS),
    ],
)
async def test_how_the_providers_do(caller: str, seen: tuple[str, ...]) -> None:
    """Callers are told of the providers that they may see."""
    async with guarded() as front:
        body = (await front.client.get("/readyz", headers={"authorization": caller})).json()

    assert tuple(each["key"] for each in body["providers"]) == seen


async def test_how_the_providers_do_to_strangers() -> None:
    """A stranger is told whether the gateway is ready, and no more."""
    async with serving(settings=settings_of(server={"allow_anonymous": False})) as front:
        ready = await front.client.get("/readyz")
        alive = await front.client.get("/livez")
        refused = await front.client.post("/graphql", json={"query": KEYS})

    assert ready.json().keys() == {"status", "version"}
    assert alive.json() == {"status": "alive"}
    assert refusal(refused)[0] == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    (error,) = refused.json()["errors"]
    assert error["extensions"] == {
        "code": "UNAUTHENTICATED",
        "requestId": refused.headers["x-request-id"],
    }


@pytest.mark.parametrize(
    ("caller", "is_shown"),
    [
        ("segments:read", True),
        ("own:read segments:read stuut=x", True),
        ("own:read stuut=x", False),
    ],
)
async def test_who_may_see_the_upstream_calls(caller: str, *, is_shown: bool) -> None:
    """A shop's end customer is not shown how the shop works."""
    async with guarded() as front:
        headers = {"authorization": caller, "x-show-calls": "1"}
        reply = await front.client.post("/graphql", json={"query": KEYS}, headers=headers)

    assert ("upstreamCalls" in reply.json().get("extensions", {})) is is_shown
