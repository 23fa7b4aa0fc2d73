"""Replies that no document shows: made from those of samples, part by part."""

from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import msgspec

from gateway.domain.lazy_rows import ModelRows
from gateway.domain.pages import Page, ref_of
from gateway.errors import (
    Broken,
    Denied,
    GatewayError,
    Malformed,
    ProviderError,
    RateLimited,
    Refused,
)
from gateway.providers.base.exchange import Exchange, Reply
from gateway.testing.samples import Sample, plain

FOREVER = "9999-12-31T23:59:59-01:00"
"""A time that is beyond the calendar in UTC."""

TEXTS = ("", "x\0\U0001f600", FOREVER)
OTHERS: tuple[Any, ...] = (None, True, 7, 2**63, -0.5, *TEXTS, [], [None], {})
"""What stands in for a part: one of each type of JSON, and the odd ones among them."""

BODIES = (
    b"",
    b"null",
    b"12",
    b'"text"',
    b"[]",
    b"[null, null]",
    b"{}",
    b"<!doctype html><title>Sorry</title>",
    b'{"data": "\xff\xfe"}',
    b'"\\ud83d"',
    b"NaN",
    b"{}{}",
    b"[" * 100_000,
    b'{"a":' * 5_000 + b"{}" + b"}" * 5_000,
)
"""Of every type of JSON, none at all, and what looks like it: cut short, too deep, no UTF-8."""

LONG = 10

ERRORS: dict[int, type[ProviderError]] = {
    204: Malformed,
    205: Malformed,
    301: Malformed,
    304: Malformed,
    400: Refused,
    401: Denied,
    402: Denied,
    403: Denied,
    405: Refused,
    407: Denied,
    409: Refused,
    413: Refused,
    415: Refused,
    418: Refused,
    422: Refused,
    429: RateLimited,
    500: Broken,
    502: Broken,
    503: Broken,
    504: Broken,
    599: Broken,
}
"""What each status means wherever a provider does not say otherwise."""


def read(exchange: Exchange[Any], reply: Reply) -> type[GatewayError] | None:
    """Read a reply, and all of what it gave; return the class of the error, if any."""
    try:
        value = exchange.read(reply)
    except GatewayError as error:
        return type(error)
    if isinstance(value, Page) and isinstance(value.rows, ModelRows):
        check_columns(value.rows)
    plain(value, body(reply))
    if isinstance(value, Page):
        assert len({value.position_after(i) for i in range(len(value.rows))}) == len(value.rows)
    return None


def check_columns(rows: ModelRows[Any, Any]) -> None:
    """Check that an attribute of many rows is the same as that of each."""
    paths = ("ref", "ref.provider", *rows.columns.by_path)
    columns = {path: [*rows.column(path, lambda _: ())] for path in paths}
    assert columns == {path: [*map(attrgetter(path), rows)] for path in paths}


def body(reply: Reply) -> Any:
    """Return the body; where a status alone is an answer, it need not be JSON."""
    try:
        return msgspec.json.decode(reply.body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def exchange_of(sample: Sample) -> Exchange[Any]:
    """Return the exchange of a sample that has a reply."""
    exchange = sample.exchange()
    assert isinstance(exchange, Exchange)
    return exchange


def altered(document: Any) -> Iterator[Any]:
    """Return the documents of `alterations`."""
    return (other for _, other in alterations(document))


def alterations(document: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Return a JSON document with each part left out or made another, one at a time.

    Each comes with what was done to it, by the part's JSON pointer. Of a long list only the ends:
    its rows are alike.
    """
    for other in OTHERS:
        yield f"{pointer or 'the whole body'} is {other!r}", other
    if isinstance(document, dict):
        for name, part in document.items():
            at = f"{pointer}/{name}"
            yield f"{at} is left out", {k: each for k, each in document.items() if k != name}
            yield from ((how, {**document, name: other}) for how, other in alterations(part, at))
    elif isinstance(document, list):
        for index, part in enumerate(document):
            if 0 < index < len(document) - 1 and len(document) > LONG:
                continue
            at, before, after = f"{pointer}/{index}", document[:index], document[index + 1 :]
            yield f"{at} is left out", before + after
            yield from ((how, [*before, other, *after]) for how, other in alterations(part, at))


@contextmanager
def naming(how: str) -> Iterator[None]:
    """Add to every error what was done to the document."""
    try:
        yield
    except Exception as error:
        error.add_note(f"Of the sample, {how}.")
        raise


def check_numbers(sample: Sample) -> None:
    """Check that a number stays one: a reply without it is `Malformed`, and not None or 0."""
    exchange, good = exchange_of(sample), sample.answer()
    if type(exchange.read(good)) is not int:
        return
    for how, document in alterations(msgspec.json.decode(good.body)):
        try:
            number = exchange.read(Reply(good.status, good.headers, msgspec.json.encode(document)))
        except Malformed:
            continue
        assert type(number) is int, f"{number!r} was read where {how}"


def check_odd_rows(sample: Sample) -> None:
    """Check for each row of a page of several: if it cannot be read, only it is left out."""
    exchange, good = exchange_of(sample), sample.answer()
    page = exchange.read(good)
    if not isinstance(page, Page) or len(page.rows) == 1:
        return
    refs = [ref_of(row) for row in page.rows]
    for index, row in enumerate(sample.expect["value"]["rows"]):
        pointer = _pointer_of(row)
        if pointer is None:
            continue
        document = msgspec.json.decode(good.body)
        *path, last = pointer
        at = document
        for name in path:
            at = at[int(name) if isinstance(at, list) else name]
        place = int(last) if isinstance(at, list) else last
        parts, others = at[place], refs[:index] + refs[index + 1 :]
        for odd_parts in ({}, *({**parts, name: None} for name in parts)):
            at[place] = odd_parts
            reply = Reply(good.status, good.headers, msgspec.json.encode(document))
            with naming(f"row {index} is {odd_parts!r}"):
                _check_odd_page(exchange.read(reply), page, refs, others)


def _check_odd_page(odd: Page[Any], page: Page[Any], refs: list[Any], others: list[Any]) -> None:
    shown = {ref_of(each) for each in odd.rows}
    lost = [each for each in others if each not in shown]
    # A page may end before the last row that can be read, if more follow.
    assert lost == [] or (lost == others[-1:] and not odd.is_last)
    # Only rows after one that is left out may be new: no id may be made up, such as "None".
    new = [each for each in shown if each not in refs]
    assert len(new) <= odd.skipped - page.skipped, f"An id was made up: {new}"


def _pointer_of(row: Any) -> list[str] | None:
    """Return where a row is in the reply, by the sample's `raw`; None: that is not known."""
    if not isinstance(row, dict):
        return None
    shown = (row, row.get("customer", {}), row.get("segment", {}))
    pointer = next((each["raw"] for each in shown if "raw" in each), "#")
    return pointer.removeprefix("#/").split("/") if pointer != "#" else None
