"""The sandbox's faults: set, listed, healed; each does what it says."""

import asyncio
import gzip
import random
from typing import Any

import httpx
import pytest

from gateway.sandbox.app import Sandbox, SandboxOptions
from gateway.sandbox.faults import KINDS, Fault, Faults, read
from tests.four_kinds import CREDENTIALS, FOUR, SANDBOXES

PATH = "/stuut/v2/customer-segments?limit=1"
STUUT = {"authorization": f"Bearer {CREDENTIALS['stuut']['token']}"}


def client_of(sandbox: Sandbox) -> httpx.AsyncClient:
    """Return a caller of the sandbox."""
    transport = httpx.ASGITransport(sandbox.asgi)
    return httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers=STUUT)


def sandbox() -> Sandbox:
    """Return a small sandbox."""
    return Sandbox(SANDBOXES, SandboxOptions(customers=20))


async def put(client: httpx.AsyncClient, **fault: Any) -> None:
    """Have one fault at Stuut."""
    reply = await client.put("/faults", json=[{"provider": "stuut", **fault}])
    assert reply.status_code == 200, reply.text


async def test_faults_are_set_listed_and_healed() -> None:
    """What is put replaces what was there."""
    async with client_of(sandbox()) as client:
        assert (await client.get(PATH)).status_code == 200
        await put(client, kind="error", status=418)
        assert (await client.get(PATH)).status_code == 418
        listed = (await client.get("/faults")).json()
        assert [(each["provider"], each["kind"], each["status"]) for each in listed] == [
            ("stuut", "error", 418)
        ]
        assert (await client.delete("/faults")).status_code == 204
        assert (await client.get(PATH)).status_code == 200
        assert (await client.get("/faults")).json() == []


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        (
            b'[{"provider":"nobody"}]',
            "'nobody' is not one of the providers: stuut, voucherify, instaleap, emporix",
        ),
        (b'[{"provider":"stuut","kind":"x"}]', "Invalid enum value 'x' - at `$[0].kind`"),
        (b'[{"provider":"stuut","share":2}]', "Expected `float` <= 1.0 - at `$[0].share`"),
        (
            b'[{"provider":"stuut","pth":""}]',
            "Object contains unknown field `pth` - at `$[0]`",
        ),
        (b"{}", "Expected `array`, got `object`"),
    ],
)
async def test_what_is_no_fault_is_refused_and_changes_nothing(body: bytes, meant: str) -> None:
    """With what is wrong, and where."""
    async with client_of(sandbox()) as client:
        await put(client, kind="error", status=418)
        reply = await client.put("/faults", content=body)
        assert (reply.status_code, reply.json()) == (400, {"message": meant})
        assert (await client.get(PATH)).status_code == 418


async def test_a_fault_hits_its_provider_and_path_only() -> None:
    """Everything else is well."""
    async with client_of(sandbox()) as client:
        await put(client, kind="error", path="/v2/customers")
        assert (await client.get(PATH)).status_code == 200
        assert (await client.get("/stuut/v2/customers?limit=1")).status_code == 503
        assert (await client.get("/voucherify/v1/segments")).status_code == 401


@pytest.mark.parametrize(
    ("kind", "status", "start"),
    [
        ("none", 200, b"[{"),
        ("error", 503, b'{"code":503'),
        ("limit", 429, b'{"code":429'),
        ("drip", 200, b"[{"),
        ("garbage", 200, bytes(range(16))),
        ("html", 200, b"<!doctype html>"),
        ("deep", 200, b"[" * 1000),
        ("bomb", 200, b"\x1f\x8b"),
        ("wrong_token", 200, b"[{"),
        ("short_pages", 200, b"[{"),
    ],
)
async def test_what_each_kind_answers(kind: str, status: int, start: bytes) -> None:
    """Status and first bytes, as they go over the wire."""
    made = sandbox()
    async with client_of(made) as client:
        await put(client, kind=kind, every_s=0)
        async with client.stream("GET", PATH) as reply:
            raw = b"".join([part async for part in reply.aiter_raw()])
        assert (reply.status_code, raw[: len(start)]) == (status, start)
        assert [call.status for call in made.calls] == [status]


