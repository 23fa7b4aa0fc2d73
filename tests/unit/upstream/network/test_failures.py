"""Classes of network failures in the log, equal for both HTTP clients and through a proxy."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.errors import ProviderError, TimedOut, Unreachable
from gateway.network_failures import EXPLANATIONS, NetworkFailure
from gateway.observability.confidential import Foreign
from gateway.observability.logs import Redactor
from gateway.observability.settings import LogSettings
from gateway.providers.base.settings import AccountSettings
from gateway.request_scope import Scope
from gateway.upstream.client import UpstreamClient
from gateway.upstream.http.aiohttp_transport import PooledTransport
from gateway.upstream.http.http1_pool import Http1Transport
from tests.unit.upstream.misbehaving import Act, Script, ok, serving
from tests.unit.upstream.network.certificates import certificate, showing
from tests.unit.upstream.network.proxies import proxy
from tests.unit.upstream.network.servers import deaf_to_tls, listening, silent
from tests.unit.upstream.upstreams import (
    CLIENT_SECRET,
    TOKEN,
    open_account,
    signing_account,
    things,
)

DOCUMENT = Path(__file__).resolve().parents[4] / "docs" / "unreachable.md"
WAYS = ("http1", "pool", "proxied")
DIRECT = ("http1", "pool")
SOON_S = 0.3
"""What an account may take in tests where that time runs out."""

LATE_S = (SOON_S, 2, 8)
"""The same where a connection must be there before: a busy machine may need more."""

LONG_S = 20
"""And where it must not."""


@contextlib.asynccontextmanager
async def opened(way: str, trust: ssl.SSLContext) -> AsyncIterator[httpx.AsyncBaseTransport]:
    """Open one of the transports."""
    async with contextlib.AsyncExitStack() as stack:
        if way == "proxied":
            between = await stack.enter_async_context(proxy())
            yield PooledTransport(trust, between.url)
        else:
            yield Http1Transport(trust) if way == "http1" else PooledTransport(trust)


async def failed(
    upstream: UpstreamClient, method: str = "GET"
) -> tuple[ProviderError, dict[str, Any]]:
    """Make a call that fails; return its error, and the line of the log as it would be written."""
    scope = Scope("request-1", asyncio.get_running_loop().time() + LONG_S)
    try:
        with capture_logs() as lines, pytest.raises(ProviderError) as raised:
            await upstream.send(things(method=method), scope)
    finally:
        await upstream.close()
    (line,) = (each for each in lines if each["event"] == "provider call failed")
    return raised.value, dict(line)


async def failed_after(
    times_s: Sequence[float], way: str, script: Script, account: Callable[..., UpstreamClient]
) -> tuple[ProviderError, dict[str, Any]]:
    """Make a call that fails once it is connected, which may need the next of these times."""
    for timeout_s in times_s:
        async with serving(script) as server, opened(way, trusting()) as transport:
            failure = await failed(
                account(transport, base_url=server.url, timeout_s=timeout_s), "POST"
            )
        if failure[0].reason is not NetworkFailure.CONNECT_TIMEOUT:
            break
    return failure


def check(
    error: ProviderError, line: dict[str, Any], reason: NetworkFailure, *, was_sent: bool
) -> None:
    """Check that clients learn nothing about the network, and the log has the class."""
    is_late = reason in {NetworkFailure.CONNECT_TIMEOUT, NetworkFailure.ANSWER_TIMEOUT}
    # A connection that the operating system gives up is late as well, and can be tried again.
    kind = type(error)
    assert kind is (TimedOut if is_late else Unreachable)
    assert str(error) == str(kind("acme", ""))
    assert (error.reason, error.was_sent) == (reason, was_sent)
    assert isinstance(line["detail"], Foreign)
    shown = Redactor(LogSettings())(None, "warning", dict(line))
    assert shown == {
        "event": "provider call failed",
        "request_id": "request-1",
        "provider": "acme",
        "operation": "things.list",
        "method": line["method"],
        "error": kind.__name__,
        "reason": reason.value,
        "log_level": "warning",
    }
    written = json.dumps({**line, "detail": line["detail"].text}) + repr(error.__dict__)
    for secret in (TOKEN, CLIENT_SECRET, "secret-4714", "secret-4715"):
        assert secret not in written


def trusting(*files: Path) -> ssl.SSLContext:
    """Return a context that trusts only these certificates.

    `ssl.create_default_context` would load the system's as well, at 20 ms of CPU or more.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for file in files:
        context.load_verify_locations(file)
    return context


