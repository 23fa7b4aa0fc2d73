"""Voucherify's sandbox: authentication and rate limit."""

import re
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from gateway.sandbox.people import people
from gateway.sandbox.voucherify import CREDENTIALS, build

PAIR = {"X-App-Id": CREDENTIALS["app_id"], "X-App-Token": CREDENTIALS["app_token"]}


def client_of(app: ASGIApp, headers: dict[str, str]) -> httpx.AsyncClient:
    """Return a caller of a server."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://voucherify", headers=headers
    )


def without_id(reply: httpx.Response) -> dict[str, Any]:
    """Return an error's body without its request id, which must look like one."""
    body: dict[str, Any] = reply.json()
    assert re.fullmatch("v-[0-9a-f]{18}", body.pop("request_id"))
    return body


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-App-Id": CREDENTIALS["app_id"]},
        PAIR | {"X-App-Token": "wrong"},
        {"Authorization": "Bearer nobody-has-this"},
        {"Authorization": f"Bearer {CREDENTIALS['app_token']}"},
    ],
)
async def test_only_the_key_pair_or_a_token_opens(
    headers: dict[str, str], voucherify_app: ASGIApp
) -> None:
    """A missing or wrong half of the pair, or an unknown token, is a 401 of the printed body."""
    async with client_of(voucherify_app, headers) as client:
        reply = await client.get("/v1/segments")

    assert reply.status_code == 401
    assert reply.json() == {"code": 401, "message": "Unauthorized", "key": "unauthorized"}
    assert reply.headers["x-rate-limit-limit"] == "1000000"


async def test_token_lives_900_seconds(
    voucherify: httpx.AsyncClient, voucherify_app: ASGIApp, clock: Any
) -> None:
    """A token is given, described, used, counted down, and dead after 900 seconds."""
    form = {"grant_type": "client_credentials", "scope": "segments customers"}
    reply = await voucherify.post("/v1/oauth/token", data=form)
    token = reply.json()
    access_token = token["access_token"]
    expires_at = int(clock.time.timestamp()) + 900

    assert reply.status_code == 200
    assert token == {
        "access_token": access_token,
        "client_id": "a1Bcdefg2HI3Jkl4m5nOP",
        "expires_at": expires_at,
        "expires_in": 900,
        "scope": "segments customers",
        "token_type": "Bearer",
    }
    bearer = {"Authorization": f"Bearer {access_token}"}
    async with client_of(voucherify_app, bearer) as other:
        assert (await other.get("/v1/segments")).status_code == 200
        assert (await other.get("/v1/customers")).status_code == 200
        assert (await other.post("/v1/oauth/token", data=form)).status_code == 401

        clock.forward(seconds=345)
        form = {"access_token": access_token}
        described = await voucherify.post("/v1/oauth/introspect", data=form)
        assert described.json() == token | {"expires_in": 555, "active": True}

        clock.forward(seconds=555)
        assert (await other.get("/v1/segments")).status_code == 401
        described = await voucherify.post("/v1/oauth/introspect", data=form)
        assert (described.status_code, described.json()) == (200, {"active": False})


async def test_token_opens_what_its_scope_names(
    voucherify: httpx.AsyncClient, voucherify_app: ASGIApp
) -> None:
    """The scope `segments` does not open customers; `api` opens everything."""
    statuses = {}
    for scope in ("segments", "customers", "api", "vouchers"):
        form = {"grant_type": "client_credentials", "scope": scope}
        token = (await voucherify.post("/v1/oauth/token", data=form)).json()["access_token"]
        async with client_of(voucherify_app, {"Authorization": f"Bearer {token}"}) as other:
            replies = [await other.get(path) for path in ("/v1/segments", "/v1/customers")]
        statuses[scope] = [reply.status_code for reply in replies]

    assert statuses == {
        "segments": [200, 403],
        "customers": [403, 200],
        "api": [200, 200],
        "vouchers": [403, 403],
    }
    assert replies[0].json() == {
        "code": 403,
        "message": "Missing permission",
        "key": "missing_required_permission",
    }


async def test_revoked_token_is_dead(voucherify: httpx.AsyncClient) -> None:
    """Revoking returns 204 once, then 404 without a body."""
    form = {"grant_type": "client_credentials", "scope": "api"}
    token = (await voucherify.post("/v1/oauth/token", data=form)).json()["access_token"]
    replies = [
        await voucherify.post("/v1/oauth/token/revoke", data={"access_token": token})
        for _ in range(2)
    ]

    assert [(reply.status_code, reply.content) for reply in replies] == [(204, b""), (404, b"")]


