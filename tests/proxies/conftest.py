"""Each way to a gateway: through a proxy, or straight."""

from collections.abc import Iterator

import pytest

from tests.proxies.processes import PROXIES, Way, gateway_running, proxy_running

CALLERS = ("victim", "neighbour", "attacker")


@pytest.fixture(scope="session", params=["bare", *PROXIES])
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    """Run a gateway and, unless it is reached straight, a proxy in front of it.

    Without a proxy idle connections end soon, so that a test can wait for their end.
    """
    name = request.param
    server = "keep_alive_s = 2" if name == "bare" else 'trusted_proxies = ["127.0.0.1"]'
    with gateway_running(tmp_path_factory.mktemp("gateway"), CALLERS, server) as gateway:
        if name == "bare":
            yield Way(gateway, gateway.port, is_bare=True)
        else:
            with proxy_running(name, tmp_path_factory.mktemp(name), gateway.port) as port:
                yield Way(gateway, port, is_bare=False)
