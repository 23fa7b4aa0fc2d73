"""Rows of a CSV or NDJSON file, one at a time: a file may be larger than the memory."""

import csv
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

PIPE = "-"


class UnreadableFile(Exception):
    """The file cannot be imported; the message says why, and where."""


class Row(NamedTuple):
    """A row of the file."""

    number: int
    """Its line, for people: the first line is 1."""
    values: Mapping[str, Any]
    """By the name of its column; empty cells are left out."""
    problem: str | None = None
    """Why it cannot be used."""


class RowFile:
    """A file of rows that can be read more than once."""

    def __init__(self, path: Path, columns: Mapping[str, str], *, is_json: bool) -> None:
        """Read `path`; `columns` renames the file's columns."""
        self._path = path
        self._columns = columns
        self._is_json = is_json

    def digest(self) -> str:
        """Return the SHA-256 of the file and of how its columns are renamed."""
        hashed = hashlib.sha256(repr(sorted(self._columns.items())).encode())
        with self._path.open("rb") as file:
            while block := file.read(1 << 20):
                hashed.update(block)
        return hashed.hexdigest()

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows in order. Raises `UnreadableFile`."""
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                yield from self._from_json(file) if self._is_json else self._from_csv(file)
        except UnicodeDecodeError as error:
            raise UnreadableFile(f"{self._path.name} is not UTF-8: {error.reason}") from error

    def _from_csv(self, file: TextIO) -> Iterator[Row]:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, None)
            if header is None:
                raise UnreadableFile(
                    f"{self._path.name} is empty; its first line names the columns"
                )
            names = [self._columns.get(name.strip(), name.strip()) for name in header]
            for cells in reader:
                if not cells:
                    continue
                problem = None
                if len(cells) != len(names):
                    problem = f"has {len(cells)} cells; the header has {len(names)}"
                values = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
                yield Row(reader.line_num, values, problem)
        except csv.Error as error:
            raise UnreadableFile(f"line {reader.line_num} is not CSV: {error}") from error

    def _from_json(self, file: TextIO) -> Iterator[Row]:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                document = json.loads(line)
            except ValueError:
                document = None
            if isinstance(document, dict):
                named = {self._columns.get(name, name): each for name, each in document.items()}
                yield Row(number, {name: each for name, each in named.items() if each is not None})
            else:
                yield Row(number, {}, "is not a JSON object")


def open_rows(name: str, columns: Mapping[str, str], temporary: Path) -> RowFile:
    """Return the rows of a file, or of standard input (`-`), which is copied to `temporary` first.

    NDJSON is what begins with `{`. Raises `UnreadableFile`.
    """
    path = Path(name)
    if name == PIPE:
        path = temporary / "standard input"
        with path.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
    try:
        with path.open("rb") as file:
            return RowFile(path, columns, is_json=_begins_with_brace(file))
    except OSError as error:
        raise UnreadableFile(f"{name} cannot be read: {error.strerror}") from error


def _begins_with_brace(file: BinaryIO) -> bool:
    return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


def temporary_folder() -> "tempfile.TemporaryDirectory[str]":
    """Return a folder for a copy of standard input; it is deleted at the end."""
    return tempfile.TemporaryDirectory(prefix="segment-gateway-")
