"""The metrics of all workers of a server: each writes its values to a file that others read.

A lock on a second file shows whether the worker is running. The files of one that ended stay, so
that counters never decrease.
"""

import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "GATEWAY_METRICS_FOLDER"
"""The folder of a server's workers; the supervisor creates it."""

VALUES, LOCK = ".metrics", ".lock"


@contextmanager
def shared_snapshots() -> Iterator[None]:
    """Create the folder for the workers that this process starts, and remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="segment-gateway-metrics-") as folder:
        os.environ[VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[VARIABLE]


class WorkerSnapshots:
    """The files of one worker, and those of the others."""

    def __init__(self, folder: Path) -> None:
        """Create this worker's files in the folder."""
        self._folder = folder
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._lock = (folder / f"{self._name}{LOCK}").open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._published = b""

    def publish(self, data: bytes) -> None:
        """Replace this worker's values, for others to read."""
        if data == self._published:
            return
        new = self._folder / f"{self._name}.new"
        new.write_bytes(data)
        new.replace(self._folder / f"{self._name}{VALUES}")
        self._published = data

    def others(self) -> Iterator[tuple[bytes, bool]]:
        """Yield the values of each other worker, and whether it is running."""
        for path in sorted(self._folder.glob(f"*{VALUES}")):
            if path.stem != self._name:
                yield path.read_bytes(), _is_locked(path.with_suffix(LOCK))

    def close(self) -> None:
        """Count as ended."""
        self._lock.close()


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
