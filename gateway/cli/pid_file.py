"""The file `server.pid_file`: its server holds a lock on it (`flock`) as long as it runs.

The kernel releases the lock however the process ends, so a file that is left over names nobody.
"""

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from gateway.cli.console import fail


@contextlib.contextmanager
def written_pid(file: Path | None) -> Iterator[None]:
    """Have the process's id in a file meanwhile; None: in none.

    Exits if the file cannot be written, or if it is that of another running server.
    """
    if file is None:
        yield
        return
    try:
        held = _held(file)
    except OSError as error:
        fail(f"server.pid_file: {file} cannot be written: {error.strerror}")
    # Until the server handles it, a reload must not end it: it is just reading its configuration.
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with held:
        held.truncate(0)
        held.write(f"{os.getpid()}\n")
        held.flush()
        try:
            yield
        finally:
            file.unlink(missing_ok=True)
            signal.signal(signal.SIGHUP, before)


def pid_of_running(file: Path) -> int:
    """Return the id of the server that holds the file; exit if none does."""
    try:
        with file.open(encoding="ascii") as opened:
            pid = int(opened.read())
            is_free = _lock(opened, fcntl.LOCK_SH)
    except (OSError, ValueError):
        fail(f"{file} has no process id: the server is not running.")
    if is_free:
        fail(
            f"{file} is left over from a server that is not running, so nothing was sent to"
            f" process {pid}. Start the server: it writes the file again."
        )
    return pid


def _held(file: Path) -> IO[str]:
    """Open and lock the file."""
    while True:
        opened = file.open("a+", encoding="ascii")
        if not _lock(opened, fcntl.LOCK_EX):
            with opened:
                opened.seek(0)
                holder = opened.read().strip()
            fail(
                f"server.pid_file: {file} is that of a running server, process {holder}."
                " Stop it, or give this one a file of its own."
            )
        # A server that has just stopped may have deleted the file after it was opened here.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(opened.fileno()), file.stat()):
                return opened
        opened.close()


def _lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
