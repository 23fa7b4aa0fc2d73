"""Fill a tenant with the example data: customers, segments and their assignments."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from gateway.sandbox.emporix.bodies import stamp
from gateway.sandbox.emporix.example_customers import customer, stable_id
from gateway.sandbox.emporix.example_segments import SEGMENTS, ExampleSegment
from gateway.sandbox.emporix.listing import Row
from gateway.sandbox.emporix.tenant import Group, Key, Tenant
from gateway.sandbox.people import Person

FIRST_CREATED = datetime(2025, 3, 4, 9, 30, tzinfo=UTC)
CANDIDATES = 2_000
"""The number of people that are considered as members, however large the cast is."""


def fill(tenant: Tenant, cast: Sequence[Person]) -> None:
    """Put the customers, segments, assignments and groups into an empty tenant."""
    for one in cast:
        if one.emporix_id:
            tenant.customers.put(customer(one, one.emporix_id))
    candidates = cast[:CANDIDATES]
    for n, example in enumerate(SEGMENTS):
        created = FIRST_CREATED + timedelta(days=31 * n, minutes=7 * n, milliseconds=113 * n)
        segment = _segment(example, created)
        tenant.segments.put(segment)
        keys = (
            key for one in candidates if example.has(one) for key in _keys(tenant, example, one)
        )
        kind = "AUTOMATIC" if example.is_automatic else "MANUAL"
        for m, key in enumerate(islice(keys, example.limit)):
            metadata = _metadata(created + timedelta(hours=1 + m))
            link = {"assignmentType": kind, "metadata": metadata}
            tenant.customer_links.put(segment["id"], key, link)
        for m, item in enumerate(example.items):
            item_type = "CATEGORY" if item.startswith("cat-") else "PRODUCT"
            link = {"metadata": _metadata(created + timedelta(minutes=10 + m))}
            tenant.item_links.put(segment["id"], (item, item_type), link)
    _add_groups(tenant, candidates)


def _segment(example: ExampleSegment, created: datetime) -> Row:
    row: Row = {"id": example.id or stable_id(example.name["en"]), "name": example.name}
    if example.description:
        row["description"] = example.description
    if example.validity:
        row["validity"] = example.validity
    row |= {"status": example.status, "siteCode": example.site}
    metadata = _metadata(created, example.version)
    if example.mixins:
        row["mixins"] = example.mixins
        metadata["mixins"] = {
            name: f"https://example.com/schemas/{name}.v1.json" for name in example.mixins
        }
    return row | {"metadata": metadata}


def _keys(tenant: Tenant, example: ExampleSegment, person: Person) -> Iterator[Key]:
    number = person.emporix_id
    if number and example.is_b2b:
        yield from ((number, entity) for entity in tenant.legal_entities(number))
    elif number:
        yield number, ""


def _metadata(created: datetime, version: int = 1) -> dict[str, Any]:
    modified = created + timedelta(days=5 * (version - 1))
    return {"createdAt": stamp(created), "modifiedAt": stamp(modified), "version": version}


def _add_groups(tenant: Tenant, cast: Sequence[Person]) -> None:
    """Add three IAM groups; none is in a segment yet, so members and segments agree at first."""
    numbers = [one.emporix_id for one in cast if one.emporix_id]
    for group_id, en, de, user_type, members in (
        ("grp-keyaccounts", "Key accounts", "Großkunden", "CUSTOMER", numbers[:3]),
        ("grp-testers", "Test shoppers", "Testkunden", "CUSTOMER", numbers[3:5]),
        ("grp-support", "Support desk", "Kundendienst", "EMPLOYEE", []),
    ):
        name = {"en": en, "de": de}
        tenant.groups[group_id] = Group(group_id, name, user_type, frozenset(members))
