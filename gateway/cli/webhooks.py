"""`gateway webhooks`."""

import asyncio
import json
import re
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

import structlog
import typer
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from gateway.asgi import connect
from gateway.auth.addresses import is_loopback
from gateway.cli.configuration import settings_or_fail
from gateway.cli.console import Config, Host, Port, check_port_or_fail, fail, out
from gateway.errors import Denied, GatewayError, ProviderError, Refused
from gateway.http.webhook_endpoint import WebhookRefused, read_body, routes_of
from gateway.providers.base.exchange import Exchange
from gateway.providers.base.webhooks import (
    CannotSetUp,
    ReceivesWebhooks,
    SetsUpWebhooks,
    WebhookRequest,
)
from gateway.providers.registry import adapter_of
from gateway.request_scope import Scope
from gateway.settings.tables import Settings

ProviderKey = Annotated[str, typer.Option(help="The provider's key in the configuration.")]
PublicUrl = Annotated[
    str, typer.Option(help="The gateway's address on the internet: https://gateway.example")
]
T = TypeVar("T")

_PLAIN = re.compile(r"[^\x00-\x20\x7f-\U0010ffff?#@\\]+")

commands = typer.Typer(help="Webhooks that providers send.", no_args_is_help=True)


@commands.command()
def plan(
    provider: ProviderKey,
    public_url: PublicUrl,
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
    url = endpoint_or_fail(public_url, provider)
    sys.stdout.write("\n".join(adapter.webhook_setup(url)) + "\n")


@commands.command()
def apply(
    provider: ProviderKey,
    public_url: PublicUrl,
    config: Config = None,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before anything is sent.")
    ] = False,
) -> None:
    """Set up webhooks at Emporix: add what is missing, and replace nothing. Asks first."""
    settings = settings_or_fail(config)
    accounts = tuple(each for each in settings.providers if each.key == provider)
    adapter = receivers_of(settings).get(provider)
    if not isinstance(adapter, SetsUpWebhooks):
        fail(
            f"{provider} is not a provider with a webhook_secret whose kind has an API for this"
            " (emporix). `gateway webhooks plan` prints what to set up by hand."
        )
    # The messages below show the failures; the log would repeat them.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    url = endpoint_or_fail(public_url, provider)
    asyncio.run(_apply(settings.model_copy(update={"providers": accounts}), url, asks=not yes))


async def _apply(settings: Settings, url: str, *, asks: bool) -> None:
    (provider,) = await connect(settings)
    adapter = provider.require(SetsUpWebhooks, "WEBHOOKS")

    async def send(exchange: Exchange[T]) -> T:
        now = asyncio.get_running_loop().time()
        return await provider.send(
            exchange, Scope(uuid.uuid4().hex, now + settings.server.request_timeout_s)
        )

    try:
        state = [await send(each) for each in adapter.webhook_state()]
        changes = adapter.webhook_changes(url, state)
        if not changes.summary:
            out.print("Everything is set up already.")
        else:
            out.print(f"At {provider.display_name} ({provider.key}):", markup=False)
            out.print("\n".join(f"  {each}" for each in changes.summary), markup=False)
            if asks and not typer.confirm("Send this?"):
                fail("Nothing was sent.")
            for each in changes.exchanges:
                await send(each)
            out.print("Done.")
        out.print("\n".join(changes.afterwards), markup=False)
        out.print(f"Next: gateway webhooks capture, or watch Provider.webhooks of {provider.key}.")
    except CannotSetUp as error:
        fail(f"{error} Nothing was sent.")
    except GatewayError as error:
        fail(_advice(error))
    finally:
        await provider.close()


def _advice(error: GatewayError) -> str:
    """Return what went wrong, and what to do."""
    lines = [f"{type(error).__name__}: {error}"]
    if isinstance(error, ProviderError):
        lines[0] += f" ({error.operation}{f', HTTP {error.status}' if error.status else ''})"
    if isinstance(error, Denied):
        lines.append(
            "Its client needs the scopes webhook.subscription_read and"
            " webhook.subscription_manage; add them to `scope`, too, if that is set."
        )
    elif isinstance(error, Refused):
        lines.append(
            "Emporix accepts a target only if its URL responds to HEAD or OPTIONS: is --public-url"
            " the gateway's address on the internet, and one of server.hosts?"
        )
    lines.append("It is safe to run this again: it adds only what is missing.")
    return "\n".join(lines)


def endpoint_or_fail(public_url: str, provider: str) -> str:
    """Return the URL of a provider's webhooks; exit if it is not encrypted, or not plain."""
    try:
        parts = urlsplit(public_url)
        is_plain = bool(parts.hostname and parts.port != 0 and _PLAIN.fullmatch(public_url))
    except ValueError:  # no port, or no IPv6 address
        is_plain = False
    is_local = is_plain and parts.scheme == "http" and is_loopback(parts.hostname or "")
    if not is_local and not public_url.lower().startswith("https://"):
        fail("--public-url must start with https://: providers send webhooks over the internet.")
    if not is_plain:
        fail(
            "--public-url must be a host, and a path if there is one, in ASCII: https://gateway.example"
            " or https://shop.example/gateway, without user, query and fragment."
        )
    return f"{public_url.rstrip('/')}/webhooks/{provider}"


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
    adapters = {each.key: adapter_of(each) for each in settings.providers}
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
