"""`/metrics` at an address of its own, which the operator keeps private: without credentials."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.errors import Problem, SettingsError
from gateway.http.metrics_endpoint import MetricsEndpoint


class _Server(uvicorn.Server):
    """A second server of this process: the first one handles the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


@contextlib.asynccontextmanager
async def serving_metrics(endpoint: MetricsEndpoint, address: str) -> AsyncIterator[None]:
    """Serve the metrics at `HOST:PORT`. Every worker listens there; each answers for all.

    Raises `SettingsError` if the address cannot be used.
    """
    app = Starlette(routes=[Route("/metrics", endpoint.show)])
    config = uvicorn.Config(app, lifespan="off", access_log=False, log_config=None)
    server = _Server(config)
    with _listening(address) as listening:
        task = asyncio.create_task(server.serve([listening]))
        try:
            yield
        finally:
            server.should_exit = True
            await task


@contextlib.contextmanager
def _listening(address: str) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listening.bind(where)
            yield listening
    except OSError as error:
        text = f"{address} cannot be used: {error.strerror or type(error).__name__}"
        raise SettingsError([Problem("server.metrics", text)]) from error
