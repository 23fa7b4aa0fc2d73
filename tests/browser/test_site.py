"""The documentation site, opened as a file: it needs no server and no network."""

import pytest
from playwright.async_api import async_playwright, expect

from tests.browser.test_graphiql import CHROMIUM, FLAGS, IN_CI
from tests.browser.test_pages import assert_accessible
from tests.snippets import ROOT

SITE = ROOT / "dist" / "docs"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not IN_CI, reason="Chromium is missing: apt-get install chromium"
    ),
    pytest.mark.skipif(not SITE.is_dir() and not IN_CI, reason="run `make docs` first"),
]


async def test_it_works_offline() -> None:
    """A reader finds a page by a word; pages are accessible; nothing is requested elsewhere."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(viewport={"width": 390, "height": 800})
        elsewhere: list[str] = []
        complaints: list[str] = []
        page.on(
            "request",
            lambda each: (
                None if each.url.startswith(("file:", "data:")) else elsewhere.append(each.url)
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{SITE.as_uri()}/search.html?q=idempotency+key")
        result = page.locator("#search-results").get_by_role(
            "link", name="How do I write safely with idempotency keys?"
        )
        await result.first.click()
        await expect(page.locator("h1")).to_contain_text(
            "How do I write safely with idempotency keys?"
        )
        for path in ("index", "tutorial/README", "reference/settings"):
            await page.goto(f"{SITE.as_uri()}/{path}.html")
            await assert_accessible(page)
        assert (elsewhere, complaints) == ([], [])
        await browser.close()
