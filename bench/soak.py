"""Run operations for a long time under random faults, and look for leaks.

Run `python bench/soak.py [operations] [seed]` (50,000). The gateway runs in this process, the
sandbox in another, with faults that change twice a second. One operation in five is a write, of
every supported kind; one in thirty disconnects. The exit status is 1 if a response has an error
without a code, is an HTTP 5xx, or contains a provider's text, address or secrets; if memory at the
end is more than 10 % above that after the first tenth; or if sockets or tasks are left.
"""

import asyncio
import contextlib
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import structlog
import uvloop
from rich.console import Console
from starlette.types import ASGIApp, Message

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.soak_operations import Operations
from gateway.asgi import build
from gateway.providers.registry import sandboxes
from gateway.settings.loading import sandbox_settings
from gateway.settings.tables import Settings, StoreSettings
from gateway.store.waiting import attempts

CREDENTIALS = {kind: each.CREDENTIALS for kind, each in sandboxes().items()}
OPERATIONS = 50_000
AT_ONCE = 48
HANGS_UP_EVERY = 30
FAULTS_EVERY_S = 0.5
SETTLE_S = 3
CLOSE_S = 90
PLACES = 10

KINDS = ("error", "limit", "reset", "hang", "drip", "garbage", "html", "truncated", "deep", "none")

UPSTREAM_WORDS = ("A fault of the sandbox", "nginx", "Bad Gateway", "127.0.0.1", "Traceback")
SECRETS = tuple(
    value
    for given in CREDENTIALS.values()
    for name, value in given.items()
    if "token" in name or "secret" in name
)


@dataclass
class Findings:
    """The results."""

    codes: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    """Violations by name."""
    answered: int = 0
    written: int = 0
    hung_up: int = 0

    def take_in(self, reply: httpx.Response) -> None:
        """Check one response."""
        self.answered += 1
        if reply.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            self.wrong[f"HTTP {reply.status_code}"] += 1
            return
        for text in (*UPSTREAM_WORDS, *SECRETS):
            if text in reply.text:
                self.wrong[f"leaked {text!r}"] += 1
        body = reply.json()
        for error in body.get("errors", ()):
            self._code(error.get("extensions", {}).get("code"))
        for error in told_errors(body.get("data")):
            self._code(error.get("code"))

    def _code(self, code: str | None) -> None:
        self.codes[str(code)] += 1
        if code in {None, "INTERNAL"}:
            self.wrong[f"code {code}"] += 1


