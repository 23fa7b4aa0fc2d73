"""The size of what the pages load first."""

import gzip
import json

from gateway.http.app import PAGES
from tests.browser.test_graphiql import pytestmark

__all__ = ["pytestmark"]

FIRST_LOAD_BYTES = 150_000
"""Compressed JavaScript that a page needs before it can show anything."""


def test_what_the_pages_load_first_is_small() -> None:
    """The scripts of the entry and of all that it imports, compressed."""
    manifest = json.loads((PAGES / "manifest.json").read_text(encoding="utf-8"))
    needed: set[str] = set()

    def add(name: str) -> None:
        if name not in needed:
            needed.add(name)
            for other in manifest[name].get("imports", ()):
                add(other)

    add("pages.html")
    sizes = {
        manifest[name]["file"]: len(gzip.compress((PAGES / manifest[name]["file"]).read_bytes()))
        for name in needed
    }
    assert sum(sizes.values()) < FIRST_LOAD_BYTES, sizes
