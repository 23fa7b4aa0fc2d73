#!/usr/bin/env python
"""Voucherify and Emporix for benchmarks: the same responses for all servers, without delay.

Run `python bench/providers.py PORT`. It serves the calls that the gateway makes; the peers call
the same paths for the same bytes. Besides the documented fields, a row has those that the gateway
derives from them (`membership`, `email`, …), so that a peer can return them directly. Responses
are cached. `/__latency/MS` delays every response, `/__calls` returns the number of calls since
`/__reset`, `/__targets` what was called.

Customer ids of the tenant `comma` contain a comma, which Emporix's `q` cannot express, so that
they are read one by one. The tenant `few` has as many segments as Voucherify, others have more.
"""

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import uvloop

SEGMENTS = 100
MANY_SEGMENTS = 2000
MEMBERS = 200
NEAR = 5
"""Members of a segment who are members of others, too."""
GROUP, GROUP_PEOPLE = 4, 6
"""That many adjacent segments share that many near members: 20 segments have 30, 16 have 24."""
PEOPLE = MANY_SEGMENTS // GROUP * GROUP_PEOPLE
START = datetime(2025, 6, 1, 10, tzinfo=UTC)
HEAD_END = b"\r\n\r\n"
TOKEN = {"access_token": "bench", "expires_in": 14_400, "token_type": "Bearer"}


def _time(hours: int) -> str:
    return (START - timedelta(hours=hours)).isoformat(timespec="milliseconds")[:-6] + "Z"


def voucherify_segment(number: int) -> dict[str, Any]:
    """Return a segment of Voucherify; 0 is the newest."""
    kind = ("auto-update", "static", "passive")[number % 3]
    tier = {"conditions": {"$is": [f"t{number % 4}"]}}
    return {
        "id": f"seg_{number:03}",
        "name": f"Segment {number}",
        "description": None,
        "created_at": _time(number),
        "updated_at": _time(-number),
        "type": kind,
        "filter": None if kind == "static" else {"junction": "and", "customer.tier": tier},
        "metadata": {"owner": f"team-{number % 6}"},
        "object": "segment",
        "membership": "MANUAL" if kind == "static" else "RULE",
        "status": "ACTIVE",
        "emits_events": kind == "auto-update",
    }


def emporix_segment(number: int) -> dict[str, Any]:
    """Return a segment of Emporix."""
    return {
        "id": f"eseg{number:03}",
        "siteCode": "main",
        "name": {"en": f"Emporix segment {number}", "de": f"Emporix-Segment {number}"},
        "description": {"en": f"Description {number % 13}", "de": f"Beschreibung {number % 13}"},
        "status": "ACTIVE" if number % 4 else "INACTIVE",
        "validity": {"from": _time(9000), "to": "2099-12-31T23:59:59.000Z"},
        "metadata": _metadata(number),
        "membership": "MANUAL",
    }


def _metadata(number: int) -> dict[str, Any]:
    return {
        "version": 1 + number % 9,
        "createdAt": _time(number * 3),
        "modifiedAt": _time(-number),
    }


def customer(name: str) -> dict[str, Any]:
    """Return a customer of Emporix by its id, which ends in its number."""
    number = int(re.split("[-,]", name)[-1])
    return {
        "id": name,
        "customerNumber": name,
        "firstName": "Ada",
        "lastName": f"Example {number}",
        "contactEmail": f"customer{number}@example.com",
        "contactPhone": f"+49 30 {number:06}",
        "active": True,
        "type": "CUSTOMER",
        "preferredSite": "main",
        "mixins": {"loyalty": {"points": number * 37, "tier": f"t{number % 4}"}},
        "metadata": _metadata(number),
        "name": f"Ada Example {number}",
        "email": f"customer{number}@example.com",
        "phone": f"+49 30 {number:06}",
    }


def assignment(tenant: str, segment: int, index: int) -> dict[str, Any]:
    """Return the assignment at an index of a segment's list."""
    if index < NEAR:
        number = segment // GROUP * GROUP_PEOPLE + (segment * NEAR + index) % GROUP_PEOPLE
    else:
        number = PEOPLE + segment * MEMBERS + index
    name = f"cust{',' if tenant == 'comma' else '-'}{number:02}"
    return {
        "customer": {"id": name, "name": f"Ada Example {number}"},
        "assignmentType": "MANUAL",
        "metadata": _metadata(segment + index),
    }


def _page(query: dict[str, list[str]], length: int) -> range:
    size = int(query.get("pageSize", [str(length)])[0])
    first = (int(query.get("pageNumber", ["1"])[0]) - 1) * size
    return range(min(first, length), min(first + size, length))


