"""Replacing at Emporix, which assigns one by one: the difference, honestly told."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.e2e.failures import FAILURES, answering, signed_in
from tests.e2e.known import HIRO_AT
from tests.e2e.serving import Front, Providers, segment_id, settings_with
from tests.e2e.writes.asking import EMPORIX, buyers, do, document, problem
from tests.e2e.writes.serving import serving

REPLACE = "customerSegmentsReplace"
KEY = buyers(1)[0]
MESSAGE = "results { outcome userErrors { message } }"
OF_CUSTOMER = f"GET {EMPORIX}?customerId="


def entry(key: str, *segments: str) -> dict[str, Any]:
    """Return a customer of the input with these segments."""
    return {"externalId": key, "segmentIds": [segment_id("emporix", each) for each in segments]}


def row(index: int, key: str, outcome: str, *errors: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row of the payload."""
    return {"index": index, "externalId": key, "outcome": outcome, "userErrors": list(errors)}


async def of(front: Front, key: str) -> Sequence[str]:
    """Return the ids of a customer's segments, as the provider has them now."""
    data = await front.data(
        "query($who: CustomerIdentityInput!) { customer(identity: $who) {"
        " segments { nodes { externalId } } } }",
        {"who": {"provider": "emporix", "externalId": key}},
    )
    front.forget()
    return sorted(node["externalId"] for node in data["customer"]["segments"]["nodes"])


def writes(front: Front) -> list[str]:
    """Return the calls that change something."""
    return [call for call in front.calls if not call.startswith("GET")]


@pytest.fixture
async def cleared(front: Front) -> Front:
    """Return a gateway of whose first customer nothing is assigned any more."""
    await do(front, REPLACE, {"provider": "emporix", "customers": [entry(KEY)]})
    assert await of(front, KEY) == []
    return front


async def test_difference(cleared: Front) -> None:
    """What is missing is added, then what is too much is removed; what is there stays."""
    first = entry(KEY, "golden", "staff", "golden")
    payload = await do(cleared, REPLACE, {"provider": "emporix", "customers": [first]})
    assert payload == {
        "updatedCustomerIds": [KEY],
        "results": [row(0, KEY, "UPDATED")],
        "userErrors": [],
    }
    assert writes(cleared) == [
        f"PUT {EMPORIX}/golden/customers/{KEY}",
        f"PUT {EMPORIX}/staff/customers/{KEY}",
    ]
    assert [call.startswith(OF_CUSTOMER) for call in cleared.calls] == [True, False, False]
    assert await of(cleared, KEY) == ["golden", "staff"]

    second = {"provider": "emporix", "customers": [entry(KEY, "vip-2026", "staff")]}
    await do(cleared, REPLACE, second)
    assert writes(cleared) == [
        f"PUT {EMPORIX}/vip-2026/customers/{KEY}",
        f"DELETE {EMPORIX}/golden/customers/{KEY}",
    ]
    # Read before, and again after something was removed.
    assert [call.startswith(OF_CUSTOMER) for call in cleared.calls] == [True, False, False, True]
    assert await of(cleared, KEY) == ["staff", "vip-2026"]

    await do(cleared, REPLACE, second)
    assert writes(cleared) == []

    cleared.forget()
    await do(cleared, REPLACE, {"provider": "emporix", "customers": [{"externalId": KEY}]})
    assert await of(cleared, KEY) == []


async def test_rows(cleared: Front) -> None:
    """Each entry has its own row: duplicates, pairs, strangers and the unknown beside the good."""
    other = buyers(2)[1]
    customers = [
        entry(KEY, "golden"),
        entry(KEY, "staff"),
        {"externalId": other, "segments": [{"type": "a", "value": "b"}]},
        {"externalId": "x", "segmentIds": [segment_id("stuut", "s"), "nonsense"]},
        entry("nobody", "golden"),
        entry("none"),
    ]
    payload = await do(cleared, REPLACE, {"provider": "emporix", "customers": customers})
    at = "customers"
    assert payload == {
        # Who is unknown there has no segments: nothing had to be done to that end.
        "updatedCustomerIds": [KEY, "none"],
        "results": [
            row(0, KEY, "UPDATED"),
            row(1, KEY, "DISCARDED_DUPLICATE"),
            row(
                2,
                other,
                "NOT_UPDATED",
                problem(f"{at}.2.segments", "UNSUPPORTED", "emporix"),
            ),
            row(
                3,
                "x",
                "NOT_UPDATED",
                problem(f"{at}.3.segmentIds.1", "INVALID", None),
                problem(f"{at}.3.segmentIds.0", "INVALID", "emporix"),
            ),
            row(4, "nobody", "NOT_UPDATED", problem(f"{at}.4.segmentIds", "INVALID", "emporix")),
            row(5, "none", "UPDATED"),
        ],
        "userErrors": [],
    }
    assert sorted(writes(cleared)) == sorted(
        [f"PUT {EMPORIX}/golden/customers/{KEY}", f"PUT {EMPORIX}/golden/customers/nobody"]
    )
    assert await of(cleared, KEY) == ["golden"]


