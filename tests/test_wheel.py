"""A wheel works in an environment of its own: the pages are in it, and optional parts are named.

The packages come from the registry, in the versions of `requirements/serve.lock`.
"""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway import __version__
from tests.proxies.processes import free_port

ROOT = Path(__file__).resolve().parents[1]
TREE = ("gateway", "resolvers", "tools", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
START_S = 30


def copied(folder: Path, *, with_pages: bool) -> Path:
    """Copy what a wheel is built from, without generated files."""
    generated = shutil.ignore_patterns("__pycache__", "*.pyc", *([] if with_pages else ["static"]))
    for name in TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=generated)
        else:
            shutil.copy(source, folder / name)
    return folder


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build a wheel into `dist`."""
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", "dist", "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel; the pages must have been built."""
    folder = copied(tmp_path_factory.mktemp("tree"), with_pages=True)
    result = build(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    [file] = (folder / "dist").glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel without extras; return the environment's folder of commands."""
    environment = tmp_path_factory.mktemp("environment")
    uv = [sys.executable, "-m", "uv", "--quiet", "--no-config"]
    python = environment / "bin" / "python"
    locked = ["--constraints", str(ROOT / "requirements" / "serve.lock")]
    for command in (
        [*uv, "venv", "--python", sys.executable, "--clear", str(environment)],
        [
            *uv,
            "pip",
            "install",
            "--compile-bytecode",
            "--python",
            str(python),
            *locked,
            str(wheel),
        ],
    ):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
    return environment / "bin"


def gateway(commands: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run the installed command; return its exit status and output."""
    result = subprocess.run(
        [commands / "gateway", *arguments],
        cwd="/",
        env={"HOME": environment.get("HOME", "/nonexistent"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout + result.stderr


def test_a_tree_without_pages_makes_no_wheel(tmp_path: Path) -> None:
    """The build stops with one line that says what to do."""
    result = build(copied(tmp_path, with_pages=False))

    assert result.returncode != 0
    assert "error: the pages are not built; build them first: make pages" in result.stderr
    assert list(tmp_path.glob("dist/*")) == []


def test_the_wheel_has_the_pages_and_the_sandbox(wheel: Path) -> None:
    """It has every file of the packages, and nothing else."""
    expected = {
        str(file.relative_to(ROOT))
        for package in ("gateway", "resolvers")
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    names = {each for each in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in each}

    assert names == expected
    assert "gateway/http/pages/static/index.html" in names


def get(address: str, accept: str) -> tuple[str, str]:
    """Return the content type and the body of a response."""
    request = urllib.request.Request(address, headers={"accept": accept})
    with urllib.request.urlopen(request, timeout=5) as response:
        return response.headers["content-type"], response.read().decode()


def ready(address: str) -> Mapping[str, object]:
    """Return the body of /readyz as soon as the server answers."""
    end = time.monotonic() + START_S
    while True:
        try:
            body: Mapping[str, object] = json.loads(get(f"{address}/readyz", "*/*")[1])
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)  # until the server listens
        else:
            return body


def test_the_installed_gateway_serves_its_pages(installed: Path, tmp_path: Path) -> None:
    """Anywhere, over the sandbox, with the same version everywhere."""
    port = free_port()
    with subprocess.Popen(
        [installed / "gateway", "serve", "--port", str(port)],
        cwd="/",
        env={"HOME": str(tmp_path), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            body = ready(f"http://127.0.0.1:{port}")
            kind, page = get(f"http://127.0.0.1:{port}/graphql", "text/html")
            query = "%7Bsegments(first:1)%7BtotalCount%7D%7D"
            _, answer = get(f"http://127.0.0.1:{port}/graphql?query={query}", "application/json")
        finally:
            server.terminate()
        assert server.stdout is not None
        output = server.stdout.read()

    assert (body["status"], body["version"]) == ("ready", __version__)
    assert kind.startswith("text/html")
    assert re.search(r'<script type="module"[^>]* src="/static/', page)
    assert "totalCount" in answer
    assert output.startswith(f"Segment gateway {__version__}\n")
    assert gateway(installed, "--version") == (0, f"gateway {__version__}\n")


PROVIDER = """
[[providers]]
key = "loyalty"
kind = "voucherify"
base_url = "sandbox:"
"""


def test_what_is_not_installed_is_named(installed: Path, tmp_path: Path) -> None:
    """A setting that needs an extra says which, and how to install it."""
    file = tmp_path / "gateway.toml"
    file.write_text(
        '[store]\nurl = "postgresql://127.0.0.1/none"\n'
        + PROVIDER
        + 'proxy = "http://127.0.0.1:3128"\n'
        + '[traces]\nendpoint = "http://127.0.0.1:4318"\n[mcp]\nenabled = true\n'
    )
    without_proxy = tmp_path / "no-proxy.toml"
    without_proxy.write_text('[store]\nurl = "postgresql://127.0.0.1/none"\n' + PROVIDER)

    advice = "needs an optional part; install it: pip install 'segment-gateway[{}]'"
    status, output = gateway(installed, "check", "--config", str(file))
    assert (status, output.splitlines()) == (
        2,
        [
            "The configuration cannot be used:",
            f"  providers[0].proxy: {advice.format('proxy')}",
            f"  traces.endpoint: {advice.format('otel')}",
            f"  mcp.enabled: {advice.format('mcp')}",
        ],
    )
    port = str(free_port())
    status, output = gateway(
        installed, "serve", "--port", port, "--config", str(without_proxy), HOME=str(tmp_path)
    )
    assert (status, output.splitlines()) == (
        2,
        ["The configuration cannot be used:", f"  store.url: {advice.format('postgres')}"],
    )
