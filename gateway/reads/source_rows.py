"""The rows of `sources`: what each provider contributed to a page, and where that is from."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from gateway.domain.entities import Origin
from gateway.errors import GatewayError

LARGEST_INT = 2**31 - 1
"""GraphQL's largest Int."""


def oldest(origins: Iterable[Origin]) -> Origin:
    """Return the origin that promises least; LIVE of none."""
    return max(origins, key=AGING.index, default=Origin.LIVE)


AGING = (Origin.LIVE, Origin.RECORDED, Origin.CACHED, Origin.STALE)
"""From what is surely so to what may have changed."""


class Source(NamedTuple):
    """What one provider contributed to a page."""

    provider: str
    origin: Origin | None
    """None when it failed, or when this page needed nothing of it."""
    fetched_at: datetime | None
    total: int | None
    error: GatewayError | None
    skipped: int = 0
    """Rows that are left out of the page, since their ids cannot be read."""


def source_of(  # noqa: PLR0913  # parts of one row, most by name
    provider: str,
    origin: Origin | None,
    fetched_at: datetime | None,
    total: int | None,
    error: GatewayError | None = None,
    *,
    skipped: int = 0,
) -> Source:
    """Return a source; what is LIVE was read just now."""
    if origin is Origin.LIVE:
        fetched_at = datetime.now(UTC)
    return Source(provider, origin, fetched_at, countable(total), error, skipped)


def countable(total: int | None) -> int | None:
    """Return a total that a client can be shown; None for one beyond GraphQL's Int."""
    return total if total is not None and total <= LARGEST_INT else None
