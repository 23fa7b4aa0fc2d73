"""What a request says, where two readers could understand two things."""

import json
from typing import Any

import pytest

from tests.e2e.asking import GRAPHQL, JSON, KEYS, post, refusal
from tests.e2e.serving import Front

QUERY = json.dumps(KEYS).encode()

TWICE = [
    b'{"query": %b, "query": %b}' % (QUERY, QUERY),
    b'{"query": "{ a }", "variables": {}, "query": %b}' % QUERY,
    b'{"query": %b, "variables": {}, "variables": null}' % QUERY,
    b'{"query": %b, "operationName": null, "operationName": "A"}' % QUERY,
    b'{"query": %b, "extensions": {}, "extensions": {}}' % QUERY,
    b'{"query": "{ a }", "qu\\u0065ry": %b}' % QUERY,
    b'{"\\u0071uery": "{ a }", "\\u0071uery": %b}' % QUERY,
    b'{"query":%b,"id":"1","id":"2"}' % QUERY,
]


@pytest.mark.parametrize("body", TWICE)
async def test_a_parameter_twice(front: Front, body: bytes) -> None:
    """One reader takes the first, another one the last: it is refused."""
    reply = await post(front, body)

    status, media_type, message, code = refusal(reply)
    assert (status, media_type, code) == (400, JSON, "BAD_USER_INPUT")
    assert message.startswith("The parameter ")


@pytest.mark.parametrize(
    "body",
    [
        b'{"query": %b, "variables": {"query": 1, "variables": {"query": 2}}}' % QUERY,
        b'{"query": %b, "variables": {"a": "\\u0041 \\"query\\""}}' % QUERY,
        b'{"query": %b, "unknown": 1, "unknown": 2}' % QUERY,
        b'{"query": "{ providers { key } } #\\u00e9"}',
    ],
)
async def test_names_that_do_not_matter(front: Front, body: bytes) -> None:
    """The same names below, and names that say nothing, may stand there as often as they like."""
    reply = await post(front, body)

    assert reply.status_code == 200
    assert len(reply.json()["data"]["providers"]) == 4


@pytest.mark.parametrize(
    "parameters",
    ["query={a}&query={b}", "query={a}&variables={}&variables={}", "query=a&%71uery=b"],
)
async def test_a_parameter_of_get_twice(front: Front, parameters: str) -> None:
    """So is it in an address."""
    reply = await front.client.get(f"/graphql?{parameters}")

    assert refusal(reply)[0] == 400
    assert refusal(reply)[2].startswith("The parameter ")


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip", "x"])
async def test_compressed_bodies(front: Front, coding: str) -> None:
    """A small body may be a large one in disguise: none is unpacked."""
    reply = await post(front, {"query": KEYS}, content_encoding=coding)

    message = "Send the request uncompressed."
    assert refusal(reply) == (415, JSON, message, "BAD_USER_INPUT")


async def test_a_body_that_is_not_compressed(front: Front) -> None:
    """To say that it is not, is allowed."""
    reply = await post(front, {"query": KEYS}, content_encoding="identity")

    assert reply.status_code == 200


@pytest.mark.parametrize(
    "content_type", ["application/jsonx", "application/json-patch+json", "application/json, x/y"]
)
async def test_content_types_that_look_like_json(front: Front, content_type: str) -> None:
    """A media type is compared whole."""
    reply = await post(front, {"query": KEYS}, content_type=content_type)

    assert refusal(reply)[0] == 415


BOM = b"\xef\xbb\xbf"


