"""Servers on one core and their CPU and memory, from /proc, with children and threads."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PROC = Path("/proc")
RESET_PEAK = "5"
"""proc(5), clear_refs: resets the peak of resident memory."""


class Use(NamedTuple):
    """The CPU and memory that a server has used so far."""

    cpu_s: float
    rss_bytes: int


class Server:
    """A server in a session of its own, by which all its processes are known."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        """Wrap a process that `start` started."""
        self.name = name
        self.log = log
        self._process = process

    @classmethod
    def start(  # noqa: PLR0913  # what a process is started with
        cls,
        name: str,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        *,
        cores: str,
        log: Path,
        cwd: Path | None = None,
    ) -> Self:
        """Start a command on these cores; what it prints goes to `log`."""
        with log.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603  # the commands are this benchmark's own
                ["/usr/bin/taskset", "-c", cores, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                # Empty: a warm start has compiled modules, wherever it is measured.
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},
                cwd=cwd,
                start_new_session=True,
            )
        return cls(name, process, log)

    @property
    def is_running(self) -> bool:
        """Whether its first process is running."""
        return self._process.poll() is None

    def use(self) -> Use:
        """Return the CPU and memory of all its processes, including ended ones."""
        cpu = pages = 0
        for _, stat in self._processes():
            # proc(5): utime, stime, those of awaited children, and rss.
            cpu += sum(int(stat[at]) for at in (11, 12, 13, 14))
            pages += int(stat[21])
        return Use(cpu * TICK_S, pages * PAGE)

    def peak_bytes(self) -> int:
        """Return the peak of resident memory since `forget_peak`, summed over its processes."""
        peak = 0
        for pid, _ in self._processes():
            for line in (PROC / pid / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peak += int(line.split()[1]) * 1024
        return peak

    def forget_peak(self) -> None:
        """Reset the peak."""
        for pid, _ in self._processes():
            (PROC / pid / "clear_refs").write_text(RESET_PEAK)

    async def settle(self) -> None:
        """Wait until it is idle, at most 5 s: no other server shares its core."""
        until = time.monotonic() + 5
        before = self.use().cpu_s
        while time.monotonic() < until:
            await asyncio.sleep(0.1)
            now = self.use().cpu_s
            if now - before < 2 * TICK_S:
                return
            before = now

    def stop(self) -> None:
        """End it and all that it started."""
        pids = [int(pid) for pid, _ in self._processes()]
        if self.is_running:
            self._process.terminate()
            try:
                self._process.wait(8)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for pid in pids:
            if (PROC / str(pid)).exists() and self._is_mine(str(pid)):
                os.kill(pid, signal.SIGKILL)

    def _is_mine(self, pid: str) -> bool:
        stat = _stat(pid)
        return stat is not None and int(stat[3]) == self._process.pid

    def _processes(self) -> list[tuple[str, list[str]]]:
        processes = []
        for entry in PROC.iterdir():
            stat = _stat(entry.name) if entry.name.isdecimal() else None
            if stat is not None and int(stat[3]) == self._process.pid:
                processes.append((entry.name, stat))
        return processes


def _stat(pid: str) -> list[str] | None:
    """Return /proc/PID/stat from the third field on, because the second may contain spaces."""
    try:
        return (PROC / pid / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
