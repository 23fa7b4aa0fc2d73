"""Emporix's `q`: what it can say, and how much of a question fits into it.

Facts: standard-practices/q-param and bulk-request-limits of github.com/emporix/api-references,
read 2026-11-21. The language has no way to escape a character, so what it cannot say is left out.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from gateway.domain.entities import Membership, Status
from gateway.domain.queries import SegmentQuery
from gateway.providers.base.decoding import iso
from gateway.providers.base.exchange import quoted

IDS_AT_ONCE = 100
"""How many ids one `q` names; our choice, far below the largest page."""

LARGEST_IN_URL = 6000
"""Percent-encoded characters of a `q` in a URL, which may have 10 KB in all."""

# An apostrophe within a value has no meaning there: names and addresses have some.
# Not as the first character: regular expressions and comparisons. Not anywhere: what separates
# or groups. Not alone: words with a meaning of their own.
_SAYABLE = re.compile(
    r"(?!(?i:null|exists|missing|and|or|true|false)\Z)"
    r"[^\s\x00-\x1f\x7f,()\"'`:\\~<>=!][^\s\x00-\x1f\x7f,()\"`:\\]*"
)


class Question(NamedTuple):
    """What is asked of a list; `is_whole` when nothing of it is left for the caller to judge."""

    q: str | None
    is_whole: bool


EVERYTHING = Question(None, is_whole=True)


def can_say(value: str) -> bool:
    """Tell whether `q` can name this value as it is."""
    return _SAYABLE.fullmatch(value) is not None


def fits_url(q: str) -> bool:
    """Tell whether this `q` may stand in a URL."""
    return len(quoted(q)) <= LARGEST_IN_URL


def one_of(field: str, values: Sequence[str]) -> str:
    """Ask for those whose field is one of these values, all of which `q` can say."""
    return f"{field}:({','.join(values)})"


def segments_asked(query: SegmentQuery) -> Question:
    """Return as much of a query as `q` can say; `native` goes alone.

    A name is not asked for: how a regular expression treats case is not documented, and it looks
    at one language.
    """
    if query.native is not None:
        return Question(query.native, not query.is_local)
    parts = []
    is_whole = query.name_contains is None and (
        query.membership is None or Membership.MANUAL in query.membership
    )
    if query.status is Status.UNKNOWN:
        is_whole = False
    elif query.status is not None:
        parts.append(f"status:{query.status.value}")
    if query.site_code is not None:
        if can_say(query.site_code):
            parts.append(f"siteCode:{query.site_code}")
        else:
            is_whole = False
    parts.extend(_created(query.created_after, query.created_before))
    return Question(" ".join(parts) or None, is_whole)


def _created(after: datetime | None, before: datetime | None) -> Iterator[str]:
    """Say when it was made, both ends exclusive.

    Emporix keeps milliseconds and so do our bounds here: what was cut off an upper bound makes
    the last millisecond before it belong.
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
    """Split ids into groups that one `q` can name; each id that it cannot say is alone."""
    alone: list[list[str]] = []
    together: list[list[str]] = []
    room = 0
    for key in ids:
        if not can_say(key):
            alone.append([key])
            continue
        size = len(quoted(key)) + len("%2C")
        if not together or len(together[-1]) == IDS_AT_ONCE or size > room:
            together.append([])
            room = LARGEST_IN_URL - len(quoted(one_of("id", ())))
        together[-1].append(key)
        room -= size
    return together + alone
