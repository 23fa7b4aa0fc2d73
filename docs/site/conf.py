"""Sphinx's configuration; `tools/docs.py` prepares the pages and runs it."""

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

project = "Segment gateway"
author = "the authors of Segment gateway"
extensions = ["myst_parser"]
nitpicky = True
# Pygments does not know all of GraphQL yet; tests parse every block.
suppress_warnings = ["misc.highlighting_failure"]

# Headings get the anchors that they have on Git hosts, so that links work in both places.
myst_heading_anchors = 4

html_theme = "furo"
html_title = "Segment gateway"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
# The summaries of results are fetched, which browsers do not allow for `file://`.
html_show_search_summary = False
html_search_scorer = str(Path(__file__).with_name("scorer.js"))
html_theme_options = {
    "footer_icons": [],
    "top_of_page_buttons": [],
    "navigation_with_keys": True,
}


def _level_captions(*event: Any) -> None:
    """Give the navigation's captions the level that a screen reader announces."""
    _, _, _, context, _ = event
    name = "furo_navigation_tree"
    if name in context:
        context[name] = context[name].replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app: Sphinx) -> None:
    """Change pages after the theme has prepared them."""
    app.connect("html-page-context", _level_captions, priority=900)
