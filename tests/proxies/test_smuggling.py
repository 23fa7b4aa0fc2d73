"""Request smuggling: an attacker beside honest callers, through each proxy and without one."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from tests.proxies.attacks import (
    ATTACKS,
    FRAMED,
    PIPELINED,
    body_of,
    heads,
    prefix,
    whole,
)
from tests.proxies.callers import Attacker, Caller
from tests.proxies.processes import PATIENCE_S, Way
from tests.sizes import size

pytestmark = pytest.mark.proxies

HONEST = ("victim", "neighbour")
ROUNDS = size("SMUGGLING_ROUNDS", 1, 20)


class Contest:
    """Two honest callers, and attackers beside them."""

    def __init__(self, way: Way) -> None:
        """Start with no connection."""
        way.gateway.sandbox.reset_calls()
        self._way, self._keys = way, way.gateway.keys
        self.callers = [Caller(way.port, name, self._keys[name]) for name in HONEST]
        self.attackers: list[Attacker] = []

    async def ask(self, occasion: str) -> None:
        """Let both callers ask once."""
        await asyncio.gather(*(caller.ask(occasion) for caller in self.callers))

    async def attack(self, name: str, hidden: str, pieces: Sequence[bytes]) -> None:
        """Send the pieces; the callers ask behind each of them."""
        attacker = Attacker(name, hidden)
        self.attackers.append(attacker)
        await attacker.connect(self._way.port)
        for piece in pieces:
            await attacker.send(piece)
            await self.ask(name)

    async def attack_in_every_way(self) -> None:
        """Hide a whole request, with the attacker's key, and one that would use the next one's.

        In one round an attack whose framing is not beyond doubt is made in one of both ways.
        """
        key = self._keys["attacker"]
        for number, (name, attack) in enumerate([*ATTACKS.items()] * ROUNDS):
            shown, own, stolen = body_of(f"shown{number}"), f"own{number}", f"stolen{number}"
            is_both = ROUNDS > 1 or name.startswith(FRAMED)
            if is_both or number % 2:
                await self.attack(name, own, attack.pieces(shown, whole(own, key), heads(key)))
            if is_both or not number % 2:
                pieces = attack.pieces(shown, prefix(stolen), heads(None))
                await self.attack(name, stolen, pieces)
        await self.ask("all attacks")

    def breaches(self) -> Iterator[str]:
        """Return every answer that went astray and every request that nobody made."""
        calls = Counter(call.path.rpartition("/")[2] for call in self._way.gateway.sandbox.calls)
        for caller in self.callers:
            yield from caller.wrong
            yield from (
                f"{each} ran {calls[each]} times" for each in caller.marks if calls[each] != 1
            )
        for attacker in self.attackers:
            if any(caller.name.encode() in attacker.received for caller in self.callers):
                yield f"{attacker.name}: the attacker got an answer of somebody else"
            if calls[attacker.hidden] > self._allowed(attacker):
                yield f"{attacker.name}: the hidden request ran ({attacker.hidden})"
        yield from (f"{each} ran {calls[each]} times" for each in calls if calls[each] > 1)

    def _allowed(self, attacker: Attacker) -> int:
        """Return how often the hidden request may run.

        A proxy may take it for the next request of the attacker's own, if it answers it as such.
        """
        if attacker.name in PIPELINED:
            is_open = True
        else:
            is_open = not self._way.is_bare and not attacker.name.startswith(FRAMED)
        return int(is_open and f'"{attacker.hidden}"'.encode() in attacker.received)

    async def waiting(self) -> Sequence[str]:
        """Return the attackers that wait in vain.

        The gateway itself ends every connection, in time; through a proxy, which has timers of its
        own, what is whole has to be answered.
        """
        if self._way.is_bare:
            events = {each: each.ended for each in self.attackers}
        else:
            framed = [each for each in self.attackers if each.name.startswith(FRAMED)]
            events = {each: each.answered for each in framed}
        waits = [asyncio.create_task(event.wait()) for event in events.values()]
        await asyncio.wait(waits, timeout=PATIENCE_S)
        for wait in waits:
            wait.cancel()
        return [each.name for each, event in events.items() if not event.is_set()]

    async def end(self) -> None:
        """Close all connections."""
        for caller in self.callers:
            caller.close()
        await asyncio.gather(*(attacker.close() for attacker in self.attackers))


async def test_no_answer_reaches_another_caller(way: Way) -> None:
    """Each caller gets its own answers, no hidden request runs, and no attack waits for ever."""
    contest = Contest(way)
    try:
        await contest.attack_in_every_way()
        waiting = await contest.waiting()
        failures = [*contest.breaches(), *(f"{name}: is left waiting" for name in waiting)]
        assert failures == [], "\n".join(failures)
    finally:
        await contest.end()
