"""Heron as a local server, with webhooks. Facts: README.md."""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox.people import Person
from gateway.sandbox.replies import json_response, read_json
from gateway.sandbox.webhooks import Message, Policy, TargetOf, WebhookSender

CREDENTIALS: Mapping[str, str] = {"api_key": "sandbox-heron-key"}
GOLD = {"all": [{"field": "tier", "operator": "is", "value": "Gold"}]}


def build(cast: Sequence[Person], now: Callable[[], datetime]) -> Starlette:
    """Return a server with two audiences: newcomers by hand, gold members by a rule."""
    heron = HeronServer(cast, now)
    audience = "/v1/audiences/{key}"
    app = Starlette(
        routes=[
            Route("/v1/audiences", heron.list_audiences),
            Route(audience, heron.show_audience),
            Route(f"{audience}/members", heron.list_members, methods=["GET"]),
            Route(f"{audience}/members", heron.add_member, methods=["POST"]),
        ]
    )
    app.state.heron = heron
    return app


def webhooks_of(app: Starlette) -> "HeronServer":
    """Return the webhooks of a server; nobody receives them yet."""
    heron: HeronServer = app.state.heron
    return heron


class HeronServer:
    """The audiences, their members, and who receives webhooks."""

    def __init__(self, cast: Sequence[Person], now: Callable[[], datetime]) -> None:
        """Start with the people of the cast."""
        self.sender = WebhookSender(Policy(retry_after_s=(1, 10, 60), timeout_s=5))
        self._targets: list[TargetOf] = []
        self._now, self._since, self._events = now, now(), 0
        people = [
            {"id": f"m-{each.n}", "name": each.name, "email": each.email, "joined_at": each.since}
            for each in cast
        ]
        gold = [row for row, each in zip(people, cast, strict=True) if each.tier == "Gold"]
        self._members = {"newcomers": people[:3], "gold": gold}

    def add(self, target: TargetOf) -> None:
        """Report every kind of event, also to this target."""
        self._targets.append(target)

    async def list_audiences(self, request: Request) -> Response:
        """List the audiences."""
        return _page(request, [self._audience(key) for key in self._members])

    async def show_audience(self, request: Request) -> Response:
        """Show one audience."""
        key = request.path_params["key"]
        if refusal := self._refusal(request):
            return refusal
        return json_response(self._audience(key))

    async def list_members(self, request: Request) -> Response:
        """List the members of an audience."""
        refusal = self._refusal(request)
        return refusal or _page(request, self._members[request.path_params["key"]])

    async def add_member(self, request: Request) -> Response:
        """Add a member by hand, and report it."""
        if refusal := self._refusal(request):
            return refusal
        key, member = request.path_params["key"], await read_json(request)
        self._members[key].append({**member, "joined_at": self._now()})
        self._events += 1
        event = {
            "id": f"ev-{self._events}",
            "type": "audience.entered",
            "at": self._now(),
            "audience": key,
            "member": member["id"],
        }
        self._send(event)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _audience(self, key: str) -> Mapping[str, Any]:
        rule = GOLD if key == "gold" else None
        size = len(self._members[key])
        times = {"created_at": self._since}
        return {"id": key, "name": key.title(), "rule": rule, "size": size, **times}

    def _refusal(self, request: Request) -> Response | None:
        if not _is_known(request):
            return Response(status_code=HTTPStatus.UNAUTHORIZED)
        is_there = request.path_params["key"] in self._members
        return None if is_there else Response(status_code=HTTPStatus.NOT_FOUND)

    def _send(self, event: Mapping[str, Any]) -> None:
        body, sent_at = msgspec.json.encode(event), int(self._now().timestamp())
        for target_of in self._targets:
            target = target_of(event["type"])
            if target is not None:
                signed = f"{sent_at}.".encode() + body
                signature = hmac.new(target.secret.encode(), signed, hashlib.sha256).hexdigest()
                headers = {"x-heron-signature": f"t={sent_at},v1={signature}"}
                self.sender.send(Message(target.url, headers, body))


def _is_known(request: Request) -> bool:
    return request.headers.get("x-heron-key") == CREDENTIALS["api_key"]


def _page(request: Request, rows: Sequence[Mapping[str, Any]]) -> Response:
    """Return a page; its cursor is a number that nobody should rely on."""
    if not _is_known(request):
        return Response(status_code=HTTPStatus.UNAUTHORIZED)
    start = int(request.query_params.get("cursor", "0"))
    end = start + min(int(request.query_params.get("limit", "20")), 100)
    cursor = str(end) if end < len(rows) else None
    return json_response({"data": rows[start:end], "next": cursor})
