"""What the tests of who may ask share."""

from tests.e2e.conftest import front, made_once

__all__ = ["front", "made_once"]
