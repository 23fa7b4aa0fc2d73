"""Outages: an error on the one root field, while the others of the document keep their answers."""

from typing import Any

import pytest

from tests.e2e.failures import FAILURES, signed_in
from tests.e2e.serving import Providers, segment_id, settings_with
from tests.e2e.writes.asking import do, document, problem
from tests.e2e.writes.serving import serving
from tests.e2e.writes.test_refusals import ANY, sound

OTHERS = {
    "stuut": ("segmentDelete", {"id": segment_id("voucherify", "seg_none")}),
    "voucherify": ("segmentsReorder", {"provider": "stuut", "ids": []}),
    "emporix": ("segmentsReorder", {"provider": "stuut", "ids": []}),
}
"""A mutation at another provider."""
WAYS = ("unreachable", "silent", "timeout", "broken connection", "500", "503", "401", "403", "429")
UNREADABLE = ("HTML", "truncated JSON", "null", "redirect")


ONCE = ("segmentCreate",)
"""What a second time would do twice."""
MAY_HAVE_ACTED = ("silent", "timeout", "broken connection", "500", "503")

CREATING = [each for each in ANY if each[0] == "segmentCreate"]


async def assert_fails_alone(
    providers: Providers, url: str, field: str, provider: str, way: str
) -> None:
    """Assert that the field is null with an error, and the two beside it are answered."""
    failure = FAILURES[way]
    async with serving(providers, url, settings_with(timeout_s=failure.timeout_s)) as front:
        providers.instead[provider] = signed_in(failure.server, providers.real(provider))
        other, given = OTHERS[provider]
        answer = await front.ask(
            document(other, field, other, selection="__typename"),
            {"m0": given, "m1": sound(field, provider), "m2": given},
        )
        assert [answer["data"][f"m{n}"] is None for n in range(3)] == [False, True, False]
        [error] = answer["errors"]
        assert error["path"] == ["m1"]
        extensions = {**error["extensions"], "message": error["message"]}
        assert len(extensions.pop("requestId")) == 32
        expected = {**failure.extensions(provider), "provider": provider}
        if field in ONCE and way in MAY_HAVE_ACTED:
            expected |= {"retryable": False, "retryAfterMs": None}
        if provider == "emporix" and way in {"HTML", "truncated JSON", "null"}:
            expected["upstreamStatus"] = 200  # what is made there is answered by 201 alone
        assert extensions == expected
        sent = [kind for kind, _ in providers.headers if kind == provider]
        # Emporix is signed in to anew, and asked once more with the new token.
        is_signed_in_again = way == "401" and provider == "emporix"
        assert len(sent) == (3 if is_signed_in_again else 1)


@pytest.mark.parametrize(("field", "provider"), CREATING)
@pytest.mark.parametrize("way", [*WAYS, *UNREADABLE])
async def test_way(providers: Providers, url: str, field: str, provider: str, way: str) -> None:
    """However a provider fails, it is the one field's error, and nothing is sent twice."""
    await assert_fails_alone(providers, url, field, provider, way)


@pytest.mark.parametrize(("field", "provider"), [each for each in ANY if each not in CREATING])
@pytest.mark.parametrize("way", ["500", "redirect"])
async def test_field(providers: Providers, url: str, field: str, provider: str, way: str) -> None:
    """Whatever is written, an outage is an error on its field alone."""
    await assert_fails_alone(providers, url, field, provider, way)


@pytest.mark.parametrize("way", ["unreachable", "silent", "500", "401", "HTML"])
async def test_an_update_that_cannot_read_first(providers: Providers, url: str, way: str) -> None:
    """What cannot be read before it is changed is not written, and its key stays free."""
    failure, methods = FAILURES[way], set()

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        methods.add(scope["method"])
        await failure.server(scope, receive, send)

    given = {"id": segment_id("emporix", "golden"), "name": "Gold", "idempotencyKey": "k"}
    async with serving(providers, url, settings_with(timeout_s=failure.timeout_s)) as front:
        providers.instead["emporix"] = signed_in(noting, providers.real("emporix"))
        answer = await front.ask(document("segmentUpdate"), {"m0": given})
        assert answer["data"] == {"m0": None}
        assert [error["extensions"]["code"] for error in answer["errors"]] == [failure.code]
        assert methods == {"GET"}
    providers.instead.clear()
    async with serving(providers, url) as front:
        payload = await do(front, "segmentUpdate", given, "segment { name version }")
        assert payload == {"segment": {"name": "Gold", "version": 5}, "userErrors": []}


async def test_bulk_rows_of_an_outage(providers: Providers, url: str) -> None:
    """In a bulk the outage stands in the rows of the batch that it hit, and in no other."""
    failure = FAILURES["500"]
    real = providers.real("emporix")
    seen = []

    async def second_fails(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("/bulk"):
            seen.append(scope["path"])
            if len(seen) == 2:
                await failure.server(scope, receive, send)
                return
        await real(scope, receive, send)

    rows = [{"externalId": f"s{n}", "name": "A", "siteCode": "main"} for n in range(450)]
    async with serving(providers, url) as front:
        providers.instead["emporix"] = second_fails
        given = {"provider": "emporix", "segments": rows}
        payload = await do(front, "segmentBulkUpsert", given, BULK)
        outcomes = [row["outcome"] for row in payload["results"]]
        assert outcomes == ["CREATED"] * 200 + ["UNKNOWN"] * 200 + ["CREATED"] * 50
        error = problem("segments.250", "PROVIDER_FAILED", "emporix")
        assert payload["results"][250]["userErrors"] == [error]
        assert (payload["succeeded"], payload["failed"]) == (250, 200)


BULK = "results { outcome userErrors { field code provider } } succeeded failed"
