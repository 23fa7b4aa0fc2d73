"""The temporary store of a server without a configuration: a file that ends with the server."""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

TEMPORARY = "temporary:"
"""The value of `store.url` where there is no configuration."""

VARIABLE = "GATEWAY_TEMPORARY_STORE"
"""The folder that a server's processes share: the first process sets it for its workers."""


def temporary_folder() -> tuple[Path, bool]:
    """Return the folder of this server's store, and whether this process must remove it."""
    shared = os.environ.get(VARIABLE)
    if shared:
        return Path(shared), False
    return Path(tempfile.mkdtemp(prefix="segment-gateway-")), True


@contextlib.contextmanager
def shared_folder(*, is_wanted: bool) -> Iterator[None]:
    """Create a temporary folder for this process and its workers, and remove it at the end.

    It is removed on SIGTERM as well: uvicorn raises the signal again after its orderly shutdown.
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
