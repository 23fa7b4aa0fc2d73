"""Signing in: once for all waiting calls, early enough, and without storms."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from gateway.errors import Broken, Denied, ProviderError, TimedOut
from gateway.network_failures import Progress
from gateway.providers.base.exchange import Token
from gateway.request_scope import Scope
from gateway.upstream.token_session import DENIED_FOR_S, RENEW_AT, TokenSession

LIFETIME_S = 100.0
ANY = Scope("request-1", 0)


@dataclass
class Issuer:
    """Issues tokens 1, 2, 3 … while open; fails a given number of times."""

    failures: list[ProviderError] = field(default_factory=list)
    sign_ins: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)
    now: float = 1000.0

    async def sign_in(self, _: Scope, __: Progress) -> Token:
        """Respond to one sign-in."""
        self.sign_ins += 1
        number = self.sign_ins
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        return Token(f"Bearer {number}", LIFETIME_S)

    def session(self, timeout_s: float = 5) -> TokenSession:
        """Return a session that signs in here, by its clock."""
        return TokenSession("acme", self.sign_in, timeout_s, lambda: self.now)


@pytest.fixture
def issuer() -> Issuer:
    """Return an issuer that is open."""
    issuer = Issuer()
    issuer.open.set()
    return issuer


async def settled(answer: Awaitable[Token]) -> str:
    """Return the token's value, or the name of the error's class."""
    try:
        return (await answer).authorization
    except ProviderError as error:
        return type(error).__name__


async def until(reached: Callable[[], bool]) -> None:
    """Let the others run until this holds, which must be soon."""
    for _ in range(1000):
        if reached():
            return
        await asyncio.sleep(0)
    raise AssertionError


async def test_all_who_wait_share_one_sign_in(issuer: Issuer) -> None:
    """500 concurrent callers, and later ones while the token is valid, cost one call."""
    session = issuer.session()
    tokens = await asyncio.gather(*(session.token(ANY) for _ in range(500)))
    assert {token.authorization for token in tokens} == {"Bearer 1"}
    assert await session.token(ANY) is tokens[0]
    assert issuer.sign_ins == 1


async def test_a_new_token_is_fetched_while_the_old_one_still_serves(issuer: Issuer) -> None:
    """After 80 % of its life a token is still given out at once, and one renewal runs."""
    session = issuer.session()
    await session.token(ANY)
    issuer.now += LIFETIME_S * RENEW_AT - 0.001
    await session.token(ANY)
    assert issuer.sign_ins == 1

    issuer.open.clear()
    issuer.now += 0.001
    old = [await settled(session.token(ANY)) for _ in range(3)]
    await until(lambda: issuer.sign_ins == 2)
    issuer.open.set()
    assert old == ["Bearer 1"] * 3
    for _ in range(10):
        await asyncio.sleep(0)
    assert await settled(session.token(ANY)) == "Bearer 2"
    assert issuer.sign_ins == 2


async def test_a_failed_renewal_costs_nothing_while_the_old_token_serves(issuer: Issuer) -> None:
    """The old token stays in use; a later call tries the renewal again."""
    session = issuer.session()
    await session.token(ANY)
    issuer.failures = [Denied("acme", "oauth.token", status=401)]
    issuer.now += LIFETIME_S * RENEW_AT
    assert await settled(session.token(ANY)) == "Bearer 1"
    await until(lambda: not issuer.failures)
    assert await settled(session.token(ANY)) == "Bearer 1"
    issuer.now += DENIED_FOR_S
    assert await settled(session.token(ANY)) == "Bearer 1"
    await until(lambda: issuer.sign_ins == 3)
    assert await settled(session.token(ANY)) == "Bearer 3"


async def test_a_token_at_its_end_is_waited_for(issuer: Issuer) -> None:
    """A token is not used in its last second."""
    session = issuer.session()
    await session.token(ANY)
    issuer.now += LIFETIME_S - 1
    assert await settled(session.token(ANY)) == "Bearer 2"


async def test_the_token_that_failed_is_replaced_once(issuer: Issuer) -> None:
    """All calls that were denied get the same new token, late ones included."""
    session = issuer.session()
    old = await session.token(ANY)
    new = await asyncio.gather(*(session.token(ANY, instead_of=old) for _ in range(50)))
    assert {token.authorization for token in new} == {"Bearer 2"}
    assert await settled(session.token(ANY, instead_of=old)) == "Bearer 2"
    assert issuer.sign_ins == 2


async def test_a_refusal_reaches_all_and_stands_for_a_moment(issuer: Issuer) -> None:
    """A burst of calls signs in once; a second later the next call tries again."""
    issuer.failures = [Denied("acme", "oauth.token", status=401)]
    session = issuer.session()
    together = await asyncio.gather(*(settled(session.token(ANY)) for _ in range(20)))
    one_by_one = [await settled(session.token(ANY)) for _ in range(20)]
    assert together + one_by_one == ["Denied"] * 40
    assert issuer.sign_ins == 1
    issuer.now += DENIED_FOR_S
    assert await settled(session.token(ANY)) == "Bearer 2"


async def test_an_outage_is_asked_again_at_once(issuer: Issuer) -> None:
    """What may pass is no refusal: the next one tries."""
    issuer.failures = [Broken("acme", "oauth.token", status=503)]
    session = issuer.session()
    assert await settled(session.token(ANY)) == "Broken"
    assert await settled(session.token(ANY)) == "Bearer 2"


async def test_who_hangs_up_does_not_hang_up_for_the_others(issuer: Issuer) -> None:
    """The call that caused the sign-in is cancelled; the second still gets the token."""
    issuer.open.clear()
    session = issuer.session()
    first, second = (asyncio.create_task(session.token(ANY)) for _ in range(2))
    await until(lambda: issuer.sign_ins == 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    issuer.open.set()
    assert await settled(second) == "Bearer 1"
    assert issuer.sign_ins == 1


async def test_a_sign_in_has_the_providers_time(issuer: Issuer) -> None:
    """A token endpoint that never responds is a timeout of that provider."""
    issuer.open.clear()
    with pytest.raises(TimedOut) as failed:
        await issuer.session(timeout_s=0.01).token(ANY)
    assert (failed.value.provider, failed.value.operation) == ("acme", "sign_in")
