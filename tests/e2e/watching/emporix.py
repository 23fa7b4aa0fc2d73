"""A tenant of Emporix whose segments a test changes behind the gateway's back."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.four_kinds import CREDENTIALS

TENANT = CREDENTIALS["emporix"]["tenant"]
BASE = f"/customer-segment/{TENANT}/segments"


async def nothing(_: str) -> None:
    """Change nothing."""


class Tenant:
    """Serves lists of segments and of their members; whatever it says is up to the test."""

    def __init__(self) -> None:
        """Have no segments."""
        self.members: dict[str, list[str]] = {}
        """The members of each segment, in order: `customer` or `customer/legal entity`."""
        self.versions: dict[str, int] = {}
        self.calls: list[str] = []
        """`count SEGMENT`, `page N of SEGMENT`, `get SEGMENT` or `list`; sign-ins are not here."""
        self.clients: list[str] = []
        """The client that made each of the calls."""
        self.arrived: Callable[[], None] = lambda: None
        """Called as each call arrives, those that sign in included."""
        self.before: Callable[[str], Awaitable[None]] = nothing
        """Called before each call is answered, with its text."""
        self.failures: list[int] = []
        """The status of each of the next calls; 0: none."""
        self._app = Starlette(
            routes=[
                Route("/oauth/token", self._sign_in, methods=["POST"]),
                Route(BASE, self._list),
                Route(BASE + "/{segment}", self._get),
                Route(BASE + "/{segment}/customers", self._members),
            ]
        )

    def set(self, segment: str, *members: str, version: int = 1) -> None:
        """Have a segment with these members."""
        self.members[segment] = [*members]
        self.versions[segment] = version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""
        self.arrived()
        await self._app(scope, receive, send)

    async def _begin(self, request: Request, call: str) -> Response | None:
        self.calls.append(call)
        self.clients.append(request.headers["authorization"].removeprefix("Bearer "))
        await self.before(call)
        status = self.failures.pop(0) if self.failures else 0
        return JSONResponse({}, status) if status else None

    async def _sign_in(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode())
        return JSONResponse({"access_token": form["client_id"][0], "expires_in": 3600})

    async def _list(self, request: Request) -> Response:
        failed = await self._begin(request, "list")
        rows = [self._segment(key) for key in self.members]
        return failed or _page(request, rows)

    async def _get(self, request: Request) -> Response:
        key = request.path_params["segment"]
        failed = await self._begin(request, f"get {key}")
        if key not in self.members:
            return JSONResponse({}, 404)
        return failed or JSONResponse(self._segment(key))

    async def _members(self, request: Request) -> Response:
        key, size = request.path_params["segment"], request.query_params["pageSize"]
        number = request.query_params["pageNumber"]
        failed = await self._begin(
            request, f"count {key}" if size == "1" else f"page {number} of {key}"
        )
        if key not in self.members:
            return JSONResponse({}, 404)
        return failed or _page(request, [_assignment(each) for each in self.members[key]])

    def _segment(self, key: str) -> dict[str, Any]:
        metadata = {"version": self.versions[key]}
        return {"id": key, "name": {"en": key}, "siteCode": "main", "metadata": metadata}


def _assignment(member: str) -> dict[str, Any]:
    customer, _, entity = member.partition("/")
    row: dict[str, Any] = {"customer": {"id": customer}}
    return row | ({"legalEntity": {"id": entity}} if entity else {})


def _page(request: Request, rows: Sequence[dict[str, Any]]) -> Response:
    number, size = (int(request.query_params[name]) for name in ("pageNumber", "pageSize"))
    shown = rows[(number - 1) * size : number * size]
    return JSONResponse(shown, headers={"X-Total-Count": str(len(rows))})
