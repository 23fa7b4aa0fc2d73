"""The page Import in a real browser: from a file to its report, stopped, cut off and repeated."""

import asyncio
import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.async_api import Browser, Page, Route, expect
from typer.testing import CliRunner

from gateway.__main__ import cli
from gateway.sandbox.app import Sandbox, SandboxOptions
from gateway.sandbox.people import people
from tests.browser.test_graphiql import pytestmark
from tests.browser.test_pages import assert_accessible, browser, data, opened
from tests.proxies.processes import sandbox_running
from tests.resilience.gateways import serving
from tests.resilience.test_large_imports import versions
from tests.sizes import size

__all__ = ["browser", "pytestmark"]

ROWS = size("PAGE_IMPORT_ROWS", 300, 10_000)
ROWS_A_REQUEST = 500
CUSTOMERS = 200
NUMBERS = [each.emporix_id for each in people(CUSTOMERS) if each.emporix_id]
MEMBERS = min(len(NUMBERS), ROWS // 10)
"""Rows of each segment: each is a mutation of its own."""
LIMITS = "[limits]\nrequests_per_minute = 1000000\ncost_per_minute = 1000000000\n"
CREATE = """mutation ($i: SegmentCreateInput!)
  { segmentCreate(input: $i) { segment { externalId } } }"""
ODD: Mapping[str, tuple[str, str, str, Sequence[str]]] = {
    "odd.csv": (
        (
            "\ufeffsegment,Customer ID,note\r\n"
            'golden,nobody,"two\nlines, and a ""quote"""\r\n'
            "\r\n"
            "golden\r\n"
            'none,x,a "quote" within\n'
            "golden,,\r"
            "golden,last,no line break"
        ),
        "emporix",
        "assignments",
        ["--map", "Customer ID=customer"],
    ),
    "odd.ndjson": (
        (
            '{"customer": "crm-00000", "score": 1.0, "last.visit": "2026-11-01"}\n'
            "\n"
            "[1]\n"
            '{"customer": "crm-00000", "last": 1, "last.visit": 2}\n'
            '{"score": 1}\n'
            '{"customer": "crm-00000"}\n'
        ),
        "voucherify",
        "attributes",
        [],
    ),
}


class Served(NamedTuple):
    """A gateway with a store, over a sandbox of its own."""

    address: str
    sandbox: Sandbox
    sandbox_port: int


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve them."""
    folder = tmp_path_factory.mktemp("served")
    with (
        sandbox_running(SandboxOptions(customers=CUSTOMERS)) as (sandbox, port),
        serving(folder, f"sqlite:///{folder}/gateway.db", port, LIMITS) as gateway,
    ):
        yield Served(f"http://127.0.0.1:{gateway.port}", sandbox, port)


async def written(file: Path, address: str) -> Sequence[str]:
    """Write a file of assignments to new segments, and return those."""
    segments: list[str] = []
    with file.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["Segment", "Customer ID", "note"])
        for row in range(ROWS):
            if row % MEMBERS == 0:
                name = f"{file.stem} {len(segments)}"
                inputs = {"provider": "emporix", "name": name, "siteCode": "main"}
                made = await data(address, CREATE, {"i": inputs})
                segments.append(made["segmentCreate"]["segment"]["externalId"])
            writer.writerow([segments[-1], NUMBERS[row % MEMBERS], "not used"])
    return segments


async def checked(page: Page, file: Path) -> None:
    """Choose a file, and have its rows checked."""
    await page.locator("input[type=file]").set_input_files(file)
    await page.get_by_role("button", name="Check all rows").click()
    await expect(page.get_by_text("can be sent")).to_be_visible()


async def report_of(page: Page) -> str:
    """Download the report."""
    async with page.expect_download() as got:
        await page.get_by_role("button", name="Download the report").click()
    return (await (await got.value).path()).read_bytes().decode()


async def command(folder: Path, *arguments: object) -> tuple[int, str]:
    """Run `gateway import` as another user of this machine; return its status and report."""
    report = folder / "report.csv"
    run = await asyncio.to_thread(
        CliRunner().invoke,
        cli,
        ["import", *map(str, arguments), "--report", str(report)],
        env={"XDG_STATE_HOME": str(folder)},
    )
    return run.exit_code, report.read_bytes().decode()


def writes(sandbox: Sandbox) -> int:
    """Count the calls that changed something."""
    return sum(each.method != "GET" and "oauth" not in each.path for each in sandbox.calls)


async def test_a_file_is_imported(served: Served, browser: Browser, tmp_path: Path) -> None:
    """On a phone; the page and the command know what the other has sent."""
    address, sandbox, port = served
    file = tmp_path / "rows.csv"
    segments = await written(file, address)
    done = f"{ROWS:,} of {ROWS:,} rows done, 0 failed."
    async with opened(browser, f"{address}/import", width=390, scheme="dark") as page:
        await page.locator("input[type=file]").set_input_files(file)
        await expect(page.get_by_label("Column Customer ID is")).to_have_value("customer")
        await assert_accessible(page)
        await page.get_by_role("button", name="Check all rows").click()
        await expect(page.get_by_text(f"All {ROWS:,} rows can be sent.")).to_be_visible()
        await assert_accessible(page)
        before = writes(sandbox)
        await page.get_by_role("button", name=f"Import {ROWS:,} rows").click()
        await expect(page.get_by_text(done)).to_be_visible(timeout=600_000)
        await assert_accessible(page)
        report = await report_of(page)
        after = writes(sandbox)
        assert report.split() == [
            "line,outcome,reason",
            *(f"{line},CREATED," for line in range(2, ROWS + 2)),
        ]
        calls = {(row // ROWS_A_REQUEST, row // MEMBERS) for row in range(ROWS)}
        assert after - before == len(calls)

        await page.get_by_text("As a command").click()
        shown = await page.get_by_label("Command", exact=True).inner_text()
        maps = "--map Segment=segment --map 'Customer ID=customer'"
        assert shown == f"gateway import rows.csv --provider emporix {maps} --url {address}"
        again = ("--map", "Segment=segment", "--map", "Customer ID=customer", "--url", address)
        assert await command(tmp_path, file, "--provider", "emporix", *again) == (0, report)

        await page.get_by_role("button", name="Choose another file").click()
        await checked(page, file)
        await expect(page.get_by_text("What was done is not sent again.")).to_be_visible()
        await page.get_by_role("button", name="Import").click()
        await expect(page.get_by_text(done)).to_be_visible(timeout=600_000)
        assert await report_of(page) == report
    assert writes(sandbox) == after
    assert versions(port, segments) == {1: ROWS}


async def test_stopped_and_cut_off(served: Served, browser: Browser, tmp_path: Path) -> None:
    """It is resumed by a button, and after a crash by the same file: every row once."""
    address, _, port = served
    file = tmp_path / "stopped.csv"
    segments = await written(file, address)
    held, release, cut = asyncio.Event(), asyncio.Event(), asyncio.Event()
    count = 0

    async def route(route: Route) -> None:
        nonlocal count
        if "ImportAssignments" in (route.request.post_data or ""):
            count += 1
            if count == 2:
                held.set()
                await release.wait()
            if count == 4:
                await route.fetch()  # it is done, but the page does not hear of it
                cut.set()
                return
        await route.continue_()

    async with opened(browser, f"{address}/import") as page:
        await page.route("**/graphql", route)
        await checked(page, file)
        await page.get_by_role("button", name="Import").click()
        await held.wait()
        await page.get_by_role("button", name="Stop").click()
        release.set()
        await expect(page.get_by_text("Stopped.", exact=True)).to_be_visible()
        await assert_accessible(page)
        assert count == 2
        await page.get_by_role("button", name="Resume").click()
        await cut.wait()
        assert count == 4
        await page.unroute_all(behavior="ignoreErrors")
    async with opened(browser, f"{address}/import") as page:
        await checked(page, file)
        await page.get_by_role("button", name="Import").click()
        done = f"{ROWS:,} of {ROWS:,} rows done, 0 failed."
        await expect(page.get_by_text(done)).to_be_visible(timeout=600_000)
    assert versions(port, segments) == {1: ROWS}


@pytest.mark.parametrize("name", ["odd.csv", "odd.ndjson"])
async def test_odd_rows(served: Served, browser: Browser, tmp_path: Path, name: str) -> None:
    """The page reads a file exactly as the command does."""
    text, provider, kind, options = ODD[name]
    file = tmp_path / name
    file.write_bytes(text.encode())
    async with opened(browser, f"{served.address}/import") as page:
        await page.locator("input[type=file]").set_input_files(file)
        await page.get_by_label("Provider").select_option(provider)
        await page.get_by_label("The rows are").select_option(kind)
        await page.get_by_role("button", name="Check all rows").click()
        report = await report_of(page)
    options = ("--provider", provider, "--kind", kind, *options, "--url", served.address)
    assert await command(tmp_path, file, *options, "--dry-run") == (1, report)


async def pressed(page: Page, name: str) -> None:
    """Go to a control by the Tab key, and press Enter."""
    control = page.get_by_role("button", name=name, exact=True)
    await expect(control).to_be_enabled()
    for _ in range(40):
        if await control.evaluate("control => control === document.activeElement"):
            await page.keyboard.press("Enter")
            return
        await page.keyboard.press("Tab")
    pytest.fail(f"{name} cannot be reached")


async def test_attributes_by_keyboard(served: Served, browser: Browser, tmp_path: Path) -> None:
    """From the link in the navigation to the report; a column is left out, and one renamed."""
    file = tmp_path / "attributes.csv"
    file.write_text("customer,Tier,note\ncrm-00000,gold,x\ncrm-00001,12,\n")
    read = """query ($i: CustomerIdentityInput!) { customer(identity: $i) { attributes } }"""
    identity = {"provider": "voucherify", "externalId": "crm-00001"}
    before = (await data(served.address, read, {"i": identity}))["customer"]["attributes"]
    async with opened(browser, served.address) as page:
        # Expected this early, as the browser does not confirm that it intercepts file choosers.
        async with page.expect_file_chooser() as choosing:
            await page.get_by_role("link", name="Import").focus()
            await page.keyboard.press("Enter")
            await page.locator("input[type=file]").focus()
            await page.keyboard.press("Enter")
        await (await choosing.value).set_files(file)
        column = page.get_by_label("Column note is")
        await column.focus()
        await page.keyboard.type("Not")
        await page.get_by_label("Path of the attribute in column Tier").focus()
        await page.keyboard.press("Control+a")
        await page.keyboard.type("loyalty.tier")
        await pressed(page, "Check all rows")
        await pressed(page, "Import 2 rows")
        await expect(page.get_by_text("2 of 2 rows done, 0 failed.")).to_be_visible()
    after = (await data(served.address, read, {"i": identity}))["customer"]["attributes"]
    assert after == {**before, "loyalty": {"tier": 12}}


async def test_a_file_is_dropped(served: Served, browser: Browser) -> None:
    """What cannot be read is said at once; another file can be chosen instead."""
    drop = """(zone, text) => {
      const files = new DataTransfer();
      files.items.add(new File([text], 'dropped.csv'));
      zone.dispatchEvent(new DragEvent('drop', {dataTransfer: files, bubbles: true}));
    }"""
    async with opened(browser, f"{served.address}/import") as page:
        zone = page.locator(".drop")
        await zone.evaluate(drop, "")
        empty = "dropped.csv is empty; its first line names the columns."
        await expect(page.get_by_role("alert")).to_have_text(empty)
        await zone.evaluate(drop, 'segment,customer\n"a')
        broken = "Line 2 is not CSV: a quoted cell does not end."
        await expect(page.get_by_role("alert")).to_have_text(broken)
        await zone.evaluate(drop, "segment,customer,segment\na,b,c\n")
        twice = "dropped.csv has the column segment twice."
        await expect(page.get_by_role("alert")).to_have_text(twice)
        await zone.evaluate(drop, "segment;customer\na;b\n")
        semicolons = "dropped.csv separates cells by semicolons, not commas."
        await expect(page.get_by_role("alert")).to_have_text(semicolons)
        await zone.evaluate(drop, "segment,customer\na,b\n")
        await expect(page.get_by_role("heading", name="dropped.csv")).to_be_visible()
        await expect(page.get_by_role("alert")).to_have_count(0)
