"""Gateway processes over one store, and what they use."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.four_kinds import CREDENTIALS
from tests.proxies.processes import free_port, process
from tests.switches import table

PROVIDER = """
[[providers]]
key = "{kind}"
kind = "{kind}"
base_url = "{base}/{kind}"
{settings}
"""


START_S = 120.0
"""What a process takes at most to start on a busy machine."""


class Process(NamedTuple):
    """A gateway process."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Where it serves GraphQL."""
        return f"http://127.0.0.1:{self.port}/graphql"

    @property
    def cpu_s(self) -> float:
        """CPU seconds that it has used."""
        stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_bytes(self) -> int:
        """Its resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def serving(
    folder: Path,
    store: str,
    sandbox: int,
    settings: str = "",
    *,
    provider: str = "retries = 0",
    port: int | None = None,
) -> Iterator[Process]:
    """Run `gateway serve` with this store, over a sandbox at this port.

    `settings` are more tables of its configuration, `provider` are settings of each provider.
    """
    port = port or free_port()
    text = f'{settings}\n[store]\nurl = "{store}"\n{table()}'
    for kind, credentials in CREDENTIALS.items():
        text += PROVIDER.format(kind=kind, base=f"http://127.0.0.1:{sandbox}", settings=provider)
        text += "".join(f'{name} = "{value}"\n' for name, value in credentials.items())
    file = folder / f"gateway-{port}.toml"
    file.write_text(text, encoding="utf-8")
    log = folder / f"gateway-{port}.log"
    command = [sys.executable, "-m", "gateway", "serve", "--config", file, "--port", str(port)]
    with process([*map(str, command)], log, port, patience_s=START_S) as pid:
        yield Process(port, pid)