@pytest.mark.parametrize(
    ("path", "form", "key", "message"),
    [
        ("token", {"scope": "api"}, "invalid_grant_type", "Invalid grant_type"),
        (
            "token",
            {"grant_type": "password", "scope": "api"},
            "invalid_grant_type",
            "Invalid grant_type",
        ),
        (
            "token",
            {"grant_type": "client_credentials", "scope": "segments,customers"},
            "invalid_scope",
            "Invalid scope: segments,customers",
        ),
        (
            "token",
            {"grant_type": "client_credentials", "scope": "api x y"},
            "invalid_scope",
            "Invalid scope: x,y",
        ),
        ("token", {"grant_type": "client_credentials"}, "invalid_scope", "Invalid scope: "),
        ("introspect", {"token": "x"}, "missing_parameters", "Missing parameters"),
        ("token/revoke", {"token": "x"}, "missing_parameters", "Missing parameters"),
    ],
)
async def test_oauth_refuses(
    path: str, form: dict[str, str], key: str, message: str, voucherify: httpx.AsyncClient
) -> None:
    """A wrong grant, a wrong scope and a missing token have keys of their own."""
    reply = await voucherify.post(f"/v1/oauth/{path}", data=form)

    assert reply.status_code == 400
    assert without_id(reply) == {"code": 400, "key": key, "message": message}


async def test_project_has_at_most_1000_tokens(voucherify: httpx.AsyncClient, clock: Any) -> None:
    """The 1,001st living token is refused; dead ones make room."""
    form = {"grant_type": "client_credentials", "scope": "api"}
    statuses = [
        (await voucherify.post("/v1/oauth/token", data=form)).status_code for _ in range(1001)
    ]
    clock.forward(seconds=900)

    assert statuses == [200] * 1000 + [400]
    assert (await voucherify.post("/v1/oauth/token", data=form)).status_code == 200


async def test_minute_has_so_many_calls(clock: Any) -> None:
    """Every response has the limit; beyond it the status is 429 until the minute is over."""
    clock.time = clock.time.replace(second=18)
    now = int(clock.time.timestamp())
    app = build(tuple(people(10)), clock, calls_per_minute=2)
    async with client_of(app, PAIR) as client:
        replies = [await client.get(f"/v1/segments/{n}") for n in range(3)]
        clock.forward(seconds=42)
        after = await client.get("/v1/segments")

    assert [reply.status_code for reply in replies] == [404, 404, 429]
    limits = [
        {
            name.lower(): value
            for name, value in reply.headers.items()
            if name.startswith(("x-rate", "retry"))
        }
        for reply in (*replies, after)
    ]
    assert limits == [
        {
            "x-rate-limit-limit": "2",
            "x-rate-limit-remaining": "1",
            "x-rate-limit-retry": str(now),
        },
        {
            "x-rate-limit-limit": "2",
            "x-rate-limit-remaining": "0",
            "x-rate-limit-retry": str(now + 42),
        },
        {
            "x-rate-limit-limit": "2",
            "x-rate-limit-remaining": "0",
            "x-rate-limit-retry": str(now + 42),
            "retry-after": "42",
            "x-rate-limit-type": "api_calls",
        },
        {
            "x-rate-limit-limit": "2",
            "x-rate-limit-remaining": "1",
            "x-rate-limit-retry": str(now + 42),
        },
    ]
    assert replies[2].json() == {
        "code": 429,
        "message": "Too many requests hit the API too quickly.",
    }


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/campaigns", (404, "not_found", "Not Found")),
        ("GET", "/v1/segments/", (404, "not_found", "Not Found")),
        ("PUT", "/v1/segments/seg_x", (405, "method_not_allowed", "Method Not Allowed")),
    ],
)
async def test_what_is_not_there_has_the_same_error_body(
    method: str, path: str, expected: tuple[int, str, str], voucherify: httpx.AsyncClient
) -> None:
    """Unknown paths and methods return the vendor's errors; segments cannot be updated."""
    status, key, message = expected
    reply = await voucherify.request(method, path)

    assert reply.status_code == status
    assert without_id(reply) == {"code": status, "message": message, "key": key}


async def test_bodies_must_be_announced(voucherify: httpx.AsyncClient) -> None:
    """A JSON call with a form's media type, and the other way round, is a 415."""
    as_form = await voucherify.post(
        "/v1/segments",
        content=b'{"name": "x"}',
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    as_json = await voucherify.post("/v1/oauth/token", json={"grant_type": "client_credentials"})

    assert [as_form.status_code, as_json.status_code] == [415, 415]
    assert without_id(as_form) == {
        "code": 415,
        "key": "unsupported_media_type",
        "message": "Unsupported media type",
        "details": "Content-Type should be application/json",
    }