async def test_a_byte_order_mark_before_json(front: Front) -> None:
    """It is skipped (RFC 8259, 8.1), one of them, wherever JSON is read of a request."""
    query = b'{"query": %b, "variables": {"a": 1}}' % QUERY
    plain = await post(front, query)
    marked = await post(front, BOM + query)
    twice = await post(front, BOM + BOM + query)
    parameters = {"query": KEYS, "variables": '\ufeff{"a": 1}', "extensions": "\ufeff{}"}
    by_get = await front.client.get("/graphql", params=parameters)

    data = [{"key": key} for key in ("stuut", "voucherify", "instaleap", "emporix")]
    for reply in (plain, marked, by_get):
        assert (reply.status_code, reply.json()["data"]) == (200, {"providers": data})
    assert refusal(twice) == (400, JSON, "The request is not JSON.", "BAD_USER_INPUT")


async def test_a_byte_order_mark_hides_no_parameter(front: Front) -> None:
    """A repeated parameter is seen behind it."""
    reply = await post(front, BOM + TWICE[0])

    assert refusal(reply)[2] == "The parameter query is repeated."


@pytest.mark.parametrize("accept", [JSON, GRAPHQL])
@pytest.mark.parametrize(
    "query", [KEYS, f"query A {KEYS}", f"query A {KEYS} query B {KEYS}"], ids=["plain", "A", "AB"]
)
async def test_an_empty_operation_name(front: Front, query: str, accept: str) -> None:
    """It is none, by POST as by GET: the only operation runs, and of several none."""
    given = {"query": query, "operationName": ""}
    by_post = await post(front, given, accept=accept)
    by_get = await front.client.get("/graphql", params=given, headers={"accept": accept})
    without = await post(front, {"query": query}, accept=accept)

    for reply in (by_post, by_get):
        assert reply.status_code == without.status_code
        assert without_cost(reply.json()) == without_cost(without.json())


def without_cost(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without its cost."""
    return {name: part for name, part in answer.items() if name != "extensions"}


DEEP = "[" * 50_000
NUMBER = "9" * 5000


@pytest.mark.parametrize("accept", [JSON, GRAPHQL])
@pytest.mark.parametrize(
    "text",
    [
        *(DEEP, f'{{"a": {DEEP}', '{"a":' * 50_000, f'{{"a": {NUMBER}}}', NUMBER),
        *('{"a": 1e400}', '{"a": NaN}', '{"a": "\\ud800"}', "null ", "true", "7", '"x"'),
    ],
    ids=lambda text: text[:20],
)
async def test_json_of_any_kind(front: Front, text: str, accept: str) -> None:
    """However odd the JSON is, as a body or as variables: never a fault of ours."""
    body = await post(front, text.encode(), accept=accept)
    inner = b'{"query": "{ __typename }", "variables": %b}' % text.encode()
    within = await post(front, inner, accept=accept)
    # The server refuses longer addresses, and the client makes none.
    parameters = {"query": "{ __typename }", "variables": text[:20_000]}
    by_get = await front.client.get("/graphql", params=parameters, headers={"accept": accept})

    expected = 200 if text == "null " else 400
    assert (body.status_code, within.status_code, by_get.status_code) == (400, expected, expected)
    for reply in (body, within, by_get):
        assert reply.headers["content-type"] == accept


async def test_every_refusal_has_an_id(front: Front) -> None:
    """In the answer and in its header, a new one each time; and nothing else is told."""
    ids = set()
    for _ in range(3):
        reply = await post(front, b"{")
        (error,) = reply.json()["errors"]
        assert error.keys() == {"message", "extensions"}
        assert error["extensions"].keys() == {"code", "requestId"}
        assert error["extensions"]["requestId"] == reply.headers["x-request-id"]
        assert reply.headers["cache-control"] == "no-store"
        ids.add(reply.headers["x-request-id"])

    assert len(ids) == 3


async def test_a_fault_of_ours(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is logged under the id that the client is told, and nothing of it is shown."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret-4711")

    monkeypatch.setattr("gateway.http.operation_runner.RequestContext", broken)
    reply = await post(front, {"query": KEYS})

    message = "Internal error."
    assert refusal(reply) == (500, JSON, message, "INTERNAL")
    assert "4711" not in reply.text
