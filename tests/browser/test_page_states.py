"""What the pages say and do while data is missing: not yet read, refused, gone, or not valid."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, expect

from gateway.auth.api_keys import make
from gateway.domain.entities import Ref
from resolvers import global_ids
from resolvers.global_ids import Kind
from tests.browser.test_graphiql import pytestmark, served
from tests.browser.test_pages import browser, data, opened, sign_in, two_segments

__all__ = ["browser", "pytestmark"]

PHONE = 390
ROOM = 150
"""Enough for a name of 20 letters."""
COUNT_SHIFTS = """
  window.shifted = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.shifted += entry.value;
  }).observe({type: 'layout-shift', buffered: true});
"""
CONFIGURATION = """
[[auth.keys]]
name = "metrics"
hash = "{hash}"
scopes = ["metrics:read"]

[store]
url = "sqlite:///{folder}/gateway.db"

[[providers]]
key = "loyalty"
kind = "voucherify"
base_url = "sandbox:"
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve the sandbox."""
    with served() as found:
        yield found


@pytest.fixture(scope="module")
def restricted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Serve with a key that may read no data; return the address and the key."""
    key, hashed = make()
    folder = tmp_path_factory.mktemp("restricted")
    file = folder / "gateway.toml"
    file.write_text(CONFIGURATION.format(hash=hashed, folder=folder))
    with served("--config", str(file)) as found:
        yield found, key


@contextlib.asynccontextmanager
async def held(page: Page) -> AsyncIterator[None]:
    """Hold all responses of the gateway until this ends."""
    release = asyncio.Event()

    async def hold(route: Route) -> None:
        await release.wait()
        await route.continue_()

    await page.route("**/graphql", hold)
    yield
    release.set()
    await page.unroute_all(behavior="wait")


@contextlib.asynccontextmanager
async def altered(
    page: Page, operation: str, change: Callable[[Any], None]
) -> AsyncIterator[None]:
    """Change the data of an operation's responses on their way to the page until this ends."""

    async def alter(route: Route) -> None:
        if json.loads(route.request.post_data or "{}").get("operationName") != operation:
            return await route.fallback()
        response = await route.fetch()
        body = await response.json()
        change(body["data"])
        return await route.fulfill(response=response, json=body)

    await page.route("**/graphql", alter)
    try:
        yield
    finally:  # the page may be reading again: its end would be an error of the handler
        await page.unroute_all(behavior="ignoreErrors")


async def test_nothing_moves_when_the_data_arrives(address: str, browser: Browser) -> None:
    """What is shown while the data is read stays where it is, also on a phone."""
    first, second = await two_segments(address)
    shown = {
        "/": "Latest changes",
        "/person?provider=voucherify&key=crm-00000": "Link another customer",
        f"/compare?segment={first}&segment={second}": "Regions",
        "/segments": "Gold and Silver in Germany",
    }
    for path, text in shown.items():
        async with opened(browser, f"{address}/livez", width=PHONE) as page:
            await page.add_init_script(COUNT_SHIFTS)
            async with held(page):
                await page.goto(address + path)
                await expect(page.locator(".loading").first).to_be_visible()
                mark = page.get_by_role("status").filter(has_text="onnecting")
                await expect(mark).to_have_text("Connecting")
            await expect(page.get_by_text(text).first).to_be_visible()
            await expect(page.locator(".loading")).to_have_count(0)
            # Up to 0.1 counts as good (web.dev/articles/cls).
            assert await page.evaluate("shifted") < 0.1, path


async def test_no_such_page(address: str, browser: Browser) -> None:
    """A wrong address says so, and leads on."""
    async with opened(browser, f"{address}/nothing", is_refused=True) as page:
        await expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
        await page.get_by_role("link", name="Go to the overview").click()
        await expect(page).to_have_url(f"{address}/")


