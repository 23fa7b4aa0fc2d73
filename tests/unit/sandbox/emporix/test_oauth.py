from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.sandbox import emporix

FORM = {
    "grant_type": "client_credentials",
    "client_id": "sandbox-emporix-id",
    "client_secret": "sandbox-emporix-secret",
}
SEGMENTS = "/customer-segment/sandbox/segments"
INVALID = {
    "fault": {
        "faultstring": "Invalid access token",
        "detail": {"errorcode": "oauth.v2.InvalidAccessToken"},
    }
}
EXPIRED = {
    "fault": {
        "faultstring": "Access Token expired",
        "detail": {"errorcode": "keymanagement.service.access_token_expired"},
    }
}
FORBIDDEN = {
    "code": 403,
    "status": "Forbidden",
    "message": "The access to the requested resource has been forbidden by the server.",
}
CUSTOMER_FORBIDDEN = {"type": "Forbidden", "status": 403, "message": "User not authorized."}


async def test_token(
    anonymous: httpx.AsyncClient,
) -> None:
    """A form without scopes gets a token with every scope of the client."""
    answer = await anonymous.post("/oauth/token", data=FORM)

    body = answer.json()
    assert answer.status_code == 200
    assert len(body.pop("access_token")) == 32
    assert body == {
        "token_type": "Bearer",
        "expires_in": 14399,
        "session_idle_time": 120,
        "refresh_token": "",
        "refresh_token_expires_in": 0,
        "scope": "tenant=sandbox customersegment.segment_read customersegment.segment_manage "
        "customer.customer_read customer.customer_manage "
        "webhook.subscription_read webhook.subscription_manage",
    }


async def test_scopes_asked_for(
    anonymous: httpx.AsyncClient,
) -> None:
    """Requested scopes are granted; scopes that the client lacks are left out."""
    scope = "tenant=sandbox customersegment.segment_read order.order_read"
    answer = await anonymous.post("/oauth/token", data=FORM | {"scope": scope})

    assert answer.json()["scope"] == "tenant=sandbox customersegment.segment_read"


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "somebody"},
        {"client_secret": "guess"},
        {"grant_type": "password"},
        {"scope": "tenant=other"},
    ],
    ids=["id", "secret", "grant", "tenant"],
)
async def test_bad_client(anonymous: httpx.AsyncClient, change: dict[str, str]) -> None:
    """A bad client, grant or tenant is 401 in the gateway's shape."""
    answer = await anonymous.post("/oauth/token", data=FORM | change)

    assert answer.status_code == 401
    assert answer.json() == {
        "fault": {
            "faultstring": "Invalid client identifier",
            "detail": {"errorcode": "oauth.v2.InvalidClientIdentifier"},
        }
    }


async def test_json_is_no_form(anonymous: httpx.AsyncClient) -> None:
    """Credentials as JSON are not read."""
    assert (await anonymous.post("/oauth/token", json=FORM)).status_code == 401


@pytest.mark.parametrize("path", [SEGMENTS, "/customer/sandbox/customers"])
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer x"}, {"Authorization": "x"}])
async def test_bad_token(anonymous: httpx.AsyncClient, path: str, header: dict[str, str]) -> None:
    """Every service refuses a missing or unknown token in the gateway's shape."""
    answer = await anonymous.get(path, headers=header)

    assert (answer.status_code, answer.json()) == (401, INVALID)


async def test_expiry(service: httpx.AsyncClient, clock: Any) -> None:
    """A token lives 14399 seconds; then it is refused as expired."""
    clock.forward(seconds=14398.9)
    assert (await service.get(SEGMENTS)).status_code == 200
    clock.forward(seconds=0.1)
    answer = await service.get(SEGMENTS)
    assert (answer.status_code, answer.json()) == (401, EXPIRED)


@pytest.mark.parametrize(
    ("scope", "method", "path", "body"),
    [
        ("customersegment.segment_manage", "GET", SEGMENTS, FORBIDDEN),
        ("customersegment.segment_read", "DELETE", f"{SEGMENTS}/golden", FORBIDDEN),
        ("customersegment.segment_read", "POST", f"{SEGMENTS}/match", FORBIDDEN),
        ("customersegment.segment_read", "GET", f"{SEGMENTS}/me", FORBIDDEN),
        ("customersegment.segment_read", "GET", f"{SEGMENTS}/items/category-trees", FORBIDDEN),
        ("customersegment.segment_read", "GET", "/customer/sandbox/customers", CUSTOMER_FORBIDDEN),
        ("customer.customer_read", "POST", "/customer/sandbox/customers", CUSTOMER_FORBIDDEN),
    ],
)
async def test_missing_scope(
    anonymous: httpx.AsyncClient, scope: str, method: str, path: str, body: dict[str, Any]
) -> None:
    """A missing scope is 403 in the service's own shape."""
    granted = (await anonymous.post("/oauth/token", data=FORM | {"scope": scope})).json()
    header = {"Authorization": f"Bearer {granted['access_token']}"}
    answer = await anonymous.request(method, path, headers=header)

    assert (answer.status_code, answer.json()) == (403, body)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/customer-segment/other/segments", 403, FORBIDDEN),
        ("/customer/other/customers", 403, CUSTOMER_FORBIDDEN),
        (
            "/customer/Sandbox/customers",
            400,
            {
                "type": "bad_request",
                "status": 400,
                "message": "The tenant information provided with the request is not valid.",
            },
        ),
    ],
)
async def test_another_tenant(
    service: httpx.AsyncClient, path: str, status: int, body: dict[str, Any]
) -> None:
    """Another tenant is 403; a name that cannot be one is 400 to the customer service."""
    answer = await service.get(path)

    assert (answer.status_code, answer.json()) == (status, body)


async def test_shopper(
    shopper: Callable[[str], httpx.AsyncClient],
) -> None:
    """A shopper may neither write segments nor read customers by number."""
    client = shopper("90000000")

    for answer in (
        await client.put(f"{SEGMENTS}/x", json={"name": {"en": "x"}, "siteCode": "main"}),
        await client.get(SEGMENTS, params={"customerId": "90000000"}),
        await client.get(f"{SEGMENTS}/golden/customers/90000000"),
        await client.post(f"{SEGMENTS}/golden/customers/search", json={"q": ""}),
    ):
        assert (answer.status_code, answer.json()) == (403, FORBIDDEN)


async def test_state(app: Starlette, clock: Any) -> None:
    """Each server has its own state."""
    other = emporix.build((), clock)

    assert app.state.tenant.customers is not other.state.tenant.customers
    assert other.state.tenant.customers.find("", "") == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/customer-segment/sandbox/segments/", 404),
        ("GET", "/customer-segment/sandbox/nothing", 404),
        ("PUT", "/customer-segment/sandbox/segments", 405),
        ("GET", "/oauth/token", 405),
    ],
)
async def test_unknown_paths(
    service: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    """Unknown paths are 404, known ones under another method 405."""
    assert (await service.request(method, path)).status_code == status


async def test_limits(service: httpx.AsyncClient) -> None:
    """The documented limits of URL (10 KB), headers (60 KB) and body (10 MB) apply."""
    long_url = await service.get(SEGMENTS, params={"q": "id:(" + "a," * 5200 + "a)"})
    long_header = await service.get(SEGMENTS, headers={"X-Long": "x" * 61_440})
    long_body = await service.put(f"{SEGMENTS}/x", content=b" " * (10 * 1024 * 1024 + 1))

    assert (long_url.status_code, long_header.status_code) == (414, 431)
    assert long_body.status_code == 413
