"""Both event loops: they raise different errors when no connection is established."""

from tests.unit.upstream.http1.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
