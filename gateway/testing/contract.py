"""The contract of an adapter, as a class of tests over its samples.

    class TestHeron(AdapterContract):
        kind = KIND
        folder = Path(__file__).parent / "samples"
        readme = Path(__file__).parents[1] / "README.md"

`folder` has the samples (`gateway.testing.samples`). `readme` is optional: it must then have the
table of what the provider can do.
"""

import ast
import inspect
import re
from collections.abc import Mapping, Sequence
from functools import cache
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, get_args

import msgspec
import pytest

from gateway.errors import Denied, GatewayError, Malformed, ProviderError, RateLimited
from gateway.providers.base import adapter as adapter_protocols
from gateway.providers.base import webhooks, write_protocols
from gateway.providers.base.adapter import (
    Adapter,
    CountsLimits,
    FindsCustomersByEmail,
    FindsCustomersByName,
    FindsCustomersByPhone,
    SignsIn,
)
from gateway.providers.base.capabilities import OPERATIONS, capabilities
from gateway.providers.base.exchange import Exchange, ReadPlan, Reply
from gateway.providers.base.kind import ProviderKind
from gateway.providers.base.store_lookup import Recall
from gateway.providers.base.webhooks import ReceivesWebhooks
from gateway.providers.base.write_protocols import ChecksCustomerAttributes
from gateway.sandbox.app import Sandbox, SandboxOptions
from gateway.testing.protocols import incomplete_protocols
from gateway.testing.replies import (
    BODIES,
    ERRORS,
    alterations,
    check_numbers,
    check_odd_rows,
    exchange_of,
    naming,
    read,
)
from gateway.testing.samples import Answered, Sample, Samples, Sent, as_json, plain
from gateway.testing.webhooks import (
    WebhookSample,
    check_odd_payloads,
    check_signature,
    check_value,
    webhook_samples,
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

KNOWN = {
    name
    for module in (adapter_protocols, write_protocols, webhooks)
    for protocol in vars(module).values()
    if isinstance(protocol, type) and getattr(protocol, "_is_protocol", False)
    for name in vars(protocol)
}
"""The names of all methods that the gateway may call."""

PUBLIC = (
    *(
        f"gateway.domain.{name}"
        for name in ("change_log", "entities", "mutations", "pages", "queries", "texts")
    ),
    "gateway.errors",
    "gateway.providers.base",
    *(f"gateway.sandbox.{name}" for name in ("people", "provider", "replies", "webhooks")),
)
"""What an adapter and its sandbox may import of the gateway."""

IMPURE = frozenset({"httpx", "aiohttp", "requests", "asyncio", "os", "time", "logging"})
"""What an adapter must not import: it does no I/O."""


class AdapterContract:
    """The promises that every adapter keeps."""

    kind: ClassVar[ProviderKind]
    folder: ClassVar[Path]
    readme: ClassVar[Path | None] = None

    @classmethod
    @cache
    def samples(cls) -> Samples:
        """Return the samples of exchanges."""
        return Samples(cls.kind.adapter, cls.folder)

    @classmethod
    @cache
    def webhooks(cls) -> Sequence[WebhookSample]:
        """Return the samples of webhooks."""
        return webhook_samples(cls.folder)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test over the samples that it is about."""
        every = self.samples().all
        answered = [each for each in every if each.reply is not None]
        successes = [
            each
            for each in answered
            if each.is_success and each.answer().status in range(200, 300)
        ]
        # Where the value is none, the status alone is the answer.
        with_value = [x for x in successes if x.answer().body and x.expect["value"] is not None]
        chosen: Mapping[str, Sequence[Any]] = {
            "sample": every,
            "answered": answered,
            "success": successes,
            "with_value": with_value,
            # Also without one, to see whether it is needed.
            "webhook": self.webhooks() or [None],
        }
        for name, those in chosen.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, those, ids=str)

    def test_a_sample_builds_exactly_its_call(self, sample: Sample) -> None:
        """The call is the sample's in every part; without one, nothing would be sent."""
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
        sent = Sent(call.method, call.path, list(call.query), dict(call.headers), body)
        assert sample.call == sent

    def test_a_sample_gives_its_value_or_error(self, sample: Sample) -> None:
        """The reply is read into the whole value, or raises exactly the error, of the sample."""
        if sample.only_checks:
            assert sample.expect == {"problems": plain(sample.ask()[1], None)}
            return
        exchange, result = outcome(sample)
        if not isinstance(result, GatewayError):
            value = plain(result, (sample.reply or Answered(0)).body)
            assert sample.expect == {"value": value}, f"The value is:\n{as_json(value)}"
            return
        attributes = {
            name: plain(getattr(result, name), None) for name in sample.expect if name != "error"
        }
        assert sample.expect == {"error": type(result).__name__, **attributes}
        if isinstance(result, ProviderError):
            assert exchange is not None
            key = self.samples().settings().key
            assert (result.provider, result.operation) == (key, exchange.operation)

    def test_a_sample_shows_no_secret(self, sample: Sample) -> None:
        """No repr and no message has a secret, and no call but the one that signs in."""
        exchange, result = outcome(sample)
        shown = f"{exchange!r} {result!r} {result}"
        if isinstance(exchange, Exchange) and sample.given.method != "sign_in":
            call = exchange.call
            shown += f"{call.path} {call.query} {call.headers} {call.body!r}"
        assert [secret for secret in self.samples().secrets if secret in shown] == []

    def test_a_sample_names_its_source(self, sample: Sample) -> None:
        """It says where it comes from and when that was read; it either succeeds or fails."""
        assert sample.source
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", sample.seen)
        assert len(sample.expect.keys() & {"value", "error", "problems"}) == 1

    def test_a_reply_with_one_part_missing_or_retyped_is_read_or_malformed(
        self, with_value: Sample
    ) -> None:
        """Nothing that can be done to one part of a good reply raises anything but `Malformed`."""
        exchange, good = exchange_of(with_value), with_value.answer()
        raised = {}
        for how, document in alterations(msgspec.json.decode(good.body)):
            with naming(how):
                body = msgspec.json.encode(document)
                raised[how] = read(exchange, Reply(good.status, good.headers, body))
        assert {how: raised[how] for how in raised if raised[how] not in {None, Malformed}} == {}
        check_numbers(with_value)

    def test_a_reply_that_breaks_off_is_malformed(self, with_value: Sample) -> None:
        """A body that is cut short anywhere is never taken for a whole one."""
        exchange, good = exchange_of(with_value), with_value.answer()
        cuts = range(1, len(good.body), max(1, len(good.body) // 50))
        bodies = [good.body[:cut] for cut in cuts]
        assert {read(exchange, Reply(good.status, good.headers, each)) for each in bodies} <= {
            Malformed
        }

    def test_a_row_that_cannot_be_read_leaves_the_others(self, with_value: Sample) -> None:
        """One odd row of a list costs that row."""
        check_odd_rows(with_value)

    def test_a_body_of_another_kind_is_read_or_malformed(self, answered: Sample) -> None:
        """Nothing else comes of it, unless the status has decided."""
        exchange, good = exchange_of(answered), answered.answer()
        raised = {read(exchange, Reply(good.status, good.headers, body)) for body in BODIES}
        if answered.is_success or good.status in {HTTPStatus.OK, HTTPStatus.MULTI_STATUS}:
            assert raised <= {None, Malformed}
        else:
            assert {error and error.__name__ for error in raised} == {answered.expect["error"]}

    def test_a_status_decides(self, success: Sample) -> None:
        """Statuses mean the same everywhere, whatever the body says."""
        exchange, bodies = exchange_of(success), (success.answer().body, *BODIES)
        same = [each for each in self.samples().all if each.operation == success.operation]
        good = {each.answer().status for each in same if each.reply and each.is_success}
        good &= {*range(200, 300)}
        raised = {
            status: {read(exchange, Reply(status, {}, body)) for body in bodies}
            for status in ERRORS
        }
        # What is an answer to this is read, or not.
        assert all(raised.pop(status) <= {None, Malformed} for status in good & raised.keys())
        expected = {status: {error} for status, error in ERRORS.items() if status not in good}
        if success.given.method == "sign_in":
            # RFC 6749, 5.2: a token endpoint may refuse a client with 400.
            expected[HTTPStatus.BAD_REQUEST] = {Denied}
        assert raised == expected

    def test_too_many_calls_say_how_long_to_wait(self, success: Sample) -> None:
        """Retry-After is read in seconds, a past date as none; nothing else is guessed at."""
        exchange = exchange_of(success)
        waits = {}
        for header in ("3", "0", "-1", "soon", "Fri, 31 Dec 1999 23:59:59 GMT", ""):
            with pytest.raises(RateLimited) as raised:
                exchange.read(Reply(429, {"retry-after": header}, b""))
            waits[header] = raised.value.retry_after_s
        assert waits.pop("3") == 3.0
        assert waits.pop("0") == 0.0
        assert waits.pop("Fri, 31 Dec 1999 23:59:59 GMT") == 0.0
        assert set(waits.values()) == {None}

    def test_a_webhook_is_read(self, webhook: WebhookSample | None) -> None:
        """It is verified by its signature, and says what is expected."""
        adapter = self.samples().account()
        assert isinstance(adapter, ReceivesWebhooks) == (webhook is not None)
        if webhook is not None and isinstance(adapter, ReceivesWebhooks):
            check_value(adapter, webhook)
            check_signature(adapter, webhook)
            check_odd_payloads(adapter, webhook)

    def test_every_ability_has_a_success_and_a_failure(self) -> None:
        """What an adapter offers is shown by samples, working and failing; none is missing."""
        samples = self.samples()
        accounts = [samples.account(), *(samples.account(x.given.settings) for x in samples.all)]
        wanted = {name for each in accounts for name in abilities(each)}
        shown = {(name, each.is_success) for each in samples.all for name in shown_by(each)}
        # What the gateway's own store answers cannot fail for an adapter.
        shown |= {(name, False) for each in samples.all if each.lookup for name in shown_by(each)}
        missing = [
            f"{'customers with ' * (name in SEARCHES)}{name}: "
            f"a sample that {'succeeds' if is_success else 'fails'}"
            for name in sorted(wanted)
            for is_success in (True, False)
            if (name, is_success) not in shown
        ]
        assert missing == [], "These samples are missing:\n" + "\n".join(missing)

    def test_every_method_is_of_a_protocol(self) -> None:
        """A public method that no protocol has is never called: its name may be spelt wrong."""
        methods = {name for name, _ in inspect.getmembers(self.kind.adapter, inspect.isfunction)}
        assert {name for name in methods if not name.startswith("_")} - KNOWN == set()

    def test_every_protocol_is_complete(self) -> None:
        """Of a protocol, an adapter has all parts or none: with some, nothing is supported."""
        incomplete = incomplete_protocols(self.samples().account())
        assert incomplete == [], "\n".join(incomplete)

    def test_the_adapter_shows_no_secret(self) -> None:
        """Neither the settings nor the adapter show a secret."""
        samples = self.samples()
        account, own = samples.settings(), samples.account()
        shown = f"{account!r} {account} {own!r} {account.model_dump_json()}"
        assert [secret for secret in samples.secrets if secret in shown] == []
        assert all(name == name.lower() for name in own.secret_headers)

    def test_the_kind_has_one_name(self) -> None:
        """The settings insist on the adapter's `kind`; its notes are about known operations."""
        adapter = self.kind.adapter
        assert get_args(adapter.Settings.model_fields["kind"].annotation) == (adapter.kind,)
        assert adapter.notes.keys() <= OPERATIONS.keys()

    def test_the_sandbox_can_be_served(self) -> None:
        """Its credentials are settings of the kind, and its server can be made."""
        if self.kind.sandbox is None:
            return
        sandbox, kind = self.kind.load_sandbox(), self.kind.adapter.kind
        account = {"key": "a", "kind": kind, "base_url": "sandbox:", **sandbox.CREDENTIALS}
        assert self.kind.adapter.Settings.model_validate(account).kind == kind
        assert Sandbox({kind: sandbox}, SandboxOptions(customers=1)).counts == {kind: 0}

    def test_it_imports_only_the_interface(self) -> None:
        """It imports what is public of the gateway; the adapter imports nothing that does I/O."""
        adapter = self.kind.adapter.__module__
        root = adapter.partition(".")[0]
        names = {adapter, *([self.kind.sandbox] if self.kind.sandbox else [])}
        if root != "gateway":
            assert [each for name in names for each in imports_of(name) if is_private(each)] == []
        pure = {each.partition(".")[0] for each in imports_of(adapter)}
        assert pure & IMPURE == set()

    def test_the_readme_says_what_it_can_do(self) -> None:
        """The README has the table of the supported operations, with the notes."""
        if self.readme is not None:
            text = self.readme.read_text(encoding="utf-8")
            table = capability_table(self.samples().account())
            assert table in text, f"The README needs this table:\n{table}"


def capability_table(adapter: Adapter) -> str:
    """Return the operations that a provider supports as a Markdown table."""
    rows = [each for each in capabilities(adapter) if each.supported]
    cells = [f"yes: {each.note}" if each.note else "yes" for each in rows]
    lines = [f"| `{each.operation}` | {cell} |" for each, cell in zip(rows, cells, strict=True)]
    return "\n".join([f"| Operation | {adapter.label} |", "|---|---|", *lines, ""])


def outcome(sample: Sample) -> tuple[ReadPlan[Any] | None, Any]:
    """Return the exchange, and the value or the error that came of it."""
    exchange = None
    try:
        exchange = sample.exchange()
        value = sample.ask()[1] if exchange is None else exchange.read(sample.found())
    except GatewayError as error:
        return exchange, error
    return exchange, value


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
    """Return whether a part of a protocol is one of its own methods."""
    return inspect.isfunction(part) and not name.startswith("_")


def imports_of(module: str) -> Sequence[str]:
    """Return the modules that a module imports."""
    tree = ast.parse(Path(str(import_module(module).__file__)).read_text(encoding="utf-8"))
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.append(str(node.module))
    return names


def is_private(module: str) -> bool:
    """Return whether a module is one of the gateway that is not public."""
    is_public = any(module == each or module.startswith(f"{each}.") for each in PUBLIC)
    return module.partition(".")[0] in {"gateway", "resolvers"} and not is_public
