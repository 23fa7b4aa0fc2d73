"""GraphiQL in a real browser: it loads from this server alone and its examples run as they are."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from gateway.http.app import PAGES
from gateway.http.pages.examples import examples

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OPERATION = re.compile(r"^(query|mutation|subscription) (\w+)", re.MULTILINE)
OPERATIONS = [
    found.groups()
    for found in (OPERATION.search(each["query"]) for each in examples())
    if found is not None
]
IN_CI = os.environ.get("CI") == "true"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not IN_CI, reason="Chromium is missing: apt-get install chromium"
    ),
    pytest.mark.skipif(
        not (PAGES / "index.html").is_file() and not IN_CI, reason="run `make pages` first"
    ),
]


@contextlib.contextmanager
def served(*arguments: str) -> Iterator[str]:
    """Serve as a person does, by the command; without arguments the sandbox."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gateway", "serve", "--port", str(port), *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(600):
                try:
                    with urllib.request.urlopen(f"{found}/livez", timeout=1):
                        break
                except (urllib.error.URLError, ConnectionError):
                    time.sleep(0.05)
            yield found
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve the sandbox."""
    with served() as found:
        yield found


@dataclass
class Visit:
    """A page, and what the browser did and said."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def visiting(address: str) -> AsyncIterator[Visit]:
    """Open GraphiQL in a fresh browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        found = Visit(page)
        page.on("request", lambda request: found.requests.append(request.url))
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                found.complaints.append(message.text)
                if message.type in {"error", "warning"}
                else None
            ),
        )
        await page.goto(f"{address}/graphql")
        await expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text(
            "SegmentsOfEveryProvider", timeout=30_000
        )
        yield found
        await browser.close()


@pytest.fixture
async def visit(address: str) -> AsyncIterator[Visit]:
    """Visit the sandbox, where the first example runs by itself."""
    async with visiting(address) as found:
        await expect(found.page.locator(".result-window")).to_contain_text("totalCount")
        yield found


async def run(page: Page, name: str) -> Any:
    """Open the tab of an operation, run it, and return its answer."""
    await page.locator(".graphiql-tab-button", has_text=name).click()
    await expect(page.locator(".graphiql-tab-active")).to_contain_text(name)
    await expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text(name)
    # GraphiQL itself waits for 100 ms before it reads the operation's name from the editor, and
    # shows nowhere that it has.
    await page.wait_for_timeout(300)
    async with page.expect_response(lambda r: r.request.method == "POST") as got:
        await page.get_by_role("button", name="Execute query").click()
    response = await got.value
    assert json.loads(response.request.post_data or "{}")["operationName"] == name
    return await response.json()


async def test_it_loads_from_this_server_alone(visit: Visit, address: str) -> None:
    """The page shows, the schema appears, nothing complains, no request leaves the machine."""
    page = visit.page
    front = page.get_by_role("link", name="Segment gateway")
    await expect(front).to_have_attribute("href", "/")
    assert await page.title() == "Segment gateway – GraphiQL"
    await page.get_by_role("button", name="Show Documentation Explorer").click()
    await page.locator(".graphiql-plugin").get_by_role("link", name="Query").first.click()
    await expect(page.locator(".graphiql-plugin")).to_contain_text("segmentMemberships")
    assert [url for url in visit.requests if not url.startswith((address, "data:"))] == []
    assert visit.complaints == []


async def test_every_example_runs_as_it_is(visit: Visit) -> None:
    """Each tab answers data and no error, and shows the calls that it took."""
    tabs = await visit.page.locator(".graphiql-tab-button").all_text_contents()
    assert tabs == [name for _, name in OPERATIONS]
    for name in (name for kind, name in OPERATIONS if kind != "subscription"):
        answer = await run(visit.page, name)
        assert "errors" not in answer, (name, answer)
        assert answer["data"], name
    assert visit.complaints == []


async def test_examples_name_what_this_gateway_has(tmp_path: Path) -> None:
    """With the README's keys each tab runs, and each string in it is of this configuration."""
    accounts = {
        "receivables": "stuut",
        "loyalty": "voucherify",
        "shop": "instaleap",
        "acme-emporix": "emporix",
    }
    tables = "".join(
        f'[[providers]]\nkey = "{key}"\nkind = "{kind}"\nbase_url = "sandbox:"\n'
        for key, kind in accounts.items()
    )
    file = tmp_path / "gateway.toml"
    file.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/gateway.db"\n{tables}')
    with served("--config", str(file)) as address:
        async with visiting(address) as found:
            for kind, name in OPERATIONS:
                if kind == "subscription":
                    continue
                answer = await run(found.page, name)
                assert "errors" not in answer, (name, answer)
                shown = await found.page.locator(".graphiql-query-editor").inner_text()
                assert not re.search('"(stuut|voucherify|emporix|crm-00000)"', shown)
                rows = [each for each in answer["data"].values() if isinstance(each, dict)]
                assert all(each.get("nodes") != [] for each in rows), (name, answer)
            assert found.complaints == []


async def test_a_subscription(visit: Visit, address: str) -> None:
    """The example shows a change that a mutation makes meanwhile."""
    page = visit.page
    await page.locator(".graphiql-tab-button", has_text="Changes").click()
    await expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text("Changes")
    await page.wait_for_timeout(300)  # as in `run`
    async with page.expect_websocket() as connecting:
        await page.get_by_role("button", name="Execute query").click()
    assert (await connecting.value).url == f"{address.replace('http', 'ws')}/graphql"
    shown = page.locator(".result-window .view-lines")
    for number in range(100):  # the first may come before the subscription has started
        await asyncio.to_thread(create_segment, address, f"seen-{number}")
        with contextlib.suppress(AssertionError):
            await expect(shown).to_contain_text("CREATED", timeout=500)
            break
    await expect(shown).to_contain_text("seen-")
    assert visit.complaints == []


def create_segment(address: str, key: str) -> None:
    """Create a segment of Emporix."""
    given = {"provider": "emporix", "externalId": key, "name": key, "siteCode": "main"}
    query = "mutation($i: SegmentCreateInput!) { segmentCreate(input: $i) { segment { id } } }"
    request = urllib.request.Request(
        f"{address}/graphql",
        json.dumps({"query": query, "variables": {"i": given}}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert json.load(reply)["data"]["segmentCreate"]["segment"]


async def test_it_has_a_header_editor_and_an_explorer(visit: Visit) -> None:
    """A caller can send headers of their own and click a query together."""
    page = visit.page
    await page.get_by_role("button", name="Headers", exact=True).click()
    shown = page.locator(".graphiql-editor-tool .graphiql-editor:not(.hidden) .view-lines")
    await expect(shown).to_contain_text("X-Show-Calls")
    await page.get_by_role("button", name="Show GraphiQL Explorer").click()
    await expect(page.locator(".graphiql-plugin")).to_contain_text("segments")


async def test_it_is_usable_on_a_phone(visit: Visit) -> None:
    """At 390 pixels nothing stands out to the right and the query can be run."""
    page = visit.page
    await page.set_viewport_size({"width": 390, "height": 844})
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    assert (await run(page, "Providers"))["data"]["providers"]
