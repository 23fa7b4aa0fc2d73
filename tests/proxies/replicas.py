"""Two replicas on one PostgreSQL database, each of which can be restarted."""

import contextlib
import getpass
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import psycopg
import pytest

from gateway.auth import api_keys
from gateway.sandbox.app import Sandbox
from tests.four_kinds import CREDENTIALS
from tests.proxies.processes import (
    DOCUMENTED,
    HOST,
    IN_CI,
    NGINX,
    PATIENCE_S,
    PROVIDER,
    free_port,
    need,
    process,
    sandbox_running,
)
from tests.unit.store.conftest import POSTGRES

CONFIGURATION = """
[server]
hosts = ["{host}", "127.0.0.1"]
trusted_proxies = ["127.0.0.1"]
drain_s = {drain_s}

[store]
url = "{store}"

[limits]
requests_per_minute = 1000000
cost_per_minute = 1000000000

[[auth.keys]]
name = "client"
hash = "{hash}"
scopes = ["segments:read", "segments:write", "assignments:read"]
"""


START_S = 120.0
"""What a start may take on a busy machine."""


class Replica:
    """One place of a gateway: a process after the other."""

    def __init__(self, folder: Path, file: Path, port: int) -> None:
        """Start nothing yet."""
        self.port = port
        self._log = folder / f"{port}.log"
        self._command = [
            *(sys.executable, "-m", "gateway", "serve"),
            *("--config", str(file), "--port", str(port)),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + START_S
        while not self._is_ready():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.05)

    def stop(self) -> int:
        """Stop it as a service manager does; return the exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        """Leave nothing behind."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE_S)

    @property
    def log(self) -> str:
        """All that it wrote."""
        return self._log.read_text(encoding="utf-8")

    def _is_ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            url = f"http://127.0.0.1:{self.port}/readyz"
            return httpx.get(url, trust_env=False, timeout=5).status_code == httpx.codes.OK
        return False


@contextlib.contextmanager
def schema() -> Iterator[str]:
    """Return the URL of an empty schema; without a server fail in CI and skip elsewhere."""
    name = f"replicas_{uuid.uuid4().hex}"
    try:
        server = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        if IN_CI:
            raise
        pytest.skip(f"no PostgreSQL: {error}")
    with server:
        server.execute(f"CREATE SCHEMA {name}")
        try:
            yield f"{POSTGRES}?options=-csearch_path%3D{name}"
        finally:
            server.execute(f"DROP SCHEMA {name} CASCADE")


@contextlib.contextmanager
def replicas_running(
    folder: Path, drain_s: float
) -> Iterator[tuple[tuple[Replica, Replica], Sandbox, str]]:
    """Run two replicas over a sandbox; return them, the sandbox, and a client's key."""
    key, digest = api_keys.make()
    with schema() as store, sandbox_running() as (sandbox, sandbox_port):
        text = CONFIGURATION.format(host=HOST, drain_s=drain_s, store=store, hash=digest)
        for kind, credentials in CREDENTIALS.items():
            text += PROVIDER.format(kind=kind, port=sandbox_port)
            text += "".join(f'{name} = "{value}"\n' for name, value in credentials.items())
        file = folder / "gateway.toml"
        file.write_text(text, encoding="utf-8")
        first, second = (Replica(folder, file, free_port()) for _ in range(2))
        try:
            first.start()
            second.start()
            yield (first, second), sandbox, key
        finally:
            first.kill()
            second.kill()


@contextlib.contextmanager
def balancer_running(name: str, folder: Path, ports: tuple[int, int]) -> Iterator[int]:
    """Run a proxy in front of two replicas, as documented; return its port."""
    port = free_port()
    replaced = {
        "127.0.0.1:8000": f"127.0.0.1:{ports[0]}",
        "127.0.0.1:8001": f"127.0.0.1:{ports[1]}",
    }
    command = _BALANCERS[name](folder, port, replaced)
    with process(command, folder / f"{name}.log", port, {**os.environ, "HOME": str(folder)}):
        yield port


def _filled_in(file: str, replaced: Mapping[str, str]) -> str:
    text = (DOCUMENTED / "replicas" / file).read_text(encoding="utf-8")
    for documented, actual in replaced.items():
        assert text.count(documented) == 1, f"{file} has {documented!r} exactly once"
        text = text.replace(documented, actual)
    return text


def _nginx(folder: Path, port: int, replaced: Mapping[str, str]) -> list[str]:
    replaced = {**replaced, "listen 8080": f"listen 127.0.0.1:{port}"}
    (folder / "gateway.conf").write_text(_filled_in("nginx.conf", replaced), encoding="utf-8")
    main = folder / "nginx.conf"
    main.write_text(NGINX.format(folder=folder, user=getpass.getuser()), encoding="utf-8")
    return [need("nginx", "nginx"), "-p", str(folder), "-e", "stderr", "-c", str(main)]


def _haproxy(folder: Path, port: int, replaced: Mapping[str, str]) -> list[str]:
    replaced = {**replaced, "bind :8080": f"bind 127.0.0.1:{port}"}
    file = folder / "haproxy.cfg"
    text = "global\n    nbthread 1\n" + _filled_in("haproxy.cfg", replaced)
    file.write_text(text, encoding="utf-8")
    return [need("haproxy", "haproxy"), "-db", "-f", str(file)]


def _caddy(folder: Path, port: int, replaced: Mapping[str, str]) -> list[str]:
    site = f"{HOST} {{"
    replaced = {**replaced, site: f"http://{HOST}:{port} {{"}
    options = f"{{\n\tadmin off\n\tstorage file_system {folder}\n}}\n"
    file = folder / "Caddyfile"
    file.write_text(options + _filled_in("Caddyfile", replaced), encoding="utf-8")
    return [need("caddy", "caddy"), "run", "--adapter", "caddyfile", "--config", str(file)]


_BALANCERS = {"nginx": _nginx, "haproxy": _haproxy, "caddy": _caddy}
