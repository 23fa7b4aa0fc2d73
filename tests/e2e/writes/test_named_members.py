"""Static segments of Voucherify: of whom they are made, and how many fit into a request."""

import msgspec
import pytest
import structlog

from gateway.domain.entities import Ref
from gateway.limits.settings import LimitSettings
from gateway.providers.registry import ADAPTERS
from resolvers import global_ids
from resolvers.global_ids import Kind
from tests.e2e.failures import answering
from tests.e2e.serving import Front
from tests.e2e.writes.asking import do, document, problem

SHOWN = "segment { name customersCount { count } }"


async def test_customers_named_by_a_source_id_are_looked_up_first(front: Front) -> None:
    """The segment is made of their own ids, each once."""
    data = await front.data(
        '{ customers(first: 2, filter: {providers: ["voucherify"]})'
        " { nodes { identities { key externalId } } } }"
    )
    known = [
        {each["key"]: each["externalId"] for each in node["identities"]}
        for node in data["customers"]["nodes"]
    ]
    front.forget()
    given = {
        "provider": "voucherify",
        "name": "Named",
        "customerExternalIds": [known[0]["source_id"], known[1]["id"], known[0]["id"]],
    }
    payload = await do(front, "segmentCreate", given, SHOWN)
    assert payload == {
        "segment": {"name": "Named", "customersCount": {"count": 2}},
        "userErrors": [],
    }
    assert [call.split("?")[0] for call in front.calls[:2]] == [
        f"GET /v1/customers/{known[0]['source_id']}",
        "POST /v1/segments",
    ]


@pytest.mark.parametrize("field", ["segmentCreate", "segmentBulkCreate"])
async def test_a_segment_of_nobody_known_is_not_made(front: Front, field: str) -> None:
    """Nobody could ever put anybody in."""
    segment = {"name": "Nobody", "customerExternalIds": ["crm-none"]}
    given: dict[str, object] = {"provider": "voucherify", **segment}
    if field == "segmentBulkCreate":
        given = {"provider": "voucherify", "segments": [segment]}
    shown = "userErrors { field code }"
    payload = await do(
        front, field, given, f"results {{ {shown} }}" if "Bulk" in field else "__typename"
    )
    rows = payload["results"] if "Bulk" in field else [payload]
    (error,) = rows[0]["userErrors"]
    assert (error["field"][-1], error["code"]) == ("customerExternalIds", "NOT_FOUND")
    assert front.calls == ["GET /v1/customers/crm-none"]


@pytest.mark.parametrize("named", ["customers", "customerExternalIds"])
async def test_an_empty_list_is_refused(front: Front, named: str) -> None:
    """A static segment never changes: one of nobody would be empty for ever. Nothing is sent."""
    given = {"provider": "voucherify", "name": "Nobody", named: []}
    payload = await do(front, "segmentCreate", given, "__typename")
    assert payload["userErrors"] == [problem("customers", "REQUIRED", "voucherify")]
    assert front.calls == []


@pytest.mark.parametrize("field", ["segmentCreate", "segmentBulkCreate"])
async def test_ids_of_nobody_are_refused(front: Front, field: str) -> None:
    """Ids that only look like Voucherify's make no segment; one call says so."""
    segment = {"name": "Nobody", "customerExternalIds": ["cust_none", "cust_neither"]}
    given: dict[str, object] = {"provider": "voucherify", **segment}
    shown = "userErrors { field code }"
    if field == "segmentBulkCreate":
        given, shown = {"provider": "voucherify", "segments": [segment]}, f"results {{ {shown} }}"
    payload = await do(front, field, given, shown if "Bulk" in field else "__typename")
    (row,) = payload["results"] if "Bulk" in field else [payload]
    (error,) = row["userErrors"]
    assert (error["field"][-1], error["code"]) == ("customerExternalIds", "NOT_FOUND")
    assert front.calls == ["GET /v1/customers/cust_none"]


async def test_only_so_many_are_looked_up(front: Front) -> None:
    """Each costs a call, of which Voucherify allows few."""
    given = {
        "provider": "voucherify",
        "name": "Many",
        "customerExternalIds": [f"crm-{n}" for n in range(101)],
    }
    payload = await do(front, "segmentCreate", given, "__typename")
    assert [each["code"] for each in payload["userErrors"]] == ["LIMIT_EXCEEDED"]
    assert front.calls == []


def test_all_members_that_a_provider_takes_fit_into_a_request() -> None:
    """The defaults agree: STATIC_SEGMENT_CUSTOMERS by global ids, and every limit on bodies."""
    limits, (most,) = (
        LimitSettings(),
        {
            limit.maximum
            for adapter in ADAPTERS.values()
            for limit in adapter.limits
            if limit.name == "STATIC_SEGMENT_CUSTOMERS"
        },
    )
    key = "k" * 64  # the longest of an account
    ids = [global_ids.of_ref(Kind.CUSTOMER, Ref(key, f"cust_{n:024d}")) for n in range(most)]
    given = {"provider": key, "name": "n" * 1000, "customers": ids}
    body = {"query": document("segmentCreate"), "variables": {"m0": given}}
    assert len(msgspec.json.encode(body)) <= limits.body_bytes
    assert most <= limits.list_items
    assert most < limits.variable_values


DETAILS = b"""{"code": 400, "key": "invalid_payload", "message": "Invalid payload",
    "details": "Property .filter should be object"}"""
COMPLAINT = b"""{"detail": [{"loc": ["body", "priority"], "msg": "no", "type": "int_type"}]}"""


@pytest.mark.parametrize(
    ("provider", "answer", "key", "at"),
    [
        ("voucherify", (400, DETAILS), "invalid_payload", ["rule"]),
        ("stuut", (422, COMPLAINT), "int_type", ["priority"]),
    ],
)
async def test_a_refusal_says_which_input_it_is_about(
    front: Front, provider: str, answer: tuple[int, bytes], key: str, at: str
) -> None:
    """In our words, with the request's id; the log has the class and the documented key."""
    status, body = answer
    front.providers.instead[provider] = answering(status, body)
    rule = {"native": {"name": {"conditions": {"$is": ["X"]}}}}
    given: dict[str, object] = {"provider": provider, "name": "A", "rule": rule}
    if provider == "stuut":
        given = {"provider": provider, "name": "A", "priority": 1}
    query = """mutation ($m: SegmentCreateInput!) { segmentCreate(input: $m) {
        userErrors { field code message provider requestId } } }"""
    with structlog.testing.capture_logs() as logged:
        reply = await front.client.post(
            "/graphql", json={"query": query, "variables": {"m": given}}
        )
    label = {"voucherify": "Voucherify", "stuut": "Stuut"}[provider]
    assert reply.json()["data"]["segmentCreate"]["userErrors"] == [
        {
            "field": at,
            "code": "INVALID",
            "message": f"{label} does not accept the value of {at[0]}.",
            "provider": provider,
            "requestId": reply.headers["x-request-id"],
        }
    ]
    (line,) = [each for each in logged if each["event"] == "provider call failed"]
    assert (line["error"], line["key"], line["status"]) == ("Refused", key, status)
    assert line["request_id"] == reply.headers["x-request-id"]


async def test_a_customer_with_an_apostrophe_is_found_by_email(front: Front) -> None:
    """Emporix's `q` gives it no meaning."""
    data = await front.data(
        """{ customers(filter: {providers: ["emporix"], email: "o'neil@x.example"}) {
            nodes { email } sources { error { code } } } }"""
    )
    assert data["customers"] == {"nodes": [], "sources": [{"error": None}]}
    assert [call for call in front.calls if "contactEmail" in call] != []
