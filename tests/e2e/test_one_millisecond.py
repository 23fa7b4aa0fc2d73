"""More of Voucherify's rows were created in one millisecond than a page has: by an import."""

from typing import Any

import httpx
from starlette.types import ASGIApp

from gateway.sandbox.voucherify.app import CREDENTIALS
from tests.e2e.serving import Front, Providers, serving

SEGMENTS = """query($after: String) {
  segments(first: 250, after: $after, filter: {providers: ["voucherify"]}) {
    nodes { name } pageInfo { hasNextPage endCursor } sources { error { code } } } }"""
CUSTOMERS = """query($after: String) {
  customers(first: 250, after: $after, filter: {providers: ["voucherify"]}) {
    nodes { id } pageInfo { hasNextPage endCursor } sources { error { code } } } }"""
IMPORTED = 9_900
"""As many as the pages of the whole list reach: where the import began is not on the last one."""


async def send(server: ASGIApp, path: str, body: Any) -> None:
    """Send a write to a provider's server, past the gateway."""
    headers = {"x-app-id": CREDENTIALS["app_id"], "x-app-token": CREDENTIALS["app_token"]}
    transport = httpx.ASGITransport(server)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        reply = await client.post(path, json=body, headers=headers)
        assert reply.is_success, reply.text


async def walked(front: Front, query: str, field: str) -> list[str]:
    """Read a list to its end; return one field of its rows."""
    rows, after = [], None
    while True:
        (page,) = (await front.data(query, {"after": after})).values()
        assert page["sources"] == [{"error": None}]
        rows += [node[field] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            return rows
        after = page["pageInfo"]["endCursor"]


async def test_segments_of_one_millisecond() -> None:
    """Each is listed once, before the older ones."""
    async with serving(Providers()) as front:
        old = await walked(front, SEGMENTS, "name")
        names = [f"Made at once {n}" for n in range(500)]
        for name in names:
            await send(front.providers.real("voucherify"), "/v1/segments", {"name": name})
        found = await walked(front, SEGMENTS, "name")
    assert sorted(found[:500]) == sorted(names)
    assert found[500:] == old


async def test_customers_of_one_millisecond() -> None:
    """An import that ends where the pages of the whole list do is read by its own pages."""
    async with serving(Providers()) as front:
        old = await walked(front, CUSTOMERS, "id")
        rows = [{"source_id": f"import-{n}"} for n in range(IMPORTED)]
        await send(front.providers.real("voucherify"), "/v1/customers/bulk/async", rows)
        found = await walked(front, CUSTOMERS, "id")
    assert len(set(found)) == len(found) == IMPORTED + len(old)
    assert found[IMPORTED:] == old
