"""GraphQL over HTTP: what a request asks, in what form it wants the answer.

The specification: https://graphql.github.io/graphql-over-http/draft/
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from starlette.datastructures import QueryParams

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
HTML = "text/html"

LARGEST_REQUEST = 1024 * 1024
"""Bytes of a request's body."""


class RequestError(Exception):
    """The request is not carried out: its status, one sentence for people, and a code."""

    def __init__(self, status: int, message: str, code: str = "BAD_USER_INPUT") -> None:
        """Keep them."""
        self.status = status
        self.message = message
        self.code = code
        super().__init__(message)


class Asked(msgspec.Struct, frozen=True):
    """The parameters of a GraphQL request."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(default=None, name="operationName")
    extensions: dict[str, Any] | None = None


class Acceptable(NamedTuple):
    """A media type that a client accepts, and how much it likes it."""

    media_type: str
    quality: float


_decoder = msgspec.json.Decoder(Asked)


def answer_type(accept: str | None, *, with_page: bool) -> str:
    """Return the media type to answer in: the client's order decides, then ours.

    Without a wish it is `application/json`. Raises 406 when nothing fits.
    """
    offered = [JSON, GRAPHQL, *([HTML] if with_page else [])]
    wishes = list(_wishes(accept)) if accept else []
    if not wishes:
        return JSON
    for wish in sorted(wishes, key=lambda each: -each.quality):
        for media_type in offered:
            if wish.quality > 0 and wish.media_type in {
                media_type,
                media_type.partition("/")[0] + "/*",
                "*/*",
            }:
                return media_type
    raise RequestError(406, f"Answers are {JSON} or {GRAPHQL}.")


def _wishes(accept: str) -> list[Acceptable]:
    wishes = []
    for part in accept.split(",")[:50]:
        media_type, *parameters = (each.strip().lower() for each in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if media_type:
            wishes.append(Acceptable(media_type, quality))
    return wishes


def check_content_type(content_type: str) -> None:
    """Raise `RequestError` for a POST that is not JSON in UTF-8."""
    if content_type == JSON:
        return
    media_type, _, parameters = content_type.partition(";")
    if media_type.strip().lower() != JSON:
        raise RequestError(415, f"Send the request as {JSON}.")
    charset = parameters.partition("charset=")[2].strip(' "').lower()
    if charset not in {"", "utf-8", "utf8"}:
        raise RequestError(415, "Send the request in UTF-8.")


def asked_by_post(body: bytes) -> Asked:
    """Read the parameters of a POST. Raises `RequestError`."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RequestError(400, _explained(error)) from error


def asked_by_get(parameters: QueryParams) -> Asked:
    """Read the parameters of a GET. Raises `RequestError`."""
    document: Mapping[str, Any] = {
        "query": parameters.get("query"),
        "operationName": parameters.get("operationName") or None,
    }
    texts = {name: parameters.get(name) for name in ("variables", "extensions")}
    try:
        return msgspec.convert(
            {**document, **{n: msgspec.json.decode(t) if t else None for n, t in texts.items()}},
            Asked,
        )
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RequestError(400, _explained(error)) from error


def _explained(error: Exception) -> str:
    """Say what is wrong with the parameters, with its path; nothing of their values."""
    if isinstance(error, msgspec.ValidationError):
        return f"This is no GraphQL request: {error}."
    return "The request is not JSON."
