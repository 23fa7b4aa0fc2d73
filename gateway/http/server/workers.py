"""Worker processes that serve one address, and their supervisor.

Why not uvicorn's: it kills a worker that does not respond within five seconds, even while it still
imports the gateway on a slow machine, does not log that, and leaves its workers running when it is
killed itself.
"""

import contextlib
import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from gateway.http.server.graceful import GracefulServer
from gateway.http.server.options import make_server

LOOKS_EVERY_S = 0.25
RETRY_S = 1.0
"""The pause before a worker that never served is replaced, so that a crash loop is slow."""

GRACE_S = 5.0
"""How much longer than `timeout_graceful_shutdown` a worker may take to exit."""

PING, STARTING, SERVING = b"?", b"0", b"1"

DRAIN, STOP, RELOAD = b"drain", b"stop", b"reload"
"""To a worker: stop as after SIGTERM, or as after SIGINT; read the configuration again."""

log = structlog.get_logger()
_spawn = multiprocessing.get_context("spawn")


class _Worker:
    """A worker process, as the supervisor sees it."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket, drain_s: float) -> None:
        """Start the process."""
        self._pipe, theirs = _spawn.Pipe()
        self.process: SpawnProcess = _spawn.Process(
            target=_serve, args=(config, listening, theirs, drain_s), daemon=True
        )
        self.process.start()
        # Each process now holds only its own end of the pipe, so each notices the other's exit.
        theirs.close()
        self.serves = False
        self.is_killed = False
        self._pinged_at: float | None = None
        self.begun_at = time.monotonic()

    def look(self) -> None:
        """Read the last reply, and send the next ping; a reply says whether the worker serves."""
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
            return  # it has exited; `Supervisor` reads its exit code

    def silent_s(self) -> float:
        """Return for how long it has been starting, or not responding."""
        since = self._pinged_at if self.serves else self.begun_at
        return 0.0 if since is None else time.monotonic() - since

    def stop(self, message: bytes) -> None:
        """Let it stop: by a message, because it ignores the SIGINT that a terminal sends it."""
        if self.serves:
            self.send(message)
        else:
            self.process.terminate()

    def send(self, message: bytes) -> None:
        """Send a message, which it reads when it has started."""
        with contextlib.suppress(OSError):  # it has exited
            self._pipe.send_bytes(message)

    def kill(self) -> None:
        """Kill the process."""
        self.is_killed = True
        self.process.kill()

    def close(self) -> None:
        """Free the resources of a process that has exited."""
        self._pipe.close()
        self.process.close()


class Supervisor:
    """Keep a number of workers running, and log when one exits."""

    def __init__(self, config: uvicorn.Config, count: int, start_s: float, drain_s: float) -> None:
        """Run `count` workers; each may take `start_s` seconds to start, and to respond.

        After SIGTERM they accept requests for another `drain_s` seconds.
        """
        self._config = config
        self._count = count
        self._start_s = start_s
        self._drain_s = drain_s
        self._grace_s = drain_s + (config.timeout_graceful_shutdown or 0) + GRACE_S
        self._workers: list[_Worker] = []
        self._not_before = 0.0
        self._has_served = False
        self._signals: list[int] = []
        self._should_reload = False

    def run(self) -> int:
        """Serve until a signal; return the exit code."""
        with self._config.bind_socket() as listening:
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, self._on_signal)
            signal.signal(signal.SIGHUP, self._on_reload)
            code = 0
            try:
                while not self._signals and not code:
                    self._fill(listening)
                    wait([each.process.sentinel for each in self._workers], LOOKS_EVERY_S)
                    code = self._look()
                    self._reload()
            finally:
                # Otherwise the port would stay open, with nobody to accept.
                listening.close()
                self._stop()
        return code

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)

    def _on_reload(self, _: int, __: FrameType | None) -> None:
        self._should_reload = True

    def _fill(self, listening: socket.socket) -> None:
        if time.monotonic() >= self._not_before:
            while len(self._workers) < self._count:
                self._workers.append(_Worker(self._config, listening, self._drain_s))

    def _look(self) -> int:
        """Check all workers; return an exit code other than 0 if they cannot start."""
        for worker in tuple(self._workers):
            worker.look()
            self._has_served |= worker.serves
            code = worker.process.exitcode
            if code is not None:
                self._replace(worker, code)
                if code > 0 and not self._has_served:
                    log.error("workers_cannot_start", exit_code=code)
                    return code
            elif worker.silent_s() > self._start_s and not worker.is_killed:
                why = "has not responded" if worker.serves else "has not started"
                why = f"{why} within {self._start_s:g} s (server.worker_start_s)"
                log.error("worker_killed", pid=worker.process.pid, why=why)
                worker.kill()
        return 0

    def _reload(self) -> None:
        """Let all workers read the configuration again, if a signal has asked for it."""
        if self._should_reload:
            self._should_reload = False
            for worker in self._workers:
                worker.send(RELOAD)

    def _replace(self, worker: _Worker, code: int) -> None:
        """Log how a worker exited, and make room for its successor."""
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
        """Stop all workers gracefully; kill them after a second signal or when time is up."""
        message = STOP if self._signals[:1] == [signal.SIGINT] else DRAIN
        if self._signals:
            log.info("stopping", signal=signal.Signals(self._signals[0]).name)
        for worker in self._workers:
            worker.stop(message)
        until = time.monotonic() + self._grace_s
        signals = len(self._signals)
        while any(each.process.exitcode is None for each in self._workers):
            if time.monotonic() > until or len(self._signals) > signals:
                for worker in self._workers:
                    worker.kill()
            running = [each.process for each in self._workers if each.process.exitcode is None]
            wait([each.sentinel for each in running], LOOKS_EVERY_S)
        for worker in self._workers:
            worker.close()


def serve_alone(config: uvicorn.Config, drain_s: float) -> None:
    """Serve requests in this process, until a signal."""
    server = make_server(config, drain_s)
    # uvicorn raises the signal again when it has stopped, which would skip all clean-up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with config.bind_socket() as listening, contextlib.suppress(KeyboardInterrupt):
        server.run([listening])
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def _serve(
    config: uvicorn.Config, listening: socket.socket, supervisor: Connection, drain_s: float
) -> None:
    """Serve requests; runs in each worker."""
    gc.disable()  # the application enables it, when all is imported
    server = make_server(config, drain_s, ignores_interrupts=True)
    threading.Thread(target=_answer, args=(server, supervisor), daemon=True).start()
    config.configure_logging()
    server.run([listening])


def _answer(server: GracefulServer, supervisor: Connection) -> None:
    """Follow the supervisor while it lives, and exit soon after it."""
    try:
        while True:
            message = supervisor.recv_bytes()
            if message == PING:
                supervisor.send_bytes(SERVING if server.started else STARTING)
            elif message == RELOAD:
                server.reload_soon()
            else:
                server.begin_stop(drains=message == DRAIN)
    except (EOFError, OSError):
        pass
    log.error("supervisor_died")
    server.begin_stop(drains=True)
    time.sleep(server.longest_stop_s + GRACE_S)
    os._exit(1)
