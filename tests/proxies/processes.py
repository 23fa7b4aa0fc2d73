"""The gateway and the proxies in front of it, each a process as an operator would start it."""

import contextlib
import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from gateway.auth import api_keys
from gateway.sandbox.app import Sandbox, SandboxOptions
from tests.four_kinds import CREDENTIALS, SANDBOXES

DOCUMENTED = Path(__file__).parents[2] / "docs" / "proxies"
"""The configurations that docs/proxies.md shows: what is documented is what is tested."""

HOST = "segments.shop.example"
PATIENCE_S = 30.0
START_S = 120.0
"""On an idle machine it takes 3; beside other tests, 25."""
IN_CI = os.environ.get("CI") == "true"

CONFIGURATION = """
[server]
hosts = ["{host}", "127.0.0.1"]
cache_ttl_s = 0
drain_s = 0
{server}

[limits]
body_bytes = 1048576
header_timeout_s = 2
body_timeout_s = 2
init_timeout_s = 2
"""
KEY = """
[[auth.keys]]
name = "{name}"
hash = "{hash}"
scopes = {scopes}
"""
SCOPES = ("segments:read", "segments:write", "customers:read")
"""Those of each key."""

PROVIDER = """
[[providers]]
key = "{kind}"
kind = "{kind}"
base_url = "http://127.0.0.1:{port}/{kind}"
retries = 0
"""


def need(program: str, package: str, *folders: Path) -> str:
    """Return where a program is; without it skip the test, or fail in CI."""
    places = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", *map(str, folders)]
    where = shutil.which(program, path=os.pathsep.join(places))
    if where is None:
        message = f"{program} is missing: apt-get install {package}"
        if IN_CI:
            pytest.fail(message)
        pytest.skip(message)
    return where


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Gateway(NamedTuple):
    """A running gateway, the sandbox behind it, and the keys that it accepts."""

    port: int
    sandbox: Sandbox
    keys: Mapping[str, str]


class Way(NamedTuple):
    """A port that leads to a gateway."""

    gateway: Gateway
    port: int
    is_bare: bool
    """No proxy stands between."""


@contextlib.contextmanager
def sandbox_running(
    options: SandboxOptions | None = None,
    received: list[Mapping[str, str]] | None = None,
) -> Iterator[tuple[Sandbox, int]]:
    """Serve the sandbox from a thread; its calls can be read here.

    The headers of each call are added to `received`.
    """
    sandbox = Sandbox(SANDBOXES, options)

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if received is not None:
            received.append({name.decode(): value.decode() for name, value in scope["headers"]})
        await sandbox.asgi(scope, receive, send)

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)  # who calls before the thread serves must wait
        # A provider that closes idle connections may fail a call, and the gateway does not retry.
        config = uvicorn.Config(
            served, lifespan="off", log_level="critical", timeout_keep_alive=600
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield sandbox, listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)


@contextlib.contextmanager
def gateway_running(
    folder: Path,
    names: Sequence[str],
    server: str = "",
    *,
    tables: str = "",
    scopes: Sequence[str] = SCOPES,
) -> Iterator[Gateway]:
    """Run `gateway serve` over a sandbox, with an API key for each name, and more settings.

    `server`: of the table `[server]`; `tables`: further ones.
    """
    made = {name: api_keys.make() for name in names}
    with sandbox_running() as (sandbox, sandbox_port):
        text = CONFIGURATION.format(host=HOST, server=server) + tables
        for name, (_, digest) in made.items():
            text += KEY.format(name=name, hash=digest, scopes=json.dumps(scopes))
        for kind, credentials in CREDENTIALS.items():
            text += PROVIDER.format(kind=kind, port=sandbox_port)
            text += "".join(f'{name} = "{value}"\n' for name, value in credentials.items())
        file = folder / "gateway.toml"
        file.write_text(text, encoding="utf-8")
        port = free_port()
        command = [sys.executable, "-m", "gateway", "serve"]
        command += ["--config", str(file), "--port", str(port)]
        environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
        with process(command, folder / "gateway.log", port, environment):
            yield Gateway(port, sandbox, {name: key for name, (key, _) in made.items()})