async def test_a_refused_step(cleared: Front) -> None:
    """The first step that is refused ends it, and the row says what was done before."""
    given = {"provider": "emporix", "customers": [entry(KEY, "golden", "none", "staff")]}
    payload = await do(cleared, REPLACE, given, MESSAGE)
    message = "Segment 'none' was not added; 1 of 3 changes were made before."
    assert payload["results"] == [{"outcome": "NOT_UPDATED", "userErrors": [{"message": message}]}]
    assert await of(cleared, KEY) == ["golden"]


@pytest.mark.parametrize(
    ("way", "outcome"),
    [("500", "UNKNOWN"), ("unreachable", "NOT_UPDATED"), ("401", "NOT_UPDATED")],
)
async def test_a_failing_step(
    cleared: Front, providers: Providers, way: str, outcome: str
) -> None:
    """A step that fails half way is told with what was done before, and whether it is known."""
    await do(cleared, REPLACE, {"provider": "emporix", "customers": [entry(KEY, "staff")]})
    real, failing = providers.real("emporix"), FAILURES[way].server

    async def removing_fails(scope: Any, receive: Any, send: Any) -> None:
        await (failing if scope["method"] == "DELETE" else real)(scope, receive, send)

    providers.instead["emporix"] = removing_fails
    given = {"provider": "emporix", "customers": [entry(KEY, "golden")]}
    payload = await do(cleared, REPLACE, given)
    error = problem("customers.0.segmentIds", "PROVIDER_FAILED", "emporix")
    assert payload["results"] == [row(0, KEY, outcome, error)]
    providers.instead.clear()
    message = (await do(cleared, REPLACE, given, MESSAGE))["results"]
    assert message == [{"outcome": "UPDATED", "userErrors": []}]
    assert await of(cleared, KEY) == ["golden"]


async def test_out_through_legal_entities(front: Front) -> None:
    """Whoever is in a segment through legal entities is taken out through each of them."""
    hiro = HIRO_AT["emporix"]
    before = await of(front, hiro)
    assert "b2b-partners" in before
    given = {"provider": "emporix", "customers": [entry(hiro)]}
    payload = await do(front, REPLACE, given)
    assert payload["updatedCustomerIds"] == [hiro]
    assert payload["results"] == [row(0, hiro, "UPDATED")]
    assert await of(front, hiro) == []


async def test_what_they_have_cannot_be_read(front: Front, providers: Providers) -> None:
    """Without knowing what a customer has nothing is changed, and other customers go on."""
    real, other = providers.real("emporix"), buyers(3)[2]
    failing = answering(500, b"")

    async def first_is_unreadable(scope: Any, receive: Any, send: Any) -> None:
        is_first = f"customerId={KEY}".encode() in scope["query_string"]
        await (failing if is_first else real)(scope, receive, send)

    providers.instead["emporix"] = first_is_unreadable
    given = {"provider": "emporix", "customers": [entry(KEY, "staff"), entry(other, "staff")]}
    payload = await do(front, REPLACE, given)
    failed = problem("customers.0", "PROVIDER_FAILED", "emporix")
    assert payload["results"] == [
        row(0, KEY, "NOT_UPDATED", failed),
        row(1, other, "UPDATED"),
    ]
    assert f"PUT {EMPORIX}/staff/customers/{KEY}" not in front.calls


async def test_unreachable_altogether(providers: Providers, url: str) -> None:
    """With the provider gone every row says so, and a mutation beside it keeps its answer."""
    async with serving(providers, url, settings_with()) as front:
        gone = FAILURES["unreachable"].server
        providers.instead["emporix"] = signed_in(gone, providers.real("emporix"))
        data = await front.data(
            document(REPLACE, "segmentsReorder"),
            {
                "m0": {"provider": "emporix", "customers": [entry(KEY, "staff"), entry("b")]},
                "m1": {"provider": "stuut", "ids": []},
            },
        )
        assert [each["outcome"] for each in data["m0"]["results"]] == ["NOT_UPDATED"] * 2
        assert len(data["m1"]["segments"]) == 8
