"""An open circuit closes by itself when the provider works again, though nobody calls it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
from starlette.responses import PlainTextResponse
from structlog.testing import capture_logs

from gateway.errors import ProviderError
from gateway.upstream import circuit_probing
from gateway.upstream.circuit_probing import keep_probing
from gateway.upstream.provider import Provider
from tests.e2e.serving import Providers, serving, settings_with
from tests.resilience.accounts import Script, Step, account, adapter_of, response, scope, things
from tests.resilience.clockwork import now, run

EMPTY = response(text='{"data": [], "total": 0}')


def provider_of(steps: Sequence[Step], kind: str = "voucherify") -> tuple[Provider, Script]:
    """Return a provider with a probe every five seconds, and the script of its replies."""
    script = Script(steps)
    upstream = account(script, kind=kind, retries=0, probe_interval_s=5)
    return Provider(adapter_of(kind), upstream, "Acme"), script


@contextlib.asynccontextmanager
async def probing(providers: Mapping[str, Provider]) -> AsyncIterator[None]:
    """Probe meanwhile."""
    task = asyncio.create_task(keep_probing(providers))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def opened(provider: Provider) -> None:
    """Let the circuit open."""
    for _ in range(5):
        with contextlib.suppress(ProviderError):
            await provider.send(things(), scope())
    assert provider.circuit == "OPEN"


def test_probes_while_nobody_calls() -> None:
    """A second after each probe is due; one line in the log; none once the circuit is closed."""

    async def main() -> None:
        provider, script = provider_of([response(500)] * 14 + [EMPTY])
        began = now()
        async with probing({"acme": provider}):
            await asyncio.sleep(60)
            assert script.at == []
            await opened(provider)
            with capture_logs() as lines:
                await asyncio.sleep(59.5)
                assert provider.circuit == "OPEN"
                await asyncio.sleep(1)
                assert provider.circuit == "CLOSED"
                await asyncio.sleep(600)
        probes = [round(at - began - 60) for at in script.at[5:]]
        assert probes == [6, 12, 18, 24, 30, 36, 42, 48, 54, 60]
        assert [line["event"] for line in lines] == ["provider call failed", "circuit closed"]

    run(main())


def test_requests_probe_first() -> None:
    """While they come in, they are the probes: they say more than a list of segments."""

    async def main() -> None:
        provider, script = provider_of([response(500)])
        await opened(provider)
        async with probing({"acme": provider}):
            for _ in range(120):
                await asyncio.sleep(0.5)
                with contextlib.suppress(ProviderError):
                    await provider.send(things(), scope())
        assert len(script.at) == 5 + 12

    run(main())


def test_ends_with_its_providers() -> None:
    """One that a reload has removed is not probed; one that cannot be read never is."""

    async def main() -> None:
        provider, script = provider_of([response(500)])
        await opened(provider)
        providers = {"acme": provider}
        async with probing(providers):
            await asyncio.sleep(7)
            assert len(script.at) == 6
            providers.clear()
            await asyncio.sleep(60)
            assert len(script.at) == 7  # it had begun to wait
        async with probing({"acme": provider}):
            await asyncio.sleep(3)

    run(main())


def test_a_probe_is_cancelled_at_the_end() -> None:
    """A server that stops does not wait for a provider that hangs."""

    async def main() -> None:
        provider, script = provider_of([response(500)] * 5 + [60.0])
        await opened(provider)
        async with probing({"acme": provider}):
            await asyncio.sleep(7)
            assert script.under_way == 1
        assert (script.under_way, provider.circuit) == (0, "HALF_OPEN")

    run(main())


async def test_a_served_provider_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its health says so, though the only requests are those for its health."""
    monkeypatch.setattr(circuit_probing, "GRACE_S", 0.02)
    providers = Providers()
    health = '{ provider(key: "voucherify") { health { circuit } } }'
    async with serving(providers, settings_with(probe_interval_s=0.05)) as front:
        providers.instead["voucherify"] = PlainTextResponse("down", 503)
        for _ in range(5):
            await front.ask('{ provider(key: "voucherify") { segments { totalCount } } }')
        data = await front.data(health)
        assert data == {"provider": {"health": {"circuit": "OPEN"}}}
        front.forget()
        providers.instead.clear()
        async with asyncio.timeout(30):
            while data["provider"]["health"]["circuit"] != "CLOSED":
                await asyncio.sleep(0)
                data = await front.data(health)
        assert front.calls == ["GET /v1/segments?limit=2&order=-created_at"]
