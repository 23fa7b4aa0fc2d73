"""The measured servers: how each is installed, started and queried."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.workloads import GATEWAY, HIVE, PLAIN, WORKLOADS
from gateway.auth.api_keys import make

ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "peers"
INSTALLED = Path(os.environ.get("BENCH_DIR", Path.home() / ".cache" / "segment-gateway-bench"))
UPSTREAM_PORT = 19100
UPSTREAM = f"http://127.0.0.1:{UPSTREAM_PORT}"

NODE_PACKAGES = (
    "@apollo/server@5.5.1",
    "mercurius@16.10.1",
    "fastify@5",
    "graphql@16",
    "dataloader@2",
    "undici@7",
    "graphql-jit@0.8.9",
)
HIVE_PACKAGES = (
    "@graphql-hive/gateway@2.15.1",
    "@graphql-mesh/compose-cli@1.8.2",
    "@omnigraph/json-schema@0.112.4",
    "graphql@16",
)
# A registry may lack the newest version that Mesh requires.
HIVE_OVERRIDES = '{"private":true,"overrides":{"@graphql-tools/batch-execute":"10.2.0"}}'
TAILCALL_PACKAGE = "@tailcallhq/core-linux-x64-gnu@1.6.14"
KEY, _HASH = make()
GATEWAY_TOML = f"""\
[server]
cache_ttl_s = 0

[[auth.keys]]
name = "bench"
hash = "{_HASH}"
scopes = ["segments:read", "assignments:read", "customers:read"]

[limits]
cost = 150000
requests_per_minute = 1000000000
cost_per_minute = 1000000000

[store]
url = "sqlite:///{INSTALLED}/gateway.db"

[[providers]]
key = "voucherify"
kind = "voucherify"
display_name = "hello"
base_url = "{UPSTREAM}"
app_id = "bench"
app_token = "bench"
max_concurrency = 100

[[providers]]
key = "emporix"
kind = "emporix"
base_url = "{UPSTREAM}"
tenant = "few"
client_id = "bench"
client_secret = "bench"
max_concurrency = 100

[[providers]]
key = "many"
kind = "emporix"
base_url = "{UPSTREAM}"
tenant = "acme"
client_id = "bench"
client_secret = "bench"
max_concurrency = 100

[[providers]]
key = "comma"
kind = "emporix"
base_url = "{UPSTREAM}"
tenant = "comma"
client_id = "bench"
client_secret = "bench"
max_concurrency = 100
"""
"""Peers have 100 connections, so each provider may have as many calls. The budget of a minute is
counted, but is larger than what wrk sends; 10,000 rows of ten fields cost 121,113."""


class CannotRunError(Exception):
    """A peer that cannot be installed on this machine; the message says why, in one line."""


@dataclass(frozen=True)
class Contestant:
    """A server to measure."""

    name: str
    schema: str
    port: int
    command: tuple[str | Path, ...]
    path: str = "/graphql"
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    cannot: frozenset[str] = frozenset()
    """Workloads that it cannot express."""

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://127.0.0.1:{self.port}{self.path}"


def _run(
    command: list[str | Path], cwd: Path, environment: Mapping[str, str] | None = None
) -> str:
    done = subprocess.run(  # noqa: S603  # the commands are this benchmark's own
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        # Addresses of registries are nobody's business in a table of results.
        raise CannotRunError(re.sub(r"https?://\S+", "…", f"{command[0]}: {lines[0]}"))
    return done.stdout


def _npm(folder: str, packages: tuple[str, ...], manifest: str = '{"private":true}') -> Path:
    """Install packages into a folder of their own, once."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise CannotRunError("node and npm are not on the path")
    place = INSTALLED / folder
    place.mkdir(parents=True, exist_ok=True)
    done = place / "installed.txt"
    wanted = "\n".join((*packages, manifest))
    if not done.exists() or done.read_text() != wanted:
        (place / "package.json").write_text(manifest)
        flags = ["--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"]
        _run(["npm", "install", *flags, *packages], place)
        done.write_text(wanted)
    return place


def _uvicorn(application: str, port: int) -> tuple[str | Path, ...]:
    flags = "--loop uvloop --http httptools --no-access-log --log-level warning"
    where = ("--host", "127.0.0.1", "--port", str(port), "--app-dir", PEERS)
    return (sys.executable, "-m", "uvicorn", *where, *flags.split(), application)


