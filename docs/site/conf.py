"""Sphinx's configuration; `tools/docs.py` prepares the pages and runs it."""

from pathlib import Path

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
html_js_files = [("copy.js", {"defer": "defer"})]
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
