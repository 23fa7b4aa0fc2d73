"""Faults that the sandbox has on request: so that a client's own error states can be seen.

`PUT /faults` takes a JSON list of faults, which replace those there are; `GET /faults` lists them,
`DELETE /faults` heals everything. `gateway sandbox --fault` takes one as text (`read`).
"""

import math
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.sandbox.disturbances import disturbed

Kind = Literal[
    "none",
    "error",
    "limit",
    "reset",
    "hang",
    "drip",
    "garbage",
    "html",
    "truncated",
    "deep",
    "bomb",
    "wrong_token",
    "short_pages",
]
KINDS: tuple[str, ...] = get_args(Kind)
"""For the command line."""
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
P99 = 2.326
"""Standard deviations from the middle of a normal distribution to its 99th percentile."""


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """A fault of one provider.

    - `none`: only the latency
    - `error`: responds with `status`
    - `limit`: 429 with Retry-After (`retry_after_s`), at Voucherify also with its own headers
    - `reset`: the connection breaks
    - `hang`: never responds
    - `drip`: the normal response, a byte every `every_s`
    - `garbage`: bytes that are not JSON
    - `html`: a proxy's error page with status 200
    - `truncated`: half of the normal response
    - `deep`: JSON nested 100,000 levels
    - `bomb`: a gigabyte of zeros, compressed
    - `wrong_token`: signing in succeeds, but the token is rejected
    - `short_pages`: pages have up to `most_rows` rows, whatever size is requested
    """

    provider: str
    kind: Kind = "none"
    path: str = ""
    """Only paths with this prefix, below the provider's base URL."""
    share: Annotated[float, Meta(ge=0, le=1)] = 1
    """The fraction of calls that are affected, 0 to 1."""
    latency_ms: Annotated[float, Meta(ge=0, le=600_000)] = 0
    """The median of the added latency, which is log-normal."""
    latency_p99_ms: Annotated[float, Meta(ge=0, le=600_000)] = 0
    """Its 99th percentile; 0: every call takes `latency_ms`."""
    status: Annotated[int, Meta(ge=200, le=599)] = 503
    retry_after_s: Annotated[int, Meta(ge=0, le=86_400)] | None = None
    every_s: Seconds = 0.1
    most_rows: Annotated[int, Meta(ge=1, le=100_000)] = 100
    down_s: Seconds = 0
    up_s: Seconds = 0
    """Flapping: active for `down_s`, then inactive for `up_s`. Both 0: always active."""


def read(text: str) -> Fault:
    """Read `PROVIDER:KIND` or `PROVIDER:KIND:name=value,name=value`. Raises ValueError."""
    provider, _, remainder = text.partition(":")
    kind, _, parts = remainder.partition(":")
    kind = kind or "none"
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is not one of the kinds: {', '.join(KINDS)}")
    fields = {"provider": provider, "kind": kind}
    for part in filter(None, parts.split(",")):
        name, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"{part!r} is not name=value")
        fields[name.strip()] = value.strip()
    try:
        # Strict only in names and bounds: on the command line every value is a text.
        return msgspec.convert(fields, Fault, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"{text!r}: {error}") from error


_decoder = msgspec.json.Decoder(list[Fault])


@dataclass(slots=True)
class Faults:
    """The current faults, and when they were set."""

    providers: Collection[str] = ()
    """The kinds that can have faults."""
    clock: Callable[[], float] = time.monotonic
    chance: random.Random = field(default_factory=random.Random)
    current: Sequence[Fault] = ()
    _since: float = 0.0

    def replace(self, faults: Sequence[Fault]) -> None:
        """Replace all faults with these. Raises ValueError for an unknown provider."""
        for fault in faults:
            if fault.provider not in self.providers:
                known = ", ".join(self.providers)
                raise ValueError(f"{fault.provider!r} is not one of the providers: {known}")
        self.current = tuple(faults)
        self._since = self.clock()

    def replace_json(self, body: bytes) -> None:
        """Replace all faults with those of a JSON list. ValueError says what is wrong with it."""
        self.replace(_decoder.decode(body))

    async def run(
        self, kind: str, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Run a provider's server for a call, with the faults that apply to it."""
        path = scope["raw_path"].decode("ascii")
        for fault in self.current:
            if fault.provider == kind and path.startswith(fault.path) and self._hits(fault):
                app = disturbed(fault.kind, fault, app, self._delay_s(fault))
        await app(scope, receive, send)

    def _hits(self, fault: Fault) -> bool:
        cycle_s = fault.down_s + fault.up_s
        if cycle_s and (self.clock() - self._since) % cycle_s >= fault.down_s:
            return False
        return self.chance.random() < fault.share

    def _delay_s(self, fault: Fault) -> float:
        if fault.latency_p99_ms <= fault.latency_ms or not fault.latency_ms:
            return fault.latency_ms / 1000
        spread = math.log(fault.latency_p99_ms / fault.latency_ms) / P99
        return self.chance.lognormvariate(math.log(fault.latency_ms), spread) / 1000
