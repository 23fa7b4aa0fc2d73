"""A PostgreSQL server of the test's own, that may be frozen, stopped and damaged."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
"""Where Debian puts the server."""
START_S = 30


class Cluster:
    """One server with one database, `postgres`."""

    def __init__(self, folder: Path) -> None:
        """Make its files in this folder."""
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", str(self.data), "-A", "trust", "-U", "postgres", "--no-sync")

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self._folder / "data"

    def url(self, user: str = "postgres", database: str = "postgres") -> str:
        """Return the URL of a database, as `store.url` has it."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = self._command("postgres", "-D", str(self.data), "-p", str(self.port))
        options = ("listen_addresses=127.0.0.1", "fsync=off", "autovacuum=off")
        parts = [part for option in options for part in ("-c", option)]
        self._process = subprocess.Popen(
            [*command, "-k", str(self._folder), *parts], stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + START_S
        while True:
            try:
                self.sql("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop it at once, with all of its connections."""
        if self._process is not None:
            self.thaw()
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_S)
            self._process = None

    def freeze(self) -> None:
        """Stop all of its processes where they are: it accepts connections and is silent."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def sql(self, *statements: str) -> Sequence[Any]:
        """Run statements, and return the rows of the last."""
        with psycopg.connect(self.url(), autocommit=True, connect_timeout=5) as connection:
            for statement in statements:
                result = connection.execute(statement.encode())
            return result.fetchall() if result.description else ()

    def _signal(self, number: int) -> None:
        if self._process is None:
            return
        parent = self._process.pid
        # The parent first: it starts no others then. `ps` knows its children.
        os.kill(parent, number)
        listed = subprocess.run(
            ["/bin/ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, check=False
        )
        for pid in map(int, listed.stdout.split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(self._command(name, *arguments), check=True, stdout=subprocess.DEVNULL)

    @staticmethod
    def _command(name: str, *arguments: str) -> list[str]:
        """Return a command of the server, which does not run as root."""
        command = [str(BINARIES[-1] / name), *arguments]
        if os.geteuid() != 0:
            return command
        drop = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        return ["/usr/bin/setpriv", *drop, *command]


@contextlib.contextmanager
def clustered() -> Iterator[Cluster]:
    """Return a server that runs, and remove it afterwards."""
    # Not below pytest's folder, which is its user's alone.
    with tempfile.TemporaryDirectory(prefix="segment-gateway-") as folder:
        cluster = Cluster(Path(folder))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
