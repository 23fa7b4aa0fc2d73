"""The arguments of connections: `first` and `after`."""

from typing import Annotated

import strawberry

from gateway import context
from resolvers.inputs.filters import given
from resolvers.lookahead import FieldInfo

First = Annotated[
    int | None, strawberry.argument(description="Rows of the page, from 1 to 250; 50 if null.")
]

After = Annotated[
    str | None,
    strawberry.argument(
        description="The `endCursor` of the page before; the start if missing or empty."
    ),
]

DEFAULT_FIRST = 50


def paging(asked: FieldInfo, first: int | None, after: str | None) -> context.Paging:
    """Return what a connection's arguments ask for; the total only if it is shown.

    An empty cursor is none: clients send it for the first page.
    """
    size = DEFAULT_FIRST if first is None else first
    return context.Paging(size, given(after) or None, asked.selection.has_total)
