"""The questions that GraphiQL's examples ask: each with its exact calls."""

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.http.pages.examples import examples
from tests.e2e.serving import Front

QUERIES = {each["name"]: each["query"] for each in examples()}

QUESTIONS: Mapping[str, tuple[Mapping[str, int], int]] = {
    "segments with a product": ({"emporix": 2}, 2),
    # First names, last names, and the segments of each customer.
    "customers by name": ({"emporix": 2 + 8}, 8),
    "customers by phone": ({"emporix": 1}, 1),
    # The lists, and each segment that can be counted.
    "largest segments": ({"stuut": 1, "voucherify": 1 + 16, "emporix": 1 + 16}, 20),
    "segment by id": ({"stuut": 1, "voucherify": 1, "emporix": 1}, 1),
    "changed since": ({"stuut": 1, "voucherify": 1, "emporix": 1}, 6),
    "in one not another": ({"voucherify": 2}, 10),
    # The segments in one call, and the members of each.
    "overlap": ({"voucherify": 3}, 3),
}
"""The calls to each provider, and how many rows the response has."""


@pytest.mark.parametrize("name", QUESTIONS)
async def test_question(front: Front, name: str) -> None:
    """Each question is one query, and makes no more calls than it needs."""
    calls, rows = QUESTIONS[name]

    data = await front.data(QUERIES[name])

    assert front.counts == calls
    assert len(answer_of(data)) == rows


def answer_of(data: Mapping[str, Any]) -> Any:
    """Return the rows of the only list of a response."""
    if "segmentsCompare" in data:
        return data["segmentsCompare"]["regions"]
    return (data.get("segments") or data["customers"])["nodes"]
