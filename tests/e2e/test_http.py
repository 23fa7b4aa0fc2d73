"""GraphQL over HTTP: methods, media types, statuses."""

import json

import pytest

from tests.e2e.asking import GRAPHQL, JSON, KEYS, post, refusal
from tests.e2e.serving import Front, without_cost

FOUND = {
    "data": {"providers": [{"key": k} for k in ("stuut", "voucherify", "instaleap", "emporix")]}
}
NO_VALUE = (
    "Variable '$x' has invalid value: Expected a value of non-null type 'ID!' to be provided."
)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL, GRAPHQL),
        (f"{GRAPHQL}, {JSON};q=0.9", GRAPHQL),
        (f"{GRAPHQL};q=0.5, {JSON}", JSON),
        (f"{GRAPHQL};charset=utf-8", GRAPHQL),
        (f"text/csv, {GRAPHQL};q=0.1", GRAPHQL),
        (f"text/plain, {JSON};q=0.1", JSON),
        ("APPLICATION/JSON", JSON),
        (f"{JSON};q=broken, {GRAPHQL}", GRAPHQL),
        ("", JSON),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_negotiation(front: Front, method: str, accept: str | None, media_type: str) -> None:
    """The answer comes in the form that the client likes best, by either method."""
    headers = {"content-type": JSON} | ({} if accept is None else {"accept": accept})
    if accept is None:
        del front.client.headers["accept"]

    if method == "POST":
        reply = await front.client.post("/graphql", json={"query": KEYS}, headers=headers)
    else:
        reply = await front.client.get("/graphql", params={"query": KEYS}, headers=headers)

    assert (reply.status_code, reply.headers["content-type"]) == (200, media_type)
    assert without_cost(reply.json()) == FOUND


@pytest.mark.parametrize("accept", ["text/html", "image/png", f"{JSON};q=0", "text/*"])
async def test_nothing_acceptable(front: Front, accept: str) -> None:
    """A POST that accepts no form of answer is refused with 406."""
    reply = await post(front, {"query": KEYS}, accept=accept)

    message = f"Responses are {JSON}, {GRAPHQL} or text/event-stream."
    assert refusal(reply) == (406, JSON, message, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    ("query", "operation", "message"),
    [
        ("{ providers {", None, "Syntax Error: Expected Name, found <EOF>."),
        ("", None, "Syntax Error: Unexpected <EOF>."),
        ("{ nothing }", None, "Cannot query field 'nothing' on type 'Query'."),
        ("query A { providers { key } }", "B", "Unknown operation named 'B'."),
        (
            "query A { providers { key } } query B { providers { key } }",
            None,
            "Must provide operation name if query contains multiple operations.",
        ),
        ("fragment F on Query { providers { key } }", None, "Fragment 'F' is never used."),
        ("query($x: ID!) { node(id: $x) { id } }", None, NO_VALUE),
        (
            "{ segments { nodes @defer { id } } }",
            None,
            "Unknown directive '@defer'.",
        ),
    ],
)
async def test_document_that_cannot_run(
    front: Front, query: str, operation: str | None, message: str
) -> None:
    """A document that cannot run has no data: 200 as JSON, 400 as a GraphQL response."""
    body = {"query": query, "operationName": operation}
    as_json = await post(front, body)
    as_graphql = await post(front, body, accept=GRAPHQL)

    assert (as_json.status_code, as_graphql.status_code) == (200, 400)
    for reply, media_type in ((as_json, JSON), (as_graphql, GRAPHQL)):
        assert reply.headers["content-type"] == media_type
        answer = reply.json()
        assert answer.keys() == {"errors"}
        assert answer["errors"][0]["message"] == message
        assert {e["extensions"]["code"] for e in answer["errors"]} == {"BAD_USER_INPUT"}
    assert front.calls == []


