"""The commands of the pages about failing providers, run as they stand."""

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.proxies.processes import PATIENCE_S, free_port, need
from tests.snippets import ROOT, blocks

PAGES = (ROOT / "docs" / "how-to" / "testing.md", ROOT / "docs" / "faults.md")
"""In the order of a reader who follows the links. The first starts the servers."""


@contextmanager
def running(
    command: str, port: str, folder: Path, environment: Mapping[str, str]
) -> Iterator[None]:
    """Run a server at a port of its own until it is no longer needed."""
    words = [*shlex.split(command), "--port", port]
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not listens(port):
                assert server.poll() is None, command
                assert time.monotonic() < deadline, command
            yield
        finally:
            server.kill()


def listens(port: str) -> bool:
    """Return whether a server accepts connections at a port."""
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=1):
            return True
    except OSError:
        time.sleep(0.02)
        return False


@pytest.mark.clients
def test_the_commands_work(tmp_path: Path) -> None:
    """Servers run in the background; where JSON follows a command, it is what it prints."""
    need("curl", "curl")
    ports = {"9000": str(free_port()), "8000": str(free_port())}
    environment = {
        **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_STATE_HOME": str(tmp_path),
    }
    on_pages = [block for page in PAGES for block in blocks(page)]
    assert [each.info for each in on_pages if each.language == "sh"] == [
        *("server", "run", "server", "run", "run", "run", "run"),
        *("run", ""),
    ]
    unused = iter(ports.values())
    with ExitStack() as servers:
        for block, following in zip(on_pages, [*on_pages[1:], None], strict=True):
            text = block.text
            for documented, actual in ports.items():
                text = text.replace(f"127.0.0.1:{documented}", f"127.0.0.1:{actual}")
            if block.info == "server":
                servers.enter_context(running(text, next(unused), tmp_path, environment))
            elif block.info == "run":
                shown = subprocess.run(
                    ["bash", "-euc", text],  # noqa: S607  # as a reader's shell does
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
                if following is not None and following.language == "json":
                    answer = json.loads(shown)
                    answer.pop("extensions", None)
                    assert answer == json.loads(following.text), block.name
