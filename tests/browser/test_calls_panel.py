"""GraphiQL's panel Calls: a batch, a retry, a shared call, a cached and a stale answer."""

import asyncio
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from gateway.sandbox.app import Sandbox
from gateway.sandbox.faults import Fault
from tests.browser.test_graphiql import pytestmark
from tests.browser.test_pages import assert_accessible, browser, opened
from tests.proxies.processes import sandbox_running
from tests.resilience.gateways import serving

__all__ = ["browser", "pytestmark"]

SETTINGS = "[server]\ncache_ttl_s = 3\n"
SLOW_MS = 3_000
DOWN = Fault("emporix", "error", path="/customer-segment")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Sandbox]]:
    """Serve a gateway that keeps replies for a moment and retries, over a sandbox of its own."""
    folder = tmp_path_factory.mktemp("calls")
    store = f"sqlite:///{folder}/gateway.db"
    with (
        sandbox_running() as (sandbox, port),
        serving(folder, store, port, SETTINGS, provider="retries = 3") as gateway,
    ):
        yield f"http://127.0.0.1:{gateway.port}", sandbox


def query(*keys: str) -> str:
    """Return a query of segments of Emporix."""
    ids = [
        urlsafe_b64encode(json.dumps(["s", "emporix", key], separators=(",", ":")).encode())
        .rstrip(b"=")
        .decode()
        for key in keys
    ]
    return f"query Segments {{ nodes(ids: {json.dumps(ids)}) {{ ... on Segment {{ name }} }} }}"


async def test_providers_that_hang_do_not_hold_up_a_first_visit(
    served: tuple[str, Sandbox], browser: Browser
) -> None:
    """What the examples could name is asked for no longer than once the patience of the page."""
    address, sandbox = served
    sandbox.faults.replace([Fault("emporix", "hang"), Fault("voucherify", "hang")])
    asked: list[str] = []
    try:
        async with opened(browser, f"{address}/livez") as page:
            page.on("request", lambda each: asked.append(each.post_data or ""))
            await page.goto(f"{address}/graphql")
            tabs = page.locator(".graphiql-tab-button")
            await expect(tabs.first).to_have_text("SegmentsOfEveryProvider", timeout=30_000)
            assert "OneCustomer" not in await tabs.all_text_contents()
    finally:
        sandbox.faults.replace([])
    tailoring = [each for each in asked if "$key" in each]
    assert len(tailoring) == 2  # one of each provider; nothing after those


async def heal_after(sandbox: Sandbox, calls: int) -> None:
    """Remove the faults once this many calls have arrived."""
    before = sandbox.counts["emporix"]
    while sandbox.counts["emporix"] < before + calls:  # noqa: ASYNC110  # it is in a thread
        await asyncio.sleep(0.002)
    sandbox.faults.replace([])


async def visit(page: Page, address: str, text: str) -> Locator:
    """Open GraphiQL with one example, which runs at once; return the rows of the panel."""
    example = [{"name": "segments", "query": text, "variables": None, "headers": None}]
    await page.route("**/examples.json", lambda route: route.fulfill(json=example))
    await page.goto(f"{address}/graphql")
    await page.get_by_role("button", name="Show Calls").click()
    await expect(page.locator(".result-window")).to_contain_text("nodes", timeout=30_000)
    return page.locator(".calls li")


async def sent(
    client: httpx.AsyncClient, url: str, text: str, sandbox: Sandbox
) -> asyncio.Task[httpx.Response]:
    """Send a query again and again until it is under way at the provider; return its request."""
    before = sandbox.counts["emporix"]
    while True:
        request = asyncio.create_task(client.post(url, json={"query": text}))
        while not request.done():
            await asyncio.sleep(0.002)  # until it is sent or answered
            if sandbox.counts["emporix"] > before:
                return request


async def test_each_is_shown_as_what_it_is(served: tuple[str, Sandbox], browser: Browser) -> None:
    """In the order in which somebody would meet them."""
    address, sandbox = served
    execute = "Execute query"
    text = query("vip-2026", "wholesale-partners")  # in no example
    async with asyncio.timeout(120), opened(browser, f"{address}/livez") as page:
        sandbox.faults.replace([DOWN])
        healing = asyncio.create_task(heal_after(sandbox, 2))  # one signs in
        rows = await visit(page, address, text)
        await healing
        await expect(rows.nth(0)).to_contain_text("oauth.token")
        await expect(rows.nth(1)).to_contain_text("503 · PROVIDER_BROKEN · batch of 2")
        await expect(rows.last).to_contain_text("200 · attempt")
        await expect(rows.last).to_contain_text("batch of 2")

        await page.get_by_role("button", name=execute).click()
        await expect(rows).to_contain_text(["from the cache · batch of 2"])
        panel = page.get_by_label("Calls", exact=True)
        await expect(panel).to_contain_text("0 calls in")
        await expect(panel).to_contain_text(re.compile(r"Cost [\d,]+, [\d,]+ left to spend"))
        for part in (".graphiql-plugin", ".graphiql-logo"):
            await assert_accessible(page, part)

        sandbox.faults.replace([DOWN])
        stale = page.get_by_text("stale: the provider does not answer · batch of 2")
        for _ in range(200):  # until the reply is no longer fresh
            async with page.expect_response(lambda r: r.request.method == "POST"):
                await page.get_by_role("button", name=execute).click()
            if await stale.is_visible():
                break
        await expect(stale).to_be_visible()

        sandbox.faults.replace([Fault("emporix", latency_ms=SLOW_MS, path="/customer-segment")])
        async with httpx.AsyncClient(timeout=30) as client:
            other = await sent(client, f"{address}/graphql", text, sandbox)
            before = sandbox.counts["emporix"]
            await page.get_by_role("button", name=execute).click()
            await expect(rows).to_contain_text(
                ["shared with another request · batch of 2"], timeout=2 * SLOW_MS
            )
            assert (await other).status_code == httpx.codes.OK
        assert sandbox.counts["emporix"] == before
    sandbox.faults.replace([])
