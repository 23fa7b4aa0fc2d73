"""Emporix's query language, the parameter `q`.

Facts: standard-practices/q-param and bulk-request-limits of github.com/emporix/api-references,
read 2026-11-21. Characters cannot be escaped, so some values cannot be expressed and are left out.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from gateway.domain.entities import Membership, Status
from gateway.domain.queries import SegmentQuery
from gateway.providers.base.decoding import iso
from gateway.providers.base.exchange import quoted

MAX_IDS = 100
"""The largest number of ids in one `q`; our choice, far below the largest page."""

MAX_URL_LENGTH = 6000
"""The longest `q` in a URL, percent-encoded. The URL may have 10 KB in all."""

COMMA = "%2C"
"""A comma, percent-encoded."""

# Not allowed as the first character: operators of regular expressions and comparisons. Not allowed
# anywhere: separators and brackets. Not allowed alone: keywords. An apostrophe within a value has
# no meaning, and is part of names and addresses.
_EXPRESSIBLE = re.compile(
    r"(?!(?i:null|exists|missing|and|or|true|false)\Z)"
    r"[^\s\x00-\x1f\x7f,()\"'`:\\~<>=!][^\s\x00-\x1f\x7f,()\"`:\\]*"
)


class ListFilter(NamedTuple):
    """The `q` of a list; `is_whole` is False if the gateway must filter the rows further."""

    q: str | None
    is_whole: bool


NO_FILTER = ListFilter(None, is_whole=True)


def is_expressible(value: str) -> bool:
    """Return whether `q` can contain this value."""
    return _EXPRESSIBLE.fullmatch(value) is not None


def fits_url(q: str) -> bool:
    """Return whether this `q` is short enough for a URL."""
    return len(quoted(q)) <= MAX_URL_LENGTH


def one_of(field: str, values: Sequence[str]) -> str:
    """Return the `q` for rows whose field is one of these values, which must be expressible."""
    return f"{field}:({','.join(values)})"


def segment_filter(query: SegmentQuery) -> ListFilter:
    """Return as much of a query as `q` can express. `native` is sent alone.

    Names are not filtered by `q`: whether its regular expressions ignore case is not documented,
    and each applies to one language only.
    """
    if query.native is not None:
        return ListFilter(query.native, not query.is_local)
    parts = []
    is_whole = query.name_contains is None and (
        query.membership is None or Membership.MANUAL in query.membership
    )
    if query.status is Status.UNKNOWN:
        is_whole = False
    elif query.status is not None:
        parts.append(f"status:{query.status.value}")
    if query.site_code is not None:
        if is_expressible(query.site_code):
            parts.append(f"siteCode:{query.site_code}")
        else:
            is_whole = False
    parts.extend(_created(query.created_after, query.created_before))
    if query.updated_after is not None:
        parts.append(f'metadata.modifiedAt:>"{iso(query.updated_after)}"')
    return ListFilter(" ".join(parts) or None, is_whole)


def _created(after: datetime | None, before: datetime | None) -> Iterator[str]:
    """Yield the condition on the creation time; both ends are exclusive.

    Emporix has milliseconds, so microseconds of the bounds are cut off. If an upper bound had any,
    the millisecond that it was cut to is included.
    """
    bounds = []
    if after is not None:
        bounds.append(f'>"{iso(after)}"')
    if before is not None:
        bounds.append(f'{"<=" if before.microsecond % 1000 else "<"}"{iso(before)}"')
    if len(bounds) == 1:
        yield f"metadata.createdAt:{bounds[0]}"
    elif bounds:
        yield f"metadata.createdAt:({' AND '.join(bounds)})"


def id_batches(ids: Sequence[str]) -> list[list[str]]:
    """Split ids into batches for one `q` each; an id that it cannot express is alone."""
    if len(ids) == 1:
        return [[*ids]]
    expressible = [*filter(_EXPRESSIBLE.fullmatch, ids)]
    others = frozenset(ids).difference(expressible)
    return _together(expressible) + [[key] for key in ids if key in others]


def _together(ids: list[str]) -> list[list[str]]:
    """Split ids that `q` can express."""
    if not ids:
        return []
    whole = MAX_URL_LENGTH - len(quoted(one_of("id", ())))
    if len(ids) <= MAX_IDS and len(quoted(",".join(ids))) + len(COMMA) <= whole:
        return [ids]
    together: list[list[str]] = []
    room = 0
    for key in ids:
        size = len(quoted(key)) + len(COMMA)
        if not together or len(together[-1]) == MAX_IDS or size > room:
            together.append([])
            room = whole
        together[-1].append(key)
        room -= size
    return together