@pytest.mark.parametrize("kind", ["mutation", "subscription"])
async def test_operations_that_there_are_not(front: Front, kind: str) -> None:
    """GET is for queries; by POST an operation that the schema lacks is a request error."""
    document = f"{kind} {{ segmentNothing }}"
    by_get = await front.client.get("/graphql", params={"query": document})
    by_post = await post(front, {"query": document}, accept=GRAPHQL)

    assert by_get.status_code in {200, 405}
    assert by_post.status_code == 400
    assert "data" not in by_get.json()
    assert "data" not in by_post.json()


async def test_mutation_by_get(front: Front) -> None:
    """A mutation by GET is refused with 405 and a message that names the right method."""
    reply = await front.client.get("/graphql", params={"query": "mutation { __typename }"})

    message = "GET is for queries; send a mutation by POST."
    assert refusal(reply) == (405, JSON, message, "BAD_USER_INPUT")
    assert reply.headers["allow"] == "POST"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
async def test_other_methods(front: Front, method: str) -> None:
    """There is GET and POST."""
    reply = await front.client.request(method, "/graphql", content=b"{}")

    assert reply.status_code == 405
    assert {each.strip() for each in reply.headers["allow"].split(",")} == {"GET", "HEAD", "POST"}


async def test_head(front: Front) -> None:
    """HEAD answers as GET does."""
    reply = await front.client.head("/graphql", params={"query": KEYS})

    assert (reply.status_code, reply.headers["content-type"]) == (200, JSON)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/graphql",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
    ],
)
async def test_other_content_types(front: Front, content_type: str) -> None:
    """A form could be sent by another site's page: a body must say that it is JSON."""
    reply = await post(front, {"query": KEYS}, content_type=content_type)

    assert refusal(reply) == (
        415,
        JSON,
        "Send the request as application/json.",
        "BAD_USER_INPUT",
    )


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", '"latin1"'])
async def test_other_charsets(front: Front, charset: str) -> None:
    """JSON is UTF-8."""
    reply = await post(front, {"query": KEYS}, content_type=f"{JSON}; charset={charset}")

    assert refusal(reply) == (415, JSON, "Send the request in UTF-8.", "BAD_USER_INPUT")


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"', "application/json;"],
)
async def test_content_types_that_are_json(front: Front, content_type: str) -> None:
    """The spelling of the media type does not matter."""
    reply = await post(front, {"query": KEYS}, content_type=content_type)

    assert (reply.status_code, without_cost(reply.json())) == (200, FOUND)


@pytest.mark.parametrize("size", [4 * 2**20 + 1, 20 * 2**20])
async def test_too_large_a_request(front: Front, size: int) -> None:
    """A request has at most four mebibytes."""
    body = json.dumps({"query": KEYS}).encode()

    reply = await post(front, body.ljust(size))
    largest = await post(front, body.ljust(4 * 2**20))

    message = f"body_bytes is {size} or more; at most 4194304 are allowed (limits.body_bytes)."
    assert refusal(reply) == (413, JSON, message, "LIMIT_EXCEEDED")
    assert (largest.status_code, largest.json()["data"]) == (200, FOUND["data"])


async def test_request_ids(front: Front) -> None:
    """Every answer to an operation has an id of its own, under which the log has it."""
    replies = [await post(front, {"query": query}) for query in (KEYS, KEYS, "{ x }")]

    result = [reply.headers["x-request-id"] for reply in replies]
    assert len(set(result)) == 3
    assert all(len(each) == 32 and each.isalnum() for each in result)


async def test_errors_and_data_together(front: Front) -> None:
    """An answer with data is 200 in either form, whatever errors stand beside the data."""
    query = '{ providers { key } segment(id: "garbage") { id } }'
    for accept in (JSON, GRAPHQL):
        reply = await post(front, {"query": query}, accept=accept)

        assert reply.status_code == 200
        assert reply.json()["data"] == {**FOUND["data"], "segment": None}
        assert [e["path"] for e in reply.json()["errors"]] == [["segment"]]
