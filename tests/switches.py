"""Which hot paths the gateway under test goes without: the environment variable `FAST_PATHS`.

`off` turns all of them off, `http1_client,direct_answers` those two. Tests of a hot path itself
are marked with `needs`.
"""

import os

import pytest

from gateway.settings.tables import FastPathSettings

NAMES = tuple(FastPathSettings.model_fields)


def read(text: str) -> FastPathSettings:
    """Return the switches that `FAST_PATHS` says."""
    off = NAMES if text == "off" else tuple(filter(None, text.split(",")))
    return FastPathSettings.model_validate(dict.fromkeys(off, False))


FAST_PATHS = read(os.environ.get("FAST_PATHS", ""))


def table() -> str:
    """Return them as a table of the configuration file."""
    lines = [f"{name} = {str(getattr(FAST_PATHS, name)).lower()}" for name in NAMES]
    return "\n".join(("[fast_paths]", *lines, ""))


def needs(name: str) -> pytest.MarkDecorator:
    """Mark a test that is about a hot path itself."""
    is_off = not getattr(FAST_PATHS, name)
    return pytest.mark.skipif(is_off, reason=f"is about {name}, which FAST_PATHS turns off")
