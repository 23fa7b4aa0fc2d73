"""Several processes that serve at one address, and the supervisor that looks after them.

Why not uvicorn's: it kills a worker that does not answer within five seconds, also while that one
still imports the gateway on a slow machine, says nothing of it, and leaves its workers serving
when it is killed itself.
"""

import multiprocessing
import os
import signal
import socket
import threading
import time
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType

import structlog
import uvicorn

LOOKS_EVERY_S = 0.25
RETRY_S = 1.0
"""The pause before a worker is replaced that never served, so that a fault costs little."""

GRACE_S = 5.0
"""How much longer than `timeout_graceful_shutdown` a worker may take to end."""

PING, STARTING, SERVING = b"?", b"0", b"1"

log = structlog.get_logger()
_spawn = multiprocessing.get_context("spawn")


class _Worker:
    """A process that serves, as the supervisor sees it."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket) -> None:
        """Start it."""
        self._pipe, theirs = _spawn.Pipe()
        self.process: SpawnProcess = _spawn.Process(
            target=_serve, args=(config, listening, theirs), daemon=True
        )
        self.process.start()
        # Only the worker holds its end now, and only this process the other: who ends is noticed.
        theirs.close()
        self.serves = False
        self.is_killed = False
        self._pinged_at: float | None = None
        self.begun_at = time.monotonic()

    def look(self) -> None:
        """Read what it answered, and ask again; it answers whether it serves."""
        try:
            if self._pinged_at is not None and self._pipe.poll():
                if self._pipe.recv_bytes() == SERVING and not self.serves:
                    self.serves = True
                    log.info("worker_started", pid=self.process.pid)
                self._pinged_at = None
            if self._pinged_at is None:
                self._pipe.send_bytes(PING)
                self._pinged_at = time.monotonic()
        except (EOFError, OSError):
            return  # it has ended, which its exit code says

    def silent_s(self) -> float:
        """Return for how long it has not started, or not answered."""
        since = self._pinged_at if self.serves else self.begun_at
        return 0.0 if since is None else time.monotonic() - since

    def kill(self) -> None:
        """End it at once."""
        self.is_killed = True
        self.process.kill()

    def close(self) -> None:
        """Free what this process holds of one that has ended."""
        self._pipe.close()
        self.process.close()


class Supervisor:
    """Keeps a number of workers serving, and says in the log when one of them ends."""

    def __init__(self, config: uvicorn.Config, count: int, start_s: float) -> None:
        """Serve what `config` says by so many; each has `start_s` to start, and to answer."""
        self._config = config
        self._count = count
        self._start_s = start_s
        self._grace_s = (config.timeout_graceful_shutdown or 0) + GRACE_S
        self._workers: list[_Worker] = []
        self._not_before = 0.0
        self._has_served = False
        self._signals = 0

    def run(self) -> int:
        """Serve until a signal; return the exit code."""
        with self._config.bind_socket() as listening:
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, self._on_signal)
            code = 0
            try:
                while not self._signals and not code:
                    self._fill(listening)
                    wait([each.process.sentinel for each in self._workers], LOOKS_EVERY_S)
                    code = self._look()
            finally:
                self._stop()
        return code

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        self._signals += 1

    def _fill(self, listening: socket.socket) -> None:
        if time.monotonic() >= self._not_before:
            while len(self._workers) < self._count:
                self._workers.append(_Worker(self._config, listening))

    def _look(self) -> int:
        """Look after all workers; return an exit code other than 0 when it is of no use."""
        for worker in tuple(self._workers):
            worker.look()
            self._has_served |= worker.serves
            code = worker.process.exitcode
            if code is not None:
                self._bury(worker, code)
                if code > 0 and not self._has_served:
                    log.error("workers_cannot_start", exit_code=code)
                    return code
            elif worker.silent_s() > self._start_s and not worker.is_killed:
                why = "has not answered" if worker.serves else "has not started"
                why = f"{why} within {self._start_s:g} s (server.worker_start_s)"
                log.error("worker_killed", pid=worker.process.pid, why=why)
                worker.kill()
        return 0

    def _bury(self, worker: _Worker, code: int) -> None:
        """Say how a worker ended, and let another take its place."""
        by = signal.Signals(-code).name if code < 0 else None
        log.error(
            "worker_died",
            pid=worker.process.pid,
            signal=by,
            exit_code=None if by else code,
            served=worker.serves,
        )
        if not worker.serves:
            self._not_before = time.monotonic() + RETRY_S
        self._workers.remove(worker)
        worker.close()

    def _stop(self) -> None:
        """End all workers: gently, and at once after a second signal or too long a time."""
        for worker in self._workers:
            worker.process.terminate()
        until = time.monotonic() + self._grace_s
        signals = self._signals
        while any(each.process.exitcode is None for each in self._workers):
            if time.monotonic() > until or self._signals > signals:
                for worker in self._workers:
                    worker.kill()
            running = [each.process for each in self._workers if each.process.exitcode is None]
            wait([each.sentinel for each in running], LOOKS_EVERY_S)
        for worker in self._workers:
            worker.close()


def _serve(config: uvicorn.Config, listening: socket.socket, supervisor: Connection) -> None:
    """Serve: what runs in each worker."""
    server = uvicorn.Server(config)
    threading.Thread(target=_answer, args=(server, supervisor), daemon=True).start()
    config.configure_logging()
    server.run([listening])


def _answer(server: uvicorn.Server, supervisor: Connection) -> None:
    """Answer the supervisor for as long as it lives, and end soon after it."""
    try:
        while True:
            supervisor.recv_bytes()
            supervisor.send_bytes(SERVING if server.started else STARTING)
    except (EOFError, OSError):
        pass
    # As if it had asked: what is under way is finished, and nothing more is taken.
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep((server.config.timeout_graceful_shutdown or 0) + GRACE_S)
    os._exit(1)
