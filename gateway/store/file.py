"""Check that SQLite's file is still the one that was opened."""

import os
from pathlib import Path

from gateway.store.errors import StoreFailed, StoreState


class StoreFile:
    """The file's identity: device, inode and size.

    The connections hold the file open, so no other file can get its inode. In WAL mode only
    VACUUM shrinks it, which is for a stopped gateway.
    """

    def __init__(self, path: Path) -> None:
        """Check nothing until `remember` is called."""
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._size = 0
        self._is_truncated = False

    @property
    def uri(self) -> str:
        """The file as a URI, to which SQLite's parameters can be added."""
        return self._path.absolute().as_uri()

    def remember(self) -> None:
        """Remember the file that is at the path now."""
        status = self._path.stat()
        self._identity, self._size = (status.st_dev, status.st_ino), status.st_size

    def check(self) -> None:
        """Raise `StoreFailed` if the file was deleted, replaced or truncated."""
        if self._identity is None:
            return
        try:
            status = self._path.stat()
        except OSError as error:
            cause = f"the file cannot be examined: {error.strerror}"
            raise StoreFailed(StoreState.REPLACED, cause) from error
        if (status.st_dev, status.st_ino) != self._identity:
            raise StoreFailed(StoreState.REPLACED, "another file is in its place")
        if status.st_size < self._size:
            self._is_truncated = True
        if self._is_truncated:
            raise StoreFailed(StoreState.REPLACED, "the file was truncated")
        self._size = status.st_size

    def check_writable(self) -> None:
        """Raise `StoreFailed` if the file or its file system is read-only."""
        if not os.access(self._path, os.W_OK, effective_ids=True):
            raise StoreFailed(StoreState.READ_ONLY, "the file may not be written")
