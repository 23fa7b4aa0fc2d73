"""What was never sent may be tried again under the same key, and the audit log says `not sent`."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.e2e.failures import FAILURES
from tests.e2e.serving import PROVIDERS, Providers, settings_with
from tests.e2e.writes.asking import do, document, shoppers
from tests.e2e.writes.serving import serving
from tests.e2e.writes.shop import Shop
from tests.e2e.writes.test_idempotency import INPUTS, SHOWN, given


def audited(lines: list[Any]) -> list[str]:
    """Return the outcomes in the audit log."""
    return [line["outcome"] for line in lines if line.get("logger") == "audit"]


@pytest.mark.parametrize("field", INPUTS)
async def test_one_rule_for_every_mutation(providers: Providers, url: str, field: str) -> None:
    """With no connection nothing is kept: the key is carried out when there is one again."""
    variables, shown = given(field), SHOWN.get(field) or None
    async with serving(providers, url) as front:
        for kind in PROVIDERS:
            providers.instead[kind] = FAILURES["unreachable"].server
        with capture_logs() as lines:
            answer = await front.ask(document(field, selection=shown), {"m0": variables})
        assert audited(lines) == ["not sent"]
        assert answer["data"]["m0"] is None or answer["data"]["m0"]["userErrors"] == []
        providers.instead.clear()
        front.forget()
        with capture_logs() as lines:
            first = await do(front, field, variables, shown or "")
        assert front.calls != []
        assert audited(lines) in (["done"], ["partly"])
        front.forget()
        with capture_logs() as lines:
            assert await do(front, field, variables, shown or "") == first
        assert front.calls == []
        assert audited(lines) == ["repeated"]


@pytest.mark.parametrize("way", ["401", "429"])
async def test_a_provider_that_says_it_did_nothing(
    providers: Providers, url: str, way: str
) -> None:
    """It was sent, so the log says `failed`; the key is free all the same."""
    variables = given("customerSegmentsReplace")
    async with serving(providers, url, settings_with(probe_interval_s=0.01)) as front:
        providers.instead["instaleap"] = FAILURES[way].server
        with capture_logs() as lines:
            payload = await do(front, "customerSegmentsReplace", variables)
        assert {row["outcome"] for row in payload["results"]} == {"NOT_UPDATED"}
        assert audited(lines) == ["failed"]
        providers.instead.clear()
        payload = await do(front, "customerSegmentsReplace", variables)
        assert payload["updatedCustomerIds"] == [shoppers(1)[0]]


async def test_a_result_with_anything_sent_is_kept(providers: Providers, url: str) -> None:
    """Of two batches one was done and one never sent: the key repeats exactly that."""
    shop = Shop(providers)
    customers = [
        {"externalId": key, "segments": [{"type": "a", "value": "b"}]} for key in shoppers(101)
    ]
    variables = {"provider": "instaleap", "customers": customers, "idempotencyKey": "k"}

    async def only_first(scope: Any, receive: Any, send: Any) -> None:
        chosen = FAILURES["unreachable"].server if shop.batches else shop
        await chosen(scope, receive, send)

    async with serving(providers, url) as front:
        providers.instead["instaleap"] = only_first
        with capture_logs() as lines:
            first = await do(front, "customerSegmentsReplace", variables)
        outcomes = [row["outcome"] for row in first["results"]]
        assert sorted(set(outcomes)) == ["NOT_UPDATED", "UPDATED"]
        assert audited(lines) == ["partly"]
        providers.instead["instaleap"] = shop
        assert await do(front, "customerSegmentsReplace", variables) == first
        assert len(shop.batches) == 1
