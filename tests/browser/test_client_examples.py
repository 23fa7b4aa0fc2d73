"""The examples of clients: each is type-checked, built, and used in a real browser."""

import asyncio
import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx
import pytest
from playwright.async_api import Locator, Page, Request, Route, async_playwright, expect

from gateway.sandbox.faults import Fault
from gateway.sandbox.identity_rules import rules_as_toml
from tests.browser.test_graphiql import CHROMIUM, FLAGS, IN_CI
from tests.browser.test_tutorial import files
from tests.clients.test_query import BIN
from tests.e2e.known import HIRO, HIRO_AT
from tests.e2e.serving import segment_id
from tests.proxies.processes import PATIENCE_S, Gateway, gateway_running, need
from tests.snippets import ROOT

pytestmark = [
    pytest.mark.browser,
    pytest.mark.clients,
    pytest.mark.skipif(
        CHROMIUM is None and not IN_CI, reason="Chromium is missing: apt-get install chromium"
    ),
]

EXAMPLES = ("react-apollo", "react-relay", "urql")
PERSON = """query ($identity: CustomerIdentityInput!) {
  person(identity: $identity) { segments { nodes { name provider { displayName } } } }
}"""
ASSIGN = """mutation ($input: AssignmentCreateInput!) {
  result: assignmentCreate(input: $input) { userErrors { message } }
}"""
CREATE = """mutation ($input: SegmentCreateInput!) {
  result: segmentCreate(input: $input) { userErrors { message } }
}"""
DELETE = """mutation ($input: SegmentDeleteInput!) {
  result: segmentDelete(input: $input) { userErrors { message } }
}"""
CRM = {"provider": "voucherify", "externalId": "crm-00001"}
"""The person that the examples show at first."""
NO_ERRORS: Mapping[str, Any] = {"result": {"userErrors": []}}


class Site(NamedTuple):
    """Where the built examples are, and the gateway that they use."""

    folder: Path
    origin: str
    gateway: Gateway

    @property
    def url(self) -> str:
        """The gateway's endpoint."""
        return f"http://127.0.0.1:{self.gateway.port}/graphql"

    async def data(self, query: str, **variables: Any) -> Any:
        """Send an operation, as another client does."""
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
            reply = await client.post(self.url, json={"query": query, "variables": variables})
        assert "errors" not in reply.json(), reply.text
        return reply.json()["data"]


@pytest.fixture(autouse=True)
def _patience() -> Iterator[None]:
    """Wait longer than Playwright's 5 seconds: other tests run at the same time."""
    expect.set_options(timeout=1000 * PATIENCE_S)
    yield
    expect.set_options(timeout=5000)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve a folder, and a gateway that lets the pages in it send requests."""
    folder = tmp_path_factory.mktemp("site")
    with files(folder) as origin:
        server = f'cors_origins = ["{origin}"]'
        state = tmp_path_factory.mktemp("gateway")
        with gateway_running(state, [], server, tables=rules_as_toml()) as gateway:
            yield Site(folder, origin, gateway)


def build(name: str, site: Site) -> str:
    """Build an example as its README says, for this gateway; return its address."""
    folder = ROOT / "examples" / name
    npm = need("npm", "npm", BIN)
    if not (folder / "node_modules").is_dir():
        message = "the examples' packages are missing: make clients"
        if IN_CI:
            pytest.fail(message)
        pytest.skip(message)
    path = f"{os.environ.get('PATH', '')}{os.pathsep}{BIN}"
    options = (
        "--outDir",
        site.folder / name,
        "--base",
        f"/{name}/",
        "--emptyOutDir",
        "--logLevel",
        "error",
    )
    done = subprocess.run(
        [npm, "run", "build", "--", *options],
        cwd=folder,
        # React and the clients complain of mistakes only in development.
        env={
            **os.environ,
            "PATH": path,
            "NODE_ENV": "development",
            "VITE_GATEWAY_URL": site.url,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * PATIENCE_S,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return f"{site.origin}/{name}/"


class Held:
    """A mutation that the page has sent, and that is on its way until it is let go."""

    def __init__(self, page: Page) -> None:
        """Hold the next mutation of the page."""
        self._page = page
        self._route: asyncio.Future[Route] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        """Begin to wait for it."""
        await self._page.route("**/graphql", self._seen)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop holding mutations."""
        await self._page.unroute("**/graphql", self._seen)

    async def _seen(self, route: Route) -> None:
        if "assignmentCreate" in (route.request.post_data or "") and not self._route.done():
            self._route.set_result(route)
        else:
            await route.continue_()

    async def input(self) -> Mapping[str, str]:
        """Return its input."""
        request: Request = (await self._route).request
        variables: Mapping[str, Any] = json.loads(request.post_data or "")["variables"]
        given: Mapping[str, str] = variables["input"]
        return given

    async def arrive(self) -> None:
        """Let it reach the gateway."""
        await (await self._route).continue_()

    async def get_lost(self) -> None:
        """Let it fail on its way."""
        await (await self._route).abort()


