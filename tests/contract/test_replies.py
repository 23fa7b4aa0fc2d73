"""Replies that no document shows: whatever comes, it is read or becomes one of our errors."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec
import pytest

from gateway.domain.pages import Page
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
from tests.contract.sample import Sample, plain, samples

ANSWERED = [each for each in samples() if each.reply is not None]
DONE = [each for each in ANSWERED if each.is_success and each.answer().status in range(200, 300)]
TOLD = [each for each in DONE if each.answer().body and each.expect["value"] is not None]
"""Those whose value is in the body: where it is none, the status alone has said so."""

OTHERS: tuple[Any, ...] = (None, True, 7, 2**63, -0.5, "", "x\0\U0001f600", [], [None], {})
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
    plain(value, body(reply))
    if isinstance(value, Page):
        assert len({value.position_after(i) for i in range(len(value.rows))}) == len(value.rows)
    return None


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
    """Return a JSON document with each part left out or made another, one at a time.

    Of a long list only the ends: its rows are alike.
    """
    yield from OTHERS
    if isinstance(document, dict):
        for name, part in document.items():
            yield {key: each for key, each in document.items() if key != name}
            yield from ({**document, name: other} for other in altered(part))
    elif isinstance(document, list):
        for index, part in enumerate(document):
            if 0 < index < len(document) - 1 and len(document) > LONG:
                continue
            before, after = document[:index], document[index + 1 :]
            yield before + after
            yield from ([*before, other, *after] for other in altered(part))


@pytest.mark.parametrize("sample", TOLD, ids=str)
def test_a_reply_with_one_part_missing_or_retyped_is_read_or_malformed(sample: Sample) -> None:
    """Nothing that can be done to one part of a good reply raises anything but `Malformed`."""
    exchange, good = exchange_of(sample), sample.answer()
    raised = {
        read(exchange, Reply(good.status, good.headers, msgspec.json.encode(document)))
        for document in altered(msgspec.json.decode(good.body))
    }
    assert raised <= {None, Malformed}


@pytest.mark.parametrize("sample", TOLD, ids=str)
def test_a_reply_that_breaks_off_is_malformed(sample: Sample) -> None:
    """A body that is cut short anywhere is never taken for a whole one."""
    exchange, good = exchange_of(sample), sample.answer()
    cuts = range(1, len(good.body), max(1, len(good.body) // 50))
    raised = {read(exchange, Reply(good.status, good.headers, good.body[:cut])) for cut in cuts}
    assert raised <= {Malformed}


@pytest.mark.parametrize("sample", ANSWERED, ids=str)
def test_a_body_of_another_kind_is_read_or_malformed(sample: Sample) -> None:
    """Nothing else comes of it, unless the status has decided."""
    exchange, good = exchange_of(sample), sample.answer()
    raised = {read(exchange, Reply(good.status, good.headers, body)) for body in BODIES}
    if sample.is_success or good.status in {HTTPStatus.OK, HTTPStatus.MULTI_STATUS}:
        assert raised <= {None, Malformed}
    else:
        assert {error and error.__name__ for error in raised} == {sample.expect["error"]}


@pytest.mark.parametrize("sample", DONE, ids=str)
def test_a_status_decides(sample: Sample) -> None:
    """Statuses mean the same everywhere, whatever the body says."""
    exchange, bodies = exchange_of(sample), (sample.answer().body, *BODIES)
    same = [each for each in DONE if each.operation == sample.operation]
    done = {each.answer().status for each in same if each.provider == sample.provider}
    raised = {
        status: {read(exchange, Reply(status, {}, body)) for body in bodies} for status in ERRORS
    }
    # What is an answer to this is read, or not.
    assert all(raised.pop(status) <= {None, Malformed} for status in done & raised.keys())
    expected = {status: {error} for status, error in ERRORS.items() if status not in done}
    if sample.given.method == "sign_in":
        # RFC 6749, 5.2: a token endpoint may refuse a client with 400.
        expected[HTTPStatus.BAD_REQUEST] = {Denied}
    assert raised == expected


@pytest.mark.parametrize("sample", DONE, ids=str)
def test_too_many_calls_say_how_long_to_wait(sample: Sample) -> None:
    """Retry-After is kept in seconds, a date that is past as none; nothing else is guessed at."""
    exchange = exchange_of(sample)
    waits = {}
    for header in ("3", "0", "-1", "soon", "Fri, 31 Dec 1999 23:59:59 GMT", ""):
        with pytest.raises(RateLimited) as raised:
            exchange.read(Reply(429, {"retry-after": header}, b""))
        waits[header] = raised.value.retry_after_s
    assert waits.pop("3") == 3.0
    assert waits.pop("0") == 0.0
    assert waits.pop("Fri, 31 Dec 1999 23:59:59 GMT") == 0.0
    assert set(waits.values()) == {None}
