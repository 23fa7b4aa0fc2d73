"""Who sees which changes: each needs the scope of its own sort, at its own provider."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.settings.tables import StoreSettings
from resolvers.execution.document import Document
from tests.e2e.serving import Front, Providers, customer_id, segment_id, settings_with
from tests.e2e.writes.asking import shoppers
from tests.security.callers import ask, guarded, signed
from tests.security.routes import routes

SEGMENT = segment_id("emporix", "fresh")
ONE, TWO = shoppers(2)
CREATE = """mutation($emporix: SegmentCreateInput!, $shop: CustomerSegmentsReplaceInput!) {
  segmentCreate(input: $emporix) { userErrors { message } }
  customerSegmentsReplace(input: $shop) { userErrors { message } }
}"""
VARIABLES = {
    "emporix": {"provider": "emporix", "externalId": "fresh", "name": "A", "siteCode": "main"},
    "shop": {
        "provider": "instaleap",
        "customers": [
            {"externalId": each, "segments": [{"type": "t", "value": "v"}]} for each in (ONE, TWO)
        ],
    },
}
PLAIN = "{ changes { nodes { __typename id kind provider { key } } } }"
NESTED = """{ changes { nodes {
  ... on SegmentChange { segmentId segment { name } }
  ... on AssignmentChange { customerId customer { name } }
} } }"""
FRAGMENTS = """query { changes { nodes { ...A ...S } } }
fragment A on AssignmentChange { customerId customer { ...C } }
fragment S on SegmentChange { segmentId }
fragment C on Customer { name }"""

S, A, B = "segment", ONE, TWO
CHANGE_ROUTES = {each: route for each, route in routes().items() if route.is_of_changes}


@pytest.fixture(params=["plan", "graphql-core"])
async def front(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, store_url: str
) -> AsyncIterator[Front]:
    """Return a gateway in whose log a segment of Emporix and two members of Instaleap are."""
    if request.param == "graphql-core":
        monkeypatch.setattr(Document, "plan", lambda *_: None)
    store = StoreSettings(url=store_url)
    settings = settings_with().model_copy(update={"store": store})
    async with guarded(Providers(), settings) as served:
        body = await ask(served, signed("admin"), CREATE, VARIABLES)
        assert body == {
            "data": {
                "segmentCreate": {"userErrors": []},
                "customerSegmentsReplace": {"userErrors": []},
            }
        }
        yield served


def visible(body: Any) -> list[str]:
    """Return which of the changes an answer shows."""
    assert "errors" not in body, body
    names = {
        customer_id("instaleap", ONE): ONE,
        customer_id("instaleap", TWO): TWO,
        SEGMENT: "segment",
    }
    nodes = body["data"]["changes"]["nodes"]
    return [names[node.get("customerId") or node["segmentId"]] for node in nodes]


SHOWN = (
    "{ changes { nodes { ... on SegmentChange { segmentId } ... on AssignmentChange { %s } } } }"
)


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (["admin"], [S, A, B]),
        (["segments:read"], [S]),
        (["assignments:read"], [A, B]),
        (["segments:read", "assignments:read"], [S, A, B]),
        (["segments:read@stuut", "assignments:read@instaleap"], [A, B]),
        (["segments:read", "assignments:read@emporix"], [S]),
        (["segments:read@emporix"], [S]),
        (["segments:read@stuut"], []),
    ],
)
async def test_sorts(front: Front, scopes: list[str], expected: list[str]) -> None:
    """A change is silence for who lacks its scope at its provider, in whatever way it is shown."""
    body = await ask(front, signed(*scopes), SHOWN % "customerId")
    assert visible(body) == expected
    count = len((await ask(front, signed(*scopes), PLAIN))["data"]["changes"]["nodes"])
    assert count == len(expected)


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (["segments:read", "assignments:read"], [S]),
        (["segments:read", "assignments:read", "customers:read"], [S, A, B]),
        (["segments:read", "assignments:read", "customers:read@emporix"], [S]),
        (["assignments:read", "customers:read@instaleap"], [A, B]),
    ],
)
@pytest.mark.parametrize("query", [NESTED, FRAGMENTS], ids=["inline", "fragments"])
async def test_nested(front: Front, query: str, scopes: list[str], expected: list[str]) -> None:
    """What is selected below a sort of change is needed for that sort alone."""
    assert visible(await ask(front, signed(*scopes), query)) == expected


WITH_SEGMENT = "{ changes { nodes { kind ... on AssignmentChange { segment { name } } } } }"
ONLY_NESTED = "{ changes { nodes { kind ... on AssignmentChange { customer { name } } } } }"


@pytest.mark.parametrize(
    ("query", "scopes", "message"),
    [
        (PLAIN, ["customers:read"], "need the scope assignments:read or segments:read."),
        (PLAIN, ["segments:write"], "need the scope assignments:read or segments:read."),
        (
            ONLY_NESTED,
            ["assignments:read@emporix"],
            "need the scope customers:read or segments:read.",
        ),
        (
            ONLY_NESTED,
            ["raw:read"],
            "need the scope assignments:read and customers:read or segments:read.",
        ),
        (WITH_SEGMENT, ["customers:read"], "need the scope segments:read."),
    ],
)
async def test_forbidden(front: Front, query: str, scopes: list[str], message: str) -> None:
    """Who holds what neither sort needs is refused, with the scopes that are missing."""
    body = await ask(front, signed(*scopes), query)
    assert [error["extensions"]["code"] for error in body["errors"]] == ["FORBIDDEN"]
    assert [error["message"] for error in body["errors"]] == [f"Changes {message}"]
    assert body["data"] == {"changes": None}


async def test_forbidden_together(front: Front) -> None:
    """Scopes at different providers are refused as such."""
    scopes = ["assignments:read@emporix", "customers:read@instaleap"]
    body = await ask(front, signed(*scopes), ONLY_NESTED)
    assert [error["message"] for error in body["errors"]] == [
        "No provider grants you all scopes that a type of change needs."
    ]


async def test_every_field(front: Front) -> None:
    """By whatever field: each scope shows its own sort, as an administrator sees it; others none.

    A customer gets what an administrator gets of the customer's own assignments.
    """
    assert len(CHANGE_ROUTES) > 10
    administrator, own = signed("admin"), signed("own:read", instaleap=TWO, emporix="somebody")
    shown = {
        signed("segments:read", "assignments:read"): "",
        signed("segments:read"): "kinds: [CREATED]",
        signed("assignments:read"): "kinds: [ENTERED]",
        own: f'customerIds: ["{customer_id("instaleap", TWO)}"]',
    }
    nothing = signed("segments:write", "assignments:write", "customers:read", "raw:read")
    for route in CHANGE_ROUTES.values():
        for caller, wanted in shown.items():
            narrowed = route.text.replace("changes", f"changes(filter: {{{wanted}}})", 1)
            expected = await ask(front, administrator, narrowed)
            assert "errors" not in expected
            assert await ask(front, caller, route.text) == expected, (caller, route)
        answer = await ask(front, nothing, route.text)
        assert [each["extensions"]["code"] for each in answer["errors"]] == ["FORBIDDEN"]
        assert answer["data"] == {"changes": None}


async def test_own(front: Front) -> None:
    """A customer sees the changes of their own assignments, and no other."""
    caller = signed("own:read", instaleap=TWO, emporix="somebody")
    assert visible(await ask(front, caller, SHOWN % "customerId")) == [B]


async def test_node(front: Front) -> None:
    """By its id a change is there for who may see it, and for nobody else."""
    nodes = (await ask(front, signed("admin"), PLAIN))["data"]["changes"]["nodes"]
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename } }"
    ids = {"ids": [node["id"] for node in nodes]}

    async def kinds(*scopes: str) -> list[str | None]:
        body = await ask(front, signed(*scopes), query, ids)
        return [each and each["__typename"] for each in body["data"]["nodes"]]

    member = "AssignmentChange"
    assert await kinds("admin") == ["SegmentChange", member, member]
    assert await kinds("segments:read") == ["SegmentChange", None, None]
    assert await kinds("assignments:read@instaleap") == [None, member, member]
    assert await kinds("customers:read") == [None, None, None]
