"""One route for all operations: matches the raw path, checks token, tenant and scope."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from starlette.datastructures import Headers, QueryParams, URLPath
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from gateway.sandbox.emporix.faults import RefusedError, UnauthorizedError, forbidden, invalid
from gateway.sandbox.replies import json_response

# Standard practices, bulk request limits: 10 KB of URL, 60 KB of headers. The statuses are ours.
URL_LIMIT_BYTES = 10 * 1024
HEADERS_LIMIT_BYTES = 60 * 1024
TENANT = re.compile(r"[a-z][a-z0-9]{2,15}")
INVALID_TENANT = "The tenant information provided with the request is not valid."


@dataclass(frozen=True, slots=True)
class Grant:
    """The scopes and the owner of a token; `customer` is None for a service."""

    scopes: frozenset[str]
    customer: str | None


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A checked call, with its path split and decoded, and its body still undecoded."""

    path: Mapping[str, str]
    query: QueryParams
    headers: Headers
    body: bytes
    grant: Grant

    def json(self) -> Any:
        """Return the decoded body; RefusedError (400) when it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except ValueError as error:
            raise invalid(str(error)) from error

    def flag(self, name: str) -> bool:
        """Return a boolean query parameter, false when it is absent."""
        text = self.query.get(name, "false")
        if text not in {"true", "false"}:
            raise invalid("must be true or false", name)
        return text == "true"

    def shopper(self) -> str:
        """Return the customer who owns the token; RefusedError (403) for a service's."""
        if self.grant.customer is None:
            raise forbidden()
        return self.grant.customer

    def confined_to(self, scope: str) -> str | None:
        """Return the shopper who may see only their own data; None for a token with `scope`."""
        return None if scope in self.grant.scopes else self.shopper()


Run = Callable[[ApiCall], Response | Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """A method on a path; any one of `scopes` allows it; without scopes it needs no token."""

    method: str
    path: tuple[str, ...]
    run: Run
    scopes: frozenset[str]

    def match(self, parts: tuple[str, ...]) -> dict[str, str] | None:
        """Return the path's parameters, or None when it is another path."""
        parameters = {}
        for name, part in zip(self.path, parts, strict=True):
            if name.startswith("{"):
                parameters[name[1:-1]] = part
            elif name != part:
                return None
        return parameters if all(parameters.values()) else None


def operation(method: str, path: str, run: Run, *scopes: str) -> Operation:
    """Return an operation; `{name}` in the path matches one whole segment of any content."""
    return Operation(method, tuple(path.split("/")[1:]), run, frozenset(scopes))


def path_parts(scope: Scope) -> tuple[str, ...]:
    """Return the decoded path segments below the mount; an encoded slash stays in its segment."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    below = raw.decode("latin-1").removeprefix(quote(scope.get("root_path", "")))
    return tuple(unquote(part) for part in below.split("/")[1:])


class Operations(BaseRoute):
    """Every operation of the server; a literal part (`/segments/search`) wins over a parameter."""

    def __init__(
        self,
        operations: Iterable[Operation],
        tenant: str,
        authorize: Callable[[str | None], Grant],
    ) -> None:
        self._tenant = tenant
        self._authorize = authorize
        self._by_length: dict[int, list[Operation]] = {}
        for one in sorted(operations, key=lambda one: [part[:1] == "{" for part in one.path]):
            self._by_length.setdefault(len(one.path), []).append(one)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match every HTTP request."""
        return (Match.FULL if scope["type"] == "http" else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Raise NoMatchFound: operations have no route names."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Return one request."""
        request = Request(scope, receive)
        parts = path_parts(scope)
        try:
            answer = self._answer(request, parts, await request.body())
            response = answer if isinstance(answer, Response) else await answer
        except UnauthorizedError as error:
            response = json_response(error.body, HTTPStatus.UNAUTHORIZED)
        except RefusedError as error:
            response = json_response(error.body_of(parts[0]), error.status)
        await response(scope, receive, send)

    def _answer(
        self, request: Request, parts: tuple[str, ...], body: bytes
    ) -> Response | Awaitable[Response]:
        scope = request.scope
        if len(scope.get("raw_path", b"")) + len(scope["query_string"]) > URL_LIMIT_BYTES:
            raise RefusedError(HTTPStatus.REQUEST_URI_TOO_LONG)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_LIMIT_BYTES:
            raise RefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        operation_, path = self._find(request.method, parts)
        grant = Grant(frozenset(), None)
        if operation_.scopes:
            grant = self._authorize(request.headers.get("authorization"))
            if parts[0] == "customer" and not TENANT.fullmatch(path["tenant"]):
                raise RefusedError(HTTPStatus.BAD_REQUEST, INVALID_TENANT)
            if path["tenant"] != self._tenant or not operation_.scopes & grant.scopes:
                raise forbidden()
        return operation_.run(ApiCall(path, request.query_params, request.headers, body, grant))

    def _find(self, method: str, parts: tuple[str, ...]) -> tuple[Operation, dict[str, str]]:
        status = HTTPStatus.NOT_FOUND
        for one in self._by_length.get(len(parts), ()):
            path = one.match(parts)
            if path is not None:
                if one.method == method:
                    return one, path
                status = HTTPStatus.METHOD_NOT_ALLOWED
        raise RefusedError(status)
