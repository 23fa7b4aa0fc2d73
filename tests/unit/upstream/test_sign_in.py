"""Accounts that sign in: how often they do, and that nothing of it is ever shown."""

import asyncio
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.errors import Denied, GatewayError
from gateway.observability.confidential import Foreign
from gateway.request_scope import Scope
from tests.unit.upstream.upstreams import (
    CLIENT_SECRET,
    SECRETS,
    SigningIssuer,
    open_account,
    signing_account,
    things,
)


def scope() -> Scope:
    """Return the scope of a request with time enough."""
    return Scope("request-1", asyncio.get_running_loop().time() + 60)


async def outcomes(count: int, issuer: SigningIssuer) -> tuple[list[Any], Scope]:
    """Send this many concurrent calls; return the result of each, and their scope."""
    upstream, within = signing_account(issuer), scope()
    async with asyncio.timeout(10):
        got = await asyncio.gather(
            *(upstream.send(things(), within) for _ in range(count)), return_exceptions=True
        )
    return got, within


async def test_500_calls_at_once_sign_in_once() -> None:
    """One sign-in serves them all; the credentials go to the token endpoint alone."""
    issuer = SigningIssuer()
    got, within = await outcomes(500, issuer)
    assert got == ["well"] * 500
    assert issuer.heard == ["sign in"] + ["1"] * 500
    assert len(within.calls) == 501


async def test_a_refused_sign_in_refuses_all_and_is_made_once() -> None:
    """500 calls that wait for one refused sign-in are all denied; not one of them is sent."""
    issuer = SigningIssuer(status=401)
    got, _ = await outcomes(500, issuer)
    assert {type(each) for each in got} == {Denied}
    assert issuer.heard == ["sign in"]


async def test_a_token_that_ended_early_is_renewed_once_and_the_call_made_again() -> None:
    """After a 401 the account signs in again and repeats the call once."""
    issuer = SigningIssuer()
    upstream = signing_account(issuer)
    assert await upstream.send(things(), scope()) == "well"
    issuer.token += 1  # somebody else signed in: ours is no longer let in
    assert await upstream.send(things(), scope()) == "well"
    assert issuer.heard == ["sign in", "1", "1", "sign in", "3"]


async def test_all_calls_that_see_the_token_end_share_its_renewal() -> None:
    """20 at once: 20 times 401, one sign-in, 20 times again."""
    issuer = SigningIssuer()
    upstream = signing_account(issuer, max_concurrency=20)
    await upstream.send(things(), scope())
    issuer.token += 1
    issuer.heard.clear()
    async with asyncio.timeout(10):
        got = await asyncio.gather(*(upstream.send(things(), scope()) for _ in range(20)))
    assert got == ["well"] * 20
    assert issuer.heard == ["1"] * 20 + ["sign in"] + ["3"] * 20


async def test_a_second_401_is_the_answer() -> None:
    """A new token that is not let in either: denied, after exactly two calls and two sign-ins."""
    issuer = SigningIssuer(revoked=True)
    with pytest.raises(Denied) as refused:
        await signing_account(issuer).send(things(), scope())
    assert refused.value.status == 401
    assert issuer.heard == ["sign in", "1", "sign in", "2"]


async def test_a_lacking_right_is_no_reason_to_sign_in_again() -> None:
    """403 is the result of the first attempt."""
    issuer = SigningIssuer()

    async def answers(request: httpx.Request) -> httpx.Response:
        answer = await issuer(request)
        return answer if "oauth" in request.url.path else httpx.Response(403)

    with pytest.raises(Denied) as refused:
        await signing_account(answers).send(things(), scope())
    assert refused.value.status == 403
    assert issuer.heard == ["sign in", "1"]


async def test_who_hangs_up_while_signing_in_does_not_hang_up_for_the_others() -> None:
    """The sign-in that the first caller began is finished for the second."""
    issuer = SigningIssuer()
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def answers(request: httpx.Request) -> httpx.Response:
        if "oauth" in request.url.path:
            arrived.set()
            await go_on.wait()
        return await issuer(request)

    upstream = signing_account(answers)
    first, second = (asyncio.create_task(upstream.send(things(), scope())) for _ in range(2))
    await arrived.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    go_on.set()
    assert await second == "well"
    assert issuer.heard == ["sign in", "1"]


def traceback_of(error: BaseException) -> str:
    """Return all that an error can show: itself, its parts, its causes, the stack."""
    parts = [repr(error), str(error), "".join(traceback.format_exception(error))]
    if isinstance(error, GatewayError):
        parts += [f"{name}={value!r}" for name, value in vars(error).items() if name != "detail"]
    return "\n".join(parts)


def whole(lines: Sequence[Mapping[str, object]]) -> str:
    """Return log lines as they are where the log may show everything."""
    values = [value for line in lines for value in line.values()]
    return repr([value.text if isinstance(value, Foreign) else value for value in values])


@pytest.mark.parametrize(
    "issuer",
    [SigningIssuer(status=401), SigningIssuer(status=500), SigningIssuer(revoked=True)],
    ids=["refused sign-in", "broken sign-in", "refused token"],
)
async def test_no_secret_is_shown_though_the_provider_repeats_it(issuer: SigningIssuer) -> None:
    """Not in a repr, a log line, an error or the list of calls, even if the reply contains it."""
    upstream = signing_account(issuer)
    within = scope()
    with capture_logs() as lines, pytest.raises(GatewayError) as failed:
        await upstream.send(things(), within)
    shown = "\n".join([repr(upstream), repr(within), whole(lines), traceback_of(failed.value)])
    assert [secret for secret in SECRETS if secret in shown] == []


async def test_a_token_shown_with_every_call_is_not_shown_to_the_log() -> None:
    """The same for an account that does not sign in."""

    async def answers(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/lost"):
            raise httpx.ReadError(f"lost: {request.headers['authorization']}")
        return httpx.Response(400, text=f"no: {request.headers['authorization']}")

    upstream = open_account(answers)
    for path in ("/lost", "/refused"):
        with capture_logs() as lines, pytest.raises(GatewayError):
            await upstream.send(things(path), scope())
        assert len(lines) == 1
        assert [secret for secret in SECRETS if secret in whole(lines)] == []


def test_the_secret_of_these_tests_is_one_that_would_show() -> None:
    """A issuer repeats what it was sent: the tests above are about something."""
    issuer = SigningIssuer(status=401)
    request = httpx.Request("POST", "https://x.test/oauth/token", content=CLIENT_SECRET.encode())
    answer = asyncio.run(issuer(request))
    assert CLIENT_SECRET in answer.text
