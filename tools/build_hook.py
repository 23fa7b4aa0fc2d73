"""Stop the build of a wheel or an sdist that would lack the browser pages."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PagesHook(BuildHookInterface[Any]):
    """Requires `gateway/http/pages/static/`, except for an editable installation."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatchling's signature
        """Exit with one line if the pages are missing."""
        pages = Path(self.root, "gateway", "http", "pages", "static", "index.html")
        if version != "editable" and not pages.is_file():
            raise SystemExit("error: the pages are not built; build them first: make pages")