def told_errors(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the errors in the data: of sources, of payloads and of their rows."""
    if isinstance(value, list):
        for each in value:
            yield from told_errors(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name == "userErrors":
                yield from each
            elif name == "error" and each is not None:
                yield each
            else:
                yield from told_errors(each)


def settings_at(sandbox: str, folder: str) -> Settings:
    """Return settings of accounts at the sandbox, with short times; the store in this folder."""
    defaults = sandbox_settings()
    accounts = tuple(
        each.model_copy(
            update={
                "base_url": f"{sandbox}/{each.kind}",
                "timeout_s": 0.5,
                "probe_interval_s": 0.3,
                "max_concurrency": PLACES,
                "stale_if_error_s": 2,
            }
        )
        for each in defaults.providers
    )
    server = defaults.server.model_copy(update={"cache_ttl_s": 0.5, "request_timeout_s": 2})
    store = StoreSettings(url=f"sqlite:///{folder}/gateway.db")
    return defaults.model_copy(update={"providers": accounts, "server": server, "store": store})


def some_faults(chance: random.Random) -> Sequence[Mapping[str, Any]]:
    """Return up to three faults."""
    return [
        {
            "provider": chance.choice(list(CREDENTIALS)),
            "kind": chance.choice(KINDS),
            "share": chance.choice([0.1, 0.5, 1]),
            "status": chance.choice([302, 400, 401, 403, 404, 500, 502, 503]),
            "latency_ms": chance.choice([0, 0, 20, 200]),
            "retry_after_s": chance.choice([0, 1, 30]),
            "every_s": 0.05,
        }
        for _ in range(chance.randrange(4))
    ]


async def disturb(sandbox: str, chance: random.Random) -> None:
    """Change the faults repeatedly."""
    async with httpx.AsyncClient(base_url=sandbox) as client:
        while True:
            (await client.put("/faults", json=some_faults(chance))).raise_for_status()
            await asyncio.sleep(FAULTS_EVERY_S)


async def heal(sandbox: str) -> None:
    """End all faults."""
    async with httpx.AsyncClient(base_url=sandbox) as client:
        (await client.put("/faults", json=[])).raise_for_status()


@dataclass
class Client:
    """Sends operations to the gateway in this process."""

    app: ASGIApp
    http: httpx.AsyncClient
    chance: random.Random
    operations: Operations
    findings: Findings = field(default_factory=Findings)

    async def ask(self) -> None:
        """Run one operation."""
        body = self.operations.next()
        if not self.chance.randrange(HANGS_UP_EVERY):
            self.findings.hung_up += 1
            await hang_up(self.app, msgspec.json.encode(body), self.chance.random() * 0.05)
            return
        reply = await self.http.post("/graphql", json=body)
        self.findings.take_in(reply)
        if "mutation" in body["query"]:
            self.findings.written += 1
            self.operations.take_in(body, reply.json())


async def hang_up(app: ASGIApp, body: bytes, after_s: float) -> None:
    """Send a request and disconnect after a delay; the response is discarded."""
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.sleep(after_s)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        del message

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "path": "/graphql", "method": "POST", "headers": headers}
    await app(scope, receive, send)


def memory_mib() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def tasks() -> list[str]:
    """Return what the tasks of this process run."""
    return [getattr(each.get_coro(), "__qualname__", repr(each)) for each in asyncio.all_tasks()]


def sockets() -> int:
    """Count the open sockets of this process."""
    count = 0
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += each.is_socket()
    return count


async def soak(settings: Settings, sandbox: str, operations: int, seed: int) -> Findings:
    """Run a number of operations; return the results."""
    console = Console(stderr=True)
    chance = random.Random(seed)  # noqa: S311  # the same run again, no secret
    app = build(settings)
    at_tenth = 0.0
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://localhost",
            timeout=60,
        ) as http,
    ):
        client = Client(app, http, chance, Operations(chance))
        wrong = client.findings.wrong
        await asyncio.sleep(SETTLE_S)  # what runs in the background waits by then
        tasks_before, sockets_before = Counter(tasks()), sockets()
        disturbing = asyncio.create_task(disturb(sandbox, chance))
        left = iter(range(operations))

        async def worker() -> None:
            nonlocal at_tenth
            for number in left:
                await client.ask()
                if number == operations // 10:
                    at_tenth = memory_mib()
                if number % (operations // 10 or 1) == 0:
                    console.print(f"{number}: {memory_mib():.0f} MiB, {sockets()} sockets")

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(worker())
        disturbing.cancel()
        await heal(sandbox)
        # Deadlines pass, and circuits that are open are probed until they close.
        await asyncio.sleep(SETTLE_S)
        async for _ in attempts(asyncio.get_running_loop().time() + CLOSE_S):
            if not Counter(tasks()) - tasks_before:
                break
        at_end = memory_mib()
        if at_end > at_tenth * 1.1:
            wrong["memory"] += 1
        if sockets() - sockets_before > PLACES * len(CREDENTIALS):
            wrong["sockets"] += 1
        wrong.update(f"task of {each}" for each in (Counter(tasks()) - tasks_before).elements())
        console.print(f"memory {at_tenth:.0f} -> {at_end:.0f} MiB; {sockets()} sockets")
    return client.findings


async def main(operations: int, seed: int) -> int:
    """Start the sandbox, soak, print; return 1 if something is wrong."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    port = 9400 + os.getpid() % 500
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "sandbox", "--port", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        sandbox = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(30), httpx.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    await client.get(sandbox)
                    break
                await asyncio.sleep(0.1)
        with tempfile.TemporaryDirectory() as folder:
            settings = settings_at(sandbox, folder)
            findings = await soak(settings, sandbox, operations, seed)
    finally:
        running.terminate()
        await running.wait()
    console = Console(highlight=False)
    console.print(
        f"seed {seed}: {findings.answered} answered ({findings.written} of them writes), "
        f"{findings.hung_up} hung up"
    )
    for code, count in findings.codes.most_common():
        console.print(f"  {code:<24}{count:>8}")
    console.print("wrong:", dict(findings.wrong) or "nothing")
    return int(bool(findings.wrong))


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    count, chosen = (*given, *(OPERATIONS, 1)[len(given) :])
    sys.exit(uvloop.run(main(count, chosen)))
