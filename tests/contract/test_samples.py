"""Every sample of every adapter: the call, the value, and what must be there at all."""

import inspect
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from gateway.errors import GatewayError, ProviderError
from gateway.providers.base.adapter import (
    CountsLimits,
    FindsCustomersByEmail,
    FindsCustomersByName,
    FindsCustomersByPhone,
    SignsIn,
)
from gateway.providers.base.capabilities import OPERATIONS
from gateway.providers.base.exchange import Exchange, ReadPlan
from gateway.providers.base.store_lookup import Recall
from gateway.providers.base.write_protocols import ChecksCustomerAttributes
from gateway.providers.registry import ADAPTERS
from tests.contract.sample import (
    FOLDER,
    Answered,
    Sample,
    Sent,
    adapter,
    plain,
    samples,
    secrets,
    settings,
)

PROTOCOLS = (
    *dict.fromkeys(sum(OPERATIONS.values(), ())),
    SignsIn,
    CountsLimits,
    ChecksCustomerAttributes,
)

SEARCHES: Mapping[str, type] = {
    "email": FindsCustomersByEmail,
    "name_contains": FindsCustomersByName,
    "phone": FindsCustomersByPhone,
}
"""The protocol of each part of a `CustomerQuery`."""

every_sample = pytest.mark.parametrize("sample", samples(), ids=str)
every_kind = pytest.mark.parametrize("kind", ADAPTERS)


def outcome(sample: Sample) -> tuple[ReadPlan[Any] | None, Any]:
    """Return the exchange, and the value or the error that came of it."""
    exchange = None
    try:
        exchange = sample.exchange()
        value = sample.ask()[1] if exchange is None else exchange.read(sample.found())
    except GatewayError as error:
        return exchange, error
    return exchange, value


@every_sample
def test_a_sample_builds_exactly_its_call(sample: Sample) -> None:
    """The call is the sample's in every part; where there is none, nothing would be sent."""
    try:
        exchange = sample.exchange()
    except GatewayError:
        exchange = None
    if exchange is None or isinstance(exchange, Recall):
        assert sample.call is None
        assert sample.reply is None
        lookup = None if exchange is None else (exchange.operation, exchange.lookup)
        assert lookup == (None if sample.lookup is None else (sample.operation, sample.lookup))
        return
    assert exchange.operation == sample.operation
    assert sample.call is not None
    call = exchange.call
    is_json = call.headers.get("content-type") == "application/json"
    body = call.body and (msgspec.json.decode(call.body) if is_json else call.body.decode())
    assert sample.call == Sent(call.method, call.path, list(call.query), dict(call.headers), body)


@every_sample
def test_a_sample_gives_its_value_or_error(sample: Sample) -> None:
    """The reply is read into the whole value expected, or raises exactly the error expected."""
    if sample.only_checks:
        assert sample.expect == {"problems": plain(sample.ask()[1], None)}
        return
    exchange, result = outcome(sample)
    if not isinstance(result, GatewayError):
        assert sample.expect == {"value": plain(result, (sample.reply or Answered(0)).body)}
        return
    attributes = {
        name: plain(getattr(result, name), None) for name in sample.expect if name != "error"
    }
    assert sample.expect == {"error": type(result).__name__, **attributes}
    if isinstance(result, ProviderError):
        assert exchange is not None
        key = settings(sample.provider).key
        assert (result.provider, result.operation) == (key, exchange.operation)


@every_sample
def test_a_sample_shows_no_secret(sample: Sample) -> None:
    """No repr and no message has a secret, and no call but the one that signs in."""
    exchange, result = outcome(sample)
    shown = f"{exchange!r} {result!r} {result}"
    if isinstance(exchange, Exchange) and sample.given.method != "sign_in":
        call = exchange.call
        shown += f"{call.path} {call.query} {call.headers} {call.body!r}"
    assert [secret for secret in secrets(sample.provider) if secret in shown] == []


@every_kind
def test_an_adapter_shows_no_secret(kind: str) -> None:
    """Neither the settings nor the adapter show a secret; each is of use in a call."""
    account = settings(kind)
    own = adapter(kind)
    shown = f"{account!r} {account} {own!r} {account.model_dump_json()}"
    assert [secret for secret in secrets(kind) if secret in shown] == []
    assert all(name == name.lower() for name in own.secret_headers)


@every_sample
def test_a_sample_names_its_source(sample: Sample) -> None:
    """It says where it comes from and when that was read; it either succeeds or fails."""
    assert sample.source
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", sample.seen)
    assert len(sample.expect.keys() & {"value", "error", "problems"}) == 1


@every_kind
def test_every_ability_has_a_success_and_a_failure(kind: str) -> None:
    """What an adapter offers is shown by samples, working and failing; none is missing."""
    of_kind = [each for each in samples() if each.provider == kind]
    accounts = [adapter(kind), *(adapter(kind, each.given.settings) for each in of_kind)]
    wanted = {name for each in accounts for name in abilities(each)}
    shown = {(name, each.is_success) for each in of_kind for name in shown_by(each)}
    # What the gateway's own store answers cannot fail for an adapter.
    shown |= {(name, False) for each in of_kind if each.lookup for name in shown_by(each)}
    assert {(name, is_success) for name in wanted for is_success in (True, False)} - shown == set()


def abilities(account: object) -> set[str]:
    """Return the methods that the protocols of an adapter ask for."""
    result = {
        name
        for protocol in PROTOCOLS
        if isinstance(account, protocol)
        for name, part in vars(protocol).items()
        if is_method(name, part)
    }
    return result | {name for name, search in SEARCHES.items() if isinstance(account, search)}


def shown_by(sample: Sample) -> set[str]:
    """Return the abilities that a sample is of."""
    given = sample.given
    if given.method != "customers":
        return {given.method}
    return {given.method} | {name for name in SEARCHES if name in str(given.args)}


def is_method(name: str, part: object) -> bool:
    """Tell whether a part of a protocol is one of its own methods."""
    return inspect.isfunction(part) and not name.startswith("_")


def test_every_folder_of_samples_is_of_an_adapter() -> None:
    """No sample lies where nothing runs it."""
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(ADAPTERS)
    stray = [
        str(path.relative_to(FOLDER))
        for path in FOLDER.rglob("*")
        if path.is_file() and path.name != "settings.json" and path.suffix != ".json"
    ]
    assert stray == []
    assert len([*FOLDER.rglob("*.json")]) == len(samples()) + len(ADAPTERS)
