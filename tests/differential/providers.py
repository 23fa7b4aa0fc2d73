"""The four providers behind a memory of their answers, with faults that follow from the call.

An operation meets the same answers and the same faults however it is run, and every call that it
causes is counted.
"""

import asyncio
import math
import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from random import Random
from typing import Any, TypeVar
from zlib import crc32

import msgspec
from graphql import GraphQLNamedType

from gateway.asgi import connect
from gateway.context import Provider, Scope
from gateway.errors import Denied, GatewayError, TimedOut, Unreachable, settled
from gateway.providers.base.exchange import ReadPlan, Reply
from gateway.providers.base.store_lookup import Recall
from gateway.sandbox.people import person
from gateway.upstream.health import Health
from tests.four_kinds import four_settings

T = TypeVar("T")

WORDS = re.compile(r"[\w.%-]+")


class Remembered(Provider):
    """A provider that counts its calls, and whose replies may fail."""

    def __init__(self, real: Provider) -> None:
        """Stand in for a provider."""
        self.__dict__.update(real.__dict__)
        self._replies: dict[Any, Reply] = {}
        self.calls: Counter[Any] = Counter()
        self.faults = 0
        """Of 100 calls, how many fail."""
        self.seed = 0
        self.reliable: Container[Any] = ()
        """Calls that do not fail."""
        self.slow = False
        """Replies arrive in another order than the calls."""

    @property
    def health(self) -> Health:
        """That of one that was never called."""
        return Health()

    async def read(self, exchange: ReadPlan[T], scope: Scope) -> T:
        """Answer from memory."""
        if isinstance(exchange, Recall):
            self.calls[exchange.lookup] += 1
            return await super().read(exchange, scope)
        call = exchange.call
        key = (call.method, call.path, call.query, call.body)
        # Keys that are read together may stand in any order.
        identity = (call.method, call.path, *sorted(WORDS.findall(repr((call.query, call.body)))))
        self.calls[identity] += 1
        mixed = crc32(repr((self.key, identity, self.seed)).encode())
        for _ in range(mixed % 7 if self.slow else 0):
            await asyncio.sleep(0)
        if key not in self._replies:
            raw = msgspec.structs.replace(exchange, read=lambda reply: reply)
            self._replies[key] = await super().send(raw, Scope("test", math.inf))  # type: ignore[arg-type]  # it reads a reply
        reply = self._replies[key]
        if mixed // 7 % 100 < self.faults and identity not in self.reliable:
            return exchange.read(self._failed(exchange.operation, reply, mixed // 700 % 6))
        return exchange.read(reply)

    async def read_all(
        self, plans: Sequence[ReadPlan[T]], scope: Scope
    ) -> Sequence[T | GatewayError]:
        """Answer all from memory, each for itself."""
        return await asyncio.gather(*(settled(self.read(each, scope)) for each in plans))

    def _failed(self, operation: str, reply: Reply, kind: int) -> Reply:
        if kind == 0:
            raise Unreachable(self.key, operation)
        if kind == 1:
            raise TimedOut(self.key, operation)
        if kind == 2:
            raise Denied(self.key, operation, status=401)
        if kind == 3:
            return Reply(429, {"retry-after": "3"}, b"")
        if kind == 4:
            return Reply(503, {}, b"down")
        return Reply(200, reply.headers, reply.body[: len(reply.body) // 2])


async def remembered() -> Mapping[str, Remembered]:
    """Return all four, by key."""
    return {each.key: Remembered(each) for each in await connect(four_settings())}


class Known:
    """What the providers hold, for arguments that hit something."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """Take the answer to `KNOWN`."""
        lists = [data[name]["edges"] for name in ("segments", "customers")]
        self.cursors = [edge["cursor"] for edges in lists for edge in edges][:6]
        self.nodes = [edge["node"]["id"] for edges in lists for edge in edges]
        for edge in lists[1]:
            links = edge["node"]["assignments"]["nodes"]
            self.nodes += [link["id"] for link in links]
        self.keys = [
            identity["externalId"] for edge in lists[1] for identity in edge["node"]["identities"]
        ]
        self.nodes += [each["id"] for each in data["providers"]]
        self.keys += [edge["node"]["externalId"] for edge in lists[0]]
        self.keys += ["p1012", "cat-garden"]  # items of Emporix

    def choose(self, random: Random, name: str, kind: GraphQLNamedType) -> Any:
        """Choose a value that mostly means something."""
        if kind.name == "ID":
            return random.choice([*self.nodes, "bad"])
        if kind.name == "Int":
            return random.choice([1, 2, 3, 3, 7, 50, 250, 0, 251])
        if kind.name == "Boolean":
            return random.choice([True, False])
        if kind.name == "DateTime":
            return random.choice(["2024-06-01T00:00:00Z", "2026-01-31T10:00:00+02:00"])
        known = {
            "after": self.cursors,
            "provider": ["stuut", "voucherify", "instaleap", "emporix", "none"],
            "externalId": self.keys,
            "language": ["en", "de", "de-AT", "zz"],
            "nameContains": ["e", "gold", "ana", "Hiro L", "?"],
            "phone": [person(n).phone for n in range(3)],
            "email": [person(n).email for n in range(3)],
            "rule": ["crm", "email"],
            "siteCode": ["main", "other"],
        }
        known["key"] = known["keys"] = known["providers"] = known["provider"]
        return random.choice(known.get(name, ["x"]))


KNOWN = """{
  providers { id }
  segments(first: 60) { edges { cursor node { id externalId } } }
  customers(first: 30) { edges { cursor node {
    id identities { externalId } assignments(first: 1) { nodes { id } }
  } } }
}"""
