"""The providers of a running gateway, which a reload adds, replaces and removes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from gateway.context import Provider
from gateway.providers.base.settings import AccountSettings
from gateway.settings.tables import Settings

LONGEST_USE_S = 31.0
"""How long work in the background uses the providers that it started with, and a margin."""

Connect = Callable[[Settings], Awaitable[Sequence[Provider]]]
"""Opens the providers of some settings."""


class OpenProviders:
    """The open providers, by key, in the order of the settings.

    Operations take `snapshot`, which never changes: they end with the providers that they started
    with. A provider that was replaced is closed when the last of them has ended.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.current: dict[str, Provider] = {}
        """Changed in place: for work that goes on for ever."""
        self.snapshot: Mapping[str, Provider] = {}
        self._accounts: dict[str, tuple[AccountSettings, float]] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    async def open(self, settings: Settings, connect: Connect) -> Callable[[], None]:
        """Open providers that are new or have changed; return the function that uses them."""
        wanted = {each.key: (each, _ttl_s(each, settings)) for each in settings.providers}
        changed = [
            each for each in settings.providers if self._accounts.get(each.key) != wanted[each.key]
        ]
        opened: Sequence[Provider] = ()
        if changed:
            opened = await connect(settings.model_copy(update={"providers": tuple(changed)}))

        def use() -> None:
            providers = self.current | {each.key: each for each in opened}
            old = [each for key, each in self.current.items() if providers[key] is not each]
            old += [each for key, each in self.current.items() if key not in wanted]
            self._accounts = wanted
            if [*wanted] == [*self.current] and not opened:
                return
            self.snapshot = {key: providers[key] for key in wanted}
            self.current.clear()
            self.current.update(self.snapshot)
            longest_s = max(LONGEST_USE_S, settings.server.request_timeout_s + 1)
            for each in old:
                task = asyncio.create_task(_retire(each, longest_s))
                self._retiring.add(task)
                task.add_done_callback(self._retiring.discard)

        return use

    async def close(self) -> None:
        """Close all."""
        for task in self._retiring:
            task.cancel()
        closing = [*self._retiring, *(each.close() for each in self.current.values())]
        await asyncio.gather(*closing, return_exceptions=True)


async def _retire(provider: Provider, after_s: float) -> None:
    try:
        await asyncio.sleep(after_s)
    finally:
        await provider.close()


def _ttl_s(account: AccountSettings, settings: Settings) -> float:
    own = account.cache_ttl_s
    return settings.server.cache_ttl_s if own is None else own
