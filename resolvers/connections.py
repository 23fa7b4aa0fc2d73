"""Connections: pages of merged lists, with what each provider contributed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import strawberry
from strawberry.types import Info

from gateway import context
from gateway.context import RequestContext
from gateway.errors import GatewayError
from resolvers import errors
from resolvers.leaves import DataOrigin, DateTime, PageInfo, SourceError
from resolvers.selection import wants_total

if TYPE_CHECKING:
    from resolvers.types import Provider

T = TypeVar("T")

First = Annotated[
    int | None, strawberry.argument(description="Rows of the page, from 1 to 250; 50 if null.")
]
After = Annotated[
    str | None,
    strawberry.argument(description="The `endCursor` of the page before; the start if missing."),
]

DEFAULT_FIRST = 50


def paging(info: Info[Any, Any], first: int | None, after: str | None) -> context.Paging:
    """Return what a connection's arguments ask for; the total only if it is shown."""
    size = DEFAULT_FIRST if first is None else first
    return context.Paging(size, after or None, wants_total(info))


@strawberry.type(description="What one provider contributed to a page.")
class Source:
    """See the description."""

    value: strawberry.Private[context.Source]

    @strawberry.field(description="The provider.")
    def provider(
        self, info: Info[RequestContext, None]
    ) -> Annotated["Provider", strawberry.lazy("resolvers.types")]:
        """See the description."""
        from resolvers.types import Provider  # noqa: PLC0415  # the graph is cyclic

        return Provider(value=info.context.providers[self.value.provider])

    @strawberry.field(
        description="Where its rows come from; null when this page needed none, or it failed."
    )
    def origin(self) -> DataOrigin | None:
        """See the description."""
        return self.value.origin

    @strawberry.field(description="When its answer was read.")
    def fetched_at(self) -> DateTime | None:
        """See the description."""
        return self.value.fetched_at  # type: ignore[return-value]  # a NewType for the schema only

    @strawberry.field(description="Rows of its whole list; null when it cannot tell.")
    def total_count(self) -> int | None:
        """See the description."""
        return self.value.total

    @strawberry.field(description="What it failed with; its rows are missing then.")
    def error(self, info: Info[RequestContext, None]) -> SourceError | None:
        """See the description."""
        error = self.value.error
        if error is None:
            return None
        return shown(error, info.context.scope.request_id)


def shown(error: GatewayError, request_id: str) -> SourceError:
    """Return an error as a row of `sources` shows it."""
    return SourceError(
        code=errors.code(error),
        message=str(error),
        retryable=getattr(error, "retryable", False),
        retry_after_ms=errors.retry_after_ms(error),
        upstream_status=getattr(error, "status", None),
        request_id=request_id,
    )


@strawberry.type(description="One row of a connection.")
class Edge(Generic[T]):
    """See the description."""

    cursor: str = strawberry.field(description="Give this as `after` to go on behind this row.")
    node: T = strawberry.field(description="The row itself.")


@strawberry.type(description="A page of a list that several providers may contribute to.")
class Connection(Generic[T]):
    """See the description."""

    value: strawberry.Private[context.Connection[Any]]
    wrap: strawberry.Private[Callable[[Any], Any]]

    @strawberry.field(description="The rows, each with its cursor.")
    def edges(self) -> list[Edge[T]]:
        """See the description."""
        return [
            Edge(cursor=self.value.cursor(i), node=self.wrap(row))
            for i, row in enumerate(self.value.rows)
        ]

    @strawberry.field(description="The rows.")
    def nodes(self) -> list[T]:
        """See the description."""
        return [self.wrap(row) for row in self.value.rows]

    @strawberry.field(description="Where the page stands in the list.")
    def page_info(self) -> PageInfo:
        """See the description."""
        return PageInfo(
            has_next_page=self.value.has_next,
            has_previous_page=self.value.has_previous,
            start_cursor=self.value.cursor(0) if self.value.rows else None,
            end_cursor=self.value.end_cursor,
        )

    @strawberry.field(
        description="Rows of the whole list; null when any provider asked cannot tell."
    )
    def total_count(self) -> int | None:
        """See the description."""
        return self.value.total

    @strawberry.field(
        description="One row for each provider in scope. A provider that failed stands here alone."
    )
    def sources(self) -> list[Source]:
        """See the description."""
        return [Source(value=source) for source in self.value.sources]
