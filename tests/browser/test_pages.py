"""The pages in a real browser: what people see, by keyboard, live, and while something fails."""

import contextlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, FilePayload, Page, async_playwright, expect

from gateway.domain.entities import Ref
from resolvers import global_ids
from resolvers.global_ids import Kind
from tests.browser.test_graphiql import CHROMIUM, FLAGS, pytestmark, served
from tests.sizes import size

__all__ = ["pytestmark"]

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
SLOW_MS = 15_000

REFUSAL = "Failed to load resource: the server responded with a status of 40"
LOADED = """(() => {
  const files = performance.getEntriesByType('resource');
  const all = [...files, ...performance.getEntriesByType('navigation')];
  const sum = (entries) => entries.reduce((total, each) => total + each.transferSize, 0);
  const scripts = files.filter(({name}) => name.endsWith('.js'));
  return {msToFirstData: Math.round(performance.now()), bytes: sum(all), scripts: sum(scripts)};
})()"""
SCREENS = [(1440, "light"), (390, "dark"), (768, "dark"), (360, "light")]
SCREENS = SCREENS[: size("PAGE_SCREENS", 2, 4)]


REPLACE = (
    "mutation ($i: CustomerSegmentsReplaceInput!)"
    " { customerSegmentsReplace(input: $i) { __typename } }"
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve the sandbox."""
    with served() as found:
        yield found


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Start a browser."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        await started.close()


@contextlib.asynccontextmanager
async def opened(
    browser: Browser,
    url: str,
    *,
    width: int = 1440,
    scheme: Any = "light",
    is_refused: bool = False,
    expected: str = REFUSAL,
) -> AsyncIterator[Page]:
    """Open a page, which may log nothing, and request nothing elsewhere.

    If `is_refused`, Chromium itself logs each request that fails as `expected`.
    """
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    page = await context.new_page()
    complaints: list[str] = []
    elsewhere: list[str] = []
    origin = "/".join(url.split("/")[:3])
    page.set_default_timeout(SLOW_MS)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if message.type in {"error", "warning"} else None
        ),
    )
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((origin, "blob:", "data:"))
            else elsewhere.append(request.url)
        ),
    )
    await page.goto(url)
    yield page
    assert elsewhere == []
    assert [each for each in complaints if not (is_refused and expected in each)] == []
    await context.close()


async def assert_accessible(page: Page, within: str = "html") -> None:
    """Assert that axe finds nothing serious there, and that nothing is wider than the screen."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    result = await page.evaluate("(within) => axe.run(within)", within)
    serious = [
        (each["id"], [node["html"][:120] for node in each["nodes"][:3]])
        for each in result["violations"]
        if each["impact"] in {"serious", "critical"}
    ]
    assert serious == []
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) == 0


async def data(address: str, query: str, variables: Mapping[str, Any] | None = None) -> Any:
    """Send a query, as another client."""
    async with httpx.AsyncClient() as client:
        body = {"query": query, "variables": variables}
        reply = (await client.post(f"{address}/graphql", json=body)).json()
    assert "errors" not in reply, reply
    return reply["data"]


async def two_segments(address: str, provider: str = "voucherify") -> list[str]:
    """Return the ids of two segments of a provider."""
    query = "query ($p: String!) { provider(key: $p) { segments(first: 2) { nodes { id } } } }"
    found = await data(address, query, {"p": provider})
    return [each["id"] for each in found["provider"]["segments"]["nodes"]]


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
async def test_every_page_on_every_screen(
    address: str, browser: Browser, width: int, scheme: str
) -> None:
    """Each shows its data, fits, and is accessible."""
    first, second = await two_segments(address)
    shown = {
        "/": "Latency p50 / p95",
        "/segments": "Gold and Silver in Germany",
        f"/segments/{first}": "Latest changes",
        f"/compare?segment={first}&segment={second}": "not in",
        "/person?provider=voucherify&key=crm-00000": "Link another customer",
        "/import": "Choose a CSV or NDJSON file",
        "/segments/none": "There is no such segment",
    }
    for path, text in shown.items():
        async with opened(browser, address + path, width=width, scheme=scheme) as page:
            await expect(page.get_by_text(text).first).to_be_visible()
            await expect(page.get_by_role("heading", level=1)).to_have_count(
                0 if path.endswith("none") else 1
            )
            if not path.endswith("none"):
                heading = await page.get_by_role("heading", level=1).inner_text()
                await expect(page).to_have_title(f"{heading} · Segment gateway")
            figures = await page.evaluate(LOADED)
            await expect(page.locator(".loading")).to_have_count(0)
            await assert_accessible(page)
            print(width, path.split("?")[0][:12], figures)  # noqa: T201  # shown by `pytest -rP`


