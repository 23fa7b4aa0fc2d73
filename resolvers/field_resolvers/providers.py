"""Fields of providers, and the provider of every other thing."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from gateway.context import Provider
from resolvers import error_codes
from resolvers.lookahead import FieldInfo
from resolvers.value_types import (
    CircuitState,
    HealthStatus,
    ProviderHealth,
)


class LimitOf(NamedTuple):
    """A limit, and whose it is."""

    provider: str
    name: str
    maximum: int


def providers(values: Sequence[Any], info: FieldInfo) -> Sequence[Provider]:
    """Return the provider of each of what has a reference."""
    known = info.context.providers
    return [known[each.ref.provider] for each in values]


def limits(value: Provider) -> list[LimitOf]:
    """Return a provider's documented bounds."""
    return [LimitOf(value.key, row.name, row.maximum) for row in value.limits]


async def limit_used(limit: LimitOf, info: FieldInfo) -> int | None:
    """Return how much of a limit is used."""
    return await info.context.reads.limit_used(limit.provider, limit.name)


def health(value: Provider, info: FieldInfo) -> ProviderHealth:
    """Return how a provider is doing: true now, so the answer is not to be kept."""
    info.context.scope.note_freshness(0)
    found = value.health
    return ProviderHealth(
        status=HealthStatus(found.status),
        circuit=CircuitState(value.circuit),
        latency_ms_p50=_rounded(found.latency_ms(0.50)),
        latency_ms_p95=_rounded(found.latency_ms(0.95)),
        last_success_at=found.last_success_at,  # type: ignore[arg-type]  # a NewType
        last_error=error_codes.CODES[found.last_error] if found.last_error else None,
    )


def _rounded(milliseconds: float | None) -> float | None:
    """Return a latency to a tenth of a millisecond: no call is measured more exactly."""
    return None if milliseconds is None else round(milliseconds, 1)
