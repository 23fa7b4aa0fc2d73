"""The record of a server without a configuration: a file of its own, which ends with it."""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

TEMPORARY = "temporary:"
"""What stands for `store.url` where there is no configuration."""

VARIABLE = "GATEWAY_TEMPORARY_RECORD"
"""The folder that a server's processes share: named by the first of them, for its workers."""


def temporary_folder() -> tuple[Path, bool]:
    """Return the folder of this server's record, and whether this process has to remove it."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named), False
    return Path(tempfile.mkdtemp(prefix="segment-gateway-")), True


@contextlib.contextmanager
def shared_folder(*, is_wanted: bool) -> Iterator[None]:
    """Make a temporary folder for this process and its workers, and remove it in the end.

    Also when the process is told to terminate: uvicorn stops in order, and then has the signal
    take its course.
    """
    if not is_wanted:
        yield
        return
    folder, _ = temporary_folder()
    os.environ[VARIABLE] = str(folder)

    def end(number: int, _: FrameType | None) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        os.environ.pop(VARIABLE, None)
        shutil.rmtree(folder, ignore_errors=True)
