"""Documents that clients name instead of sending them: trusted and automatic documents.

Trusted documents are listed in a manifest, which Apollo's or Relay's tools write. Automatic ones
are cached when a client first sends both text and hash (Apollo's automatic persisted queries).
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
from gateway.http.tool_catalog import Tool
from gateway.settings.tables import DocumentSettings

MAX_CACHED = 1000
MAX_CACHED_BYTES = 4 * 1024 * 1024
"""Limits of one process's automatic documents: a client can evict documents, but no more."""

MAX_CACHED_LENGTH = 50_000
"""Characters: a longer document must be sent each time."""

NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
NOT_IN_LIST = "PERSISTED_QUERY_NOT_IN_LIST"


class ManifestEntry(NamedTuple):
    """A document of a manifest; `place` describes its position there, for people."""

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
    """Resolve the text of a request's document."""

    def __init__(
        self,
        settings: DocumentSettings,
        trust: Callable[[str], Sequence[str]],
        tools: Sequence[Tool] = (),
    ) -> None:
        """Read the manifest that the settings name; the `tools` are trusted already.

        `trust` caches a document permanently and returns the problems with it. Raises
        `SettingsError` if the manifest cannot be read, and with all problems in it.
        """
        self._only = settings.only_manifest
        self._is_automatic = settings.automatic and not settings.only_manifest
        self._cache = _DocumentCache()
        self._trusted: dict[str, str] = {}
        """By the id in the manifest, and by the hash of the text."""
        if settings.manifest is not None:
            self._read(settings.manifest, trust)
        elif settings.only_manifest:
            text = "is true, but documents.manifest names no file"
            raise SettingsError([Problem("documents.only_manifest", text)])
        self._add(tools)
        self._texts = frozenset(self._trusted.values())

    def text(self, request: GraphQLRequest, name: str | None) -> str:
        """Return the text of the request's document; `name`: see `name_of`.

        Raises `RequestError`.
        """
        text = request.query
        if text is None or (not text and name is not None):
            return self._named(name)
        if self._only and text not in self._texts:
            raise _refused()
        if name is not None and self._trusted.get(name) != text and hash_of(text) != name:
            raise RequestError(400, "The document does not match its hash or id.")
        return text

    def keep(self, name: str, text: str) -> None:
        """Cache a valid document under the hash that was sent with it.

        Other documents would evict those that clients name.
        """
        if self._is_automatic and self._trusted.get(name) != text:
            self._cache.keep(name, text)

    def _named(self, name: str | None) -> str:
        if name is None:
            raise RequestError(
                400, "This is not a GraphQL request: Object missing required field `query`."
            )
        text = self._trusted.get(name) or self._cache.get(name)
        if text is not None:
            return text
        if self._only:
            raise _refused()
        # The words and the status are Apollo's: its clients then send the text as well.
        if self._is_automatic:
            raise RequestError(200, "PersistedQueryNotFound", NOT_FOUND)
        raise RequestError(200, "PersistedQueryNotSupported", NOT_SUPPORTED)

    def _read(self, file: Path, trust: Callable[[str], Sequence[str]]) -> None:
        problems: list[Problem] = []
        for entry in entries(file):
            trusted = self._trusted.setdefault(entry.id, entry.text)
            texts = trust(entry.text) if trusted == entry.text else ["its id is already used"]
            problems += [Problem("documents.manifest", f"{entry.place}: {each}") for each in texts]
            self._trusted.setdefault(hash_of(entry.text), entry.text)
        if problems:
            raise SettingsError(problems)

    def _add(self, tools: Sequence[Tool]) -> None:
        for name, document, *_ in tools:
            if self._trusted.setdefault(name, document.text) != document.text:
                text = f"{document.place}: documents.manifest has another document named {name}"
                raise SettingsError([Problem(document.setting, text)])
            self._trusted.setdefault(hash_of(document.text), document.text)


class _DocumentCache:
    """Automatic documents by their hash; the least recently used are dropped first."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._bytes = 0

    def get(self, name: str) -> str | None:
        text = self._texts.get(name)
        if text is not None:
            self._texts.move_to_end(name)
        return text

    def keep(self, name: str, text: str) -> None:
        if name in self._texts or len(text) > MAX_CACHED_LENGTH:
            return
        self._texts[name] = text
        self._bytes += sys.getsizeof(text)
        while len(self._texts) > MAX_CACHED or self._bytes > MAX_CACHED_BYTES:
            _, oldest = self._texts.popitem(last=False)
            self._bytes -= sys.getsizeof(oldest)


def name_of(request: GraphQLRequest) -> str | None:
    """Return the hash or id by which a request names its document. Raises `RequestError`."""
    if request.extensions is None and request.document_id is request.doc_id is request.id is None:
        return None
    ids = (request.document_id, request.doc_id, request.id, _apollo(request.extensions or {}))
    names = {each.removeprefix("sha256:") for each in ids if each}
    if len(names) > 1:
        raise RequestError(400, "The request names two documents.")
    return next(iter(names), None)


def _apollo(extensions: Mapping[str, Any]) -> str | None:
    extension = extensions.get("persistedQuery")
    if extension is None:
        return None
    name = extension.get("sha256Hash") if isinstance(extension, dict) else None
    if not isinstance(name, str) or extension.get("version") != 1:
        raise RequestError(400, "extensions.persistedQuery must have version 1 and sha256Hash.")
    return name


def hash_of(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def entries(file: Path) -> Iterator[ManifestEntry]:
    """Yield the documents of a manifest. Raises `SettingsError` if it is not a manifest."""
    try:
        manifest = msgspec.json.decode(file.read_bytes().removeprefix(BOM_UTF8))
        if isinstance(manifest, dict) and "format" in manifest:
            operations = msgspec.convert(manifest, _Manifest).operations
            for index, each in enumerate(operations):
                yield ManifestEntry(
                    each.id, each.body, f"{file}: operations[{index}] ({each.name})"
                )
        else:
            for name, text in msgspec.convert(manifest, dict[str, str]).items():
                yield ManifestEntry(name, text, f"{file}: {name}")
    except OSError as error:
        problem = f"{file} cannot be read: {error.strerror or type(error).__name__}"
        raise SettingsError([Problem("documents.manifest", problem)]) from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        problem = f"{file} is not a manifest of Apollo's or Relay's tools: {error}"
        raise SettingsError([Problem("documents.manifest", problem)]) from error


def _refused() -> RequestError:
    return RequestError(403, "Only documents in the gateway's manifest are allowed.", NOT_IN_LIST)
