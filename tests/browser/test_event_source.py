"""A browser's own `EventSource` follows changes where nobody signs in."""

import asyncio
import json
import urllib.request
from typing import Any

from playwright.async_api import async_playwright

from tests.browser.test_graphiql import CHROMIUM, FLAGS, create_segment, pytestmark, served
from tests.clients.cutting import relaying
from tests.clients.test_subscriptions import QUERY
from tests.e2e.serving import segment_id
from tests.proxies.processes import PATIENCE_S
from tests.test_docs import ROOT

__all__ = ["pytestmark"]

FOLLOW = (ROOT / "docs" / "clients" / "event-source.js").read_text(encoding="utf-8")


def cursor(address: str) -> str:
    """Return where the log stands."""
    request = urllib.request.Request(
        f"{address}/graphql",
        b'{"query":"{ changesCursor }"}',
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
        found: str = json.load(reply)["data"]["changesCursor"]
        return found


async def test_cut_off() -> None:
    """It shows each change once, in order, also one that was made while it was cut off."""
    with served() as address, relaying(int(address.rpartition(":")[2])) as relay:
        created: list[str] = []

        async def create() -> None:
            key = f"source-{len(created)}"
            await asyncio.to_thread(create_segment, address, key)
            created.append(segment_id("emporix", key))

        after = cursor(address)
        await create()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            # Only pages that the gateway serves may connect to it, and this one loads quickly.
            context = await browser.new_context(bypass_csp=True)
            page = await context.new_page()
            await page.goto(f"http://127.0.0.1:{relay.port}/livez")
            arguments = f"{json.dumps(QUERY)}, {json.dumps({'after': after})}"
            begin = f"window.seen = []; follow({arguments}, (each) => seen.push(each)); null"
            await page.evaluate(FOLLOW + begin)

            async def shown(count: int) -> Any:
                timeout = 1000 * PATIENCE_S
                await page.wait_for_function(f"seen.length >= {count}", timeout=timeout)
                return [
                    each["data"]["changed"]["segmentId"] for each in await page.evaluate("seen")
                ]

            await create()
            assert await shown(2) == created
            assert await asyncio.to_thread(relay.cut) >= 1
            await create()
            assert await shown(3) == created
            await create()
            assert await shown(4) == created
            await browser.close()
