"""The audit log: one line for each write; and idempotency keys, which are their caller's own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gateway.auth import api_keys
from gateway.auth.settings import AuthSettings, KeySettings
from gateway.domain.entities import Ref
from gateway.domain.mutations import Reason, UserError
from gateway.observability import audit
from gateway.observability.confidential import Personal
from gateway.observability.settings import LogSettings
from gateway.request_scope import Scope
from gateway.writes.receipts import SegmentsReceipt
from gateway.writes.recovery import recover
from resolvers import global_ids
from tests.e2e.failures import answering, raising
from tests.e2e.known import APP_BETA
from tests.e2e.serving import (
    Front,
    Providers,
    assignment_id,
    customer_id,
    segment_id,
    settings_with,
)
from tests.e2e.writes.asking import buyers, document, shoppers
from tests.e2e.writes.conftest import providers, url
from tests.e2e.writes.serving import serving
from tests.e2e.writes.shop import Shop
from tests.e2e.writes.test_recovery import KEYS, closed, opened, shop
from tests.security.logged import Log, logged

__all__ = ["providers", "shop", "url"]

LOG = LogSettings(digest_key=SecretStr("0123456789abcdef"))
STAFF = segment_id("emporix", "staff")
BETA = segment_id("voucherify", APP_BETA)
BUYER, OTHER = buyers(2)
LINK = global_ids.of_pair((Ref("emporix", BUYER), Ref("emporix", OTHER)))
NOBODY = {"caller": "anonymous", "event": "write"}


def digest(text: str) -> str:
    """Return what stands in the log for a customer."""
    with logged(LOG) as log:
        audit.log.info("x", logger="x", who=Personal(text))
    digests: str = log.of("x")[0]["who"]
    return digests


def line(operation: str, outcome: str = "done", **more: Any) -> dict[str, Any]:
    """Return a line of the audit log; what is not said of it is nothing."""
    entry = {
        **NOBODY,
        "address": digest("127.0.0.1"),
        "operation": operation,
        "providers": [],
        "segments": [],
        "customers": [],
        "outcome": outcome,
        "errors": [],
        "idempotency_key": False,
        **more,
    }
    entry["customers"] = [digest(each) for each in entry["customers"]]
    return entry


async def logged_of(front: Front, field: str, given: Mapping[str, Any]) -> Sequence[Any]:
    """Ask for one mutation; return the lines of it."""
    with logged(LOG) as log:
        await front.ask(document(field), {"m0": given})
    return log.of("audit")


@pytest.fixture
async def front(providers: Providers, url: str) -> AsyncIterator[Front]:
    """Return the front door of a gateway whose providers the test may change."""
    async with serving(providers, url) as front:
        yield front


EMPORIX = {"providers": ["emporix"]}
INSTALEAP = {"providers": ["instaleap"]}
ROW = {"name": "A secret plan", "siteCode": "main"}
CASES: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
    (
        "segmentCreate",
        {"provider": "emporix", "externalId": "a", **ROW},
        {**EMPORIX, "segments": ["a"]},
    ),
    ("segmentUpdate", {"id": STAFF, "name": "Crew"}, {**EMPORIX, "segments": ["staff"]}),
    (
        "segmentUpsert",
        {"provider": "emporix", "externalId": "a", **ROW},
        {**EMPORIX, "segments": ["a"]},
    ),
    ("segmentDelete", {"id": BETA}, {"providers": ["voucherify"], "segments": [APP_BETA]}),
    (
        "segmentBulkCreate",
        {"provider": "emporix", "segments": [{"externalId": "a", **ROW}, {"name": "Bad"}]},
        {
            **EMPORIX,
            "segments": ["a"],
            "outcome": "partly",
            "errors": ["REQUIRED"],
            "rows": {"done": 1, "failed": 1},
        },
    ),
    (
        "segmentBulkUpsert",
        {"provider": "emporix", "segments": [{"externalId": "a", **ROW}]},
        {**EMPORIX, "segments": ["a"], "rows": {"done": 1}},
    ),
    (
        "segmentBulkDelete",
        {"ids": [BETA, segment_id("emporix", "staff"), "x"], "force": True},
        {
            "providers": ["voucherify", "emporix"],
            "segments": [APP_BETA, "staff"],
            "outcome": "partly",
            "errors": ["INVALID"],
            "rows": {"done": 2, "failed": 1},
        },
    ),
    (
        "assignmentCreate",
        {"segmentId": STAFF, "identity": {"provider": "emporix", "externalId": BUYER}},
        {**EMPORIX, "segments": ["staff"], "customers": [BUYER]},
    ),
    (
        "assignmentDelete",
        {"id": assignment_id("emporix", "staff", BUYER)},
        {**EMPORIX, "segments": ["staff"], "customers": [BUYER]},
    ),
    (
        "assignmentBulkCreate",
        {
            "segmentId": STAFF,
            "assignments": [
                {"customerId": customer_id("emporix", BUYER)},
                {"identity": {"provider": "emporix", "externalId": OTHER}},
                {},
            ],
        },
        {
            **EMPORIX,
            "segments": ["staff"],
            "customers": [BUYER, OTHER],
            "outcome": "partly",
            "errors": ["REQUIRED"],
            "rows": {"done": 2, "failed": 1},
        },
    ),
    (
        "assignmentBulkDelete",
        {"segmentId": STAFF, "assignments": [{"customerId": customer_id("emporix", BUYER)}]},
        {**EMPORIX, "segments": ["staff"], "customers": [BUYER], "rows": {"done": 1}},
    ),
    (
        "customerSegmentsReplace",
        {
            "provider": "instaleap",
            "customers": [
                {
                    "externalId": shoppers(1)[0],
                    "segments": [{"type": "membership", "value": "GOLD"}],
                },
                {"externalId": "nobody"},
            ],
        },
        {
            **INSTALEAP,
            "segments": ["membership:GOLD"],
            "customers": [shoppers(1)[0], "nobody"],
            "outcome": "partly",
            "errors": ["NOT_FOUND"],
            "rows": {"done": 1, "failed": 1},
        },
    ),
    (
        "segmentItemsBulkAssign",
        {"segmentId": STAFF, "items": [{"externalId": "p1001", "type": "PRODUCT"}]},
        {**EMPORIX, "segments": ["staff"], "rows": {"done": 1}},
    ),
    (
        "segmentItemsBulkUnassign",
        {"segmentId": STAFF, "items": [{"externalId": "p1001", "type": "PRODUCT"}]},
        {**EMPORIX, "segments": ["staff"], "rows": {"done": 1}},
    ),
    (
        "customersLink",
        {"customerIds": [customer_id("emporix", BUYER), customer_id("emporix", OTHER)]},
        {**EMPORIX, "customers": [BUYER, OTHER]},
    ),
    (
        "customersUnlink",
        {"customerIds": [customer_id("emporix", BUYER), customer_id("emporix", OTHER)]},
        {**EMPORIX, "customers": [BUYER, OTHER]},
    ),
    (
        "identityLinkDecide",
        {"linkId": LINK, "accept": True},
        {
            **EMPORIX,
            "customers": [BUYER, OTHER],
            "outcome": "refused",
            "errors": ["NOT_FOUND"],
        },
    ),
    ("segmentsReorder", {"provider": "stuut", "ids": []}, {"providers": ["stuut"]}),
    (
        "customerAttributesUpdate",
        {
            "identity": {"provider": "emporix", "externalId": BUYER},
            "attributes": {"loyalty": {"tier": "secret"}},
        },
        {**EMPORIX, "customers": [BUYER]},
    ),
]


@pytest.mark.parametrize(("field", "given", "details"), CASES, ids=[case[0] for case in CASES])
async def test_each_write_is_one_line(
    front: Front, field: str, given: Mapping[str, Any], details: Mapping[str, Any]
) -> None:
    """Who, what, where, of whom and what came of it; nothing else of the input."""
    assert await logged_of(front, field, given) == [line(field, **details)]


async def test_a_new_segment_is_told_by_the_id_it_got(front: Front) -> None:
    """The provider chose it."""
    given = {"provider": "emporix", "name": "New", "siteCode": "main"}
    (entry,) = await logged_of(front, "segmentCreate", given)
    assert entry["outcome"] == "done"
    assert len(entry["segments"]) == 1


async def test_reads_leave_no_line(front: Front) -> None:
    """Only what changes something."""
    with logged() as log:
        await front.data("{ segments(first: 1) { nodes { id } } }")
    assert log.text == ""


@pytest.mark.parametrize(
    ("field", "given", "details"),
    [
        (
            "segmentDelete",
            {"id": "bad"},
            {"outcome": "refused", "errors": ["INVALID"]},
        ),
        (
            "segmentDelete",
            {"id": segment_id("nobody", "a")},
            {
                "outcome": "refused",
                "errors": ["INVALID"],
                "providers": ["nobody"],
                "segments": ["a"],
            },
        ),
        (
            "segmentUpdate",
            {"id": segment_id("emporix", "none"), "name": "A", "idempotencyKey": "k"},
            {
                **EMPORIX,
                "outcome": "refused",
                "errors": ["NOT_FOUND"],
                "segments": ["none"],
                "idempotency_key": True,
            },
        ),
    ],
)
async def test_what_is_refused(
    front: Front, field: str, given: Mapping[str, Any], details: Mapping[str, Any]
) -> None:
    """Nothing was written; the codes say why."""
    assert await logged_of(front, field, given) == [line(field, **details)]


@pytest.mark.parametrize(
    ("server", "outcome", "error"),
    [
        (answering(403, b"{}"), "failed", "Denied"),
        (answering(500, b"{}"), "unknown", "Broken"),
        (raising(httpx.ReadTimeout), "unknown", "TimedOut"),
        (raising(httpx.ConnectError), "not sent", "Unreachable"),
    ],
)
async def test_what_failed_and_what_nobody_knows(
    front: Front, server: Any, outcome: str, error: str
) -> None:
    """It is told apart whether the provider may have acted."""
    front.providers.instead["voucherify"] = server
    details = {"providers": ["voucherify"], "segments": [APP_BETA], "errors": [error]}
    logged = await logged_of(front, "segmentDelete", {"id": BETA})
    assert logged == [line("segmentDelete", outcome, **details)]


async def test_a_repeated_request_is_told_as_such(front: Front) -> None:
    """With an idempotency key that was carried out before nothing is written."""
    given = {"id": BETA, "idempotencyKey": "k"}
    details = {"providers": ["voucherify"], "segments": [APP_BETA], "idempotency_key": True}
    for outcome in ("done", "repeated"):
        logged = await logged_of(front, "segmentDelete", given)
        assert logged == [line("segmentDelete", outcome, **details)]


async def test_each_field_of_a_document_has_its_line(front: Front) -> None:
    """Under the id of the one request, in order."""
    fields = ("segmentDelete", "segmentsReorder")
    given = {"m0": {"id": BETA}, "m1": {"provider": "stuut", "ids": []}}
    with logged() as log:
        await front.ask(document(*fields), given)
    writes = [each for each in log.lines if each["event"] == "write"]
    assert [each["operation"] for each in writes] == list(fields)
    assert len({each["request_id"] for each in writes}) == 1


async def test_what_the_gateway_repeats_by_itself(front: Front, shop: Shop, url: str) -> None:
    """A write that broke off is carried out again: that is a write as well."""
    assert shop.batches == []
    reopened, record = await opened(front.providers, url)
    with logged(LogSettings(personal_data=True)) as log:
        assert await recover(reopened, record) == len(KEYS)
    await closed(reopened, record)
    lines = log.of("audit")
    assert sorted(who for each in lines for who in each.pop("customers")) == sorted(KEYS)
    rows = sum(each.pop("rows")["done"] for each in lines)
    assert rows == len(KEYS)
    details = {"caller": "gateway", "operation": "recovery", "providers": ["instaleap"]}
    rest = {"segments": ["a:new"], "outcome": "done", "errors": [], "idempotency_key": False}
    assert lines == [{"event": "write", **details, **rest}] * len(lines)


def test_a_large_write_takes_several_lines() -> None:
    """Each id stands in one of them."""
    count = 2 * audit.MAX_IDS + 1
    targets = audit.Targets(customers={f"c{n}": None for n in range(count)})
    targets.segments["x" * 1000] = None
    with logged(LogSettings(personal_data=True)) as log, audit.write(_scope(), "x", targets) as on:
        on.note(SegmentsReceipt(), is_repeated=False)
    lines = log.of("audit")
    assert [(each["part"], each["parts"]) for each in lines] == [(1, 3), (2, 3), (3, 3)]
    assert [c for each in lines for c in each["customers"]] == [f"c{n}" for n in range(count)]
    assert [each["segments"] for each in lines] == [["x" * audit.MAX_ID_LENGTH + "…"], [], []]


@pytest.mark.parametrize(("is_sent", "outcome"), [(True, "unknown"), (False, "not sent")])
def test_a_cancelled_write(is_sent: bool, outcome: str) -> None:  # noqa: FBT001  # pytest's
    """What came of it nobody was told, unless its call was not made yet."""
    scope = _scope()
    with (
        logged() as log,
        contextlib.suppress(asyncio.CancelledError),
        audit.write(scope, "x", audit.Targets()),
    ):
        if is_sent:
            scope.note_write(acted=True, replied=False)
        raise asyncio.CancelledError
    (entry,) = log.of("audit")
    assert (entry["outcome"], entry["errors"]) == (outcome, ["CancelledError"])


def test_messages_are_no_part_of_it() -> None:
    """They may quote the input; codes cannot."""
    error = UserError("Ann is not 7", Reason.INVALID, ("customers",))
    outcome = audit.outcome_of(SegmentsReceipt(errors=(error,)), ())
    assert outcome == ("refused", ["INVALID"], None)


def _scope() -> Scope:
    return Scope("r", 0)


# Callers with keys.

SCOPES = ("segments:read", "segments:write", "assignments:read", "assignments:write")


@contextlib.asynccontextmanager
async def keyed(
    providers: Providers, url: str, **scopes: Sequence[str]
) -> AsyncIterator[tuple[Front, Mapping[str, str]]]:
    """Serve callers with keys of these scopes; return how each of them signs in, by name."""
    made = {name: api_keys.make() for name in scopes}
    tables = tuple(
        KeySettings(name=name, hash=SecretStr(made[name][1]), scopes=tuple(held))
        for name, held in scopes.items()
    )
    settings = settings_with().model_copy(update={"auth": AuthSettings(keys=tables)})
    settings = settings.model_copy(
        update={"server": settings.server.model_copy(update={"allow_anonymous": True})}
    )
    async with serving(providers, url, settings) as front:
        yield front, {name: f"Bearer {key}" for name, (key, _) in made.items()}


async def lines_of(front: Front, caller: str, field: str, given: Mapping[str, Any]) -> Log:
    """Ask as this caller, or without credentials; return what was logged."""
    query, signed = document(field, selection="__typename"), {"authorization": caller}
    with logged(LOG) as log:
        await front.ask(query, {"m0": given}, **(signed if caller else {}))
    return log


async def test_callers_are_told_by_their_name(providers: Providers, url: str) -> None:
    """The key's, and never the key."""
    async with keyed(providers, url, shop=SCOPES) as (front, signed):
        log = await lines_of(front, signed["shop"], "segmentDelete", {"id": BETA})
    (entry,) = log.of("audit")
    assert entry["caller"] == "key:shop"
    assert "address" not in entry
    assert signed["shop"].removeprefix("Bearer ") not in log.text


