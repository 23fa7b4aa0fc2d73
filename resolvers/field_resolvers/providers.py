"""Fields of providers, and the provider of other objects."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from gateway.context import Provider
from gateway.domain.lazy_rows import column
from resolvers import error_codes
from resolvers.lookahead import FieldInfo
from resolvers.value_types import CircuitState, HealthStatus, ProviderHealth
from resolvers.webhook_types import ProviderWebhooks, WebhookState


class LimitOf(NamedTuple):
    """A limit of a provider."""

    provider: str
    name: str
    maximum: int


def providers(values: Sequence[Any], info: FieldInfo) -> Sequence[Provider]:
    """Return the provider of each value, by its ref."""
    by_key = info.context.providers
    keys = column(values, "ref.provider", _provider_keys)
    return [*map(by_key.__getitem__, keys)]


def _provider_keys(values: Iterable[Any]) -> Sequence[str]:
    return [each.ref.provider for each in values]


def limits(value: Provider) -> list[LimitOf]:
    """Return the limits that a provider documents."""
    return [LimitOf(value.key, row.name, row.maximum) for row in value.limits]


async def limit_used(limit: LimitOf, info: FieldInfo) -> int | None:
    """Return the current usage of a limit."""
    return await info.context.reads.limit_used(limit.provider, limit.name)


def health(value: Provider, info: FieldInfo) -> ProviderHealth:
    """Return the health of a provider, and mark the response as not cacheable."""
    info.context.scope.note_freshness(0)
    recent = value.health
    return ProviderHealth(
        status=HealthStatus(recent.status),
        circuit=CircuitState(value.circuit),
        latency_ms_p50=_rounded(recent.latency_ms(0.50)),
        latency_ms_p95=_rounded(recent.latency_ms(0.95)),
        last_success_at=recent.last_success_at,  # type: ignore[arg-type]  # a NewType
        last_error=error_codes.CODES[recent.last_error] if recent.last_error else None,
    )


async def webhooks(value: Provider, info: FieldInfo) -> ProviderWebhooks:
    """Return how a provider's webhooks arrive."""
    status = await info.context.webhooks(value)
    return ProviderWebhooks(
        state=WebhookState(status.state),
        last_received_at=status.last_received_at,  # type: ignore[arg-type]  # a NewType
        last_rejected_at=status.last_rejected_at,  # type: ignore[arg-type]  # a NewType
        last_rejection=status.last_rejection,
        received_last24h=status.received_last_24h,
    )


def _rounded(milliseconds: float | None) -> float | None:
    """Round a latency to a tenth of a millisecond, the precision of the measurement."""
    return None if milliseconds is None else round(milliseconds, 1)