async def test_truncated_is_half_of_the_truth() -> None:
    """Whole for HTTP, cut short for JSON."""
    async with client_of(sandbox()) as client:
        whole = (await client.get(PATH)).content
        await put(client, kind="truncated")
        assert (await client.get(PATH)).content == whole[: len(whole) // 2]


async def test_reset_breaks_the_answer_off() -> None:
    """In one process the caller gets the very error that a broken connection is."""
    made = sandbox()
    made.faults.replace([Fault("stuut", "reset")])
    transport = httpx.ASGITransport(made.provider("stuut"))
    async with httpx.AsyncClient(transport=transport, base_url="http://stuut") as client:
        with pytest.raises(ConnectionResetError):
            await client.get("/v2/customer-segments", headers=STUUT)


async def test_hang_never_answers_and_lets_the_caller_go() -> None:
    """Until the caller gives up."""
    async with client_of(sandbox()) as client:
        await put(client, kind="hang")
        asking = asyncio.create_task(client.get(PATH))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not asking.done()
        asking.cancel()
        await asyncio.wait([asking])


async def test_a_token_that_does_not_work() -> None:
    """The sign-in goes well, the token does not."""
    given = CREDENTIALS["emporix"]
    form = {
        "grant_type": "client_credentials",
        "client_id": given["client_id"],
        "client_secret": given["client_secret"],
    }
    async with client_of(sandbox()) as client:
        await client.put("/faults", json=[{"provider": "emporix", "kind": "wrong_token"}])
        token = (await client.post("/emporix/oauth/token", data=form)).json()["access_token"]
        assert token == "wrong"


async def test_limit_says_what_voucherify_says() -> None:
    """Retry-After, and the headers of its own."""
    async with client_of(sandbox()) as client:
        fault = {"provider": "voucherify", "kind": "limit", "retry_after_s": 7}
        await client.put("/faults", json=[fault])
        reply = await client.get("/voucherify/v1/segments")
        names = ("retry-after", "x-rate-limit-limit", "x-rate-limit-remaining")
        assert [reply.headers[name] for name in names] == ["7", "100", "0"]


def test_flapping_and_share() -> None:
    """Down for two seconds, up for one; a share of calls by chance."""
    now = 50.0
    faults = Faults(FOUR, clock=lambda: now, chance=random.Random(1))  # noqa: S311  # the same each time
    fault = Fault("stuut", "error", down_s=2, up_s=1)
    faults.replace([fault])
    seen = []
    for _ in range(6):
        seen.append(faults._hits(fault))  # noqa: SLF001  # what it decides by
        now += 1
    assert seen == [True, True, False, True, True, False]
    hits = sum(faults._hits(Fault("stuut", "error", share=0.3)) for _ in range(1000))  # noqa: SLF001
    assert 250 < hits < 350


def test_latencies_are_spread() -> None:
    """Half below the middle, one in a hundred above the 99th percentile."""
    faults = Faults(FOUR, chance=random.Random(1))  # noqa: S311  # the same each time
    fault = Fault("stuut", latency_ms=100, latency_p99_ms=1000)
    delays = sorted(faults._delay_s(fault) for _ in range(10_000))  # noqa: SLF001
    assert delays[5000] == pytest.approx(0.1, rel=0.1)
    assert delays[9900] == pytest.approx(1, rel=0.2)
    assert faults._delay_s(Fault("stuut", latency_ms=100)) == 0.1  # noqa: SLF001


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("stuut", Fault("stuut")),
        ("emporix:hang", Fault("emporix", "hang")),
        (
            "voucherify:error:status=500,share=0.3,path=/v1/segments",
            Fault("voucherify", "error", "/v1/segments", 0.3, status=500),
        ),
    ],
)
def test_faults_of_the_command_line(text: str, meant: Fault) -> None:
    """`PROVIDER:KIND:name=value,…`."""
    assert read(text) == meant


@pytest.mark.parametrize(
    "text", ["", "x:hang", "stuut:nothing", "stuut:error:status", "stuut:error:a=1"]
)
def test_what_is_no_fault_of_the_command_line(text: str) -> None:
    """It is refused with a sentence, at the latest by a sandbox without such a provider."""
    faults = Faults(FOUR)
    with pytest.raises(ValueError, match=r".+"):
        faults.replace([read(text)])


def test_every_kind_is_made() -> None:
    """What the command line's help lists exists, and a bomb is small until it is opened."""
    assert len(KINDS) == len(set(KINDS)) == 13
    assert gzip.decompress(gzip.compress(b"a") * 3) == b"aaa"