class Shown:
    """What a page shows, and what its user does."""

    def __init__(self, page: Page) -> None:
        """Find the parts of the page."""
        self.page = page
        self.name = page.get_by_role("heading", level=2)
        self.customers = self._items("Customers")
        self.segments = self._items("Segments")
        self.changes = self._items("Changes")
        self.alerts = page.get_by_role("alert")

    def _items(self, of_list: str) -> Locator:
        return self.page.get_by_role("list", name=of_list).get_by_role("listitem")

    async def search(self, text: str) -> None:
        """Search for a person."""
        await self.page.get_by_label("Email address, or provider:key").fill(text)
        await self.page.get_by_role("button", name="Show").click()

    async def assign(self, segment: str) -> None:
        """Choose a segment and press the button; it is shown while it is saved."""
        await self.page.get_by_label("Assign to").select_option(label=segment)
        await self.page.get_by_role("button", name="Assign").click()
        await expect(self.segments.last).to_have_text(f"{segment} – saving …")


async def listed(site: Site) -> Sequence[str]:
    """Return the segments of the person, as the page shows them."""
    data = await site.data(PERSON, identity=CRM)
    nodes = data["person"]["segments"]["nodes"]
    return [f"{each['name']} ({each['provider']['displayName']})" for each in nodes]


async def assert_live(shown: Shown, site: Site, name: str) -> None:
    """Assert that what another client assigns appears."""
    given = {
        "segmentId": segment_id("emporix", f"{name}-entered"),
        "identity": {"provider": "emporix", "externalId": HIRO_AT["emporix"]},
    }
    assert await site.data(ASSIGN, input=given) == NO_ERRORS
    await expect(shown.changes).to_have_text([f"ENTERED: {name}: entered"])
    await expect(shown.segments).to_have_text(await listed(site))


async def assert_repeatable(shown: Shown, site: Site, name: str) -> str:
    """Assert that a lost mutation is repeated with the same key; return the key."""
    segment = f"{name}: assigned (Emporix)"
    before = await listed(site)
    async with Held(shown.page) as lost:
        await shown.assign(segment)
        given = await lost.input()
        await lost.get_lost()
        await expect(shown.alerts).to_have_count(1)
        await expect(shown.segments).to_have_text(before)
    async with Held(shown.page) as repeated:
        await shown.assign(segment)
        assert await repeated.input() == given
        await repeated.arrive()
        await expect(shown.changes.first).to_have_text(f"ENTERED: {name}: assigned")
        await expect(shown.segments.filter(has_text="saving")).to_have_count(0)
    await expect(shown.alerts).to_have_count(0)
    after = await listed(site)
    assert sorted(after) == sorted([*before, segment])
    await expect(shown.segments).to_have_text(after)
    return str(uuid.UUID(given["idempotencyKey"]))


async def assert_refused(shown: Shown, site: Site, name: str, key_before: str) -> None:
    """Assert that a refused mutation is rolled back, and that the page says why."""
    deleted = segment_id("emporix", f"{name}-deleted")
    assert await site.data(DELETE, input={"id": deleted}) == NO_ERRORS
    async with Held(shown.page) as refused:
        await shown.assign(f"{name}: deleted (Emporix)")
        assert (await refused.input())["idempotencyKey"] != key_before
        await refused.arrive()
        await expect(shown.alerts).to_have_text("Emporix does not accept this value.")
    await expect(shown.segments).to_have_text(await listed(site))


async def assert_partial(shown: Shown, site: Site) -> None:
    """Assert that while a provider is down, what the others have is shown."""
    remaining = [each for each in await listed(site) if "(Voucherify)" not in each]
    site.gateway.sandbox.faults.replace([Fault("voucherify", "error", status=503)])
    try:
        await shown.search(f"emporix:{HIRO_AT['emporix']}")
        await expect(shown.alerts).to_have_text(
            "Voucherify is missing: Provider 'voucherify' failed internally."
        )
        await expect(shown.segments).to_have_text(remaining)
        await expect(shown.customers).to_have_text(
            [
                f"Stuut {HIRO_AT['stuut']}",
                f"Voucherify {HIRO_AT['voucherify']}",  # without its email address: an error
                f"Emporix {HIRO_AT['emporix']} {HIRO.email}",
            ]
        )
    finally:
        site.gateway.sandbox.faults.replace(())


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_example(name: str, site: Site) -> None:
    """It shows a person, each change, what it is saving, what went wrong, and what is missing."""
    address = await asyncio.to_thread(build, name, site)
    for key in ("entered", "assigned", "deleted"):
        segment = {"externalId": f"{name}-{key}", "name": f"{name}: {key}", "siteCode": "main"}
        assert await site.data(CREATE, input={"provider": "emporix", **segment}) == NO_ERRORS
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        page.set_default_timeout(1000 * PATIENCE_S)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text) if message.type in {"error", "warning"} else None
            ),
        )
        await page.goto(address)
        shown = Shown(page)
        await expect(shown.name).to_have_text(HIRO.name)
        await expect(shown.segments).to_have_text(await listed(site))
        await shown.search("nobody@example.com")
        await expect(page.get_by_text("Nobody is known by this.")).to_be_visible()
        await shown.search(HIRO.email)
        await expect(shown.name).to_have_text(HIRO.name)
        await assert_live(shown, site, name)
        key = await assert_repeatable(shown, site, name)
        await assert_refused(shown, site, name, key)
        await assert_partial(shown, site)
        assert complaints == ["Failed to load resource: net::ERR_FAILED"]
        await browser.close()
