"""Both event loops: they differ in what they raise when no connection comes about."""

from tests.unit.upstream.http1.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