def gateway(port: int = 19101, workers: int = 1) -> Contestant:
    """Return this gateway, configured over the benchmark's upstream."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    configuration = INSTALLED / "gateway.toml"
    configuration.write_text(GATEWAY_TOML)
    command = ("-m", "gateway", "serve", "--config", configuration, "--port", str(port))
    return Contestant(
        "this gateway",
        GATEWAY,
        port,
        (sys.executable, *command, "--workers", str(workers)),
        cwd=ROOT,
    )


def naive() -> Contestant:
    """Return Strawberry with its defaults, over httpx with its defaults."""
    return Contestant("Strawberry, naive", PLAIN, 19102, _uvicorn("naive:app", 19102), "/")


def _node(name: str, script: str, port: int, path: str, client: str) -> Contestant:
    place = _npm("node", NODE_PACKAGES)
    environment = {
        "NODE_ENV": "production",
        "PORT": str(port),
        "CLIENT": client,
        "BENCH_INSTALLED": str(place),
    }
    return Contestant(name, PLAIN, port, ("node", PEERS / "node" / script), path, environment)


def apollo() -> Contestant:
    """Return Apollo Server, with undici's fetch."""
    return _node("Apollo Server", "apollo.mjs", 19103, "/", "fetch")


def mercurius() -> Contestant:
    """Return Mercurius with graphql-jit and undici.request, the fastest for Node."""
    return _node("Mercurius JIT", "mercurius.mjs", 19104, "/graphql", "request")


def hive() -> Contestant:
    """Return Hive Gateway over a supergraph that Mesh composes from the REST API."""
    place = _npm("hive", HIVE_PACKAGES, HIVE_OVERRIDES)
    for configuration in (PEERS / "hive").iterdir():
        shutil.copy(configuration, place)
    programs = place / "node_modules" / ".bin"
    arguments = ("-c", "mesh.config.mjs", "-o", "supergraph.graphql")
    _run([programs / "mesh-compose", *arguments], place, {"UPSTREAM": UPSTREAM})
    return Contestant(
        "Hive Gateway",
        HIVE,
        19105,
        (programs / "hive-gateway", "supergraph", "-c", "gateway.config.mjs"),
        environment={"NODE_ENV": "production", "PORT": "19105"},
        cwd=place,
        cannot=frozenset({"Q4"}),
    )


def tailcall() -> Contestant:
    """Return Tailcall, which shares calls between concurrent requests, as this gateway does."""
    place = _npm("tailcall", (TAILCALL_PACKAGE,))
    program = place / "node_modules/@tailcallhq/core-linux-x64-gnu/bin/tailcall"
    program.chmod(0o755)
    starting: list[str | Path] = [program]
    try:
        _run([*starting, "--version"], place)
    except CannotRunError as error:
        if "GLIBC" not in str(error):
            raise
        libraries = place / "glibc/usr/lib/x86_64-linux-gnu"
        if not libraries.exists():
            _run(["sh", PEERS / "tailcall" / "glibc.sh", place], place)
        starting = [libraries / "ld-linux-x86-64.so.2", "--library-path", libraries, program]
        _run([*starting, "--version"], place)
    schema = (PEERS / "tailcall" / "gateway.graphql").read_text()
    configuration = place / "gateway.graphql"
    configuration.write_text(schema.replace("@UPSTREAM@", UPSTREAM).replace("@PORT@", "19106"))
    return Contestant(
        "Tailcall",
        PLAIN,
        19106,
        (*starting, "start", configuration),
        environment={"TC_LOG_LEVEL": "error", "TC_TRACKER": "false", "TAILCALL_TRACKER": "false"},
        cannot=frozenset({"Q4"}),
    )


def bare(prepared: Path) -> Contestant:
    """Return uvicorn alone, which sends the responses in a file: the lower bound."""
    environment = {"BENCH_PREPARED": str(prepared)}
    command = _uvicorn("bare:app", 19107)
    return Contestant("uvicorn, bare", GATEWAY, 19107, command, "/", environment)


def calling(prepared: Path) -> Contestant:
    """Return uvicorn with this gateway's HTTP client: the lower bound with the upstream calls."""
    return Contestant(
        "uvicorn and our HTTP client",
        GATEWAY,
        19109,
        _uvicorn("bare:calling", 19109),
        "/",
        {"BENCH_PREPARED": str(prepared)},
        cannot=frozenset(each.name for each in WORKLOADS),
    )


PEERS_BY_NAME = {
    "naive": naive,
    "apollo": apollo,
    "mercurius": mercurius,
    "hive": hive,
    "tailcall": tailcall,
}
