"""GraphiQL where the gateway wants to know who asks."""

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Page, expect
from playwright.async_api import TimeoutError as LateError

from gateway.auth.api_keys import make
from tests.browser.test_graphiql import Visit, pytestmark, run, served, visiting

__all__ = ["pytestmark"]

UNKNOWN = "key or token is unknown"


@pytest.fixture(scope="module")
def made() -> tuple[str, str]:
    """Make a key, and its hash."""
    return make()


@pytest.fixture
def key(made: tuple[str, str]) -> str:
    """Return the key."""
    return made[0]


@pytest.fixture(scope="module")
def address(made: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the sandbox to who has the key."""
    folder = tmp_path_factory.mktemp("signing-in")
    file = folder / "gateway.toml"
    providers = "".join(
        f'[[providers]]\nkey = "{kind}"\nkind = "{kind}"\nbase_url = "sandbox:"\n'
        for kind in ("stuut", "voucherify")
    )
    table = f'[[auth.keys]]\nname = "ana"\nhash = "{made[1]}"\nscopes = ["admin"]\n'
    store = f'[store]\nurl = "sqlite:///{folder}/record.db"\n'
    file.write_text(table + store + providers, encoding="utf-8")
    with served("--config", str(file)) as found:
        yield found


@pytest.fixture
async def visit(address: str) -> AsyncIterator[Visit]:
    """Visit it."""
    async with visiting(address) as found:
        yield found


async def has_schema(page: Page) -> None:
    """Wait until the documentation shows what there is."""
    show = page.get_by_role("button", name="Show Documentation Explorer")
    query = page.locator(".graphiql-plugin").get_by_role("link", name="Query").first
    await show.click()
    try:
        await query.click(timeout=10_000)
    except LateError:
        # On a loaded machine GraphiQL rarely stays without: a person would press these, too.
        again = page.get_by_role("button", name="Re-fetch GraphQL schema")
        await (show if await show.count() else again).click()
        await query.click()
    await expect(page.locator(".graphiql-plugin")).to_contain_text("segmentMemberships")


async def test_a_person_signs_in_by_the_bar(visit: Visit, key: str, address: str) -> None:
    """A wrong key is refused; with the right one come the schema, and answers, in every tab."""
    page = visit.page
    bar = page.get_by_role("form", name="Sign in")
    await expect(bar).to_contain_text("requires a key or token")

    await bar.get_by_label("API key or token").fill("sgk_wrong")
    await page.keyboard.press("Enter")
    await expect(bar).to_contain_text(UNKNOWN)

    await bar.get_by_label("API key or token").fill(f"Bearer {key} ")
    await page.keyboard.press("Enter")
    await expect(bar).to_have_count(0)
    await has_schema(page)
    answer = await run(page, "Providers")
    assert [each["key"] for each in answer["data"]["providers"]] == ["stuut", "voucherify"]
    assert [url for url in visit.requests if not url.startswith((address, "data:"))] == []
    assert [each for each in visit.complaints if "401" not in each] == []
    kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert key not in kept


async def test_examples_before_and_after_somebody_signs_in(visit: Visit, key: str) -> None:
    """Tabs name no provider; then the panel has what this gateway's two providers can answer."""
    page = visit.page
    tabs = await page.locator(".graphiql-tab-button").all_text_contents()
    assert tabs == [
        *("SegmentsOfEveryProvider", "Rules", "Providers"),
        *("Changes", "LargestSegments", "ChangedSince"),
    ]
    bar = page.get_by_role("form", name="Sign in")
    await bar.get_by_label("API key or token").fill(key)
    await page.keyboard.press("Enter")
    await expect(bar).to_have_count(0)
    await page.get_by_role("button", name="Show Examples").click()
    await expect(page.locator(".examples li")).to_have_text(
        [
            *("segments of every provider", "one customer", "rules", "providers", "changes"),
            *("largest segments", "changed since", "in one not another", "overlap"),
            "one person everywhere",
        ]
    )
    await page.get_by_role("button", name="one customer").click()
    await expect(page.locator(".graphiql-tab-active")).to_contain_text("OneCustomer")
    assert (await run(page, "OneCustomer"))["data"]["promotions"]["name"] == "Ana Almeida"


async def test_a_person_signs_in_by_a_header(visit: Visit, key: str) -> None:
    """The schema is asked for again when the headers hold other credentials."""
    page = visit.page
    bar = page.get_by_role("form", name="Sign in")
    await expect(bar).to_be_visible()
    await page.get_by_role("button", name="Headers", exact=True).click()
    editor = page.locator(".graphiql-editor-tool .graphiql-editor:not(.hidden) .view-lines")
    await editor.click()
    await page.keyboard.press("ControlOrMeta+A")
    # The editor itself closes what it sees opened.
    await page.keyboard.insert_text('{"authorization": "Bearer sgk_wrong')
    await expect(bar).to_contain_text(UNKNOWN)
    await page.keyboard.press("ControlOrMeta+A")
    await page.keyboard.insert_text(f'{{"Authorization": "Bearer {key}')
    await expect(bar).to_have_count(0)
    await has_schema(page)


async def test_it_is_usable_on_a_phone(visit: Visit, key: str) -> None:
    """At 390 pixels nothing stands out to the right, and one can sign in and ask."""
    page = visit.page
    await page.set_viewport_size({"width": 390, "height": 844})
    bar = page.get_by_role("form", name="Sign in")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    assert await page.evaluate("document.documentElement.scrollHeight") <= 844
    await bar.get_by_label("API key or token").fill(key)
    await bar.get_by_role("button", name="Sign in").click()
    await expect(bar).to_have_count(0)
    assert (await run(page, "Providers"))["data"]["providers"]
