"""Other settings while the gateway serves: keys, limits, providers, and a file that is bad."""

import asyncio
import gc
import json
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.auth.api_keys import make
from gateway.auth.settings import AuthSettings, KeySettings
from gateway.errors import Problem, SettingsError
from gateway.http.running_gateway import Gateway
from gateway.settings.tables import Settings
from tests.e2e.serving import Providers, only_read
from tests.e2e.subscribing import CHANGED, shop
from tests.security.served import PATIENCE_S, Line, Server, post, really_serving, settings_of
from tests.security.sockets import ACK, INIT, READ, opened, subscribe
from tests.sizes import size

FIRST, FIRST_HASH = make()
OTHER, OTHER_HASH = make()
KEYS = b'{"query":"{ providers { key displayName } }"}'
ALL = [{"key": each, "displayName": each.title()} for each in ("stuut", "voucherify", "emporix")]


def key(name: str, digest: str, *scopes: str) -> KeySettings:
    """Return the settings of a key."""
    return KeySettings.model_validate(
        {"name": name, "hash": digest, "scopes": scopes or ("admin",)}
    )


BOTH = (key("first", FIRST_HASH), key("other", OTHER_HASH))


def keyed(settings: Settings, *keys: KeySettings) -> Settings:
    """Return settings with these keys."""
    return settings.model_copy(update={"auth": AuthSettings(keys=keys)})


def bearer(credential: str) -> bytes:
    """Return the header of a caller with this key."""
    return b"authorization: Bearer " + credential.encode()


async def ask(line: Line, *headers: bytes, body: bytes = KEYS) -> tuple[int, Any]:
    """Send a query; return the status, and the data or the codes of the errors."""
    await line.write(post(body, *headers))
    answer = await line.answer()
    errors = answer.json.get("errors")
    if errors:
        return answer.status, [each["extensions"]["code"] for each in errors]
    return answer.status, answer.json["data"]


def without(settings: Settings, kind: str, **changed: Any) -> Settings:
    """Return settings without a provider, or with parts of it changed."""
    rest = [each for each in settings.providers if each.key != kind or changed]
    accounts = [each.model_copy(update=changed) if each.key == kind else each for each in rest]
    return settings.model_copy(update={"providers": tuple(accounts)})


async def test_a_revoked_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It ends on open connections, sockets and streams; the other key's go on."""
    settings = settings_of()
    async with shop(tmp_path, auth={"keys": BOTH}) as gateway:
        server = gateway.server
        gateway.client.headers["authorization"] = f"Bearer {OTHER}"
        start = await gateway.cursor()
        settings = server.settings
        variables = {"after": start}
        async with (
            server.line() as revoked,
            server.line() as kept,
            opened(server) as socket,
            opened(server) as idle,
            opened(server) as other,
            gateway.stream(variables=variables, authorization=f"Bearer {FIRST}") as stream,
        ):
            for each, credential in ((socket, FIRST), (idle, FIRST), (other, OTHER)):
                await each.say({**INIT, "payload": {"authorization": f"Bearer {credential}"}})
                assert await each.heard() == ACK
            await socket.say(
                *(subscribe(name, CHANGED, variables=variables) for name in ("1", "2"))
            )
            await other.say(subscribe("1", CHANGED, variables=variables))
            assert await stream.comment() == start
            for line, credential in ((revoked, FIRST), (kept, OTHER)):
                for _ in range(3):
                    assert (await ask(line, bearer(credential)))[0] == 200
            await gateway.create()  # the subscriptions have begun when this arrives
            heard = [await socket.heard() for _ in range(2)]
            (cursor,) = {each["payload"]["data"]["changed"]["cursor"] for each in heard}
            assert (await stream.event()).data["data"]["changed"]["cursor"] == cursor
            await other.heard()

            await server.reload(keyed(settings, BOTH[1]))

            assert await ask(revoked, bearer(FIRST)) == (401, ["UNAUTHENTICATED"])
            assert (await ask(kept, bearer(OTHER)))[0] == 200
            ended = {"code": "UNAUTHENTICATED", "cursor": cursor}
            messages = sorted([await socket.heard() for _ in range(2)], key=itemgetter("id"))
            assert [(each["id"], each["type"]) for each in messages] == [
                ("1", "error"),
                ("2", "error"),
            ]
            assert [each["payload"][0]["extensions"] for each in messages] == [ended] * 2
            assert await socket.closed() == (4403, "Forbidden")
            assert (await stream.event()).data["errors"][0]["extensions"] == ended
            await idle.say(subscribe("1"))
            assert await idle.closed() == (4403, "Forbidden")
            await gateway.create()
            assert (await other.heard())["type"] == "next"
    gc.collect()  # asyncio then reports tasks whose failure nobody noticed
    assert [each.message for each in caplog.records if each.name == "asyncio"] == []


async def test_new_keys_and_scopes() -> None:
    """A new key counts at once; fewer scopes count on connections that are open."""
    settings = settings_of()
    async with really_serving(keyed(settings, BOTH[0])) as server, server.line() as line:
        assert await ask(line, bearer(OTHER)) == (401, ["UNAUTHENTICATED"])
        await server.reload(keyed(settings, *BOTH))
        query = json.dumps({"query": READ}).encode()
        for _ in range(2):
            assert (await ask(line, bearer(OTHER), body=query))[0] == 200
        read_elsewhere = key("other", OTHER_HASH, "segments:read@stuut")
        await server.reload(keyed(settings, BOTH[0], read_elsewhere))
        assert await ask(line, bearer(OTHER), body=query) == (200, {"provider": None})


