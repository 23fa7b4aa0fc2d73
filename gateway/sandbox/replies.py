"""JSON for every sandbox provider: read a request's body, write a response's."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response


def json_response(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return `body` as a JSON response; aware datetimes and dates become ISO strings."""
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )


async def read_json(request: Request) -> Any:
    """Return the request's body, decoded; ValueError (msgspec.DecodeError) when it is not JSON."""
    return msgspec.json.decode(await request.body())