def _listed(query: dict[str, list[str]]) -> Any:
    wanted = [int(key[-3:]) for key in query.get("ids", ())]
    numbers = wanted or range(min(int(query.get("limit", ["100"])[0]), SEGMENTS))
    data = [voucherify_segment(number) for number in numbers]
    return {"object": "list", "total": len(wanted) or SEGMENTS, "data": data}


def _customers(query: dict[str, list[str]]) -> Any:
    """Return the ids in `q=id:(a,b)`, `ids=a,b` or `ids=a&ids=b`."""
    text = ",".join([*query.get("q", ()), *query.get("ids", ())])
    return [customer(name) for name in re.findall(r"cust-\d+", text)]


Asked = dict[str, list[str]]
ROUTES: tuple[tuple[str, Callable[[Asked, re.Match[str]], Any]], ...] = (
    ("/oauth/token", lambda _, __: TOKEN),
    ("/v1/segments", lambda query, _: _listed(query)),
    (r"/v1/segments/seg_(\d+)", lambda _, at: voucherify_segment(int(at[1]))),
    (
        r"/customer-segment/(\w+)/segments",
        lambda query, at: [
            emporix_segment(number)
            for number in _page(query, SEGMENTS if at[1] == "few" else MANY_SEGMENTS)
        ],
    ),
    (r"/customer-segment/\w+/segments/eseg(\d+)", lambda _, at: emporix_segment(int(at[1]))),
    (
        r"/customer-segment/(\w+)/segments/eseg(\d+)/customers",
        lambda query, at: [
            assignment(at[1], int(at[2]), index) for index in _page(query, MEMBERS)
        ],
    ),
    (r"/customer/\w+/customers", lambda query, _: _customers(query)),
    (r"/customer/\w+/customers/(cust[-,]\d+)", lambda _, at: customer(at[1])),
)


def answer(target: str) -> bytes:
    """Return the complete response to a call."""
    parts = urlsplit(target)
    path = unquote(parts.path)
    for pattern, make in ROUTES:
        at = re.fullmatch(pattern, path)
        if at is not None:
            return _reply("200 OK", make(parse_qs(parts.query), at))
    return _reply("404 Not Found", {"code": 404, "message": path})


def _reply(status: str, document: Any) -> bytes:
    body = json.dumps(document, separators=(",", ":")).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + HEAD_END + body


class Providers:
    """The state that all connections share."""

    def __init__(self) -> None:
        """Start without calls and latency, and with an empty cache."""
        self.latency_s = 0.0
        self.calls: Counter[str] = Counter()
        self._made: dict[str, bytes] = {}

    def answer(self, target: str) -> bytes:
        """Return the response to a call, and count it."""
        if target.startswith("/__"):
            return self._control(target)
        self.calls[target] += 1
        made = self._made.get(target)
        if made is None:
            made = self._made[target] = answer(target)
        return made

    def _control(self, target: str) -> bytes:
        if target == "/__reset":
            self.calls.clear()
        elif target.startswith("/__latency/"):
            self.latency_s = float(target.rpartition("/")[2]) / 1000
        elif target == "/__targets":
            return _reply("200 OK", [*self.calls])
        return _reply("200 OK", {"calls": self.calls.total(), "distinct": len(self.calls)})


class Connection(asyncio.Protocol):
    """One connection: a response for every complete request, in order."""

    transport: asyncio.Transport

    def __init__(self, providers: Providers) -> None:
        """Serve these providers."""
        self._providers = providers
        self._incomplete = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its bases

    def data_received(self, data: bytes) -> None:
        """Respond to the complete requests."""
        self._incomplete += data
        answers = []
        while (end := self._incomplete.find(HEAD_END)) >= 0:
            head = self._incomplete[:end]
            size = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            end += len(HEAD_END) + (int(size[1]) if size else 0)
            if end > len(self._incomplete):
                break
            self._incomplete = self._incomplete[end:]
            answers.append(self._providers.answer(head.split(b" ", 2)[1].decode("latin-1")))
        if not answers:
            return
        wait = self._providers.latency_s
        if wait:
            asyncio.get_running_loop().call_later(wait, self._write, b"".join(answers))
        else:
            self.transport.write(b"".join(answers))

    def _write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)


async def main(port: int) -> None:
    """Serve on loopback until killed; print one line when ready."""
    providers = Providers()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(providers), "127.0.0.1", port, backlog=4096
    )
    print(f"listening at {port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
