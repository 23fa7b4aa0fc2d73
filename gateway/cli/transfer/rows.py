"""Rows of a CSV or NDJSON file, one at a time: a file may be larger than the memory."""

import csv
import hashlib
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, NoReturn, TextIO

if TYPE_CHECKING:
    from _csv import Reader

PIPE = "-"
SEPARATORS = {";": "semicolons", "\t": "tabs"}
"""What some programs write instead of commas, as spreadsheets do in many languages."""
MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer that every reader of JSON has exactly (RFC 8259, section 6)."""


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
        """Read `path`; `columns` renames the file's columns, or leaves them out: ""."""
        self._path = path
        self._columns = {name: new for name, new in columns.items() if name != new}
        self._is_json = is_json

    def digest(self) -> str:
        """Return the SHA-256 of how the columns are renamed, as JSON, and of the file."""
        renamed = json.dumps(
            sorted(self._columns.items()), ensure_ascii=False, separators=(",", ":")
        )
        hashed = hashlib.sha256(renamed.encode())
        with self._path.open("rb") as file:
            while block := file.read(1 << 20):
                hashed.update(block)
        return hashed.hexdigest()

    def header(self) -> Sequence[str] | None:
        """Return the renamed columns of a CSV file; None: each row of NDJSON has its own.

        Raises `UnreadableFile`.
        """
        if self._is_json:
            return None
        with self._reading() as file:
            return [name for name in self._names(csv.reader(file, strict=True)) if name]

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows in order. Raises `UnreadableFile`."""
        with self._reading() as file:
            yield from self._from_json(file) if self._is_json else self._from_csv(file)

    @contextmanager
    def _reading(self) -> Iterator[TextIO]:
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                yield file
        except UnicodeDecodeError as error:
            raise UnreadableFile(f"{self._path.name} is not UTF-8: {error.reason}") from error

    def _names(self, reader: "Reader") -> Sequence[str]:
        """Read the first line; a column that is left out has the name ""."""
        header = self._next(reader)
        if header is None:
            raise UnreadableFile(f"{self._path.name} is empty; its first line names the columns")
        if len(header) == 1:  # rows of any kind have several cells
            for separator, name in SEPARATORS.items():
                if separator in header[0]:
                    raise UnreadableFile(
                        f"{self._path.name} separates cells by {name}, not commas"
                    )
        names = [name.strip() for name in header]
        for name in self._columns:
            if name not in names:
                raise UnreadableFile(f"{self._path.name} has no column {name}, but --map names it")
        renamed = [self._columns.get(name, name) for name in names]
        for index, name in enumerate(renamed):
            if name and name in renamed[:index]:
                raise UnreadableFile(f"{self._path.name} has the column {name} twice")
        return renamed

    @staticmethod
    def _next(reader: "Reader") -> list[str] | None:
        """Read a line; None: there are no more."""
        try:
            return next(reader, None)
        except csv.Error as error:
            raise UnreadableFile(f"line {reader.line_num} is not CSV: {error}") from error

    def _from_csv(self, file: TextIO) -> Iterator[Row]:
        reader = csv.reader(file, strict=True)
        names = self._names(reader)
        while (cells := self._next(reader)) is not None:
            if not cells:
                continue
            problem = None
            if len(cells) != len(names):
                problem = f"has {len(cells)} cells; the header has {len(names)}"
            values = {
                name: cell for name, cell in zip(names, cells, strict=False) if name and cell
            }
            yield Row(reader.line_num, values, problem)

    def _from_json(self, file: TextIO) -> Iterator[Row]:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                document = parse_json(line)
            except ValueError:
                document = None
            if isinstance(document, dict):
                named = {self._columns.get(name, name): each for name, each in document.items()}
                values = {name: each for name, each in named.items() if name and each is not None}
                yield Row(number, values)
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


def parse_json(text: str) -> Any:
    """Return the value of a JSON text: ValueError for NaN and Infinity, and 1.0 is 1.

    As in JavaScript: the page Import then sends the same input with the same idempotency key.
    """
    return json.loads(text, parse_float=_number, parse_constant=_refuse)


def _number(text: str) -> int | float:
    value = float(text)
    if math.isinf(value):
        _refuse(text)
    return int(value) if value.is_integer() and abs(value) <= MAX_SAFE_INTEGER else value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _begins_with_brace(file: BinaryIO) -> bool:
    return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


def temporary_folder() -> "tempfile.TemporaryDirectory[str]":
    """Return a folder for a copy of standard input; it is deleted at the end."""
    return tempfile.TemporaryDirectory(prefix="segment-gateway-")
