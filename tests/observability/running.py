"""A gateway as an operator starts it, over a sandbox in this process, and what it measures."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx
import uvicorn
from prometheus_client.parser import text_string_to_metric_families

from gateway.asgi import build
from gateway.auth import api_keys
from gateway.http.server.options import server_options
from gateway.sandbox.app import Sandbox
from gateway.settings.loading import load
from gateway.settings.tables import Settings
from tests.four_kinds import CREDENTIALS
from tests.proxies.processes import PATIENCE_S, free_port, process, sandbox_running

SCOPES = {
    "client": '["segments:read", "segments:write", "customers:read", "assignments:read"]',
    "prometheus": '["metrics:read"]',
}
START_S = 90.0
"""How long the workers may take to start: this machine may be busy."""

SERVER = "cache_ttl_s = 0"
KEY = '[[auth.keys]]\nname = "{name}"\nhash = "{hash}"\nscopes = {scopes}\n'
PROVIDER = """
[[providers]]
key = "{kind}"
kind = "{kind}"
base_url = "http://127.0.0.1:{port}/{kind}"
{more}
"""

Values = Mapping[tuple[str, frozenset[tuple[str, str]]], float]
"""By the name of a sample and its labels."""


class Gateway(NamedTuple):
    """A running gateway, the sandbox behind it, and the keys that it accepts."""

    port: int
    sandbox: Sandbox
    keys: Mapping[str, str]
    folder: Path

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def headers(self, name: str) -> dict[str, str]:
        """Return the credentials of a caller."""
        return {"authorization": f"Bearer {self.keys[name]}"}

    def metrics(self) -> Values:
        """Scrape it."""
        reply = httpx.get(
            f"{self.url}/metrics", headers=self.headers("prometheus"), trust_env=False
        )
        assert reply.status_code == 200, reply.text
        return values_of(reply.text)


def values_of(text: str) -> Values:
    """Return all samples of an exposition; each must be there once."""
    values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in values
            values[key] = sample.value
    return values


def of(values: Values, name: str, *labels: str, **where: str) -> dict[tuple[str, ...], int]:
    """Return the values of a metric by these labels, summed over the others; zeros are left out.

    Only samples whose labels match `where` count.
    """
    totals: dict[tuple[str, ...], float] = {}
    for (sample, pairs), value in values.items():
        of_sample = dict(pairs)
        if sample == name and all(of_sample[key] == wanted for key, wanted in where.items()):
            key = tuple(of_sample[label] for label in labels)
            totals[key] = totals.get(key, 0) + value
    return {key: round(total) for key, total in totals.items() if round(total)}


@contextlib.contextmanager
def gateway_running(
    folder: Path,
    *,
    workers: int = 1,
    is_process: bool = False,
    received: list[Mapping[str, str]] | None = None,
    server: str = SERVER,
    provider: str = "retries = 0",
    providers: Mapping[str, str] | None = None,
    tables: str = "",
    environment: Mapping[str, str] | None = None,
) -> Iterator[Gateway]:
    """Run a gateway with a key for each of `SCOPES`, and more settings, some by provider.

    With several workers, or if `is_process`, it is `gateway serve`, else it runs in a thread. The
    headers of each call to the sandbox are added to `received`.
    """
    made = {name: api_keys.make() for name in SCOPES}
    with sandbox_running(received=received) as (sandbox, sandbox_port):
        text = f"[server]\n{server}\n[limits]\nrequests_per_minute = 1000000\n"
        text += f'cost_per_minute = 100000000\n[store]\nurl = "sqlite:///{folder}/gateway.db"\n'
        text += f"{tables}\n"
        for name, (_, digest) in made.items():
            text += KEY.format(name=name, hash=digest, scopes=SCOPES[name])
        for kind, credentials in CREDENTIALS.items():
            more = (providers or {}).get(kind, provider)
            text += PROVIDER.format(kind=kind, port=sandbox_port, more=more)
            text += "".join(f'{name} = "{value}"\n' for name, value in credentials.items())
        file = folder / "gateway.toml"
        file.write_text(text, encoding="utf-8")
        port = free_port()
        gateway = Gateway(port, sandbox, {name: key for name, (key, _) in made.items()}, folder)
        variables = {**os.environ, "XDG_STATE_HOME": str(folder), **(environment or {})}
        if workers == 1 and not is_process:
            with _in_thread(load(file, variables), port):
                yield gateway
            return
        command = [sys.executable, "-m", "gateway", "serve", "--config", str(file)]
        command += ["--port", str(port), "--workers", str(workers)]
        with process(command, folder / "gateway.log", port, variables, START_S):
            yield gateway


@contextlib.contextmanager
def _in_thread(settings: Settings, port: int) -> Iterator[None]:
    """Serve in a thread of this process: that starts at once."""
    options = {**server_options(settings), "log_config": None, "timeout_graceful_shutdown": 1}
    config = uvicorn.Config(build(settings), host="127.0.0.1", port=port, **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something to come true."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)
