"""Subscriptions: changes as they happen.

A root field returns the source of its events; graphql-core executes the operation once for each
event. What each change requires: `resolvers.execution.required_permissions`.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any, TypeVar, cast

import strawberry
from strawberry.types import Info

from gateway.context import EventSource, RequestContext
from gateway.domain import change_log
from resolvers import global_ids
from resolvers.field_permissions import OPEN, permission_metadata
from resolvers.inputs.changes import ChangeFilter, change_filter
from resolvers.inputs.filters import given
from resolvers.types.changes import AssignmentChange, Change, SegmentChange
from resolvers.types.nodes import OWN_ASSIGNMENTS, SEGMENTS, Node, Provider

T = TypeVar("T")

Context = Info[RequestContext, Any]

After = Annotated[
    str | None,
    strawberry.argument(
        description="Any cursor of the change log: the changes behind it come first. "
        "If missing or empty, the stream starts now."
    ),
]
Providers = Annotated[
    list[str] | None,
    strawberry.argument(description="Only of the providers with these keys."),
]


# Strawberry derives a field's type from an AsyncGenerator; graphql-core only needs the source.
Events = AsyncGenerator[Any, None]


async def _changes(info: Context, after: str | None, wanted: change_log.ChangeFilter) -> Events:
    context = info.context
    cursor = context.last_event_id or given(after) or None
    stream = await context.changes.follow(cursor, wanted, context.visibility)
    return cast("Events", EventSource(stream, Node.of))


def _set(values: Sequence[T] | None) -> frozenset[T] | None:
    return None if values is None else frozenset(values)


@strawberry.type(
    description="Changes as they happen, in the order of the change log. What the caller may not "
    "see is left out."
)
class Subscription:
    """See the description."""

    requirement = OPEN

    @strawberry.subscription(
        description="Every change. Needs `segments:read` or `assignments:read`.",
        metadata=permission_metadata(OPEN),
    )
    async def changed(
        self,
        info: Context,
        after: After = strawberry.UNSET,
        where: Annotated[
            ChangeFilter | None, strawberry.argument(name="filter", description="Conditions.")
        ] = strawberry.UNSET,
    ) -> AsyncGenerator[Change, None]:
        """Return the source of the changes."""
        return await _changes(info, after, change_filter(where))

    @strawberry.subscription(
        description="Customers that enter or leave segments, and assignments whose data changes.",
        metadata=permission_metadata(OWN_ASSIGNMENTS),
    )
    async def assignment_changed(
        self,
        info: Context,
        after: After = strawberry.UNSET,
        customer_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only of this customer.")
        ] = strawberry.UNSET,
        segment_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only of this segment.")
        ] = strawberry.UNSET,
        providers: Providers = strawberry.UNSET,
    ) -> AsyncGenerator[AssignmentChange, None]:
        """Return the source of the changes."""
        customer, segment = given(customer_id), given(segment_id)
        segments = None if segment is None else [global_ids.segment(segment, "segmentId")]
        customers = None if customer is None else [global_ids.customer(customer, "customerId")]
        wanted = change_log.ChangeFilter(
            providers=_set(given(providers)),
            segments=_set(segments),
            customers=_set(customers),
            sort=change_log.AssignmentChange,
        )
        return await _changes(info, after, wanted)

    @strawberry.subscription(
        description="Segments that are created, updated or deleted.",
        metadata=permission_metadata(SEGMENTS),
    )
    async def segment_changed(
        self,
        info: Context,
        after: After = strawberry.UNSET,
        segment_ids: Annotated[
            list[strawberry.ID] | None,
            strawberry.argument(description="Only of the segments with these global ids."),
        ] = strawberry.UNSET,
        providers: Providers = strawberry.UNSET,
    ) -> AsyncGenerator[SegmentChange, None]:
        """Return the source of the changes."""
        ids = given(segment_ids)
        wanted = change_log.ChangeFilter(
            providers=_set(given(providers)),
            segments=None if ids is None else _set(global_ids.segments(ids, "segmentIds")),
            sort=change_log.SegmentChange,
        )
        return await _changes(info, after, wanted)

    @strawberry.subscription(
        description="Providers whose `health.status` or `health.circuit` changes. Nothing is "
        "sent at the start, and events have no cursor.",
        metadata=permission_metadata(SEGMENTS),
    )
    async def provider_health_changed(
        self,
        info: Context,
        keys: Annotated[
            list[str] | None,
            strawberry.argument(description="Only the providers with these keys."),
        ] = strawberry.UNSET,
    ) -> AsyncGenerator[Provider, None]:
        """Return the source of the providers."""
        info.context.check_keys(given(keys), "keys")
        stream = info.context.health_stream(_set(given(keys)))
        return cast("Events", EventSource(stream, Node.of))
