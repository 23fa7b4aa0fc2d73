"""Documents that are asked by a name instead of their text: trusted ones, and automatic ones.

Trusted are those of the manifest, which Apollo's or Relay's tools write. Automatic ones are kept
when a client sends text and hash for the first time (Apollo's automatic persisted queries).
"""

import sys
from codecs import BOM_UTF8
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from gateway.errors import Problem, SettingsError
from gateway.http.graphql_over_http import GraphQLRequest, RequestError
from gateway.settings import DocumentSettings

MOST_KEPT = 1000
MOST_BYTES = 4 * 1024 * 1024
"""Bounds of the automatic documents of one process: a stranger can push others out, no more."""

LONGEST_KEPT = 50_000
"""Characters: a longer one must be sent each time."""

NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
NOT_IN_LIST = "PERSISTED_QUERY_NOT_IN_LIST"


class ManifestEntry(NamedTuple):
    """A document of a manifest; `place` is where it stands there, for people."""

    id: str
    text: str
    place: str


class _Operation(msgspec.Struct):
    id: str
    name: str
    type: Literal["query", "mutation", "subscription"]
    body: str


class _Manifest(msgspec.Struct):
    """Apollo's format, version 1."""

    format: Literal["apollo-persisted-query-manifest"]
    version: Literal[1]
    operations: list[_Operation]


class PersistedDocuments:
    """Turns what is asked into the text of a document."""

    def __init__(self, settings: DocumentSettings, trust: Callable[[str], Sequence[str]]) -> None:
        """Read the manifest that the settings name.

        `trust` keeps a document for ever and returns what is wrong with it. Raises `SettingsError`
        for a manifest that cannot be read, and with everything that is wrong in it.
        """
        self._only = settings.only_manifest
        self._is_automatic = settings.automatic and not settings.only_manifest
        self._kept = _DocumentCache()
        self._trusted: dict[str, str] = {}
        """By its id in the manifest, and by its own hash."""
        if settings.manifest is not None:
            self._read(settings.manifest, trust)
        elif settings.only_manifest:
            told = "is true, but documents.manifest names no file"
            raise SettingsError([Problem("documents.only_manifest", told)])
        self._texts = frozenset(self._trusted.values())

    def text(self, asked: GraphQLRequest) -> str:
        """Return the text of the document that is asked. Raises `RequestError`."""
        text, name = asked.query, name_of(asked)
        if text is None or (not text and name is not None):
            return self._found(name)
        if self._only and text not in self._texts:
            raise _refused()
        if name is not None and self._trusted.get(name) != text and hash_of(text) != name:
            raise RequestError(400, "The document is not the one that its hash or id names.")
        return text

    def keep(self, asked: GraphQLRequest, text: str) -> None:
        """Keep the document of a request, which is a valid one, under the hash that came along.

        Others are not kept: they would take the places of documents that somebody asks.
        """
        name = name_of(asked) if self._is_automatic and asked.query else None
        if name is not None and self._trusted.get(name) != text:
            self._kept.keep(name, text)

    def _found(self, name: str | None) -> str:
        if name is None:
            raise RequestError(
                400, "This is no GraphQL request: Object missing required field `query`."
            )
        text = self._trusted.get(name) or self._kept.get(name)
        if text is not None:
            return text
        if self._only:
            raise _refused()
        # The words and the status are Apollo's: its clients then send the text, too.
        if self._is_automatic:
            raise RequestError(200, "PersistedQueryNotFound", NOT_FOUND)
        raise RequestError(200, "PersistedQueryNotSupported", NOT_SUPPORTED)

    def _read(self, file: Path, trust: Callable[[str], Sequence[str]]) -> None:
        problems: list[Problem] = []
        for entry in entries(file):
            known = self._trusted.setdefault(entry.id, entry.text)
            wrong = trust(entry.text) if known == entry.text else ["its id is taken"]
            problems += [Problem("documents.manifest", f"{entry.place}: {each}") for each in wrong]
            self._trusted.setdefault(hash_of(entry.text), entry.text)
        if problems:
            raise SettingsError(problems)


class _DocumentCache:
    """Automatic documents by their hash; the ones not asked for longest go first."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._bytes = 0

    def get(self, name: str) -> str | None:
        text = self._texts.get(name)
        if text is not None:
            self._texts.move_to_end(name)
        return text

    def keep(self, name: str, text: str) -> None:
        if name in self._texts or len(text) > LONGEST_KEPT:
            return
        self._texts[name] = text
        self._bytes += sys.getsizeof(text)
        while len(self._texts) > MOST_KEPT or self._bytes > MOST_BYTES:
            _, oldest = self._texts.popitem(last=False)
            self._bytes -= sys.getsizeof(oldest)


def name_of(asked: GraphQLRequest) -> str | None:
    """Return the hash or id by which a document is asked. Raises `RequestError`."""
    if asked.extensions is None and asked.document_id is asked.doc_id is asked.id is None:
        return None
    given = (asked.document_id, asked.doc_id, asked.id, _apollo(asked.extensions or {}))
    names = {each.removeprefix("sha256:") for each in given if each}
    if len(names) > 1:
        raise RequestError(400, "The request names two documents.")
    return next(iter(names), None)


def _apollo(extensions: Mapping[str, Any]) -> str | None:
    told = extensions.get("persistedQuery")
    if told is None:
        return None
    name = told.get("sha256Hash") if isinstance(told, dict) else None
    if not isinstance(name, str) or told.get("version") != 1:
        raise RequestError(400, "extensions.persistedQuery must have version 1 and sha256Hash.")
    return name


def hash_of(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def entries(file: Path) -> Iterator[ManifestEntry]:
    """Yield the documents of a manifest. Raises `SettingsError` for a file that is none."""
    try:
        found = msgspec.json.decode(file.read_bytes().removeprefix(BOM_UTF8))
        if isinstance(found, dict) and "format" in found:
            operations = msgspec.convert(found, _Manifest).operations
            for index, each in enumerate(operations):
                yield ManifestEntry(
                    each.id, each.body, f"{file}: operations[{index}] ({each.name})"
                )
        else:
            for name, text in msgspec.convert(found, dict[str, str]).items():
                yield ManifestEntry(name, text, f"{file}: {name}")
    except OSError as error:
        told = f"{file} cannot be read: {error.strerror or type(error).__name__}"
        raise SettingsError([Problem("documents.manifest", told)]) from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        told = f"{file} is no manifest of Apollo's or Relay's: {error}"
        raise SettingsError([Problem("documents.manifest", told)]) from error


def _refused() -> RequestError:
    told = "Only the documents of this gateway's manifest may be asked."
    return RequestError(403, told, NOT_IN_LIST)
