"""The rows of `sources`: what each provider contributed to a page, and its origin."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from gateway.domain.entities import Origin
from gateway.errors import GatewayError

MAX_INT = 2**31 - 1
"""GraphQL's largest Int."""


def oldest(origins: Iterable[Origin]) -> Origin:
    """Return the least current of these origins; LIVE without any."""
    return max(origins, key=ORIGINS.index, default=Origin.LIVE)


ORIGINS = (Origin.LIVE, Origin.RECORDED, Origin.CACHED, Origin.STALE)
"""From the most to the least current."""


class Source(NamedTuple):
    """What one provider contributed to a page."""

    provider: str
    origin: Origin | None
    """None if it failed, or if the page needed nothing from it."""
    fetched_at: datetime | None
    total: int | None
    error: GatewayError | None
    skipped: int = 0
    """The number of rows omitted because their ids cannot be read."""


def source_of(  # noqa: PLR0913  # parts of one row, most by name
    provider: str,
    origin: Origin | None,
    fetched_at: datetime | None,
    total: int | None,
    error: GatewayError | None = None,
    *,
    skipped: int = 0,
) -> Source:
    """Return a source; a LIVE one was read now."""
    if origin is Origin.LIVE:
        fetched_at = datetime.now(UTC)
    return Source(provider, origin, fetched_at, countable(total), error, skipped)


def countable(total: int | None) -> int | None:
    """Return the total, or None if GraphQL's Int cannot represent it."""
    return total if total is not None and total <= MAX_INT else None