async def test_a_provider_that_is_down_is_not_slow(address: str, browser: Browser) -> None:
    """The time until a failure says nothing about a provider's latency."""

    def fail(data: Any) -> None:
        [stuut] = [each for each in data["providers"] if each["key"] == "stuut"]
        stuut["health"] |= {"status": "DOWN", "latencyMsP95": 5000}

    async with opened(browser, f"{address}/livez") as page, altered(page, "Overview", fail):
        await page.goto(address)
        stuut = page.get_by_role("article", name="Stuut")
        await expect(stuut).to_contain_text("5,000 ms")
        await expect(stuut).not_to_contain_text("slowest")
        await expect(page.locator(".totals dd").first).to_have_text("4 · 1 down")


async def test_links_can_be_read_on_a_phone(address: str, browser: Browser) -> None:
    """The names of the linked customers have room."""
    url = f"{address}/person?provider=voucherify&key=crm-00000"
    async with opened(browser, url, width=PHONE) as page:
        linked = page.locator(".changes li", has_text="Linked").first.locator(".grow")
        await expect(linked).to_be_visible()
        box = await linked.bounding_box()
        assert box is not None
        assert box["width"] > ROOM


async def test_a_clock_that_is_behind(address: str, browser: Browser) -> None:
    """What has happened is not in the future, whatever the browser's clock says."""
    async with opened(browser, f"{address}/livez") as page:
        await page.clock.set_fixed_time(datetime.now(UTC) - timedelta(hours=1))
        await page.goto(f"{address}/person?provider=voucherify&key=crm-00000")
        linked = page.locator(".changes li", has_text="Linked").first
        await expect(linked.locator("time")).to_have_text("now")


async def test_a_member_leads_to_the_person(address: str, browser: Browser) -> None:
    """From a segment's members to all that the providers know of one of them."""
    query = """{ segments(first: 1, filter: {providers: ["voucherify"], nameContains: "Gold m"}) {
        nodes { id customersCount { count } } } }"""
    [segment] = (await data(address, query))["segments"]["nodes"]
    many = segment["customersCount"]["count"]
    async with opened(browser, f"{address}/segments/{segment['id']}") as page:
        await expect(page.get_by_text(f"1–{many} of {many} members")).to_be_visible()
        member = page.get_by_role("region", name="Members").locator("tbody th a").first
        name = await member.inner_text()
        await member.click()
        await expect(page.get_by_role("heading", name=name)).to_be_visible()


async def test_a_segment_outside_its_period_is_not_active(address: str, browser: Browser) -> None:
    """Its page says the same as the table."""
    async with opened(browser, f"{address}/segments?provider=emporix&search=sale") as page:
        await expect(page.locator("tbody .badge")).to_have_text(["Not valid now"])
        await page.locator("tbody th a").click()
        await expect(page.locator(".heading .badge")).to_have_text("Not valid now")


async def test_a_compared_segment_that_is_gone(address: str, browser: Browser) -> None:
    """It is named as gone, and can be taken out of the comparison."""
    first, second = await two_segments(address)
    gone = global_ids.of_ref(Kind.SEGMENT, Ref("emporix", "gone"))
    path = f"/compare?segment={first}&segment={gone}&segment={second}"
    async with opened(browser, address + path) as page:
        await page.get_by_role("button", name="Remove A segment that is gone").click()
        await expect(page.get_by_role("heading", name="Regions")).to_be_visible()
        await expect(page).to_have_url(re.compile(f"segment={first}&segment={second}$"))


async def test_what_may_not_be_seen_is_not_empty(
    restricted: tuple[str, str], browser: Browser
) -> None:
    """Who may not see changes reads why, instead of "none"; the bar says who is signed in."""
    address, key = restricted
    async with opened(browser, address, is_refused=True) as page:
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await expect(page.locator(".live")).to_have_count(0)
        await sign_in(page, key)
        await expect(page.get_by_role("alert")).to_have_count(2)
        await expect(page.get_by_text("No change is known")).to_have_count(0)
        await expect(page.get_by_text(f"Signed in: {key[:12]}…")).to_have_count(1)
        assert key[26:] not in await page.content()
        await page.get_by_role("link", name="Compare").click()
        await expect(page.get_by_role("alert")).to_contain_text("does not allow this")
