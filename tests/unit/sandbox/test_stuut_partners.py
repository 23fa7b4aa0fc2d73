"""Stuut's sandbox: its partners, and the segment of each."""

from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from gateway.sandbox.people import people, person

SEGMENTS = "/v2/customer-segments"
# The fields the vendor's pages mark as always present, or print.
WORKFLOW = {
    "type": "object",
    "properties": {
        "created_at": {"type": "string"},
        "modified_at": {"type": ["string", "null"]},
        "id": {"type": "string"},
        "name": {"type": "string"},
        "is_active": {"type": "boolean"},
        "object": {"type": "string"},
    },
    "required": ["created_at", "modified_at", "id", "name", "is_active", "object"],
    "additionalProperties": False,
}
WORKFLOWS = {"type": "array", "items": WORKFLOW, "maxItems": 1}
SEGMENT_FIELDS = {
    *("id", "name", "description", "priority", "conditions", "created_at", "modified_at"),
    *("object", "workflows"),
}
PARTNER_FIELDS = {
    *("id", "object", "organization_id", "type", "remote_id", "account_number"),
    *("invoice_balance", "total_overdue", "num_open_invoices", "last_inbound_at"),
    *("is_call_outreach_manually_paused", "is_email_outreach_manually_paused"),
    *("is_contact_enrichment_enabled", "ap_portals", "assignee"),
}


def problems(reply: httpx.Response) -> list[tuple[list[str | int], str]]:
    """Return where a 422 saw which kinds of problem."""
    assert reply.status_code == 422, reply.text
    detail = reply.json()["detail"]
    assert all(list(entry) == ["loc", "msg", "type"] for entry in detail)
    return [(entry["loc"], entry["type"]) for entry in detail]


async def test_partner_is_in_the_lowest_matching_segment(stuut: httpx.AsyncClient) -> None:
    """Each partner has one segment or null, and the segment comes with its workflows."""
    answers: dict[str | None, int] = {}
    for one in people(300):
        if one.stuut_id is not None:
            reply = await stuut.get(f"{SEGMENTS}/partners/{one.stuut_id}")
            assert reply.status_code == 200
            segment = reply.json()
            if segment is not None:
                jsonschema.validate(segment["workflows"], WORKFLOWS)
                assert set(segment) == SEGMENT_FIELDS
            name = segment and segment["name"]
            answers[name] = answers.get(name, 0) + 1

    assert answers == {
        "Key accounts": 10,
        "DACH strategic": 14,
        "Hospitals and practices abroad": 9,
        "Food wholesale": 16,
        "Latin America": 13,
        "Retail on sixty days": 2,
        "Rest of DACH": 6,
        None: 5,
    }


async def test_workflows_of_a_segment(stuut: httpx.AsyncClient) -> None:
    """Some segments have one workflow, some none."""
    one = next(one for one in people(300) if one.stuut_id and one.tier == "Gold")
    segment = (await stuut.get(f"{SEGMENTS}/partners/{one.stuut_id}")).json()

    assert segment["workflows"] == [
        {
            "created_at": "2025-02-03T08:30:00Z",
            "modified_at": None,
            "id": segment["workflows"][0]["id"],
            "name": "Personal follow-up",
            "is_active": False,
            "object": "outreach_workflow",
        }
    ]


