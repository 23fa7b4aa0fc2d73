"""Stored webhooks: how long they are kept, and what is known of a provider's webhooks."""

from collections.abc import Sequence
from datetime import timedelta

from gateway.domain.change_log import (
    AssignmentObservation,
    ChangeKind,
    ChangeSource,
    Observation,
)
from gateway.domain.entities import AssignmentRef
from gateway.providers.base.webhooks import WebhookEvent
from gateway.store.store import Store
from gateway.store.webhooks import StoredWebhook
from tests.unit.store.conftest import Clock
from tests.unit.store.shop_writes import soon


def event(key: str, clock: Clock, **later: float) -> WebhookEvent:
    """Return an event, by default of this moment."""
    return WebhookEvent("customer.segment.entered", key, clock.now + timedelta(**later))


async def test_kept_for_thirty_days(record: Store, clock: Clock) -> None:
    """A repeat is recognised for 30 days; then the webhook is deleted."""
    assert await record.webhooks.accept("promo", event("evt_1", clock), b"{}")
    clock.pass_by(days=29)
    assert not await record.webhooks.accept("promo", event("evt_1", clock), b"{}")
    assert await record.webhooks.accept("other", event("evt_1", clock), b"{}")
    assert await record.webhooks.sweep() == 0
    clock.pass_by(days=2)
    assert await record.webhooks.sweep() == 1
    assert await record.webhooks.accept("promo", event("evt_1", clock), b"{}")


async def test_times_to_come(record: Store, clock: Clock) -> None:
    """An event is not later than its arrival: it would outdate all that follow."""
    await record.webhooks.accept("promo", event("evt_1", clock, days=365), b"{}")
    seen = []

    def note(webhook: StoredWebhook) -> Sequence[Observation]:
        seen.append(webhook.occurred_at)
        return ()

    assert await record.webhooks.apply(["other"], note) == 0
    assert await record.webhooks.apply(["promo"], note) == 1
    assert await record.webhooks.apply(["promo"], note) == 0
    assert seen == [clock.now]


async def test_quiet(record: Store, clock: Clock) -> None:
    """A change that only a comparison reported shows after a minute, until the next webhook."""
    await record.webhooks.accept("promo", event("evt_1", clock), b"{}")
    clock.pass_by(seconds=10)
    compared = AssignmentObservation(
        ref=AssignmentRef("promo", "gold", "ada"),
        kind=ChangeKind.ENTERED,
        source=ChangeSource.DIFF,
    )
    await record.changes.settle([compared], soon(), soon())
    clock.pass_by(seconds=59)
    assert not (await record.webhooks.status("promo")).has_missed
    clock.pass_by(seconds=1)
    assert (await record.webhooks.status("promo")).has_missed
    assert not (await record.webhooks.status("other")).has_missed
    await record.webhooks.accept("promo", event("evt_2", clock), b"{}")
    assert not (await record.webhooks.status("promo")).has_missed


async def test_counts(record: Store, clock: Clock) -> None:
    """Refusals within a second count once; those accepted count for 24 hours."""
    for seconds in (0, 0.5, 0.5, 0.5):
        clock.pass_by(seconds=seconds)
        await record.webhooks.refuse("promo", f"after {seconds}")
    status = await record.webhooks.status("promo")
    assert (status.refusals, status.rejection) == (2, "after 0.5")
    assert status.rejected_at == clock.now - timedelta(seconds=0.5)
    await record.webhooks.accept("promo", event("evt_1", clock), b"{}")
    clock.pass_by(hours=23)
    status = await record.webhooks.status("promo")
    assert (status.refusals, status.received_last_24h) == (0, 1)
    clock.pass_by(hours=2)
    assert (await record.webhooks.status("promo")).received_last_24h == 0