async def test_who_has_no_right_is_told(providers: Providers, url: str) -> None:
    """By the fields that were asked; nothing was sent."""
    async with keyed(providers, url, reader=["segments:read"]) as (front, signed):
        log = await lines_of(front, signed["reader"], "segmentDelete", {"id": BETA})
        assert front.calls == []
    denied = {**line("segmentDelete", "denied"), "caller": "key:reader"}
    del denied["address"]
    assert log.of("audit") == [denied]


async def test_who_may_not_name_customers_is_told(providers: Providers, url: str) -> None:
    """The right that depends on the input is no exception."""
    given = {"provider": "stuut", "name": "A", "priority": 1, "customerExternalIds": ["1"]}
    scopes = ["segments:read", "segments:write"]
    async with keyed(providers, url, shop=scopes) as (front, signed):
        log = await lines_of(front, signed["shop"], "segmentCreate", given)
        assert front.calls == []
    assert [each["outcome"] for each in log.of("audit")] == ["denied"]


async def test_an_idempotency_key_is_its_callers_own(providers: Providers, url: str) -> None:
    """With another caller's key a write is carried out, and tells nothing of the other's."""
    given = {"provider": "stuut", "ids": [], "idempotencyKey": "k"}
    other = {"provider": "stuut", "ids": [segment_id("stuut", "1")], "idempotencyKey": "k"}
    async with keyed(providers, url, one=SCOPES, two=SCOPES) as (front, signed):
        for caller in (signed["one"], signed["two"], ""):
            log = await lines_of(front, caller, "segmentsReorder", given)
            assert [each["outcome"] for each in log.of("audit")] == ["done"]
        log = await lines_of(front, signed["two"], "segmentsReorder", other)
        assert [each["errors"] for each in log.of("audit")] == [["IDEMPOTENCY_KEY_REUSED"]]
        for caller in (signed["one"], signed["two"], ""):
            log = await lines_of(front, caller, "segmentsReorder", given)
            assert [each["outcome"] for each in log.of("audit")] == ["repeated"]
        assert len(front.calls) == 3


async def test_no_key_reads_as_another_callers(providers: Providers, url: str) -> None:
    """However a key is written, it does not reach into what another caller has kept."""
    given = {"provider": "stuut", "ids": []}
    async with keyed(providers, url, one=SCOPES) as (front, signed):
        await lines_of(front, signed["one"], "segmentsReorder", {**given, "idempotencyKey": "k"})
        for key in ("key:one\0k", "key:onek", "one\0k", "\0k"):
            variables = {**given, "idempotencyKey": key}
            log = await lines_of(front, "", "segmentsReorder", variables)
            assert [each["outcome"] for each in log.of("audit")] == ["done"]
