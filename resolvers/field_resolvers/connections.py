"""Fields of connections: rows, page info, and what each provider contributed."""

from typing import Any, NamedTuple

from gateway import context
from resolvers import error_codes
from resolvers.error_codes import ErrorCode
from resolvers.lookahead import FieldInfo
from resolvers.value_types import PageInfo, SourceError


class Row(NamedTuple):
    """One row of a page."""

    page: context.Connection[Any]
    position: int

    @property
    def value(self) -> Any:
        """The row itself."""
        return self.page.rows[self.position]

    @property
    def cursor(self) -> str:
        """The cursor behind the row; encoded only when it is selected."""
        return self.page.cursor(self.position)


def rows(page: context.Connection[Any]) -> list[Row]:
    """Return the rows of a page, each with access to its cursor."""
    return [Row(page, position) for position in range(len(page.rows))]


def page_info(page: context.Connection[Any]) -> PageInfo:
    """Return the position of a page in its list."""
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=page.cursor(0) if page.rows else None,
        end_cursor=page.end_cursor,
    )


def source_provider(source: context.Source, info: FieldInfo) -> context.Provider:
    """Return the provider of a source."""
    return info.context.providers[source.provider]


def source_error(source: context.Source, info: FieldInfo) -> SourceError | None:
    """Return the error of a source; None if the provider did not fail."""
    error = source.error
    if error is None:
        return None
    return SourceError(
        code=ErrorCode(error_codes.code(error)),
        message=str(error),
        retryable=getattr(error, "retryable", False),
        retry_after_ms=error_codes.retry_after_ms(error),
        upstream_status=getattr(error, "status", None),
        request_id=info.context.scope.request_id,
    )