async def test_a_change_appears_at_once(address: str, browser: Browser) -> None:
    """A mutation of another client is on the overview and in the segment's members, live."""
    [segment, _] = await two_segments(address, "emporix")
    query = '{ customers(first: 1, filter: {providers: ["emporix"]}) { nodes { id name } } }'
    [customer] = (await data(address, query))["customers"]["nodes"]
    inputs = {"segmentId": segment, "customerId": customer["id"]}
    remove = "mutation ($i: AssignmentDeleteInput!) { assignmentDelete(input: $i) { __typename } }"
    create = (
        "mutation ($i: AssignmentCreateInput!)"
        " { assignmentCreate(input: $i) { userErrors { message } } }"
    )
    await data(address, remove, {"i": inputs})
    async with (
        opened(browser, address) as overview,
        opened(browser, f"{address}/segments/{segment}") as detail,
    ):
        for page in (overview, detail):
            await expect(page.get_by_role("status").get_by_text("Live")).to_be_visible()
        await data(address, create, {"i": inputs})
        newest = overview.locator(".changes li").first
        await expect(newest).to_contain_text("entered", timeout=2000)
        await expect(newest).to_contain_text(customer["name"])
        entered = detail.locator(".changes li").first
        await expect(entered).to_contain_text(customer["name"], timeout=2000)
        # Instaleap knows no names, and its own key says who it is.
        pairs = [{"type": "tier", "value": "platinum"}]
        customers = [{"externalId": "crm-00001", "segments": pairs}]
        await data(address, REPLACE, {"i": {"provider": "instaleap", "customers": customers}})
        await expect(newest).to_contain_text("crm-00001")


async def test_a_person_is_found_unlinked_and_linked(address: str, browser: Browser) -> None:
    """By e-mail address: every provider side by side; a link is taken away, and made by hand."""
    query = """{ provider(key: "voucherify") { key } person(identity:
        {provider: "voucherify", externalId: "crm-00000"}) { customers { id email } } }"""
    customers = (await data(address, query))["person"]["customers"]
    async with opened(browser, f"{address}/person") as page:
        await page.get_by_label("E-mail address, CRM id").fill(customers[0]["email"])
        await page.keyboard.press("Enter")
        linked = page.locator("li", has=page.get_by_text("Linked", exact=True))
        await expect(linked.first).to_contain_text("by rule crm")
        many = await linked.count()
        await linked.first.get_by_role("button", name="Unlink").click()
        await expect(linked).not_to_have_count(many)
        await page.goto(f"{address}/person?id={customers[0]['id']}")
        await page.get_by_label("Link another customer").fill("no@example.com")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("No other customer is known by this")).to_be_visible()
        await page.get_by_label("Link another customer").fill(customers[0]["email"])
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name=re.compile("^Link .* at Emporix")).click()
        await expect(page.get_by_text("by hand (anonymous)").first).to_be_visible()


