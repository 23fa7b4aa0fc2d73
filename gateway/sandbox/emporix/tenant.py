"""The data of the sandbox's tenant: customers, segments, items, and their assignments."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import UNSET

from gateway.sandbox.emporix.bodies import AssignmentBody, is_stale, next_metadata, stamp
from gateway.sandbox.emporix.catalogue import Catalogue
from gateway.sandbox.emporix.collection import Collection
from gateway.sandbox.emporix.faults import has_changed
from gateway.sandbox.emporix.listing import Row
from gateway.sandbox.emporix.webhooks import TenantWebhooks

TENANT = "sandbox"
"""The tenant's name."""

Key = tuple[str, str]
"""The key of an assignment: (customer, legal entity or ""), (item, type) or (group, "")."""


class Links:
    """Assignments of one kind, indexed by segment and by what is assigned."""

    def __init__(self) -> None:
        self._by_segment: dict[str, dict[Key, Row]] = {}
        self._by_owner: dict[str, dict[str, set[Key]]] = {}

    def of(self, segment_id: str) -> dict[Key, Row]:
        """Return the assignments of a segment, in the order of creation."""
        return self._by_segment.get(segment_id, {})

    def segments(self, owner: str) -> dict[str, set[Key]]:
        """Return the segments of a customer, item or group, with the keys of the assignments."""
        return self._by_owner.get(owner, {})

    def put(self, segment_id: str, key: Key, row: Row) -> None:
        """Add or replace an assignment."""
        self._by_segment.setdefault(segment_id, {})[key] = row
        self._by_owner.setdefault(key[0], {}).setdefault(segment_id, set()).add(key)

    def upsert(self, segment_id: str, key: Key, body: AssignmentBody, now: str) -> bool:
        """Write an assignment; return whether it is new. RefusedError (409) on a stale version."""
        old = self.of(segment_id).get(key)
        if old and is_stale(body.metadata, old["metadata"]["version"]):
            raise has_changed()
        row = {name: old[name] for name in ("assignmentType",) if old and name in old}
        if body.mixins is not UNSET:
            row["mixins"] = body.mixins
        row["metadata"] = next_metadata(old and old["metadata"], body.metadata, now)
        self.put(segment_id, key, row)
        return old is None

    def drop(self, segment_id: str, key: Key) -> bool:
        """Remove an assignment; return whether it was there."""
        if self.of(segment_id).pop(key, None) is None:
            return False
        segments = self._by_owner[key[0]]
        segments[segment_id].discard(key)
        if not segments[segment_id]:
            del segments[segment_id]
        return True

    def drop_segment(self, segment_id: str) -> None:
        """Remove all assignments of a segment."""
        for key in list(self.of(segment_id)):
            self.drop(segment_id, key)

    def drop_owner(self, owner: str) -> None:
        """Remove all assignments of a customer, item or group."""
        for segment_id, keys in list(self.segments(owner).items()):
            for key in list(keys):
                self.drop(segment_id, key)


@dataclass(frozen=True, slots=True)
class Group:
    """A group of the IAM service; only those of user type CUSTOMER can be in a segment."""

    id: str
    name: dict[str, str]
    user_type: str
    members: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Tenant:
    """The data of all services, and their clock."""

    clock: Callable[[], datetime]
    catalogue: Catalogue = field(default_factory=Catalogue)
    customers: Collection = field(
        default_factory=lambda: Collection("customerNumber", "contactEmail")
    )
    segments: Collection = field(default_factory=Collection)
    groups: dict[str, Group] = field(default_factory=dict)
    customer_links: Links = field(default_factory=Links)
    item_links: Links = field(default_factory=Links)
    group_links: Links = field(default_factory=Links)
    webhooks: TenantWebhooks = field(default_factory=lambda: TenantWebhooks(TENANT))

    def now(self) -> str:
        """Return the current time as metadata has it."""
        return stamp(self.clock())

    def emit(self, event_type: str, payload: Row) -> None:
        """Report an event of now by webhooks."""
        self.webhooks.emit(event_type, payload, self.now())

    def segments_of(self, customer_id: str, legal_entity_id: str = "") -> list[Row]:
        """Return a customer's segments, direct ones and those of IAM groups.

        `legal_entity_id` only counts for a customer of more than one legal entity; then direct
        segments are those assigned through it.
        """
        direct = self.customer_links.segments(customer_id)
        if legal_entity_id and len(self.legal_entities(customer_id)) > 1:
            key = customer_id, legal_entity_id
            direct = {segment_id: keys for segment_id, keys in direct.items() if key in keys}
        ids = list(direct)
        for group in self.groups.values():
            if customer_id in group.members:
                ids += self.group_links.segments(group.id)
        return self.segments.some(ids)

    def own_segments(self, customer_id: str, legal_entity_id: str = "") -> list[Row]:
        """Return the segments that customers may see themselves: their own ACTIVE ones.

        Our decision: the status alone decides, not the validity.
        """
        segments = self.segments_of(customer_id, legal_entity_id)
        return [row for row in segments if row["status"] == "ACTIVE"]

    def legal_entities(self, customer_id: str) -> dict[str, Any]:
        """Return a customer's legal entities, by id."""
        customer = self.customers.get(customer_id) or {}
        entities = customer.get("b2b", {}).get("legalEntities", [])
        return {entity["id"]: entity for entity in entities}

    def is_assigned(self, segment_id: str) -> bool:
        """Return whether anything is assigned to a segment."""
        kinds = self.customer_links, self.item_links, self.group_links
        return any(links.of(segment_id) for links in kinds)

    def drop_segment(self, segment_id: str) -> None:
        """Remove a segment and all its assignments."""
        for links in (self.customer_links, self.item_links, self.group_links):
            links.drop_segment(segment_id)
        self.segments.drop(segment_id)
