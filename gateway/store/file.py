"""SQLite's file under a running server: whether it is still the one that was opened."""

import os
from pathlib import Path

from gateway.store.errors import StoreFailed, StoreState


class StoreFile:
    """The file, by device, inode and size.

    The connections hold it open, so no other file can get its inode meanwhile. In WAL mode it
    never shrinks but by VACUUM, which is for a gateway that is stopped.
    """

    def __init__(self, path: Path) -> None:
        """Take what is at this path when `remember` is called."""
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._size = 0
        self._is_truncated = False

    def remember(self) -> None:
        """Take the file that is there now for the one that is to stay."""
        found = self._path.stat()
        self._identity, self._size = (found.st_dev, found.st_ino), found.st_size

    def check(self) -> None:
        """Raise `StoreFailed` when the file is gone, another one, or shorter than it was."""
        if self._identity is None:
            return
        try:
            found = self._path.stat()
        except OSError as error:
            cause = f"the file cannot be looked at: {error.strerror}"
            raise StoreFailed(StoreState.REPLACED, cause) from error
        if (found.st_dev, found.st_ino) != self._identity:
            raise StoreFailed(StoreState.REPLACED, "another file is in its place")
        if found.st_size < self._size:
            self._is_truncated = True
        if self._is_truncated:
            raise StoreFailed(StoreState.REPLACED, "the file was truncated")
        self._size = found.st_size

    def check_writable(self) -> None:
        """Raise `StoreFailed` when file or file system is read-only."""
        if not os.access(self._path, os.W_OK, effective_ids=True):
            raise StoreFailed(StoreState.READ_ONLY, "the file may not be written")
