"""Pages while the server is restarted."""

import contextlib
import sys
from pathlib import Path

from playwright.async_api import Browser, Page, expect

from tests.browser.test_graphiql import pytestmark
from tests.browser.test_pages import browser, data, opened
from tests.proxies.processes import free_port, process, sandbox_running
from tests.resilience.gateways import START_S, serving

__all__ = ["browser", "pytestmark"]

UNREACHABLE = "ERR_CONNECTION_REFUSED"
PATIENCE_MS = 30_000
CREATE = """mutation ($i: SegmentCreateInput!)
  { segmentCreate(input: $i) { userErrors { message } } }"""


async def create(address: str, *names: str) -> None:
    """Create segments at Emporix."""
    for name in names:
        inputs = {"provider": "emporix", "name": name, "siteCode": "main"}
        await data(address, CREATE, {"i": inputs})


async def shows(page: Page, *names: str) -> None:
    """Assert that it is live, and that these are all of the latest changes, newest first."""
    await expect(page.get_by_role("status").get_by_text("Live")).to_be_visible(timeout=PATIENCE_MS)
    changes = page.locator(".changes li")
    await expect(changes).to_contain_text(list(names), timeout=PATIENCE_MS)
    await expect(changes).to_have_count(len(names))


async def test_with_a_store(browser: Browser, tmp_path: Path) -> None:
    """The page resumes by itself where it stood: what happened meanwhile is there, once."""
    port = free_port()
    address, store = f"http://127.0.0.1:{port}", f"sqlite:///{tmp_path}/gateway.db"
    with sandbox_running() as (_, sandbox), contextlib.ExitStack() as first:
        first.enter_context(serving(tmp_path, store, sandbox, port=port))
        async with opened(browser, address, is_refused=True, expected=UNREACHABLE) as page:
            await expect(page.get_by_text("No change is known")).to_be_visible()
            await create(address, "before")
            await shows(page, "before")
            first.close()
            await expect(page.get_by_text("Reconnecting")).to_be_visible(timeout=PATIENCE_MS)
            with serving(tmp_path, store, sandbox, port=port):
                await create(address, "one", "two", "three")
                await shows(page, "three", "two", "one", "before")
                await expect(page.get_by_text("read anew")).to_have_count(0)


async def test_with_a_new_record(browser: Browser, tmp_path: Path) -> None:
    """As `make serve` has it: the page reads anew, and says so."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gateway", "serve", "--port", str(port)]
    with contextlib.ExitStack() as first:
        first.enter_context(process(command, tmp_path / "first.log", port, patience_s=START_S))
        async with opened(browser, address, is_refused=True, expected=UNREACHABLE) as page:
            newest = page.locator(".changes li").first
            await expect(page.get_by_role("status").get_by_text("Live")).to_be_visible()
            await create(address, "of the old record")
            await expect(newest).to_contain_text("of the old record")
            first.close()
            await expect(page.get_by_text("Reconnecting")).to_be_visible(timeout=PATIENCE_MS)
            with process(command, tmp_path / "second.log", port, patience_s=START_S):
                await create(address, "of the new record")
                note = page.get_by_text("read anew after the server restarted")
                await expect(note).to_be_visible(timeout=PATIENCE_MS)
                await expect(newest).to_contain_text("of the new record", timeout=PATIENCE_MS)
                await expect(page.get_by_text("of the old record")).to_have_count(0)
