"""The poller's share of a provider's rate limit: at most a tenth, in any minute."""

import random
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence

import pytest

from gateway.asgi import connect
from gateway.changes.comparing import SegmentComparer
from gateway.changes.share import Share, SharedProvider
from gateway.sandbox.people import people
from gateway.sandbox.voucherify.app import build
from gateway.store.database_url import DatabaseUrl
from gateway.store.store import Store
from tests.e2e.serving import NOW, Providers, settings_with
from tests.e2e.watching.emporix import Tenant
from tests.unit.store.conftest import Clock

pytestmark = pytest.mark.no_fast_paths


def sleeping(clock: Clock) -> Callable[[float], Awaitable[None]]:
    """Return a way to wait that takes no time: the clock is put forward."""

    async def sleep(seconds: float) -> None:
        clock.pass_by(seconds=seconds)

    return sleep


def most_in_a_minute(times: Sequence[float]) -> int:
    """Return the most calls in any window of sixty seconds."""
    return max(bisect_left(times, start + 60) - place for place, start in enumerate(times))


@pytest.mark.parametrize(
    ("calls_per_minute", "share"),
    [
        (600, Share(60, 60)),
        (109, Share(10, 60)),
        (10, Share(1, 60)),
        (6, Share(1, 100)),
        (1, Share(1, 600)),
    ],
)
def test_share(calls_per_minute: int, share: Share) -> None:
    """A tenth; of a small limit one call in as long as it takes."""
    assert Share.of(calls_per_minute) == share


async def test_calls_within_the_share(
    place: DatabaseUrl,
    clock: Clock,
    providers: Providers,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sign-ins, failures and restarts included, in any minute; and the share is used."""
    monkeypatch.setattr("gateway.changes.comparing.RETRY_S", 0.0)
    times: list[float] = []
    dice = random.Random(7)  # noqa: S311  # a test's

    def arrived() -> None:
        times.append(clock.now.timestamp())
        clock.pass_by(seconds=dice.choice([0, 0, 0.3, 2]))

    tenant.arrived = arrived
    for number in range(5):
        tenant.set(f"s{number}", *(f"c{n}" for n in range(number * 40)))
    settings = settings_with(calls_per_minute=100, retries=2)
    for _ in range(2):  # processes, one after the other
        store = await Store.open(place, clock)
        connected = await connect(settings, providers, store)
        (emporix,) = (each for each in connected if each.key == "emporix")
        comparer = SegmentComparer(
            store, SharedProvider(emporix, store.shared_calls, sleeping(clock))
        )
        await comparer.compare_segments()
        for key in tenant.members:
            tenant.members[key].append(f"n{len(times)}")
            tenant.failures = [0, dice.choice([0, 503])]
            await comparer.compare_members(key)
        for each in connected:
            await each.close()
        await store.close()
    assert len(times) > 2 * (2 + 2 * 5)
    assert most_in_a_minute(times) <= 10
    assert times[-1] - times[0] < 90 * len(times) / 10


async def test_stated_limit(record: Store, clock: Clock, providers: Providers) -> None:
    """What the provider states counts instead of the setting."""
    times: list[float] = []
    server = build([*people(20)], lambda: NOW, calls_per_minute=50)

    async def counted(*parts: object) -> None:
        times.append(clock.now.timestamp())
        await server(*parts)  # type: ignore[arg-type]  # passed on

    providers.instead["voucherify"] = counted
    connected = await connect(settings_with(calls_per_minute=100_000), providers, record)
    (voucherify,) = (each for each in connected if each.key == "voucherify")
    comparer = SegmentComparer(
        record, SharedProvider(voucherify, record.shared_calls, sleeping(clock))
    )
    keys = await comparer.compare_segments()
    for key in keys:
        await comparer.compare_members(key)
    assert len(times) > 10
    assert most_in_a_minute(times) == 5
    for each in connected:
        await each.close()
