"""The arguments of connections: `first` and `after`."""

from typing import Annotated

import strawberry

from gateway import context
from gateway.domain.pages import DEFAULT_FIRST, LARGEST_FIRST
from resolvers.inputs.filters import given
from resolvers.lookahead import FieldInfo

First = Annotated[
    int | None,
    strawberry.argument(
        description=f"Rows of the page, from 1 to {LARGEST_FIRST}; {DEFAULT_FIRST} if null."
    ),
]

After = Annotated[
    str | None,
    strawberry.argument(
        description="The `endCursor` of the page before; the start if missing or empty."
    ),
]


def paging(info: FieldInfo, first: int | None, after: str | None) -> context.Paging:
    """Return what a connection's arguments ask for; the total only if it is shown.

    An empty cursor is none: clients send it for the first page.
    """
    size = DEFAULT_FIRST if first is None else first
    return context.Paging(size, given(after) or None, info.selection.has_total)
