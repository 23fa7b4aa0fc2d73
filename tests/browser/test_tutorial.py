"""The tutorial, followed in a real browser: the page that it builds shows a person, live."""

import functools
import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright, expect

from tests.browser.test_graphiql import CHROMIUM, FLAGS, IN_CI, served
from tests.proxies.processes import PATIENCE_S
from tests.snippets import ROOT, blocks

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not IN_CI, reason="Chromium is missing: apt-get install chromium"
    ),
]

PAGE = ROOT / "docs" / "tutorial" / "README.md"


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, without a line for each request."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def files(folder: Path) -> Iterator[str]:
    """Serve a folder as `python3 -m http.server` does."""
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    ) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_address[1]}"
        server.shutdown()


def write(folder: Path, gateway: str) -> None:
    """Write the files of the tutorial, step by step."""
    for block in blocks(PAGE):
        action, _, name = block.info.partition("=")
        file = folder / name
        text = block.text.replace("http://127.0.0.1:8000", gateway)
        if action == "file":
            file.write_text(text, encoding="utf-8")
        elif action == "replace-last-line":
            *before, last = file.read_text(encoding="utf-8").splitlines(keepends=True)
            assert last == "await show();\n"
            file.write_text("".join(before) + text, encoding="utf-8")


def run(gateway: str, query: str) -> None:
    """Run a mutation, as the reader does in GraphiQL."""
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(
        f"{gateway}/graphql", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
        assert "errors" not in json.load(reply)


async def test_the_page_of_the_tutorial(tmp_path: Path) -> None:
    """It shows the person's segments, and each change once, without a reload."""
    enter, leave = [each.text for each in blocks(PAGE) if each.text.startswith("mutation")]
    with files(tmp_path) as origin, served("--cors", origin) as gateway:
        write(tmp_path, gateway)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = await browser.new_page()
            page.set_default_timeout(1000 * PATIENCE_S)
            complaints: list[str] = []
            page.on("pageerror", lambda error: complaints.append(str(error)))
            await page.goto(origin)
            segments, news = page.locator("#segments li"), page.locator("#news li")
            await expect(page.locator("#name")).to_have_text("Hiro Lindqvist")
            await expect(segments).to_have_count(9)
            run(gateway, enter)
            run(gateway, enter)  # once more: the key names one change
            await expect(segments).to_have_count(10)
            run(gateway, leave)
            await expect(segments).to_have_count(9)
            await expect(news).to_have_text(
                ["ENTERED: Golden customers", "LEFT: Golden customers"]
            )
            assert complaints == []
            await browser.close()
