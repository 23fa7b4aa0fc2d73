from typing import Any

import msgspec
import pytest
from pydantic import SecretStr, ValidationError

from gateway.domain.pages import PageRequest
from gateway.domain.queries import SegmentQuery
from gateway.providers.base.adapter import (
    FindsCustomersByEmail,
    ListsCustomers,
    ListsItems,
    ListsMembers,
    ListsSegments,
    ListsSegmentsOfCustomer,
    MatchesItems,
    ReadBatch,
    ReadsAssignments,
    ReadsCustomers,
    ReadsSegments,
    SignsIn,
)
from gateway.providers.base.exchange import Call, Exchange, Reply
from gateway.providers.base.settings import AccountSettings
from gateway.providers.emporix.adapter import Emporix, EmporixSettings

ACCOUNT = {
    "key": "acme",
    "kind": "emporix",
    "base_url": "https://api.emporix.io",
    "tenant": "acme",
    "client_id": "client",
    "client_secret": "hush",
}
EMPORIX = Emporix(EmporixSettings.model_validate(ACCOUNT))
SEGMENTS = "/customer-segment/acme/segments"


def serve(call: Call, length: int) -> Reply:
    """Return the reply of a list of this length, whose ids count from 0."""
    query = dict(call.query)
    first = (int(query["pageNumber"]) - 1) * int(query["pageSize"])
    ids = range(first, min(first + int(query["pageSize"]), length))
    rows = [{"id": str(number), "name": {"en": "x"}, "siteCode": "main"} for number in ids]
    headers = {"x-total-count": str(length)} if "x-total-count" in call.headers else {}
    return Reply(200, headers, msgspec.json.encode(rows))


@pytest.mark.parametrize("with_total", [True, False])
@pytest.mark.parametrize("size", [1, 7, 50, 199, 200, 201, 250])
@pytest.mark.parametrize("length", [0, 1, 7, 49, 50, 199, 200, 201, 431])
def test_a_list_is_walked_without_a_loss(size: int, length: int, *, with_total: bool) -> None:
    """Every row comes once and in order, and the last page says that it is the last."""
    seen: list[str] = []
    position = None
    for _ in range(length + 2):
        exchange = EMPORIX.segments(SegmentQuery(), PageRequest(size, position, with_total))
        page = exchange.read(serve(exchange.call, length))
        assert page.total == length
        assert len(page.rows) <= size
        seen += [row.ref.key for row in page.rows]
        if page.is_last:
            break
        position = page.position_after(len(page.rows) - 1)
    assert page.is_last
    assert seen == [str(number) for number in range(length)]


def test_a_long_query_goes_into_a_body() -> None:
    """What does not fit a URL is searched for; the paging stays where it is."""
    q = f"name.en:~({'Gold' * 2000})"
    exchange = EMPORIX.segments(SegmentQuery(native=q), PageRequest(1, None, with_total=True))
    call = exchange.call
    assert (call.method, call.path) == ("POST", f"{SEGMENTS}/search")
    assert call.query == (("pageNumber", "1"), ("pageSize", "2"))
    assert call.headers == {
        "content-type": "application/json",
        "accept-language": "*",
        "x-total-count": "true",
    }
    assert msgspec.json.decode(call.body or b"") == {"q": q}
    assert exchange.is_idempotent
    assert [row.ref.key for row in exchange.read(serve(call, 5)).rows] == ["0"]


def test_many_segments_are_read_in_few_calls() -> None:
    """A hundred in each call, those that `q` cannot say in calls of their own."""
    keys = [f"s{number}" for number in range(101)]
    batches = EMPORIX.segments_by_key([*keys, "a b", "search"])
    assert [_sent(batch) for batch in batches] == [
        (keys[:100], SEGMENTS, f"id:({','.join(keys[:100])})", "100"),
        ([keys[100], "search"], SEGMENTS, "id:(s100,search)", "2"),
        (["a b"], f"{SEGMENTS}/a%20b", None, None),
    ]