async def test_why_somebody_is_not_in_a_segment(address: str, browser: Browser) -> None:
    """The segment's rule stands beside the customer's value; the time line goes back."""
    query = """{ customers(first: 50, filter: {providers: ["voucherify"]}) {
        nodes { attributes identities { externalId } } } }"""
    nodes = (await data(address, query))["customers"]["nodes"]
    bronze = next(each for each in nodes if each["attributes"].get("tier") == "Bronze")
    key = bronze["identities"][0]["externalId"]
    async with opened(browser, f"{address}/person?provider=voucherify&key={key}") as page:
        card = page.get_by_role("article", name="Voucherify")
        await card.get_by_text("Why not in another segment?").click()
        await card.get_by_label("Segment", exact=True).select_option(label="Gold members")
        reason = card.get_by_role("list", name="Rule of Gold members")
        await expect(reason).to_have_text("metadata.tier is “Gold”This customer: “Bronze”")
        await assert_accessible(page)
        for words in ("24 hours", "7 days", "30 days"):
            await expect(page.get_by_role("heading", name=f"in the last {words}")).to_be_visible()
            await page.get_by_role("button", name="Show earlier changes").click()
        await expect(page.get_by_role("button", name="Show earlier changes")).to_have_count(0)


async def test_who_is_in_one_segment_and_not_in_another(address: str, browser: Browser) -> None:
    """Found by name, and saved as a file, from the navigation on."""
    query = """query ($a: String!, $b: String!) {
        a: segments(filter: {providers: ["voucherify"], nameContains: $a}) { nodes { id } }
        b: segments(filter: {providers: ["voucherify"], nameContains: $b}) { nodes { id } } }"""
    names = {"a": "Newsletter readers", "b": "Gold members"}
    ids = {
        name: each["nodes"][0]["id"] for name, each in (await data(address, query, names)).items()
    }
    members = """query ($in: [ID!], $out: [ID!]) {
        customers(first: 250, filter: {inAll: $in, inNone: $out}) { nodes { id } } }"""
    found = await data(address, members, {"in": [ids["a"]], "out": [ids["b"]]})
    expected = {each["id"] for each in found["customers"]["nodes"]}
    async with opened(browser, address) as page:
        await page.get_by_role("link", name="Compare").click()
        for name in names.values():
            await page.get_by_label("Add a segment").fill(name)
            await page.get_by_role("button", name=f"{name} Voucherify").click()
        row = page.get_by_role("row", name=re.compile(r"^in not in"))
        await row.get_by_role("button", name="Show customers").click()
        heading = page.get_by_role("heading", name="In Newsletter readers, not in Gold members")
        await expect(heading).to_be_in_viewport()
        async with page.expect_download() as got:
            await page.get_by_role("button", name="Export as CSV").click()
        lines = (await (await got.value).path()).read_text().splitlines()
    assert {line.split(",")[0] for line in lines[1:]} == expected
    assert len(lines) == len(expected) + 1 > 1


async def test_the_table_is_searched_sorted_and_exported(address: str, browser: Browser) -> None:
    """What is shown is in the address, and is what the file has."""
    async with opened(browser, f"{address}/segments?provider=voucherify") as page:
        await page.get_by_label("Name contains").fill("gold")
        await expect(page.locator("tbody tr")).to_have_count(2)
        await page.get_by_role("button", name="Name", exact=True).click()
        await expect(page).to_have_url(
            re.compile(r"search=gold.*sort=NAME|sort=NAME.*search=gold")
        )
        names = [each.strip() for each in await page.locator("tbody th").all_inner_texts()]
        assert names == sorted(names, key=str.casefold)
        await expect(page.locator("tbody td.numeric").first).to_have_text(re.compile(r"\d+"))
        async with page.expect_download() as got:
            await page.get_by_role("button", name="Export as CSV").click()
        lines = (await (await got.value).path()).read_text().splitlines()
        assert [line.split(",")[3] for line in lines] == ["name", *names]


