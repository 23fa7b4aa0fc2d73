"""Requests as any client may send them, and refusals."""

import json
from typing import Any

import httpx

from tests.e2e.serving import Front

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
KEYS = "{ providers { key } }"


async def post(front: Front, body: bytes | str | Any, **headers: str) -> httpx.Response:
    """Send a body, as JSON unless it is bytes, with these headers."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": JSON, **{n.replace("_", "-"): v for n, v in headers.items()}}
    return await front.client.post("/graphql", content=content, headers=sent)


def refusal(reply: httpx.Response) -> tuple[int, str, str, str]:
    """Return status, media type, message and code of an answer that is one error."""
    (error,) = reply.json()["errors"]
    assert reply.json().keys() == {"errors"}
    media_type = reply.headers["content-type"].partition(";")[0]
    return reply.status_code, media_type, error["message"], error["extensions"]["code"]
