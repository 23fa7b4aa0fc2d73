"""What a request may say: bodies, parameters, variables, documents of any size; never a 5xx."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.e2e.asking import GRAPHQL, JSON, KEYS, post, refusal
from tests.e2e.serving import Front, segment_id, without_cost

SHAPE = "This is not a GraphQL request: "
NO_JSON = "The request is not JSON."
NO_BATCH = "Batches are not supported; send one operation per request."


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", NO_JSON),
        (b"{", NO_JSON),
        (b"{]", NO_JSON),
        (b"\xff\xfe{}", NO_JSON),
        (b'{"query": "\xff"}', NO_JSON),
        (b'{"query": "\\ud800"}', NO_JSON),
        (b'{"query": "{}"} trailing', NO_JSON),
        (b"[" * 100_000, None),
        (b'{"query": ' + b"[" * 100_000, None),
        (b'{"query": "{ x }", "variables": {"a": ' + b"[" * 100_000, None),
        (b"[]", NO_BATCH),
        (b'[{"query": "{ providers { key } }"}]', NO_BATCH),
        (b"null", f"{SHAPE}Expected `object`, got `null`."),
        (b"7", f"{SHAPE}Expected `object`, got `int`."),
        (b'"{ providers { key } }"', f"{SHAPE}Expected `object`, got `str`."),
        (b"{}", f"{SHAPE}Object missing required field `query`."),
        (b'{"query": null}', f"{SHAPE}Object missing required field `query`."),
        (b'{"query": 7}', f"{SHAPE}Expected `str | null`, got `int` - at `$.query`."),
        (
            b'{"query": "{ x }", "variables": []}',
            f"{SHAPE}Expected `object | null`, got `array` - at `$.variables`.",
        ),
        (
            b'{"query": "{ x }", "variables": "{}"}',
            f"{SHAPE}Expected `object | null`, got `str` - at `$.variables`.",
        ),
        (
            b'{"query": "{ x }", "operationName": 7}',
            f"{SHAPE}Expected `str | null`, got `int` - at `$.operationName`.",
        ),
        (
            b'{"query": "{ x }", "extensions": 7}',
            f"{SHAPE}Expected `object | null`, got `int` - at `$.extensions`.",
        ),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else "",
)
async def test_what_is_no_request(front: Front, body: bytes, message: str | None) -> None:
    """A body that is no GraphQL request is refused with 400, in one sentence."""
    reply = await post(front, body)

    status, media_type, actual, code = refusal(reply)
    assert (status, media_type, code) == (400, JSON, "BAD_USER_INPUT")
    if message is not None:
        assert actual == message


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({}, 400),
        ({"query": ""}, 200),
        ({"query": KEYS, "variables": "{"}, 400),
        ({"query": KEYS, "variables": "[]"}, 400),
        ({"query": KEYS, "variables": "7"}, 400),
        ({"query": KEYS, "variables": "null"}, 200),
        ({"query": KEYS, "variables": ""}, 200),
        ({"query": KEYS, "extensions": "[]"}, 400),
        ({"query": KEYS, "operationName": ""}, 200),
        ({"query": KEYS, "operationName": "Nobody"}, 200),
        ({"query": KEYS, "unknown": "1"}, 200),
        ({"variables": "{}"}, 400),
    ],
    ids=str,
)
async def test_parameters_of_get(front: Front, parameters: Mapping[str, str], status: int) -> None:
    """What a GET asks stands in its parameters; empty ones are as good as none."""
    reply = await front.client.get("/graphql", params=parameters)

    assert reply.status_code == status
    is_refused = status == 400 or parameters.get("operationName") or not parameters["query"]
    assert without_cost(reply.json()).keys() == ({"errors"} if is_refused else {"data"})


async def test_get_with_variables_and_operation(front: Front) -> None:
    """A GET can say all that a POST can, whatever letters are in it."""
    query = "query A { providers { key } } query B($k: String!) { provider(key: $k) { key } }"
    text = urlencode({"query": query, "variables": '{"k": "stuüt+&"}', "operationName": "B"})

    reply = await front.client.get(f"/graphql?{text}")

    assert (reply.status_code, without_cost(reply.json())) == (200, {"data": {"provider": None}})


async def test_get_with_undecodable_letters(front: Front) -> None:
    """Parameters that are no UTF-8 are refused."""
    reply = await front.client.get("/graphql?query=%ff%fe{")

    assert refusal(reply) == (400, JSON, "The parameters are not UTF-8.", "BAD_USER_INPUT")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"first": "7"}, "Int cannot represent non-integer value: '7'"),
        ({"first": 1.5}, "Int cannot represent non-integer value: 1.5"),
        ({"first": 2**31}, "Int cannot represent non 32-bit signed integer value: 2147483648"),
        ({"first": []}, None),
        ({"filter": {"nothing": 1}}, None),
        ({"filter": {"status": "MAYBE"}}, None),
        ({"filter": {"status": 7}}, None),
        ({"filter": {"membership": [None]}}, None),
        ({"filter": {"native": {"provider": "emporix"}}}, None),
        ({"filter": {"createdAfter": "yesterday"}}, None),
        ({"filter": {"createdAfter": 7}}, None),
        ({"filter": {"createdAfter": {}}}, None),
        ({"filter": {"createdAfter": "9999-12-31T23:59:59-10:00"}}, None),
        ({"filter": {"createdAfter": "0001-01-01T00:00:00+10:00"}}, None),
        ({"filter": {"ids": {}}}, None),
    ],
    ids=str,
)
async def test_bad_variables(front: Front, variables: Any, message: str | None) -> None:
    """Values that the schema does not allow are a request error; nobody is called."""
    query = """query($first: Int, $filter: SegmentFilter) {
      segments(first: $first, filter: $filter) { totalCount }
    }"""
    reply = await post(front, {"query": query, "variables": variables}, accept=GRAPHQL)

    assert reply.status_code == 400
    answer = reply.json()
    assert answer.keys() == {"errors"}
    assert {e["extensions"]["code"] for e in answer["errors"]} == {"BAD_USER_INPUT"}
    if message is not None:
        assert answer["errors"][0]["message"].endswith(message)
    assert front.calls == []


def nested(depth: int) -> list[str]:
    """Return documents of so many levels: one that runs deep, and one that is only written so."""
    return [
        f'{{ segment(id: "{segment_id("stuut", "seg_ChSVXpe3")}") {{ '
        + "provider { segments(first: 1) { nodes { " * depth
        + "id"
        + " } } }" * depth
        + " } }",
        "{ providers { " + "... { " * depth + "key" + " }" * depth + " } }",
    ]


ABUSIVE = [
    *(document for depth in (5, 15, 30, 45, 60, 75, 100, 200, 300) for document in nested(depth)),
    *("{" + "a{" * depth for depth in (100, 1000, 1900)),
    "{ node(id: " + "[" * 500 + "]" * 500 + ") { id } }",
    "query($a: " + "[" * 500 + "ID" + "]" * 500 + ") { node(id: $a) { id } }",
    "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "{ " + "providers { key } " * 5000 + "}",
    "{ " + " ".join(f"a{n}: __typename" for n in range(900)) + " }",
]


@pytest.mark.parametrize("query", ABUSIVE, ids=lambda query: f"{query[:24]} of {len(query)}")
async def test_abusive_documents(front: Front, query: str) -> None:
    """However a document is nested or repeated, the answer is an answer, and no fault of ours."""
    reply = await post(front, {"query": query})

    assert reply.status_code in {200, 400}
    codes = {error["extensions"]["code"] for error in reply.json().get("errors", [])}
    assert codes <= {"BAD_USER_INPUT", "LIMIT_EXCEEDED"}
