"""Start servers side by side, compare their responses, and measure them in interleaved rounds."""

import json
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx

from bench.contestants import INSTALLED, UPSTREAM, Contestant
from bench.load import CannotAnswerError, Point, Upstream, ask, leaves, press, ready
from bench.processes import Server
from bench.tables import OURS
from bench.workloads import GATEWAY, Workload

SERVER_CORE = "0"
MIN_REQUESTS = 100
"""Requests that a measurement should have; it takes up to three times as long for them."""
COMPARED = 5
"""How many of a workload's requests are compared, spread over its sequence."""

STEPS = (
    r"/oauth/token$",
    r"/customer-segment/\w+/segments(\?|$)|/v1/segments",
    r"/customer-segment/\w+/segments/\w+/customers",
    r"/customer/",
)
"""The calls of a request, in steps that need each other's results. Signing in is the first."""


class Mode(NamedTuple):
    """How requests are sent."""

    in_flight: int
    traced: bool = False
    """Each has a `traceparent` of its own, as behind a proxy."""

    def __str__(self) -> str:
        """Return it as a heading."""
        heads = ", heads that differ" * self.traced
        return f"{self.in_flight} request{'s' * (self.in_flight > 1)} in flight{heads}"


Results = dict[str, dict[str, list[Point]]]
"""The points of each server, round by round, by workload and server."""


class Field:
    """Everything that runs: the servers, their workloads, the responses."""

    def __init__(self, client: httpx.AsyncClient, stack: AsyncExitStack) -> None:
        """Start without servers."""
        self.upstream = Upstream(client)
        self.running: dict[str, tuple[Contestant, Server]] = {}
        self.answers: dict[tuple[str, str], Sequence[bytes]] = {}
        """By server and workload; only servers whose responses have the right values."""
        self.at_rest: dict[str, dict[str, float]] = {}
        """The calls of one request alone, by workload and server."""
        self._per_s: dict[tuple[str, str], float] = {}
        """The requests per second of the last measurement, by server and workload."""
        self._client = client
        self._stack = stack

    async def enter(self, contestant: Contestant, workloads: Sequence[Workload]) -> None:
        """Start a server; a workload whose response differs is reported and skipped."""
        able = [each for each in workloads if each.name not in contestant.cannot]
        if not able:
            return
        log = INSTALLED / f"{contestant.name.replace(' ', '-')}.log"
        server = Server.start(
            contestant.name,
            contestant.command,
            {"UPSTREAM": UPSTREAM, **contestant.environment},
            cores=SERVER_CORE,
            log=log,
            cwd=contestant.cwd,
        )
        self._stack.callback(server.stop)
        await ready(self._client, server, contestant.url, able[0].body(contestant.schema))
        self.running[contestant.name] = contestant, server
        for workload in able:
            await self._compare(contestant, workload)

    async def _compare(self, contestant: Contestant, workload: Workload) -> None:
        bodies = workload.bodies(contestant.schema)
        bodies = bodies[:: max(len(bodies) // COMPARED, 1)]
        answers, calls = [], []
        try:
            for body in bodies:
                await ask(self._client, contestant.url, body)
                await self.upstream.reset()
                answers.append(await ask(self._client, contestant.url, body))
                calls.append(await self.upstream.calls())
        except (CannotAnswerError, httpx.HTTPError) as error:
            print(f"{contestant.name}, {workload.name}: not measured, {error}")
            return
        for answer, ours in zip(
            answers, self.answers.get((OURS, workload.name), answers), strict=True
        ):
            if leaves(answer) != leaves(ours):
                more, less = leaves(answer) - leaves(ours), leaves(ours) - leaves(answer)
                responses = f"has {list(more)[:3]}, lacks {list(less)[:3]}"
                print(f"{contestant.name}, {workload.name}: not measured, its answer {responses}")
                return
        self.at_rest.setdefault(workload.name, {})[contestant.name] = statistics.mean(calls)
        self.answers[contestant.name, workload.name] = answers

    async def prepare(self, workloads: Sequence[Workload]) -> Path:
        """Write this gateway's responses and calls to a file, for the lower bounds to use."""
        contestant, _ = self.running[OURS]
        prepared: dict[str, tuple[str, Sequence[Sequence[str]]]] = {}
        for workload in workloads:
            if (OURS, workload.name) not in self.answers:
                continue
            for body in workload.bodies(GATEWAY):
                await self.upstream.reset()
                answer = await ask(self._client, contestant.url, body)
                steps = _steps(await self.upstream.targets())
                prepared[body.decode()] = answer.decode(), steps
        path = INSTALLED / "prepared.json"
        path.write_text(json.dumps(prepared))
        return path

    def comparable(self, workloads: Sequence[Workload]) -> Mapping[str, str]:
        """Return the names of the workloads that each server is measured with."""
        return {
            name: " ".join(each.name for each in workloads if (name, each.name) in self.answers)
            for name in self.running
        }

    async def rounds(
        self,
        workloads: Sequence[Workload],
        modes: Sequence[Mode],
        count: int,
        seconds: float,
        *,
        warm: bool,
    ) -> Mapping[Mode, Results]:
        """Measure all servers with one workload, then with the next; then all of it again."""
        results: dict[Mode, Results] = {
            mode: {workload.name: {} for workload in workloads} for mode in modes
        }
        for number in range(-warm, count):
            clock = datetime.now(UTC).strftime("%H:%M:%S")
            print(f"{clock} round {number + 1} of {count}", file=sys.stderr)
            # The first round only warms up, which one mode does for all.
            for mode in modes if number >= 0 else modes[:1]:
                for workload in workloads:
                    await self._measure(workload, mode, results[mode][workload.name], seconds)
            if number < 0:
                for each in results[modes[0]].values():
                    each.clear()
        return results

    async def _measure(
        self, workload: Workload, mode: Mode, points: dict[str, list[Point]], seconds: float
    ) -> None:
        for name, (contestant, server) in self.running.items():
            if (name, workload.name) not in self.answers:
                continue
            per_s = self._per_s.get((name, workload.name), MIN_REQUESTS)
            length = min(max(seconds, MIN_REQUESTS / max(per_s, 1)), 3 * seconds)
            point = await press(
                contestant,
                server,
                workload.bodies(contestant.schema),
                self.upstream,
                seconds=length,
                connections=mode.in_flight,
                traced=mode.traced,
            )
            self._per_s[name, workload.name] = point.per_s
            points.setdefault(name, []).append(point)


def _steps(targets: Sequence[str]) -> Sequence[Sequence[str]]:
    """Group calls by the step that they belong to."""
    steps: list[list[str]] = [[] for _ in STEPS]
    for target in targets:
        number = next(i for i, pattern in enumerate(STEPS) if re.match(pattern, target))
        steps[number].append(target)
    return [step for step in steps[1:] if step]
