"""Example data: the companies of the cast as partners, and eight segments of priority 0 to 7."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.sandbox.people import Person, scramble
from gateway.sandbox.stuut.conditions import Traits

ORGANIZATION_ID = "org_5tYq8Zr2"
ASSIGNEES = ("Priya N.", "Tomás R.", "Ingrid S.")
LAST_INBOUND = datetime(2025, 9, 1, 6, 0, tzinfo=UTC)


@dataclass(slots=True, eq=False)
class Segment:
    """One segment; `workflows` are shown only for the segment of a partner."""

    id: str
    name: str
    description: str | None
    priority: int
    conditions: dict[str, Any]
    created_at: datetime
    modified_at: datetime | None = None
    workflows: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Partner:
    """One partner: its JSON in the list, and the traits that conditions test."""

    shown: dict[str, Any]
    traits: Traits


# Name, description, conditions, name of its workflow. Ordered by priority; who is in none: some
# buyers in the United States.
SEGMENTS: tuple[tuple[str, str | None, dict[str, Any], str | None], ...] = (
    (
        "Key accounts",
        "Gold contracts: a person calls before anything is sent",
        {"customFields": {"contract": "Gold"}},
        "Personal follow-up",
    ),
    (
        "DACH strategic",
        "Large accounts in the German-speaking countries",
        {
            "address": {"country": {"in": ["DE", "AT", "CH"]}},
            "or": [
                {"businessUnit": {"name": {"in": ["Industrial"]}}},
                {"businessUnit": {"name": {"in": ["Medical"]}}},
            ],
        },
        "Monthly statement, German",
    ),
    (
        "Hospitals and practices abroad",
        "Medical buyers outside Europe: public payers, long terms",
        {
            "businessUnit": {"name": {"in": ["Medical"]}},
            "address": {"country": {"nin": ["DE", "AT", "CH", "PL"]}},
        },
        None,
    ),
    ("Food wholesale", None, {"businessUnit": {"name": {"in": ["Food"]}}}, "Weekly reminder"),
    (
        "Latin America",
        "Reminders in Spanish",
        {"address": {"country": {"in": ["CO", "MX"]}}},
        "Weekly reminder, Spanish",
    ),
    (
        "Retail on sixty days",
        None,
        {
            "and": [
                {"businessUnit": {"name": {"in": ["Retail"]}}},
                {"customFields": {"payment_terms": "NET60"}},
            ]
        },
        None,
    ),
    (
        "Rest of DACH",
        "Whoever is not strategic",
        {"address": {"country": {"in": ["DE", "AT", "CH"]}}},
        None,
    ),
    (
        "Poland retail",
        None,
        {
            "address": {"country": {"in": ["PL"]}},
            "businessUnit": {"name": {"nin": ["Industrial", "Medical"]}},
        },
        None,
    ),
)


def make_segments() -> list[Segment]:
    """Return the example segments, by priority."""
    return [
        Segment(
            id=f"seg_{scramble(7_000 + priority, 8)}",
            name=name,
            description=description,
            priority=priority,
            conditions=conditions,
            created_at=datetime(2025, 1, 13 + priority, 9, 15, priority, tzinfo=UTC),
            workflows=[] if workflow is None else [_workflow(priority, workflow)],
        )
        for priority, (name, description, conditions, workflow) in enumerate(SEGMENTS)
    ]


def _workflow(priority: int, name: str) -> dict[str, Any]:
    return {
        "created_at": datetime(2025, 2, 3, 8, 30, priority, tzinfo=UTC),
        "modified_at": datetime(2025, 6, 2, 12, 0, tzinfo=UTC) if priority % 2 else None,
        "id": f"wfl_{scramble(8_000 + priority, 8)}",
        "name": name,
        "is_active": priority != 0,
        "object": "outreach_workflow",
    }


def make_partners(cast: Iterable[Person]) -> dict[str, Partner]:
    """Return the companies of the cast by their partner id."""
    return {key: _partner(person, key) for person in cast if (key := person.stuut_id) is not None}


def _partner(person: Person, key: str) -> Partner:
    """Return a person's company. Amounts are invented: the documents have no example.

    `custom_fields` is documented for contacts only; conditions test it, so it is shown here.
    """
    n = person.n
    invoices = n % 7
    balance = invoices * (12_550 + n * 331 % 90_000)
    custom_fields = {
        "contract": person.tier,
        "payment_terms": ("NET30", "NET60", "NET14")[n % 3],
        "erp_group": person.industry,
    }
    shown = {
        "id": key,
        "object": "partner",
        "organization_id": ORGANIZATION_ID,
        "type": "customer",
        "remote_id": person.crm_id,
        "account_number": f"{40_000_000 + n * 13}",
        "invoice_balance": balance / 100,
        "total_overdue": balance // 3 / 100,
        "num_open_invoices": invoices,
        "last_inbound_at": LAST_INBOUND + timedelta(hours=n * 5 % 1_900) if n % 3 else None,
        "is_call_outreach_manually_paused": n % 20 == 1,
        "is_email_outreach_manually_paused": False,
        "is_contact_enrichment_enabled": n % 8 == 1,
        "ap_portals": [],
        "assignee": {"name": ASSIGNEES[n % len(ASSIGNEES)]},
        "custom_fields": custom_fields,
    }
    return Partner(shown, Traits(person.country, person.industry or "", custom_fields))