async def test_the_keyboard_is_enough(address: str, browser: Browser) -> None:
    """From the top of the page to a segment's items, without a mouse."""
    async with opened(browser, f"{address}/segments") as page:
        await expect(page.locator("tbody tr").first).to_be_visible()
        await page.keyboard.press("Tab")
        await expect(page.get_by_text("Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        for _ in range(20):
            if await page.evaluate("document.activeElement.closest('tbody') !== null"):
                break
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        tab = page.get_by_role("tab", name="Members")
        await tab.wait_for()
        await tab.focus()
        await page.keyboard.press("ArrowRight")
        await expect(page.get_by_role("tab", name="Items")).to_be_focused()
        await expect(page.get_by_role("tabpanel")).to_contain_text("items")


CONFIGURATION = """
[[auth.keys]]
name = "all"
hash = "{all}"
scopes = ["admin"]

[[auth.keys]]
name = "segments"
hash = "{segments}"
scopes = ["segments:read"]

[[providers]]
key = "loyalty"
kind = "voucherify"
base_url = "sandbox:"

[[providers]]
key = "gone"
kind = "emporix"
base_url = "http://127.0.0.1:9"
tenant = "acme"
client_id = "id"
client_secret = "secret"
retries = 0
"""


def key(name: str) -> tuple[str, str]:
    """Create a key by the command; return it and its hash."""
    command = [sys.executable, "-m", "gateway", "key", "create", "--name", name]
    result = subprocess.run(
        [*command, "--scope", "segments:read"], capture_output=True, text=True, check=True
    )
    [hash_] = re.findall(r'hash = "([^"]+)"', result.stdout)
    [secret] = re.findall(r"^\s*(\S{40,})\s*$", result.stdout, re.MULTILINE)
    return secret, hash_


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, str]]:
    """Serve two providers, one of which cannot be reached, to callers with keys."""
    (everything, hash_all), (few, hash_segments) = key("all"), key("segments")
    folder = tmp_path_factory.mktemp("failing")
    file = folder / "gateway.toml"
    store = f'[store]\nurl = "sqlite:///{folder}/gateway.db"\n'
    file.write_text(store + CONFIGURATION.format(all=hash_all, segments=hash_segments))
    with served("--config", str(file)) as found:
        yield found, everything, few


async def sign_in(page: Page, credential: str) -> None:
    """Fill the form in."""
    await page.get_by_label("API key or token").fill(credential)
    await page.get_by_role("button", name="Sign in").click()


async def test_a_provider_that_is_down(failing: tuple[str, str, str], browser: Browser) -> None:
    """The rest is shown, and what is missing is said."""
    address, everything, _ = failing
    async with opened(browser, f"{address}/segments", is_refused=True) as page:
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await assert_accessible(page)
        await sign_in(page, everything)
        await expect(page.get_by_text("does not answer: shown without it")).to_be_visible()
        await expect(page.locator("tbody tr").first).to_be_visible()
        await assert_accessible(page)
        await page.get_by_role("link", name="Overview").click()
        await expect(page.locator(".card .badge.bad").first).to_have_text("Down")
        unreachable = global_ids.of_ref(Kind.SEGMENT, Ref("gone", "golden"))
        await page.goto(f"{address}/segments/{unreachable}")
        await sign_in(page, everything)
        await expect(page.get_by_role("alert")).to_contain_text("The provider does not answer.")


async def test_a_caller_without_rights(failing: tuple[str, str, str], browser: Browser) -> None:
    """Segments alone: members are refused with the reason, and changes of segments are live."""
    address, _, few = failing
    async with opened(browser, f"{address}/segments", is_refused=True) as page:
        await sign_in(page, "wrong" * 10)
        await expect(page.get_by_text("is unknown or has expired")).to_be_visible()
    async with opened(browser, f"{address}/segments", is_refused=True) as page:
        await sign_in(page, few)
        await page.locator("tbody th a").first.click()
        await expect(page.get_by_role("tabpanel")).to_contain_text("does not allow this")
        await expect(page.get_by_role("status").get_by_text("Live")).to_be_visible()
        await assert_accessible(page)
        await page.get_by_role("link", name="Import").click()
        rows = b"customer,tier\ncrm-00000,Gold\n"
        file: FilePayload = {"name": "rows.csv", "mimeType": "text/csv", "buffer": rows}
        await page.locator("input[type=file]").set_input_files(file)
        await page.get_by_role("button", name="Check all rows").click()
        await page.get_by_role("button", name="Import 1 row").click()
        await expect(page.get_by_text("Stopped.", exact=True)).to_be_visible()
        needed = "customerAttributesUpdate needs the scope customers:write."
        await expect(page.get_by_role("alert")).to_have_text(needed)
        await assert_accessible(page)