@pytest.mark.parametrize(
    ("conditions", "is_in"),
    [
        ({}, True),
        ({"address": {}}, True),
        ({"address": {"country": {"in": ["AT"]}}}, True),
        ({"address": {"country": {"in": ["Austria"]}}}, False),
        ({"address": {"country": {"in": []}}}, False),
        ({"address": {"country": {"nin": ["AT"]}}}, False),
        ({"address": {"country": {"in": ["AT", "DE"], "nin": ["CH"]}}}, True),
        ({"businessUnit": {"name": {"in": ["Industrial"]}}}, True),
        ({"businessUnit": {"name": {"nin": ["Industrial"]}}}, False),
        ({"customFields": {"contract": "Silver"}}, True),
        ({"customFields": {"contract": "Silver", "payment_terms": "NET60"}}, True),
        ({"customFields": {"contract": "Silver", "payment_terms": "NET30"}}, False),
        ({"customFields": {"unheard": "of"}}, False),
        (
            {
                "address": {"country": {"in": ["AT"]}},
                "businessUnit": {"name": {"in": ["Food"]}},
            },
            False,
        ),
        ({"or": []}, True),
        ({"and": []}, True),
        ({"or": [{"customFields": {"x": 1}}, {"address": {"country": {"in": ["AT"]}}}]}, True),
        ({"or_": [{"customFields": {"x": 1}}, {"customFields": {"x": 2}}]}, False),
        ({"and": [{}, {"or": [{"and_": [{"customFields": {"x": 1}}]}]}]}, False),
    ],
)
async def test_conditions_decide(
    conditions: dict[str, Any], *, is_in: bool, stuut: httpx.AsyncClient
) -> None:
    """Every key must hold; an Austrian industrial company of silver contract is the example."""
    one = person(1)
    assert (one.country, one.industry, one.tier) == ("AT", "Industrial", "Silver")
    created = await stuut.post(
        SEGMENTS, json={"name": "Probe", "priority": 0, "conditions": conditions}
    )
    ids = [created.json()["id"]]
    await stuut.post(f"{SEGMENTS}/reorder", json={"segment_ids": ids})
    reply = await stuut.get(f"{SEGMENTS}/partners/{one.stuut_id}")

    assert reply.json()["name"] == ("Probe" if is_in else "DACH strategic")


async def test_unknown_partner_is_a_404(stuut: httpx.AsyncClient) -> None:
    """An unknown partner is a 404, also with an encoded slash in its id."""
    replies = [
        await stuut.get(f"{SEGMENTS}/partners/{key}") for key in ("ptn_x", "ptn_%2F%3A%20%C3%BC")
    ]

    assert [(reply.status_code, reply.json()) for reply in replies] == [
        (404, {"detail": "Partner not found"})
    ] * 2


async def test_partners_are_the_companies_of_the_cast(stuut: httpx.AsyncClient) -> None:
    """Partners come under `data`, 50 at a time by default, with the fields that were seen."""
    reply = await stuut.get("/v1/partners", params={"limit": 200})
    rows = reply.json()["data"]
    one = person(1)

    assert reply.status_code == 200
    assert list(reply.json()) == ["data"]
    assert {frozenset(row) for row in rows} == {frozenset(PARTNER_FIELDS | {"custom_fields"})}
    assert {row["id"] for row in rows} == {one.stuut_id for one in people(300) if one.stuut_id}
    assert rows[0] == {
        "id": one.stuut_id,
        "object": "partner",
        "organization_id": "org_5tYq8Zr2",
        "type": "customer",
        "remote_id": "crm-00001",
        "account_number": "40000013",
        "invoice_balance": 128.81,
        "total_overdue": 42.93,
        "num_open_invoices": 1,
        "last_inbound_at": "2025-09-01T11:00:00Z",
        "is_call_outreach_manually_paused": True,
        "is_email_outreach_manually_paused": False,
        "is_contact_enrichment_enabled": True,
        "ap_portals": [],
        "assignee": {"name": "Tomás R."},
        "custom_fields": {
            "contract": "Silver",
            "payment_terms": "NET60",
            "erp_group": "Industrial",
        },
    }


async def test_partners_are_paged_and_sorted(stuut: httpx.AsyncClient) -> None:
    """Pages count from 0; `sort_by` and `sort_order` turn the list."""
    pages = [(await stuut.get(f"/v1/partners?page={page}")).json()["data"] for page in range(3)]
    rows = [row for page in pages for row in page]
    query = "sort_by=invoice_balance&sort_order=desc&limit=200"
    richest = (await stuut.get(f"/v1/partners?{query}")).json()["data"]

    assert [len(page) for page in pages] == [50, 25, 0]
    assert [row["remote_id"] for row in rows] == [
        one.crm_id for one in people(300) if one.stuut_id
    ]
    balances = [row["invoice_balance"] for row in rows]
    assert [row["invoice_balance"] for row in richest] == sorted(balances, reverse=True)


async def test_partners_refuse_an_unknown_order(stuut: httpx.AsyncClient) -> None:
    """An unknown direction or key is a 422."""
    replies = [
        await stuut.get(f"/v1/partners?{query}") for query in ("sort_order=up", "sort_by=name")
    ]

    assert [problems(reply) for reply in replies] == [
        [(["query", "sort_order"], "literal_error")],
        [(["query", "sort_by"], "literal_error")],
    ]