@pytest.fixture
def closed() -> Iterator[int]:
    """Return a port on which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("way", DIRECT)
async def test_a_closed_port(way: str, scheme: str, closed: int) -> None:
    """Nothing listens there, at any address of the name."""
    for host in ("127.0.0.1", "localhost"):
        async with opened(way, trusting()) as transport:
            account = open_account(transport, base_url=f"{scheme}://{host}:{closed}")
            check(*await failed(account), NetworkFailure.CONNECTION_REFUSED, was_sent=False)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".test"])
@pytest.mark.parametrize("way", DIRECT)
async def test_an_unknown_name(way: str, host: str) -> None:
    """A name that does not exist, or that cannot be one."""
    async with opened(way, trusting()) as transport:
        account = open_account(transport, base_url=f"https://{host}", timeout_s=LONG_S)
        check(*await failed(account), NetworkFailure.NAME_NOT_RESOLVED, was_sent=False)


CERTIFICATES: dict[str, tuple[dict[str, Any], bool, NetworkFailure]] = {
    "expired": ({"begins": -9, "ends": -1}, True, NetworkFailure.CERTIFICATE_EXPIRED),
    "early": ({"begins": 1, "ends": 9}, True, NetworkFailure.CERTIFICATE_NOT_YET_VALID),
    "self-signed": ({}, False, NetworkFailure.CERTIFICATE_UNTRUSTED),
    "another host": ({"host": "other.test"}, True, NetworkFailure.CERTIFICATE_WRONG_HOST),
}


@pytest.mark.parametrize("name", CERTIFICATES)
@pytest.mark.parametrize("way", WAYS)
async def test_certificates(way: str, name: str, tmp_path: Path) -> None:
    """The server shows one that cannot be accepted: nothing is sent."""
    parts, is_trusted, reason = CERTIFICATES[name]
    shown = certificate(tmp_path, **parts)
    trust = trusting(shown) if is_trusted else trusting()
    async with showing(shown) as port, opened(way, trust) as transport:
        account = open_account(transport, base_url=f"https://localhost:{port}", timeout_s=LONG_S)
        check(*await failed(account), reason, was_sent=False)


@pytest.mark.parametrize("way", DIRECT)
async def test_a_certificate_for_another_address(way: str, tmp_path: Path) -> None:
    """The host of base_url is an IP address, which the certificate does not name."""
    shown = certificate(tmp_path)
    async with showing(shown) as port, opened(way, trusting(shown)) as transport:
        account = open_account(transport, base_url=f"https://127.0.0.1:{port}", timeout_s=LONG_S)
        check(*await failed(account), NetworkFailure.CERTIFICATE_WRONG_HOST, was_sent=False)


@pytest.mark.parametrize("way", WAYS)
async def test_a_port_that_speaks_no_tls(way: str) -> None:
    """It answers the handshake in the clear."""
    async with listening(deaf_to_tls) as port, opened(way, trusting()) as transport:
        account = open_account(transport, base_url=f"https://localhost:{port}", timeout_s=LONG_S)
        check(*await failed(account), NetworkFailure.TLS_FAILED, was_sent=False)


ANSWERS: dict[str, tuple[Script, NetworkFailure]] = {
    "none": ([Act.HANG], NetworkFailure.ANSWER_TIMEOUT),
    "half, then silence": ([ok()[:-2], Act.HANG], NetworkFailure.ANSWER_TIMEOUT),
    "a close": ([Act.CLOSE], NetworkFailure.CONNECTION_LOST),
    "half, then a close": ([ok()[:-2], Act.CLOSE], NetworkFailure.CONNECTION_LOST),
    "a reset": ([Act.RESET], NetworkFailure.CONNECTION_LOST),
    "another protocol": ([b"SSH-2.0-OpenSSH_9.6\r\n", Act.HANG], NetworkFailure.NOT_HTTP),
    "an alert of TLS": ([b"\x15\x03\x01\x00\x02\x02\x46", Act.CLOSE], NetworkFailure.NOT_HTTP),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("way", DIRECT)
async def test_answers_that_do_not_come(way: str, name: str) -> None:
    """The provider may have acted on the call."""
    script, reason = ANSWERS[name]
    times_s = LATE_S if reason is NetworkFailure.ANSWER_TIMEOUT else (LONG_S,)
    check(*await failed_after(times_s, way, script, open_account), reason, was_sent=True)


@pytest.mark.parametrize("sign_in", [False, True], ids=["call", "sign-in"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_handshake_that_does_not_end(way: str, *, sign_in: bool) -> None:
    """The port is open, and nothing comes: also where the sign-in meets it first."""
    async with listening(silent) as port, opened(way, trusting()) as transport:
        account = (signing_account if sign_in else open_account)(
            transport, base_url=f"https://localhost:{port}", timeout_s=SOON_S
        )
        check(*await failed(account, "POST"), NetworkFailure.CONNECT_TIMEOUT, was_sent=False)


@pytest.mark.parametrize("way", DIRECT)
async def test_a_connection_that_does_not_come_about(way: str) -> None:
    """As behind a firewall that drops packets."""
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            each = waiting.enter_context(socket.socket())
            each.settimeout(0)
            each.connect_ex(full.getsockname())
        async with opened(way, trusting()) as transport:
            url = f"http://127.0.0.1:{full.getsockname()[1]}"
            account = open_account(transport, base_url=url, timeout_s=SOON_S)
            check(*await failed(account, "POST"), NetworkFailure.CONNECT_TIMEOUT, was_sent=False)


@pytest.mark.parametrize("way", DIRECT)
async def test_a_sign_in_that_does_not_answer(way: str) -> None:
    """The connection is established; the response is late."""
    failure = await failed_after(LATE_S, way, [Act.HANG], signing_account)
    check(*failure, NetworkFailure.ANSWER_TIMEOUT, was_sent=False)


PROXIES = {
    403: NetworkFailure.PROXY_REFUSED,
    407: NetworkFailure.PROXY_CREDENTIALS,
    502: NetworkFailure.PROXY_REFUSED,
}


@pytest.mark.parametrize("status", PROXIES)
async def test_a_proxy_that_refuses(status: int) -> None:
    """The proxy is asked only for a tunnel; nothing is sent to the provider."""
    async with proxy(status) as between:
        transport = PooledTransport(trusting(), between.url)
        account = open_account(transport, base_url="https://upstream.test", timeout_s=LONG_S)
        check(*await failed(account), PROXIES[status], was_sent=False)
        assert between.requests == ["CONNECT upstream.test:443 HTTP/1.1"]


async def test_a_proxy_that_wants_credentials_for_plain_http() -> None:
    """Without a tunnel its refusal looks like a response of the provider, but is not."""
    async with proxy(407) as between:
        transport = PooledTransport(trusting(), between.url)
        account = open_account(transport, base_url="http://upstream.test", timeout_s=LONG_S)
        check(*await failed(account), NetworkFailure.PROXY_CREDENTIALS, was_sent=False)


async def test_a_proxy_that_does_not_answer() -> None:
    """The tunnel is not established in time."""
    async with proxy(None) as between:
        transport = PooledTransport(trusting(), between.url)
        account = open_account(transport, base_url="https://upstream.test", timeout_s=SOON_S)
        check(*await failed(account, "POST"), NetworkFailure.CONNECT_TIMEOUT, was_sent=False)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
async def test_a_proxy_that_is_not_there(host: str, scheme: str, closed: int) -> None:
    """Its port is closed, or its name unknown: no fault of the provider's address."""
    transport = PooledTransport(trusting(), f"http://user:secret-4715@{host}:{closed}")
    url = f"{scheme}://upstream.test"
    account = open_account(transport, base_url=url, timeout_s=LONG_S)
    check(*await failed(account), NetworkFailure.PROXY_UNREACHABLE, was_sent=False)


def test_every_failure_is_explained() -> None:
    """For `gateway check`: what happened, and what to do, each a sentence or two."""
    assert set(EXPLANATIONS) == set(NetworkFailure)
    for what, advice in EXPLANATIONS.values():
        for text in (what, advice):
            assert text[0].isupper()
            assert text.endswith(".")


def test_settings_that_are_named_exist() -> None:
    """Every setting that an explanation names is a setting of a provider."""
    text = " ".join(word for each in EXPLANATIONS.values() for word in each)
    for name in ("base_url", "timeout_s", "proxy"):
        assert name in text
        assert name in AccountSettings.model_fields


def test_every_failure_is_documented() -> None:
    """docs/unreachable.md has the table to the letter."""
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = [
        f"| `{reason.value}` | {what} | {advice} |"
        for reason, (what, advice) in EXPLANATIONS.items()
    ]
    assert "|---|---|---|\n{}\n\n".format("\n".join(rows)) in text
