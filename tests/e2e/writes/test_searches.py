"""Searches at Instaleap: of its customers, the store knows nothing but the ids."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.serving import Front, segment_id
from tests.e2e.test_customers import LIST, source
from tests.e2e.writes.asking import do, shoppers

GOLD = segment_id("instaleap", "membership:GOLD")
WHO = shoppers(1)[0]


@pytest.mark.parametrize(
    "search", [{"email": "x@y"}, {"nameContains": "a"}, {"phone": "1"}], ids=str
)
@pytest.mark.parametrize(
    "others",
    [{}, {"externalId": WHO}, {"segmentId": GOLD}, {"inAll": [GOLD]}, {"inAny": [GOLD]}],
    ids=str,
)
async def test_what_the_store_cannot_compare(
    front: Front, search: Mapping[str, Any], others: Mapping[str, Any]
) -> None:
    """Nobody is shown, and the source says why; an unknown customer is no question."""
    gold = {"externalId": WHO, "segments": [{"type": "membership", "value": "GOLD"}]}
    given = {"provider": "instaleap", "customers": [gold]}
    assert (await do(front, "customerSegmentsReplace", given))["updatedCustomerIds"] == [WHO]
    wanted = {**others, "providers": ["instaleap"]}

    known = (await front.data(LIST, {"filter": wanted}))["customers"]
    searched = (await front.data(LIST, {"filter": {**wanted, **search}}))["customers"]
    unknown = {**wanted, **search, "externalId": "nobody"}
    nobody = (await front.data(LIST, {"filter": unknown}))["customers"]

    assert len(known["nodes"]) == 1
    assert searched["nodes"] == []
    assert searched["sources"] == [source("instaleap", None, "UNSUPPORTED")]
    assert nobody["sources"] == [{**source("instaleap", 0), "origin": "RECORDED"}]
