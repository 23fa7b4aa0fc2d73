"""Options for uvicorn."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from uvicorn.config import Config

from gateway.http.server.connections import OpenConnections, spare_files
from gateway.http.server.graceful import GracefulServer
from gateway.http.server.http_protocol import BoundedHttpProtocol
from gateway.http.server.websocket_protocol import PING_S, BoundedWebSocketProtocol
from gateway.settings.tables import Settings

MIN_STOP_S = 10
"""The least time that requests in progress have when the port is closed."""


def make_server(
    config: Config, drain_s: float, *, ignores_interrupts: bool = False
) -> GracefulServer:
    """Return a server with the options of `server_options`."""
    http: Any = config.http
    connections: OpenConnections = http.keywords["open_connections"]
    return GracefulServer(config, connections, drain_s, ignores_interrupts=ignores_interrupts)


def server_options(settings: Settings) -> Mapping[str, Any]:
    """Return uvicorn's options, except the address."""
    limits, proxies = settings.limits, settings.server.trusted_proxies
    connections = OpenConnections(limits)
    return {
        # Operations end within `request_timeout_s` by themselves.
        "timeout_graceful_shutdown": max(
            MIN_STOP_S, math.ceil(settings.server.request_timeout_s) + 1
        ),
        "http": partial(
            BoundedHttpProtocol,
            open_connections=connections,
            direct_answers=settings.fast_paths.direct_answers,
        ),
        "ws": partial(BoundedWebSocketProtocol, open_connections=connections),
        # asyncio accepts this many connections in one go, before any can be closed.
        "backlog": min(2048, spare_files() // 2),
        "ws_ping_interval": PING_S,
        "ws_ping_timeout": PING_S,
        "timeout_keep_alive": settings.server.keep_alive_s,
        "ws_max_size": limits.message_bytes,
        # A compressed message can expand a thousandfold.
        "ws_per_message_deflate": False,
        "proxy_headers": bool(proxies),
        "forwarded_allow_ips": list(proxies),
        "server_header": False,
        "date_header": False,
        "access_log": False,
        "log_level": "warning",
        "loop": "auto",
    }
