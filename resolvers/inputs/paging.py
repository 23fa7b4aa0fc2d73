"""The arguments of connections: `first` and `after`."""

from typing import Annotated

import strawberry

from gateway import context
from gateway.domain.pages import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from resolvers.inputs.filters import given
from resolvers.lookahead import FieldInfo

First = Annotated[
    int | None,
    strawberry.argument(
        description=f"The page size, from 1 to {MAX_PAGE_SIZE}; {DEFAULT_PAGE_SIZE} if null."
    ),
]

After = Annotated[
    str | None,
    strawberry.argument(
        description="The `endCursor` of the previous page; if missing or empty, the first page."
    ),
]


def paging(info: FieldInfo, first: int | None, after: str | None) -> context.Paging:
    """Return the page that the arguments request; count the total only if it is selected.

    An empty cursor is no cursor: clients send it for the first page.
    """
    size = DEFAULT_PAGE_SIZE if first is None else first
    return context.Paging(size, given(after) or None, info.selection.has_total)
