"""`gateway webhooks`."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import typer
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from gateway.cli.console import Config, Host, Port, check_port_or_fail, fail, out, settings_or_fail
from gateway.http.webhook_endpoint import WebhookRefused, read_body, routes_of
from gateway.providers.base.webhooks import ReceivesWebhooks, WebhookRequest
from gateway.providers.registry import ADAPTERS
from gateway.settings import Settings

commands = typer.Typer(help="Webhooks that providers send.", no_args_is_help=True)


@commands.command()
def plan(
    provider: Annotated[str, typer.Option(help="The provider's key in the configuration.")],
    public_url: Annotated[
        str, typer.Option(help="The gateway's address on the internet: https://gateway.example")
    ],
    config: Config = None,
) -> None:
    """Print what to set up at a provider, secrets included. Nothing is sent."""
    receivers = receivers_of(settings_or_fail(config))
    adapter = receivers.get(provider)
    if adapter is None:
        ready = ", ".join(receivers) or "none"
        fail(
            f"{provider} is not a provider with a webhook_secret; configured are: {ready}."
            " Set webhook_secret in its table, for a kind that sends webhooks."
        )
    if not public_url.startswith("https://"):
        fail("--public-url must start with https://: providers send webhooks over the internet.")
    url = f"{public_url.rstrip('/')}/webhooks/{provider}"
    sys.stdout.write("\n".join(adapter.webhook_setup(url)) + "\n")


@commands.command()
def capture(
    config: Config = None,
    host: Host = "127.0.0.1",
    port: Port = 8001,
) -> None:
    """Print each webhook that arrives, and which form of its signature is valid. Store nothing."""
    receivers = receivers_of(settings_or_fail(config))
    check_port_or_fail(host, port)
    out.print(f"Waiting for webhooks at http://{host}:{port}/webhooks/…", markup=False)
    uvicorn.run(capturing(receivers), host=host, port=port, log_level="warning")


def receivers_of(settings: Settings) -> Mapping[str, ReceivesWebhooks]:
    """Return the adapters of the accounts that have a webhook secret, by key."""
    adapters = {each.key: ADAPTERS[each.kind](each) for each in settings.providers}
    return {
        key: adapter
        for key, adapter in adapters.items()
        if isinstance(adapter, ReceivesWebhooks) and adapter.has_webhook_secret
    }


def capturing(receivers: Mapping[str, ReceivesWebhooks]) -> Starlette:
    """Return a server that prints webhooks."""

    async def show(request: Request) -> Response:
        # Escaped, like the body: control characters would reach the terminal.
        heading = f"POST {request.scope['raw_path'].decode('ascii', 'backslashreplace')}"
        try:
            body = await read_body(request)
        except WebhookRefused as error:
            out.print(f"{heading}\n{error}\n", markup=False)
            return Response(str(error), error.status)
        adapter = receivers.get(request.path_params["provider"])
        received = WebhookRequest(request.path_params.get("event_type"), request.headers, body)
        form = None if adapter is None else adapter.verify_webhook(received, datetime.now(UTC))
        lines = [
            heading,
            *(f"{name}: {value}" for name, value in request.headers.items()),
            "",
            json.dumps(body.decode("utf-8", "backslashreplace"), ensure_ascii=False),
            f"Signature: {form or 'not valid'}",
            "",
        ]
        out.print("\n".join(lines), markup=False)
        return Response(status_code=204)

    return Starlette(routes=[*routes_of(show)])
