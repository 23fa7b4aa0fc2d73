"""Stuut as a local server. Facts: docs.api.stuut.co; where they are silent, FastAPI."""

from gateway.sandbox.stuut.app import CREDENTIALS, build

__all__ = ["CREDENTIALS", "build"]
