"""The bounds of lists are defined once: a process that changes one there follows it everywhere."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import pages
from tests.e2e.serving import customer_id, segment_id

ROOT = Path(__file__).parents[2]

# The modules that use a bound take it when they are imported, so it is changed before that.
PROCESS = """
import asyncio, json, sys
from gateway.domain import pages

for name, bound in json.loads(sys.argv[1]).items():
    assert hasattr(pages, name)
    setattr(pages, name, bound)

import httpx
from gateway.asgi import build
from gateway.settings.loading import sandbox_settings
from resolvers.schema import sdl

async def answers():
    app = build(sandbox_settings())
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        for query in json.loads(sys.argv[2]):
            yield (await client.post("/graphql", json={"query": query})).json()

async def main():
    return [each async for each in answers()]

json.dump({"sdl": sdl(), "answers": asyncio.run(main())}, open(sys.argv[3], "w"))
"""

CHANGED = {
    "MAX_PAGE_SIZE": 7,
    "DEFAULT_PAGE_SIZE": 3,
    "DEFAULT_CHANGES_PAGE_SIZE": 5,
    "MAX_NODES": 2,
    "MAX_PAIRS": 1234,
    "MAX_CALLS_PER_PAGE": 11,
}

PAIRS = (
    f"customerIds: {json.dumps([customer_id('stuut', 'x')] * 1235)}"
    f" segmentIds: {json.dumps([segment_id('stuut', 'y')])}"
)
SEGMENTS = '{ provider(key: "stuut") { segments%s { nodes { name } } } }'
QUERIES = {
    "largest": SEGMENTS % "(first: 7)",
    "too large": SEGMENTS % "(first: 8)",
    "default": SEGMENTS % "",
    "filtered": SEGMENTS % '(filter: { nameContains: "a" })',
    "nodes": '{ nodes(ids: ["x", "y"]) { id } }',
    "too many nodes": '{ nodes(ids: ["x", "y", "z"]) { id } }',
    "too many pairs": f"{{ segmentMemberships({PAIRS}) {{ isMember }} }}",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the schema and the answers of a gateway whose bounds were changed in one place."""
    state = tmp_path_factory.mktemp("state")
    output = state / "output"  # standard output has the log
    arguments = [json.dumps(CHANGED), json.dumps(list(QUERIES.values())), str(output)]
    run = subprocess.run(
        [sys.executable, "-c", PROCESS, *arguments],
        cwd=ROOT,
        env={"XDG_STATE_HOME": str(state)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(output.read_text())
    return {"sdl": result["sdl"], **dict(zip(QUERIES, result["answers"], strict=True))}


def rows(answer: Any) -> int:
    """Return how many segments an answer has."""
    return len(answer["data"]["provider"]["segments"]["nodes"])


def message(answer: Any) -> str:
    """Return the message of the only error."""
    (error,) = answer["errors"]
    return str(error["message"])


def test_what_is_accepted_follows(served: dict[str, Any]) -> None:
    """A page has up to the changed bound and the changed default; one more row is refused."""
    assert (rows(served["largest"]), rows(served["default"])) == (7, 3)
    assert message(served["too large"]) == "first is 8; it must be from 1 to 7."
    assert message(served["too many nodes"]) == "3 ids were given; at most 2 are read at once."
    assert message(served["too many pairs"]) == (
        "customerIds x segmentIds is 1235; at most 1234 pairs can be tested at once."
    )


def test_what_the_schema_says_follows(served: dict[str, Any]) -> None:
    """Every description and default has the changed bounds, and none has the others."""
    sdl = served["sdl"]
    assert sdl.count("from 1 to 7; 3 if null.") == sdl.count("  first: Int = 3") > 0
    assert sdl.count("from 1 to 7; 5 if null.") == sdl.count("  first: Int = 5") > 0
    assert sdl.count("  first: Int") == sdl.count("from 1 to 7; ")
    assert '"""At most 2 global ids."""' in sdl
    assert "at most 1,234 rows." in sdl
    for bound in (pages.MAX_PAGE_SIZE, f"{pages.MAX_PAIRS:,}"):
        assert f" {bound}" not in sdl


def test_what_an_operation_costs_follows(served: dict[str, Any]) -> None:
    """Ten for each call and one for each object: of the rows, and of what they are in."""
    costs = {name: served[name]["extensions"]["cost"]["requested"] for name in QUERIES}
    around = costs["default"] - 3
    assert costs == {
        "default": around + 3,
        "largest": around + 7,
        "too large": around + 7,
        # The most calls to one provider, in the place of one.
        "filtered": around + 3 + 10 * (11 - 1),
        # Up to three calls for each id that is read; of those that are refused no more.
        "nodes": 1 + 2 * (3 * 10 + 1),
        "too many nodes": 1 + 2 * (3 * 10 + 1),
        "too many pairs": 2,
    }
