"""What the documents say of the tree is true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (ROOT / "docs", ROOT / "bench")
PAGES = sorted([*ROOT.glob("*.md"), *(page for each in FOLDERS for page in each.rglob("*.md"))])
HISTORY = {"CHANGELOG.md"}
"""Tells of files as they were."""
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
MENTION = re.compile(r"`((?:gateway|resolvers|tests|docs|tools|bench|web|requirements)/[\w./-]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    """Links are relative to the page, paths in code to the root; a path may name a folder."""
    text = page.read_text(encoding="utf-8")
    links = [target for target in LINK.findall(text) if "://" not in target]
    missing = [target for target in links if not (page.parent / target).exists()]
    if page.name not in HISTORY:
        missing += [path for path in MENTION.findall(text) if not (ROOT / path).exists()]
    assert missing == []
