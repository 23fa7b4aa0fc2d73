"""`examples/python`: its README's commands set it up, and it works with a gateway."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.auth import api_keys
from gateway.sandbox.faults import Fault
from gateway.settings.loading import sandbox_settings
from tests.e2e.failures import answering
from tests.e2e.known import APP_BETA, SILVER_MEMBERS
from tests.e2e.serving import Providers, customer_id, segment_id
from tests.e2e.writes.asking import buyers
from tests.proxies.processes import IN_CI
from tests.security.served import Server, really_serving

ROOT = Path(__file__).parents[1]
EXAMPLE = Path("examples/python")
SET_UP, USES = re.findall(
    r"^```sh\n(.*?)^```$",
    (ROOT / EXAMPLE / "README.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)
PATIENCE_S = 60
SCOPES = ["segments:read", "customers:read", "assignments:read", "assignments:write"]
GOLDEN = segment_id("emporix", "golden")
GERMAN_SPEAKING = segment_id("voucherify", "seg_XgLWF2S8RcNvz94zceVFuoWg")
ANOTHER = buyers(2)[1]
ASSIGN = f"""mutation {{ assignmentCreate(input: {{
  segmentId: "{GOLDEN}", identity: {{ provider: "emporix", externalId: "{ANOTHER}" }}
}}) {{ userErrors {{ message }} }} }}"""
MEMBERS = f"""{{ segment(id: "{GERMAN_SPEAKING}") {{
  customers(first: 250) {{ nodes {{ name }} }}
}} }}"""
HIRO = (
    ("voucherify", "seg_7bT9aeZtCeUEuS57KnGxorTz", "Before the relaunch or born before 1960"),
    ("voucherify", "seg_XgLWF2S8RcNvz94zceVFuoWg", "German-speaking countries"),
    ("voucherify", SILVER_MEMBERS, "Silver members"),
    ("voucherify", APP_BETA, "App beta testers"),
    ("emporix", "b2b-partners", "B2B partners"),
    ("emporix", "d16d600a7a23166432749c92", "Silver circle"),
)
DRIVER = """
import asyncio, json, sys, segments
for words in json.loads(sys.argv[1]):
    print("$", words[0], flush=True)
    asyncio.run(segments.main(segments.parsed(words)))
"""
"""Runs commands in one process, since each start takes most of a second."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the example where the README's first block of commands was run."""
    root = tmp_path_factory.mktemp("python")
    ignored = shutil.ignore_patterns("__pycache__", ".*", "gateway_client")
    shutil.copytree(ROOT / EXAMPLE, root / EXAMPLE, ignore=ignored)
    (root / "requirements").mkdir()
    for name in ("schema.graphql", "requirements/example-python.lock"):
        shutil.copy(ROOT / name, root / name)
    # With the gateway's environment on the path: it has uv, and a Python.
    bin_folder = Path(sys.executable).parent
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment["PATH"] = f"{bin_folder}{os.pathsep}{environment['PATH']}"
    environment["UV_NO_CONFIG"] = "1"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", SET_UP],  # noqa: S607  # that of the path
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * PATIENCE_S,
    )
    if done.returncode and "Failed to fetch" in done.stderr and not IN_CI:
        pytest.skip("the packages of the example cannot be installed: no network")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Success: no issues found in 14 source files" in done.stdout  # mypy --strict
    return root / EXAMPLE


