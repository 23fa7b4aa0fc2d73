"""Connections: pages of merged lists, with what each provider contributed."""

from typing import TYPE_CHECKING, Annotated, Any, Generic, NamedTuple, TypeVar

import strawberry

from gateway import context
from resolvers import error_codes
from resolvers.error_codes import ErrorCode
from resolvers.field_declarations import View, attribute, computed
from resolvers.field_permissions import OPEN
from resolvers.lookahead import FieldInfo
from resolvers.value_types import DataOrigin, DateTime, PageInfo

if TYPE_CHECKING:
    from resolvers.types.nodes import Provider

T = TypeVar("T")


@strawberry.type(description="What a provider failed with.")
class SourceError:
    """See the description."""

    needs = OPEN

    code: ErrorCode = strawberry.field(description="As in `errors[].extensions.code`.")
    message: str = strawberry.field(description="One sentence for people.")
    retryable: bool = strawberry.field(description="Asking again may help.")
    retry_after_ms: int | None = strawberry.field(
        description="Milliseconds after which the provider wants to be asked again, if it said."
    )
    upstream_status: int | None = strawberry.field(description="The provider's HTTP status.")
    request_id: str | None = strawberry.field(description="Look for this in the server's log.")


def _provider(source: context.Source, asked: FieldInfo) -> context.Provider:
    return asked.context.providers[source.provider]


def _error(source: context.Source, asked: FieldInfo) -> SourceError | None:
    """Return an error as a row of `sources` shows it."""
    error = source.error
    if error is None:
        return None
    return SourceError(
        code=ErrorCode(error_codes.code(error)),
        message=str(error),
        retryable=getattr(error, "retryable", False),
        retry_after_ms=error_codes.retry_after_ms(error),
        upstream_status=getattr(error, "status", None),
        request_id=asked.context.scope.request_id,
    )


@strawberry.type(description="What one provider contributed to a page.")
class Source(View):
    """See the description."""

    needs = OPEN

    value: strawberry.Private[context.Source]

    provider: Annotated["Provider", strawberry.lazy("resolvers.types.nodes")] = computed(
        _provider, "The provider."
    )
    origin: DataOrigin | None = attribute(
        "origin", "Where its rows come from; null when this page needed none, or it failed."
    )
    fetched_at: DateTime | None = attribute("fetched_at", "When its answer was read.")
    total_count: int | None = attribute(
        "total", "Rows of its whole list; null when it cannot tell."
    )
    error: SourceError | None = computed(_error, "What it failed with; its rows are missing then.")
    skipped: int = attribute(
        "skipped", "Rows that are left out here, since the provider gives them no readable id."
    )


class Row(NamedTuple):
    """One row of a page."""

    page: context.Connection[Any]
    place: int

    @property
    def value(self) -> Any:
        """The row itself."""
        return self.page.rows[self.place]

    @property
    def cursor(self) -> str:
        """Where the list goes on behind it; made only when it is shown."""
        return self.page.cursor(self.place)


def _rows(page: context.Connection[Any]) -> list[Row]:
    return [Row(page, place) for place in range(len(page.rows))]


def _page_info(page: context.Connection[Any]) -> PageInfo:
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=page.cursor(0) if page.rows else None,
        end_cursor=page.end_cursor,
    )


@strawberry.type(description="One row of a connection.")
class Edge(View, Generic[T]):
    """See the description."""

    needs = OPEN

    value: strawberry.Private[Row]

    cursor: str = attribute("cursor", "Give this as `after` to go on behind this row.")
    node: T = attribute("value", "The row itself.")


@strawberry.type(description="A page of a list that several providers may contribute to.")
class Connection(View, Generic[T]):
    """See the description."""

    needs = OPEN

    value: strawberry.Private[context.Connection[Any]]

    edges: list[Edge[T]] = computed(_rows, "The rows, each with its cursor.")
    nodes: list[T] = attribute("rows", "The rows.")
    page_info: PageInfo = computed(_page_info, "Where the page stands in the list.")
    total_count: int | None = attribute(
        "total", "Rows of the whole list; null when any provider asked cannot tell."
    )
    sources: list[Source] = attribute(
        "sources",
        "One row for each provider in scope. A provider that failed stands here alone.",
    )