@pytest.mark.parametrize("route", ["bulk", "items", "match", "me", "search"])
def test_a_segment_named_like_a_route_is_read_through_the_list(route: str) -> None:
    """`/segments/items` is another thing than the segment `items`; no customer is affected."""
    [segments] = EMPORIX.segments_by_key([route])
    [customers] = EMPORIX.customers_by_key([route])
    assert _sent(segments) == ([route], SEGMENTS, f"id:({route})", "1")
    assert _sent(customers) == ([route], f"/customer/acme/customers/{route}", None, None)


def _sent(batch: ReadBatch) -> tuple[Any, ...]:
    assert isinstance(batch.exchange, Exchange)
    call = batch.exchange.call
    query = dict(call.query)
    return list(batch.keys), call.path, query.get("q"), query.get("pageSize")


WRONG = {
    "capitals": {"tenant": "Acme"},
    "digit first": {"tenant": "1acme"},
    "too short": {"tenant": "ac"},
    "too long": {"tenant": "a" * 17},
    "a path": {"tenant": "acme/x"},
    "a line": {"tenant": "acme\n"},
    "no client": {"client_id": ""},
    "no secret": {"client_secret": ""},
    "no scope": {"scope": ""},
    "no language": {"default_language": ""},
    "another kind": {"kind": "stuut"},
    "another setting": {"token": "x"},
}


@pytest.mark.parametrize("changed", WRONG.values(), ids=WRONG)
def test_wrong_settings_are_refused(changed: dict[str, str]) -> None:
    """Each wrong part is one error at its place, and what was written there is not shown."""
    with pytest.raises(ValidationError) as raised:
        EmporixSettings.model_validate({**ACCOUNT, **changed})
    [name] = changed
    assert [error["loc"] for error in raised.value.errors()] == [(name,)]
    assert "hush" not in str(raised.value)


def test_settings_are_read() -> None:
    """Left out, there is no scope and the language is English."""
    assert issubclass(Emporix.Settings, AccountSettings)
    assert EmporixSettings.model_validate(ACCOUNT) == EmporixSettings(
        key="acme",
        kind="emporix",
        base_url="https://api.emporix.io",
        tenant="acme",
        client_id="client",
        client_secret=SecretStr("hush"),
        scope=None,
        default_language="en",
    )


@pytest.mark.parametrize(
    "ability",
    [
        FindsCustomersByEmail,
        ListsCustomers,
        ListsItems,
        ListsMembers,
        ListsSegments,
        ListsSegmentsOfCustomer,
        MatchesItems,
        ReadsAssignments,
        ReadsCustomers,
        ReadsSegments,
        SignsIn,
    ],
)
def test_it_reads_everything_there_is(ability: type) -> None:
    """Emporix is the one provider that offers every way of reading."""
    assert isinstance(EMPORIX, ability)


LANGUAGES = {"en": "Gold", "de": "Gold"}


@pytest.mark.parametrize(
    "names",
    [
        [LANGUAGES, {"en": "Silver"}],
        [LANGUAGES, {"en": None, "de": "Silber"}],
        [LANGUAGES, {"en": "", "de": "Silber"}],
        [LANGUAGES, {}],
        [LANGUAGES, "Silver"],
        ["Gold", "Silver"],
        [],
    ],
    ids=repr,
)
def test_texts_of_a_page_are_as_those_of_each_row(names: list[Any]) -> None:
    """Absent languages are left out; a text without a language is in the account's own."""
    rows = [{"id": str(i), "name": name, "description": name} for i, name in enumerate(names)]
    reply = Reply(200, {}, msgspec.json.encode(rows))
    page = EMPORIX.segments(SegmentQuery(), PageRequest(10)).read(reply)
    texts = [
        {"en": name}
        if isinstance(name, str)
        else {tag: name[tag] for tag in name if name[tag] is not None}
        for name in names
    ]
    assert [row.names.by_language for row in page.rows] == texts
    assert [row.descriptions.by_language for row in page.rows] == texts