async def started(
    folder: Path, environment: Mapping[str, str], *arguments: str, stdout: int = PIPE
) -> Process:
    """Start Python in the example's environment."""
    return await asyncio.create_subprocess_exec(
        ".venv/bin/python",
        *arguments,
        cwd=folder,
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=PIPE,
        # A shell lets what it starts in the background ignore Ctrl+C, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


async def output(process: Process) -> str:
    """Wait until a program ends well; return what it has printed since the last look."""
    async with asyncio.timeout(PATIENCE_S):
        stdout, stderr = await process.communicate()
    assert (process.returncode, stderr.decode()) == (0, "")
    return (stdout or b"").decode()


async def line(process: Process) -> str:
    """Return the next line that a program prints."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        return (await process.stdout.readline()).decode().strip()


async def connected(server: Server, count: int) -> None:
    """Wait until so many connections are open."""
    async with asyncio.timeout(PATIENCE_S):
        while server.connections < count:  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.01)


class Limiting:
    """Emporix, which accepts no more calls at the moment when it gets its first assignment."""

    def __init__(self, providers: Providers) -> None:
        self._real = providers.real("emporix")
        self.puts: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["method"] != "PUT":
            await self._real(scope, receive, send)
            return

        async def noted(message: Message) -> None:
            if "status" in message:
                self.puts.append(message["status"])
            await send(message)

        refusing = answering(429, b"{}", retry_after="1")
        await (self._real if self.puts else refusing)(scope, receive, noted)


async def test_it_reads_writes_and_follows(folder: Path, tmp_path: Path) -> None:
    """Each command of the README; a change that is made while it is not connected is shown.

    The members may be read by a program that ends before all of them were written.
    """
    key, digest = api_keys.make()
    settings = sandbox_settings(
        {
            "auth": {"keys": [{"name": "client", "hash": digest, "scopes": SCOPES}]},
            "store": {"url": f"sqlite:///{tmp_path / 'gateway.db'}"},
        }
    )
    accounts = [each.model_copy(update={"retries": 0}) for each in settings.providers]
    settings = settings.model_copy(update={"providers": tuple(accounts)})
    find, members, assign, follow = [each.split()[2:] for each in USES.splitlines()]
    mistake = ["assign", GOLDEN, "voucherify", "crm-00001"]
    providers = Providers()
    async with (
        httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}) as client,
        really_serving(settings, providers) as server,
    ):
        address = f"http://127.0.0.1:{server.port}"
        url, environment = f"{address}/graphql", {"GATEWAY_URL": address, "GATEWAY_KEY": key}
        following = await started(folder, environment, "segments.py", *follow)
        await connected(server, 2)  # one to read the cursor, then one to subscribe
        providers.faults.replace([Fault("stuut", "error")])
        providers.instead["emporix"] = emporix = Limiting(providers)
        commands = json.dumps([find, members, assign, mistake])
        printed = await output(await started(folder, environment, "-c", DRIVER, commands))
        nobody_reads, its_end = os.pipe()
        os.close(nobody_reads)
        await output(await started(folder, environment, "segments.py", *members, stdout=its_end))
        os.close(its_end)
        entered = await line(following)
        everyone = await client.post(url, json={"query": MEMBERS})
    # No gateway runs now. The next one has a change before the program connects again.
    async with (
        httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}) as client,
        really_serving(settings, providers, port=server.port),
    ):
        reply = await client.post(url, json={"query": ASSIGN})
        assert reply.json()["data"] == {"assignmentCreate": {"userErrors": []}}
        entered_meanwhile = await line(following)
        following.send_signal(signal.SIGINT)
        assert await output(following) == ""
    names = [each["name"] for each in everyone.json()["data"]["segment"]["customers"]["nodes"]]
    assert len(names) == 114  # two pages
    assert printed.splitlines() == [
        "$ person",
        *(f"{segment_id(key, at)}  {key}: {name}" for key, at, name in HIRO),
        "stuut failed: PROVIDER_BROKEN",
        "$ members",
        *names,
        "$ assign",
        "CONFIRMED",
        "$ assign",
        "identity.provider: The segment belongs to provider 'emporix'.",
    ]
    assert emporix.puts == [429, 201]  # the client tried again: the gateway makes one attempt
    assert [entered, entered_meanwhile] == [
        f"ENTERED {customer_id('emporix', each)} {GOLDEN}" for each in (assign[-1], ANOTHER)
    ]


async def test_without_a_gateway_it_says_so(folder: Path, unused_tcp_port: int) -> None:
    """In a line with the address."""
    address = f"http://127.0.0.1:{unused_tcp_port}"
    process = await started(folder, {"GATEWAY_URL": address}, "segments.py", "changes")
    async with asyncio.timeout(PATIENCE_S):
        _, stderr = await process.communicate()
    text = f"The gateway at {address} cannot be reached: All connection attempts failed\n"
    assert (process.returncode, stderr.decode()) == (1, text)