@contextlib.contextmanager
def process(
    command: Sequence[str],
    log: Path,
    port: int,
    environment: Mapping[str, str] | None = None,
    patience_s: float = START_S,
) -> Iterator[int]:
    """Run a server until it is no longer needed; it is ready when `/livez` answers.

    Yields its process id.
    """
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, env=environment) as server,
    ):
        try:
            deadline = time.monotonic() + patience_s
            while not _answers(port):
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")
                time.sleep(0.1)  # or looking would take the CPU that starting needs
            yield server.pid
        finally:
            server.terminate()
            try:
                server.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                server.kill()


def _answers(port: int) -> bool:
    try:
        answer = httpx.get(
            f"http://127.0.0.1:{port}/livez", headers={"host": HOST}, trust_env=False, timeout=1
        )
    except httpx.TransportError:
        time.sleep(0.02)
        return False
    return answer.status_code == httpx.codes.OK


def filled_in(file: str, replacements: Mapping[str, str]) -> str:
    """Return a documented configuration with this machine's ports in it, and nothing else."""
    text = (DOCUMENTED / file).read_text(encoding="utf-8")
    for documented, actual in replacements.items():
        assert text.count(documented) == 1, f"{file} has {documented!r} exactly once"
        text = text.replace(documented, actual)
    return text


NGINX = """
user {user};
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/gateway.conf;
}}
"""


def nginx(folder: Path, port: int, gateway: int) -> Sequence[str]:
    """Return the command that runs nginx: Debian's file around the documented one, in short."""
    ports = {"127.0.0.1:8000": f"127.0.0.1:{gateway}", "listen 8080": f"listen 127.0.0.1:{port}"}
    (folder / "gateway.conf").write_text(filled_in("nginx.conf", ports), encoding="utf-8")
    main = folder / "nginx.conf"
    main.write_text(NGINX.format(folder=folder, user=getpass.getuser()), encoding="utf-8")
    return [need("nginx", "nginx"), "-p", str(folder), "-e", "stderr", "-c", str(main)]


def haproxy(folder: Path, port: int, gateway: int) -> Sequence[str]:
    """Return the command that runs HAProxy in the foreground, with one thread."""
    ports = {"127.0.0.1:8000": f"127.0.0.1:{gateway}", "bind :8080": f"bind 127.0.0.1:{port}"}
    file = folder / "haproxy.cfg"
    text = "global\n    nbthread 1\n" + filled_in("haproxy.cfg", ports)
    file.write_text(text, encoding="utf-8")
    return [need("haproxy", "haproxy"), "-db", "-f", str(file)]


def caddy(folder: Path, port: int, gateway: int) -> Sequence[str]:
    """Return the command that runs Caddy: without TLS, and without its administration port."""
    site = f"{HOST} {{"
    ports = {"127.0.0.1:8000": f"127.0.0.1:{gateway}", site: f"http://{HOST}:{port} {{"}
    options = f"{{\n\tadmin off\n\tstorage file_system {folder}\n}}\n"
    file = folder / "Caddyfile"
    file.write_text(options + filled_in("Caddyfile", ports), encoding="utf-8")
    return [
        *(need("caddy", "caddy"), "run", "--adapter", "caddyfile"),
        *("--config", str(file)),
    ]


PROXIES: Mapping[str, Callable[[Path, int, int], Sequence[str]]] = {
    "nginx": nginx,
    "haproxy": haproxy,
    "caddy": caddy,
}


@contextlib.contextmanager
def proxy_running(name: str, folder: Path, gateway: int) -> Iterator[int]:
    """Run a proxy in front of the gateway; the port at which it listens."""
    port = free_port()
    command = PROXIES[name](folder, port, gateway)
    environment = {**os.environ, "HOME": str(folder)}
    with process(command, folder / f"{name}.log", port, environment):
        yield port
