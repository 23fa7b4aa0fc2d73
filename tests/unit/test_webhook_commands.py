"""`gateway webhooks`: what it prints; nothing is sent or stored."""

import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from gateway.__main__ import cli
from gateway.cli.webhooks import capturing, receivers_of
from gateway.providers.emporix.webhooks import EVENT_TYPES, secret_for
from gateway.settings.loading import load
from tests.e2e.webhooks.sending import NEW, membership, send_voucherify

CONFIGURATION = """
[[providers]]
key = "shop"
kind = "emporix"
base_url = "https://api.example"
tenant = "acme"
client_id = "id"
client_secret = "hidden-4711"
webhook_secret = "the-new-secret"
[[providers]]
key = "voucherify"
kind = "voucherify"
base_url = "https://api.example"
app_id = "id"
app_token = "hidden-4711"
webhook_secret = "the-new-secret"
[[providers]]
key = "receivables"
kind = "stuut"
base_url = "https://api.example"
token = "hidden-4711"
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """Return a configuration with two providers that send webhooks."""
    file = tmp_path / "gateway.toml"
    file.write_text(CONFIGURATION)
    return file


def plan(configuration: Path, provider: str, url: str = "https://gateway.example/") -> Result:
    """Run `gateway webhooks plan`."""
    arguments = ["--provider", provider, "--public-url", url, "--config", str(configuration)]
    return CliRunner().invoke(cli, ["webhooks", "plan", *arguments])


def test_plan_for_emporix(configuration: Path) -> None:
    """Each event type is subscribed to, and has a target with its own URL and secret."""
    shown = plan(configuration, "shop")
    assert shown.exit_code == 0
    assert "hidden-4711" not in shown.output
    head, _, rest = shown.output.partition("PATCH /webhook/acme/event-subscriptions\n")
    assert head == "At Emporix, subscribe to the event types:\n"
    subscriptions, end = json.JSONDecoder().raw_decode(rest)
    assert subscriptions == [{"eventType": each, "action": "SUBSCRIBE"} for each in EVENT_TYPES]
    rest = rest[end:].partition("PATCH /webhook/acme/config/http\n")[2]
    entries, _ = json.JSONDecoder().raw_decode(rest)
    assert [each["value"] for each in entries] == [
        {
            "name": "Segment gateway",
            "eventType": each,
            "destinationUrl": f"https://gateway.example/webhooks/shop/{each}",
            "secretKey": secret_for(NEW, each),
            "excludedFields": [],
            "active": True,
        }
        for each in EVENT_TYPES
    ]


def test_plan_for_voucherify(configuration: Path) -> None:
    """The steps name the URL; the secret is the provider's own."""
    shown = plan(configuration, "voucherify")
    assert shown.exit_code == 0
    assert shown.output.count("https://gateway.example/webhooks/voucherify\n") == 2
    assert NEW not in shown.output


@pytest.mark.parametrize(
    ("provider", "url", "message"),
    [
        ("receivables", "https://gateway.example", "configured are: shop, voucherify"),
        ("nobody", "https://gateway.example", "configured are: shop, voucherify"),
        ("shop", "http://gateway.example", "must start with https://"),
        ("shop", "gateway.example", "must start with https://"),
        *(
            ("shop", url, "must be a host, and a path if there is one")
            for url in (
                "https://",
                "https:///path",
                "https://gateway.example/a?b=c",
                "https://gateway.example?",
                "https://gateway.example#f",
                "https://user:password@gateway.example",
                "https://gateway.example:99999",
                "https://gateway.example:0",
                "https://[::1",
                "https://gateway example",
                "https://gateway.example\\a",
            )
        ),
    ],
)
def test_plan_refuses(configuration: Path, provider: str, url: str, message: str) -> None:
    """A provider without webhooks, and an address that is not encrypted or not plain."""
    shown = plan(configuration, provider, url)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert message in " ".join(shown.stderr.split())


async def test_capture(configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each webhook is printed with the form of its signature, without control characters."""
    app = capturing(receivers_of(load(configuration, {})))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        body = membership("evt_1", "entered", "seg_x", "c")
        assert (await send_voucherify(client, body)).status_code == 204
        assert (await send_voucherify(client, b"\x1b[31m", "forged")).status_code == 204
        assert (await send_voucherify(client, b"x" * (1024 * 1024 + 1))).status_code == 413
        assert (await client.options("/webhooks/voucherify")).status_code == 204
    first, second, third = capsys.readouterr().out.split("POST /webhooks/voucherify\n")[1:]
    assert json.dumps(body.decode()) in first
    assert first.endswith("Signature: compact\n\n")
    assert '"\\u001b[31m"' in second
    assert second.endswith("Signature: not valid\n\n")
    assert third == "The body is larger than 1048576 bytes.\n\n"
