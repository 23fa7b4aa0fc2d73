"""Samples: one JSON file for each exchange that an adapter must make and read.

`<folder>/<operation>/<name>.json`; `<operation>` is the exchange's. `<folder>/settings.json` has
the settings of the account. The parts of a sample:

- `source`, `seen`: the page, and the day it was read. `kind`: `documented` and `recorded` replies
  are never edited; what no document shows is `made`.
- `given`: the adapter's `method` and its `args` (a list, or by name), as JSON of the annotated
  types. `settings` go over those of the folder's `settings.json`. Where a method answers
  batches, `batches` are the keys of each (left out: one of all keys), `batch` is the one shown.
- `call`: what must be sent; left out when the arguments are refused or no call can be built.
- `reply`: `status`, `headers`, and a `body` of JSON or else a `text`.
- `lookup` and `recalled`, in place of the two, for lookups in the gateway's store.
- `expect`: the `value`, or an `error` by its class name, with any of its attributes; of a method
  that only checks, the `problems`, where none is the success.

A value is written plainly: fields that have their default are left out; enums are their values,
times ISO 8601 with Z, tuples and sets lists; `raw` is a JSON Pointer into the reply; a rule is its
native document and its conditions; a page is its rows, `is_last`, `total` and the `position_after`
its last row, and how many rows were `skipped`. A segment or customer among the arguments is the
provider's document, which the adapter reads. Webhooks are in `<folder>/webhooks`
(`gateway.testing.webhooks`).
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import cache, singledispatch
from pathlib import Path
from typing import Any, Literal, get_type_hints

import msgspec
from pydantic import SecretStr

from gateway.domain.entities import Customer, Rule, Segment
from gateway.domain.mutations import Tag
from gateway.domain.pages import Page
from gateway.domain.texts import PlainText, Texts
from gateway.providers.base.adapter import Adapter, ReadBatch, ReadsCustomers, ReadsSegments
from gateway.providers.base.decoding import Document
from gateway.providers.base.exchange import Exchange, ReadPlan, Reply
from gateway.providers.base.settings import AccountSettings
from gateway.providers.base.store_lookup import (
    CustomerRow,
    Lookup,
    Recall,
    Rows,
    TaggingRow,
    TagRow,
)

NO_CHANGE: Mapping[str, Any] = {}
WEBHOOKS = "webhooks"
"""The folder of webhooks beside those of operations."""

RECALLED: Mapping[str, Any] = {
    "segments": Rows[TagRow],
    "segment": Rows[TagRow],
    "members": Rows[TaggingRow],
    "member_count": int,
    "customers": Rows[CustomerRow],
    "customer": Rows[CustomerRow],
    "assignments": Rows[TaggingRow],
}
"""The result of each lookup in the store."""


class Given(msgspec.Struct, forbid_unknown_fields=True):
    """The method and its arguments."""

    method: str
    args: list[Any] | dict[str, Any] = {}
    settings: dict[str, Any] = {}
    batch: int = 0
    batches: list[list[str]] | None = None


class Sent(msgspec.Struct, forbid_unknown_fields=True):
    """The call that must be made."""

    method: str
    path: str
    query: list[tuple[str, str]] = []
    headers: dict[str, str] = {}
    body: Any = None


class Answered(msgspec.Struct, forbid_unknown_fields=True):
    """The reply that comes."""

    status: int
    headers: dict[str, str] = {}
    body: Any = msgspec.UNSET
    text: str = ""


class Sample(msgspec.Struct, forbid_unknown_fields=True):
    """One file; `operation` and `name` are its place."""

    source: str
    kind: Literal["documented", "recorded", "made"]
    seen: str
    given: Given
    expect: dict[str, Any]
    call: Sent | None = None
    reply: Answered | None = None
    lookup: Lookup | None = None
    recalled: Any = None
    operation: str = ""
    name: str = ""
    of: Any = None
    """The `Samples` that it is one of."""

    @property
    def provider(self) -> str:
        """The kind of provider."""
        kind: str = self.of.kind
        return kind

    def __str__(self) -> str:
        """Return where the file is."""
        return f"{self.provider}/{self.operation}/{self.name}"

    @property
    def is_success(self) -> bool:
        """Whether a value is expected, or no problem."""
        return "value" in self.expect or self.expect.get("problems") == []

    @property
    def only_checks(self) -> bool:
        """Whether the method looks for problems and has nothing to send."""
        return self.given.method.endswith("_problems")

    def ask(self) -> tuple[Mapping[str, Any], Any]:
        """Call the adapter; return the arguments, and what it answered."""
        method = getattr(self.of.account(self.given.settings), self.given.method)
        signature = inspect.signature(method)
        given = self.given.args
        bound = signature.bind(**given) if isinstance(given, dict) else signature.bind(*given)
        hints = get_type_hints(method)
        arguments = {
            key: self.of.segment(value)
            if hints[key] is Segment
            else self.of.customer(value)
            if hints[key] is Customer
            else msgspec.convert(value, hints[key])
            for key, value in bound.arguments.items()
        }
        return arguments, method(**arguments)

    def exchange(self) -> ReadPlan[Any] | None:
        """Ask the adapter; None when it says that this cannot be asked, or nothing is sent."""
        arguments, answer = self.ask()
        if self.only_checks or isinstance(answer, Tag):
            return None
        if answer is None or isinstance(answer, Exchange | Recall):
            return answer
        batches: Sequence[ReadBatch] = answer
        wanted = self.given.batches or [list(arguments["keys"])]
        assert [list(batch.keys) for batch in batches] == wanted
        return batches[self.given.batch].exchange

    def found(self) -> Any:
        """Return what the exchange is to read: a reply, or the result of a lookup."""
        if self.lookup is None:
            return self.answer()
        return msgspec.convert(self.recalled, RECALLED[self.lookup.what])

    def answer(self) -> Reply:
        """Return the reply as it comes over the wire."""
        assert self.reply is not None
        answered = self.reply
        body = (
            answered.text.encode()
            if answered.body is msgspec.UNSET
            else msgspec.json.encode(answered.body)
        )
        return Reply(answered.status, answered.headers, body)


class Samples:
    """The samples of one kind of provider."""

    def __init__(self, adapter: type[Adapter], folder: Path) -> None:
        """Read all files of a folder. Raises `ValueError` for one that is no sample."""
        self.kind = adapter.kind
        self.folder = folder
        self._adapter = adapter
        self.all: Sequence[Sample] = [
            self._read(path)
            for path in sorted(folder.glob("*/*.json"))
            if path.parent.name != WEBHOOKS
        ]

    def _read(self, path: Path) -> Sample:
        try:
            sample = msgspec.json.decode(path.read_bytes(), type=Sample)
        except msgspec.MsgspecError as error:
            raise ValueError(f"{path}: {error}") from error
        sample.operation, sample.name, sample.of = path.parent.name, path.stem, self
        return sample

    def settings(self, changed: Mapping[str, Any] = NO_CHANGE) -> AccountSettings:
        """Return the settings of the samples' account, some of them changed."""
        document = msgspec.json.decode((self.folder / "settings.json").read_bytes())
        return self._adapter.Settings.model_validate({**document, **changed})

    def account(self, changed: Mapping[str, Any] = NO_CHANGE) -> Adapter:
        """Return an adapter with the samples' settings, some of them changed."""
        return self._adapter(self.settings(changed))

    def segment(self, document: Mapping[str, Any]) -> Segment:
        """Return a segment as the adapter reads it from the provider's document."""
        reader = self.account()
        assert isinstance(reader, ReadsSegments)
        segment: Segment = _only(document, reader.segments_by_key)
        return segment

    def customer(self, document: Mapping[str, Any]) -> Customer:
        """Return a customer as the adapter reads it from the provider's document."""
        reader = self.account()
        assert isinstance(reader, ReadsCustomers)
        customer: Customer = _only(document, reader.customers_by_key)
        return customer

    @property
    def secrets(self) -> Sequence[str]:
        """The secrets in the settings."""
        values = dict(self.settings()).values()
        return [each.get_secret_value() for each in values if isinstance(each, SecretStr)]


