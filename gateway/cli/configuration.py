"""The configuration of a command that needs all of it."""

import os
from pathlib import Path

from gateway.asgi import build
from gateway.cli.console import fail
from gateway.errors import SettingsError
from gateway.settings.loading import load
from gateway.settings.tables import Settings
from gateway.store.database_url import database_url
from gateway.store.temporary import TEMPORARY


def settings_or_fail(config: Path | None) -> Settings:
    """Read the configuration, or print all problems in it and exit."""
    try:
        settings = load(config, os.environ)
        build(settings)  # reads the files that the configuration names
        if settings.store.url != TEMPORARY:
            database_url(settings.store.url, os.environ)
    except SettingsError as error:
        lines = [f"  {problem.path}: {problem.text}" for problem in error.problems]
        fail("\n".join(["The configuration cannot be used:", *lines]))
    return settings
