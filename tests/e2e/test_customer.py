"""One customer: by whatever key, what its providers tell of it, and what is no fact."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.known import HIRO, HIRO_AT, NEVER_BOUGHT, SILVER_MEMBERS
from tests.e2e.serving import READABLE, Front, assignment_id, customer_id, names, segment_id

CUSTOMER = """
query($id: ID, $identity: CustomerIdentityInput) {
  customer(id: $id, identity: $identity) { id identities { provider { key } key externalId } }
}
"""

every_readable = pytest.mark.parametrize("key", READABLE)

IDENTITIES = {
    "stuut": {"id": HIRO.stuut_id, "remote_id": HIRO.crm_id, "account_number": "40000013"},
    "voucherify": {"id": HIRO.voucherify_id, "source_id": HIRO.crm_id},
    "emporix": {"id": HIRO.emporix_id},
}


@pytest.mark.parametrize(
    ("key", "name"), [(key, name) for key, names in IDENTITIES.items() for name in names]
)
async def test_customer_has_one_id(front: Front, key: str, name: str) -> None:
    """A customer has one id, whichever key of the provider it is read by."""
    expected = {
        "customer": {
            "id": customer_id(key, HIRO_AT[key]),
            "identities": [
                {"provider": {"key": key}, "key": kind, "externalId": value}
                for kind, value in IDENTITIES[key].items()
            ],
        }
    }
    by = IDENTITIES[key][name]

    by_identity = await front.data(CUSTOMER, {"identity": {"provider": key, "externalId": by}})
    by_id = await front.data(CUSTOMER, {"id": customer_id(key, by or "")})

    assert by_identity == by_id == expected
    assert front.counts == {key: 2}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Give exactly one of id and identity."),
        ({"id": None, "identity": None}, "Give exactly one of id and identity."),
        (
            {
                "id": customer_id("emporix", "90000037"),
                "identity": {"provider": "emporix", "externalId": "90000037"},
            },
            "Give exactly one of id and identity.",
        ),
        (
            {"id": "", "identity": {"provider": "emporix", "externalId": "90000037"}},
            "Give exactly one of id and identity.",
        ),
        (
            {"identity": {"provider": "nobody", "externalId": "1"}},
            "identity.provider: no provider has the key 'nobody'.",
        ),
        ({"identity": {"provider": "emporix", "externalId": ""}}, "identity.externalId is empty."),
    ],
    ids=str,
)
async def test_customer_by_neither_or_both(
    front: Front, given: Mapping[str, Any], message: str
) -> None:
    """A customer is identified in exactly one way."""
    answer = await front.ask(CUSTOMER, given)

    assert answer == {
        "data": {"customer": None},
        "errors": [
            {
                "message": message,
                "locations": [{"line": 3, "column": 3}],
                "path": ["customer"],
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ],
    }
    assert front.calls == []


@every_readable
async def test_unknown_identity(front: Front, key: str) -> None:
    """A customer that the provider does not know is null without an error."""
    unknown = {"provider": key, "externalId": "nobody@example.com"}

    assert await front.data(CUSTOMER, {"identity": unknown}) == {"customer": None}


WHOLE = """
query($id: ID!) {
  customer(id: $id) {
    name email phone attributes raw
    identities { provider { key } externalId key linkedBy linkedAt }
  }
}
"""


@pytest.mark.parametrize("key", READABLE)
async def test_customer(front: Front, key: str) -> None:
    """A customer shows what its provider tells, and the provider's own document."""
    shown = (await front.data(WHOLE, {"id": customer_id(key, HIRO_AT[key])}))["customer"]

    raw = shown.pop("raw")
    assert raw["id"] == HIRO_AT[key]
    person = {"name": HIRO.name, "email": HIRO.email, "phone": HIRO.phone}
    nobody = dict.fromkeys(person)
    keys = {
        "stuut": {"id": HIRO.stuut_id, "remote_id": HIRO.crm_id, "account_number": "40000013"},
        "voucherify": {"id": HIRO.voucherify_id, "source_id": HIRO.crm_id},
        "emporix": {"id": HIRO.emporix_id},
    }[key]
    attributes = {"stuut": "custom_fields", "voucherify": "metadata", "emporix": "mixins"}[key]
    assert shown == {
        **(nobody if key == "stuut" else person),
        "attributes": raw[attributes],
        "identities": [
            {
                "provider": {"key": key},
                "externalId": value,
                "key": kind,
                "linkedBy": None,
                "linkedAt": None,
            }
            for kind, value in keys.items()
        ],
    }


async def test_unknown_customer_of_voucherify_is_in_nothing(front: Front) -> None:
    """The segments that an unknown customer would be in are never shown as facts."""
    unknown = customer_id("voucherify", "cust_nobody")
    never_bought = segment_id("voucherify", NEVER_BOUGHT)

    shown = await front.data(
        """query($c: ID!, $ids: [ID!]!, $customers: [ID!]!) {
          segments(filter: {customerId: $c}) { nodes { name } }
          named: segments(filter: {customerId: $c, ids: $ids}) { nodes { name } }
          customers(filter: {externalId: "cust_nobody", providers: ["voucherify"]}) {
            nodes { segments { nodes { name } } }
          }
          node(id: $c) { ... on Customer { segments { nodes { name } } } }
          segmentMemberships(customerIds: $customers, segmentIds: $ids) { isMember }
        }""",
        {"c": unknown, "ids": [never_bought], "customers": [unknown]},
    )

    assert shown == {
        "segments": {"nodes": []},
        "named": {"nodes": []},
        "customers": {"nodes": []},
        "node": None,
        "segmentMemberships": [{"isMember": False}],
    }
    # The customer and their segments for all fields but the last, which lists the one segment:
    # by itself that takes one call where the customer would take two.
    assert sorted(call.partition("?")[0] for call in front.calls) == [
        "GET /v1/customers",
        "GET /v1/customers/cust_nobody",
        "GET /v1/customers/cust_nobody/segments",
    ]


async def test_segments_of_the_customers_of_a_list(front: Front) -> None:
    """What one customer is in at each provider comes in one query, by email or key."""
    shown = await front.data(
        """query($email: String!) {
          customers(filter: {email: $email, providers: ["voucherify", "emporix"]}) {
            nodes { segments { nodes { name } } }
          }
        }""",
        {"email": HIRO.email},
    )

    assert [names(node["segments"]) for node in shown["customers"]["nodes"]] == [
        [
            "Before the relaunch or born before 1960",
            "German-speaking countries",
            "Silver members",
            "App beta testers",
        ],
        ["B2B partners", "Silver circle"],
    ]
    assert front.counts == {"voucherify": 2, "emporix": 2}


async def test_node_of_an_unknown_customers_assignment(front: Front) -> None:
    """Nor has an unknown customer an assignment, though Voucherify would tell one."""
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    from_nobody = [customer_id("voucherify", "cust_nobody"), assignment("cust_nobody")]

    assert await front.data(query, {"ids": from_nobody}) == {"nodes": [None, None]}
    known = [assignment(HIRO_AT["voucherify"])]
    assert await front.data(query, {"ids": known}) == {"nodes": [{"id": known[0]}]}


def assignment(customer: str) -> str:
    """Return the id of a customer's assignment to a segment by tier."""
    return assignment_id("voucherify", SILVER_MEMBERS, customer)
