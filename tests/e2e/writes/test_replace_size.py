"""How many customers one replacement takes by default: the figure in the schema."""

from typing import Any

from tests.e2e.serving import Front, Providers, serving, settings_with
from tests.e2e.writes.asking import document

FIGURE = 1_700
"""In the description of `CustomerSegmentsReplaceInput.customers`."""


async def answer(front: Front, count: int) -> Any:
    """Return the answer to a replacement of so many customers, with the whole payload."""
    rows = [
        {"externalId": f"customer-{n:09d}", "segments": [{"type": "membership", "value": "GOLD"}]}
        for n in range(count)
    ]
    given = {"provider": "instaleap", "customers": rows, "idempotencyKey": "k" * 64}
    query = document("customerSegmentsReplace")
    return await front.ask(query, {"m0": given})


async def test_the_figure_of_the_schema() -> None:
    """So many customers pass every default limit; what does not is refused before it is sent."""
    settings = settings_with()
    # The default would do on an idle machine.
    server = settings.server.model_copy(update={"request_timeout_s": 120})
    settings = settings.model_copy(update={"server": server})
    async with serving(Providers(), settings) as front:
        payload = (await answer(front, FIGURE))["data"]["m0"]
        assert payload["userErrors"] == []
        # The sandbox knows none of them: all were sent.
        codes = [each["code"] for row in payload["results"] for each in row["userErrors"]]
        assert codes == ["NOT_FOUND"] * FIGURE
        calls = len(front.calls)
        refused = await answer(front, 2 * FIGURE)
        (error,) = refused["errors"]
        assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
        assert "limits.cost" in error["message"]
        assert len(front.calls) == calls
