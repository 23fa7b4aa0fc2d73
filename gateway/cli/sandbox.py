"""`gateway sandbox`."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn

from gateway.asgi import target_of
from gateway.cli.console import Host, Port, check_port_or_fail, err, fail, out
from gateway.providers.base.settings import SANDBOX
from gateway.providers.base.webhooks import ReceivesWebhooks
from gateway.providers.plugins import PluginError
from gateway.providers.registry import find, plugins, sandboxes
from gateway.sandbox.faults import KINDS as FAULT_KINDS
from gateway.sandbox.faults import read as read_fault
from gateway.sandbox.provider import SandboxProvider

if TYPE_CHECKING:
    from gateway.sandbox.app import Sandbox

MANY_CUSTOMERS = 10_000
FAULT = '[{"provider":"emporix","kind":"hang"}]'


def sandbox(  # noqa: PLR0913, PLR0917  # the options of a command
    host: Host = "127.0.0.1",
    port: Port = 9000,
    customers: Annotated[int, typer.Option(min=1, help="The number of customers.")] = 300,
    latency_ms: Annotated[
        float, typer.Option(min=0, help="The latency of every reply in ms.")
    ] = 0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="PROVIDER:KIND[:name=value,…], for example voucherify:error:status=503,share=0.3;"
            f" kinds are {', '.join(FAULT_KINDS)}. May be repeated."
        ),
    ] = None,
    webhooks: Annotated[
        str | None,
        typer.Option(
            help="Send webhooks to the gateway at this address, for example http://127.0.0.1:8000."
        ),
    ] = None,
) -> None:
    """Serve the providers' sandboxes alone over HTTP."""
    check_port_or_fail(host, port)
    if customers > MANY_CUSTOMERS:
        out.print(f"Generating {customers} customers …")
    from gateway.sandbox.app import Sandbox, SandboxOptions  # noqa: PLC0415  # 0.1 s

    options = SandboxOptions(customers=customers, latency_ms=latency_ms)
    served = {**sandboxes(), **sandboxes_of_packages()}
    server = Sandbox(served, options)
    try:
        server.faults.replace([read_fault(each) for each in fault or ()])
    except ValueError as error:
        fail(f"--fault {error}")
    if webhooks is not None:
        send_webhooks(server, webhooks.rstrip("/"))
    address = f"http://{host}:{port}"
    out.print(f"Sandbox of {len(served)} providers", style="bold")
    for kind in served:
        out.print(f"  {kind:<11} {address}/{kind}", markup=False)
    out.print(f"  Credentials: {address}/", markup=False)
    out.print(
        f"  Try: curl -o gateway.toml {address}/gateway.toml"
        " && gateway serve --config gateway.toml",
        markup=False,
    )
    out.print(f"  Calls so far: curl {address}/calls   (-X DELETE resets them)", markup=False)
    out.print(
        f"  Faults: curl -X PUT {address}/faults -d '{FAULT}'   (-X DELETE removes them)",
        markup=False,
    )
    if webhooks is not None:
        out.print(
            f"  Webhooks: of {', '.join(server.sends_webhooks)}, to {webhooks}", markup=False
        )
    out.print("  Stop: Ctrl+C")
    sys.stdout.flush()
    uvicorn.run(
        server.asgi,
        host=host,
        port=port,
        loop="auto",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )


def sandboxes_of_packages() -> Mapping[str, SandboxProvider]:
    """Import the sandboxes of installed packages; print why one cannot be used."""
    served = {}
    for plugin in plugins().by_kind.values():
        try:
            known = plugin.load()
            if known.sandbox is not None:
                with plugin.blamed("importing the sandbox"):
                    served[plugin.kind] = known.load_sandbox()
        except PluginError as error:
            err.print(str(error), style="red", markup=False)
    return served


def send_webhooks(server: "Sandbox", address: str) -> None:
    """Have a sandbox send webhooks to a gateway whose providers' keys are their kinds.

    That is what its `/gateway.toml` configures, with the secrets that are made here.
    """
    for kind in server.sends_webhooks:
        secret = f"sandbox-{kind}-webhook-secret"
        known = find(kind)
        if known is None:
            continue
        account = {"key": kind, "kind": kind, "base_url": SANDBOX, "webhook_secret": secret}
        settings = known.adapter.Settings.model_validate(
            {**known.load_sandbox().CREDENTIALS, **account}
        )
        adapter = known.adapter(settings)
        if isinstance(adapter, ReceivesWebhooks):
            target = target_of(adapter, f"{address}/webhooks/{kind}")
            server.send_webhooks(kind, target, secret)
