"""A request whose time is up before a provider has replied: that provider's part has timed out."""

from typing import Any

import httpx

from gateway.asgi import build
from gateway.sandbox.faults import Fault
from gateway.settings.tables import Settings
from tests.e2e.failures import Failure, silent
from tests.e2e.serving import Front, Providers, settings_with
from tests.security.served import application_served

TIMES_S = (0.2, 1.0, 5.0)
"""How long a request may take: the first, unless this machine is too busy for the other parts."""
TIMED_OUT = Failure(silent, "PROVIDER_TIMEOUT").extensions("voucherify")
MESSAGE = TIMED_OUT["message"]
LIST = "segments(first: 1) { nodes { name } }"
FIELDS = f"""{{
  fast: provider(key: "stuut") {{ {LIST} }}
  slow: provider(key: "voucherify") {{ {LIST} }}
  also: provider(key: "emporix") {{ {LIST} }}
  all: segments(first: 100) {{
    totalCount
    nodes {{ provider {{ key }} name }}
    sources {{ provider {{ key }} error {{ code message }} }}
  }}
}}"""
CALLS = {"stuut": 2, "voucherify": 2, "emporix": 2}
"""One for each size of a page; Instaleap's segments are in the store."""


def settings_at(port: int, timeout_s: float) -> Settings:
    """Return the settings of a gateway over a sandbox at this port."""
    settings = settings_with(timeout_s=60)
    accounts = tuple(
        each.model_copy(update={"base_url": f"http://127.0.0.1:{port}/{each.kind}"})
        for each in settings.providers
    )
    server = settings.server.model_copy(update={"request_timeout_s": timeout_s})
    return settings.model_copy(update={"providers": accounts, "server": server})


async def responses(timeout_s: float) -> tuple[Any, Any, Any]:
    """Return the responses before and after Voucherify has gone silent, and the latter's calls."""
    providers = Providers()
    async with application_served(providers.asgi) as sandbox:
        app = build(settings_at(sandbox.port, timeout_s))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://localhost"
            ) as client,
        ):
            front = Front(client, providers)
            before = await front.ask(FIELDS)
            providers.faults.replace([Fault("voucherify", "hang")])
            front.forget()
            # There are connections now: calls with a task and without one are under way.
            after = await front.ask(FIELDS)
            calls = {key: count for key, count in providers.counts.items() if count}
    return before, after, calls


async def test_one_provider_is_slower_than_the_request_may_take() -> None:
    """Its field and its source have the error of a timeout; all others are whole."""
    for timeout_s in TIMES_S:
        before, after, calls = await responses(timeout_s)
        errors = {each["path"][0]: each for each in after["errors"]}
        assert "slow" in errors
        if errors.keys() == {"slow"} and "errors" not in before:
            break
    request_id = errors["slow"]["extensions"].pop("requestId")
    assert len(request_id) == 32
    expected = before["data"]
    merged = expected["all"]
    assert {each["provider"]["key"] for each in merged["nodes"]} == CALLS.keys()
    merged["nodes"] = [each for each in merged["nodes"] if each["provider"]["key"] != "voucherify"]
    merged["totalCount"] = None
    merged["sources"][1]["error"] = {"code": TIMED_OUT["code"], "message": MESSAGE}
    extensions = {key: value for key, value in TIMED_OUT.items() if key != "message"}
    assert after == {
        "data": {**expected, "slow": {"segments": None}},
        "errors": [
            {
                "message": MESSAGE,
                "locations": [{"line": 3, "column": 39}],
                "path": ["slow", "segments"],
                "extensions": {"provider": "voucherify", **extensions},
            }
        ],
    }
    assert calls == CALLS