async def test_providers() -> None:
    """They come, change and go; what stays keeps its cache, what is under way ends well."""
    settings = settings_of(server={"cache_ttl_s": 600})
    settings = without(settings, "instaleap")
    arrived, may_end = asyncio.Event(), asyncio.Event()
    providers = Providers()
    real = providers.real("voucherify")

    async def wait(*connection: Any) -> None:
        arrived.set()
        await may_end.wait()
        await real(*connection)

    async with (
        really_serving(without(settings, "emporix"), providers) as server,
        server.line() as line,
        server.line() as other,
        opened(server) as socket,
    ):
        stuut = json.dumps({"query": READ.replace("voucherify", "stuut")}).encode()
        assert await ask(line) == (200, {"providers": ALL[:2]})
        before = await ask(line, body=stuut)
        calls = len(providers.calls)
        providers.instead["voucherify"] = wait
        await other.write(post(json.dumps({"query": READ}).encode()))
        await arrived.wait()
        await socket.say(INIT)
        assert await socket.heard() == ACK

        await server.reload(without(settings, "voucherify"))

        assert await ask(line) == (200, {"providers": [ALL[0], ALL[2]]})
        await socket.say(subscribe("1", "{ providers { key } }"))
        keys = [{"key": "stuut"}, {"key": "emporix"}]
        assert (await socket.heard())["payload"] == {"data": {"providers": keys}}
        assert await ask(line, body=stuut) == before
        may_end.set()
        ended = await other.answer()
        assert len(ended.json["data"]["provider"]["segments"]["nodes"]) == 1
        assert len(providers.calls) == calls + 1  # that of voucherify: stuut's was cached

        await server.reload(without(settings, "stuut", display_name="Receivables"))

        renamed = {"key": "stuut", "displayName": "Receivables"}
        assert await ask(line) == (200, {"providers": [renamed, *ALL[1:]]})


async def test_limits() -> None:
    """Lower and higher ones count for the next request of a connection."""
    settings = settings_of()
    low = settings_of(limits={"depth": 1})
    small = settings_of(limits={"body_bytes": len(KEYS) - 1})
    async with really_serving(settings) as server, server.line() as line:
        for _ in range(2):
            assert (await ask(line))[0] == 200
        await server.reload(low)
        assert await ask(line) == (200, ["LIMIT_EXCEEDED"])
        await server.reload(settings)
        assert (await ask(line))[0] == 200
        await server.reload(small)
        assert await ask(line) == (413, ["LIMIT_EXCEEDED"])


async def test_a_bad_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """It changes nothing; the log and `/readyz` say so, until the next good one."""
    settings = settings_of()
    probe = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    problem = Problem("server.host", "is not a known setting")

    def fail(*_: Any) -> Settings:
        raise SettingsError([problem])

    async with really_serving(keyed(settings, *BOTH)) as server, server.line() as line:
        assert (await ask(line, bearer(FIRST)))[0] == 200
        with monkeypatch.context() as patch, capture_logs() as log:
            patch.setattr("gateway.http.running_gateway.follow", fail)
            await server.reload(keyed(settings, BOTH[1]))
        assert [(each["event"], each["problems"]) for each in log] == [
            ("reload_failed", ["server.host: is not a known setting"])
        ]
        assert (await ask(line, bearer(FIRST)))[0] == 200
        readiness = await server.ask(probe)
        assert readiness.status == 200
        assert readiness.json["configuration"] == "not reloaded: 1 problem, see the log"
        with capture_logs() as log:
            await server.reload(settings)  # without keys
        assert [each["problems"] for each in log] == [
            ["auth: has neither a key nor a token issuer any more; that needs a restart"]
        ]
        with capture_logs() as log:
            await server.reload(keyed(settings_of(server={"keep_alive_s": 7}), BOTH[1]))
        assert log == [
            {
                "event": "reloaded",
                "log_level": "info",
                "changed": ["auth.keys"],
                "needs_restart": ["server.keep_alive_s"],
            }
        ]
        assert await ask(line, bearer(FIRST)) == (401, ["UNAUTHENTICATED"])
        assert "configuration" not in (await server.ask(probe)).json


async def test_under_load() -> None:
    """No request fails while providers, keys and limits change all the time."""
    count = size("RELOAD_REQUESTS", 20, 2000)
    settings = keyed(settings_of(), *BOTH)
    fewer = without(keyed(settings_of(limits={"depth": 9}), BOTH[0]), "stuut", timeout_s=4)
    query = json.dumps({"query": READ}).encode()
    is_over = False

    async def clients(server: Server) -> Sequence[tuple[int, Any]]:
        async with server.line() as line:
            return [await ask(line, bearer(FIRST), body=query) for _ in range(count)]

    async with really_serving(settings, only_read()) as server:

        async def keep_reloading() -> int:
            done = 0
            while not is_over:
                await server.reload((fewer, settings)[done % 2])
                done += 1
                await asyncio.sleep(0)
            return done

        reloading = asyncio.create_task(keep_reloading())
        async with asyncio.timeout(PATIENCE_S * count):
            results = await asyncio.gather(*(clients(server) for _ in range(10)))
        is_over = True
        assert await reloading > 10
    assert {status for each in results for status, _ in each} == {200}
    (data,) = {json.dumps(data) for each in results for _, data in each}
    assert len(json.loads(data)["provider"]["segments"]["nodes"]) == 1


def test_the_server_calls_the_gateway() -> None:
    """The methods that `GracefulServer` looks for are there."""
    assert callable(Gateway.announce_stop)
    assert callable(Gateway.reload)