def _only(
    document: Mapping[str, Any], by_key: Callable[[Sequence[str]], Sequence[ReadBatch]]
) -> Any:
    """Return the object that an adapter reads from a reply with this document alone."""
    # Not all providers call it `id`; the reply has one object, whatever was requested.
    (batch,) = by_key([str(document.get("id", "sample"))])
    reply = Reply(200, {}, msgspec.json.encode(document))
    (value,) = batch.exchange.read(reply).values()
    return value


def as_json(value: Any) -> str:
    """Return the JSON of a value as a sample writes it, to be copied into the file."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=repr)).decode()


@singledispatch
def plain(value: Any, document: Any) -> Any:
    """Return a value as a sample writes it; `document` is what pointers of `raw` point into."""
    del document
    return value


@plain.register
def _(value: Page, document: Any) -> Any:  # type: ignore[type-arg]  # dispatch takes no argument
    rows = plain([*value.rows], document)
    shown = {"rows": rows, "is_last": value.is_last, "total": value.total}
    if value.skipped:
        shown["skipped"] = value.skipped
    return {**shown, "position_after": value.next_position}


@plain.register
def _(value: Rule, document: Any) -> Any:
    return {"native": value.native, "conditions": plain(value.flatten(value.native), document)}


@plain.register
def _(value: PlainText, document: Any) -> Any:
    return plain(Texts(value.by_language), document)


@plain.register
def _(value: msgspec.Struct, document: Any) -> Any:
    if value.__struct_config__.array_like:
        return plain(msgspec.structs.astuple(value), document)
    return {
        name: plain(getattr(value, name), document)
        for name, default in _defaults(type(value)).items()
        if getattr(value, name) != default
    }


@plain.register
def _(value: bytes | msgspec.Raw | Document, document: Any) -> Any:
    return _pointer(msgspec.json.decode(bytes(value)), document)


@plain.register
def _(value: Enum, document: Any) -> Any:
    return plain(value.value, document)


@plain.register
def _(value: datetime, document: Any) -> Any:
    return plain(value.isoformat().replace("+00:00", "Z"), document)


@plain.register
def _(value: Mapping, document: Any) -> Any:  # type: ignore[type-arg]  # likewise
    return {key: plain(each, document) for key, each in value.items()}


@plain.register
def _(value: list | tuple, document: Any) -> Any:  # type: ignore[type-arg]  # likewise
    return [plain(each, document) for each in value]


@cache
def _defaults(form: type[msgspec.Struct]) -> Mapping[str, Any]:
    return {
        field.name: field.default
        if field.default_factory is msgspec.NODEFAULT
        else field.default_factory()
        for field in msgspec.structs.fields(form)
    }


def _pointer(part: Any, document: Any) -> str:
    for pointer, value in parts(document):
        if value == part:
            return f"#{pointer}"
    raise AssertionError("a raw document is none that the reply has")


def parts(document: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Return every part of a JSON document with its pointer, from the outside in."""
    yield pointer, document
    named: Any = ()
    if isinstance(document, dict):
        named = document.items()
    elif isinstance(document, list):
        named = enumerate(document)
    for name, part in named:
        yield from parts(part, f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}")
