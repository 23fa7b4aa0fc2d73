"""The type of an item of a segment."""

import strawberry

from gateway.domain import entities
from resolvers.field_declarations import View, attribute, computed, computed_all
from resolvers.field_permissions import Permission, requires
from resolvers.field_resolvers import segments as field_resolvers
from resolvers.value_types import DateTime, ItemType, LocalizedText


@strawberry.type(description="A product or category that belongs to a segment.")
class SegmentItem(View):
    """See the description."""

    requirement = requires(Permission.SEGMENTS_READ)

    value: strawberry.Private[entities.Item]

    external_id: str = attribute("key", "The provider's own id, unchanged.")
    type: ItemType = attribute("kind", "The type.")
    code: str | None = attribute("code", "The human-readable code.")
    name: str | None = computed_all(field_resolvers.item_names, "The name.")
    names: list[LocalizedText] = computed(field_resolvers.names, "The name in every language.")
    created_at: DateTime | None = attribute("created_at", "When the item was assigned.")
    updated_at: DateTime | None = attribute("updated_at", "When the assignment was last updated.")
