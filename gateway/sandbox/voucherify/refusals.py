"""Voucherify's error responses, and how it reads requests."""

from collections.abc import Collection
from datetime import datetime
from http import HTTPStatus
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request

from gateway.sandbox.replies import read_json
from gateway.sandbox.voucherify.filters import parse_moment

DEFAULT_LIMIT, MAX_LIMIT = 10, 100


class RefusalError(Exception):
    """An error response: its status, and its body without `code` and `request_id`."""

    def __init__(self, status: int, message: str, **more: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message} | more


def invalid_payload(details: str) -> RefusalError:
    """Return the refusal of a body."""
    return RefusalError(
        HTTPStatus.BAD_REQUEST, "Invalid payload", key="invalid_payload", details=details
    )


def invalid_query(details: str) -> RefusalError:
    """Return the refusal of a query."""
    return RefusalError(
        HTTPStatus.BAD_REQUEST, "Invalid query params", key="invalid_query_params", details=details
    )


def not_found(kind: str, key: str) -> RefusalError:
    """Return the answer for a customer or segment that is not there."""
    return RefusalError(
        HTTPStatus.NOT_FOUND,
        "Resource not found",
        key="not_found",
        details=f"Cannot find {kind} with id {key}",
        resource_id=key,
        resource_type=kind,
    )


async def read_body(request: Request) -> Any:
    """Return the JSON of a body whose content type is JSON."""
    require_media_type(request, "application/json")
    try:
        return await read_json(request)
    except ValueError:
        raise invalid_payload("Body should be JSON") from None


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object of a body."""
    body = await read_body(request)
    if not isinstance(body, dict):
        raise invalid_payload("Body should be object")
    return body


def require_media_type(request: Request, wanted: str) -> None:
    """Refuse a body of another media type. That 415 exists is documented, when it comes is not."""
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != wanted:
        raise RefusalError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Unsupported media type",
            key="unsupported_media_type",
            details=f"Content-Type should be {wanted}",
        )


def refuse_unknown(query: QueryParams, known: Collection[str]) -> None:
    """Refuse an undocumented parameter; ignoring it would hide a misspelt one."""
    for name in query:
        if name not in known:
            raise invalid_query(f"Property .{name} is unknown")


def whole(query: QueryParams, name: str, default: int, highest: int) -> int:
    """Read a number from 1 to `highest`."""
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= highest:
        raise invalid_query(f"Property .{name} should be integer from 1 to {highest}")
    return int(text)


def choice(query: QueryParams, name: str, allowed: Collection[str]) -> str | None:
    """Read one of the allowed words; None when it is not there."""
    text = query.get(name)
    if text is not None and text not in allowed:
        raise invalid_query(f"Property .{name} should be one of {', '.join(allowed)}")
    return text


def moment(query: QueryParams, name: str) -> datetime | None:
    """Read a date-time; None when it is not there."""
    text = query.get(name)
    try:
        return None if text is None else parse_moment(text)
    except ValueError:
        raise invalid_query(f"Property .{name} should be date-time") from None
