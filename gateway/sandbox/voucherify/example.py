"""Example data: everybody of the cast who has a voucherify_id, and sixteen segments."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from gateway.sandbox.people import Person, scramble
from gateway.sandbox.voucherify.filters import compile_filter
from gateway.sandbox.voucherify.project import Project
from gateway.sandbox.voucherify.records import (
    AUTO_UPDATE,
    PASSIVE,
    STATIC,
    Customer,
    Segment,
    customer_field,
    milliseconds,
)


def _where(fields: dict[str, dict[str, Any]], junction: str = "and") -> dict[str, Any]:
    """Return a filter: conditions by field."""
    return {"junction": junction} | {name: {"conditions": one} for name, one in fields.items()}


# Name, type, creation, and the numbers of the members or the filter. Three have the same
# millisecond and two more another, as an import does: paging by created_at must not lose one.
SEGMENTS: tuple[tuple[str, str, str, range | dict[str, Any]], ...] = (
    ("Customer advisory board", STATIC, "2023-03-06T09:12:44.301Z", range(0, 60, 12)),
    ("App beta testers", STATIC, "2023-05-15T14:02:08.077Z", range(1, 200, 9)),
    (
        "Gold members",
        PASSIVE,
        "2023-09-04T07:30:00.000Z",
        _where({"metadata.tier": {"$is": "Gold"}}),
    ),
    (
        "Silver members",
        PASSIVE,
        "2023-09-04T07:30:00.000Z",
        _where({"metadata.tier": {"$is": "Silver"}}),
    ),
    (
        "Bronze members",
        PASSIVE,
        "2023-09-04T07:30:00.000Z",
        _where({"metadata.tier": {"$is": "Bronze"}}),
    ),
    (
        "Newsletter readers",
        AUTO_UPDATE,
        "2023-11-20T16:45:10.005Z",
        _where({"metadata.newsletter": {"$is": True}}),
    ),
    (
        "German-speaking countries",
        PASSIVE,
        "2024-01-17T10:00:00.420Z",
        _where({"address.country": {"$in": ["Germany", "Austria", "Switzerland"]}}),
    ),
    (
        "Latin America",
        PASSIVE,
        "2024-01-17T10:00:00.420Z",
        _where({"address.country": {"$in": ["Colombia", "Mexico"]}}),
    ),
    ("Store opening guests", STATIC, "2024-04-12T18:20:33.912Z", range(3, 300, 10)),
    (
        "Birthday next month",
        AUTO_UPDATE,
        "2024-06-03T08:15:27.640Z",
        _where({"birthdate": {"$next_month": [True]}}),
    ),
    (
        "Frequent buyers",
        AUTO_UPDATE,
        "2024-08-29T11:05:51.238Z",
        _where({"summary.orders.total_count": {"$more_than_equal": [6]}}),
    ),
    (
        "Never bought",
        AUTO_UPDATE,
        "2024-10-07T13:41:02.119Z",
        _where({"summary.orders.total_count": {"$is": 0}}),
    ),
    ("Goodwill after the outage", STATIC, "2025-02-03T09:00:00.001Z", range(7, 120, 16)),
    (
        "Summer points, 600 and more",
        AUTO_UPDATE,
        "2025-05-26T15:33:19.870Z",
        _where({"loyalty_points.campaigns.Summer Points.points": {"$more_than_equal": [600]}}),
    ),
    (
        "Before the relaunch or born before 1960",
        PASSIVE,
        "2025-08-18T06:50:45.553Z",
        _where(
            {
                "created_at": {"$before": ["2023-07-01T00:00:00.000Z"]},
                "birthdate": {"$before": "1960-01-01"},
            },
            junction="or",
        ),
    ),
    (
        "Gold and Silver in Germany",
        AUTO_UPDATE,
        "2025-11-10T12:24:06.008Z",
        _where(
            {"address.country": {"$is": "Germany"}, "metadata.tier": {"$in": ["Gold", "Silver"]}}
        ),
    ),
)


def fill(project: Project, cast: Iterable[Person]) -> None:
    """Put the cast and the segments into an empty project."""
    ids: dict[int, str] = {}
    for person in cast:
        if (key := person.voucherify_id) is not None:
            ids[person.n] = key
            project.add(_customer(person, key))
    for place, (name, kind, created, chosen) in enumerate(SEGMENTS):
        created_at = datetime.fromisoformat(created)
        segment = Segment(f"seg_{scramble(5_000_000 + place, 24)}", name, kind, created_at)
        if isinstance(chosen, range):
            segment.members = {ids[n] for n in chosen if n in ids}
        else:
            segment.filter, segment.holds = chosen, compile_filter(chosen, customer_field)
        project.segments[segment.id] = segment


def _customer(person: Person, key: str) -> Customer:
    """Return a person as a customer; some have fewer details than others."""
    n, since = person.n, milliseconds(person.since)
    metadata = {"tier": person.tier, "newsletter": n % 3 == 0, "lang": person.country.lower()}
    if person.company is not None:
        metadata["company"] = person.company
    address = {
        "city": person.city,
        "line_1": f"Market Street {1 + n % 120}",
        "country": person.country_name,
        "postal_code": f"{10_000 + n * 7 % 90_000}",
    }
    return Customer(
        key,
        created_at=since,
        source_id=person.crm_id,
        n=n,
        name=person.name,
        description="Buys for a company" if person.company else None,
        email=person.email,
        phone=None if n % 16 == 0 else person.phone,
        birthdate=None if n % 11 == 0 else person.birthdate,
        address=address if (n + 40) % 50 else None,
        metadata=metadata,
        updated_at=since + timedelta(hours=1 + n % 900) if n % 4 == 0 else None,
    )
