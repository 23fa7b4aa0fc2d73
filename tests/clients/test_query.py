"""One query by each client, as it comes: over plain HTTP some offer an upgrade."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from gateway.sandbox.faults import Fault
from tests.proxies.attacks import body_of
from tests.proxies.processes import IN_CI, PATIENCE_S, Gateway, gateway_running, need

pytestmark = pytest.mark.clients

HERE = Path(__file__).parent
BIN = HERE.parents[1] / ".venv" / "bin"
"""Where Node.js is on a machine without one of its own."""


def java(name: str) -> Sequence[str]:
    """Return the command for a Java program of one file; its compiler needs no more than C1."""
    program = need("java", "default-jdk-headless")
    return [program, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", str(HERE / "query" / name)]


def node(name: str, project: str = "") -> Sequence[str]:
    """Return the command for a query's program of the npm project here, or of another's below."""
    program = need("node", "nodejs", BIN)
    if not (HERE / project / "node_modules").is_dir():
        message = "the clients are missing: make clients"
        if IN_CI:
            pytest.fail(message)
        pytest.skip(message)
    return [program, str(HERE / (project or "query") / name)]


def curl(*options: str) -> Callable[[str, str, str], Sequence[str]]:
    """Return how curl is run with these options."""

    def command(url: str, authorization: str, body: str) -> Sequence[str]:
        headers = (f"authorization: {authorization}", "content-type: application/json")
        given = [part for header in headers for part in ("--header", header)]
        return [need("curl", "curl"), "--silent", *options, *given, "--data", body, url]

    return command


CLIENTS: Mapping[str, Callable[[str, str, str], Sequence[str]]] = {
    "java": lambda *given: [*java("Query.java"), *given],
    "fetch": lambda *given: [*node("fetch.mjs"), *given],
    "apollo": lambda *given: [*node("apollo.mjs"), *given],
    "urql": lambda *given: [*node("urql.mjs"), *given],
    "ask": lambda *given: [*node("ask.mjs"), *given],
    "curl": curl(),
    "curl_http2": curl("--http2"),
    "curl_tls": curl("--header", "Connection: Upgrade", "--header", "Upgrade: TLS/1.0"),
    "curl_expect": curl("--header", "Expect: 100-continue"),
    "curl_http10": curl("--http1.0"),
}


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Run a gateway for all clients."""
    with gateway_running(tmp_path_factory.mktemp("gateway"), ["client"]) as running:
        yield running


@pytest.mark.parametrize("name", CLIENTS)
def test_a_query(name: str, gateway: Gateway) -> None:
    """The client prints the data that it asked for; the provider was called once."""
    gateway.sandbox.reset_calls()
    url = f"http://127.0.0.1:{gateway.port}/graphql"
    command = CLIENTS[name](url, f"Bearer {gateway.keys['client']}", body_of(name).decode())
    environment = {
        name: value for name, value in os.environ.items() if "proxy" not in name.lower()
    }
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * PATIENCE_S,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["data"] == {name: None}
    assert [call.path for call in gateway.sandbox.calls] == [f"/v1/customers/{name}"]


def test_pages_in_a_normalised_cache(gateway: Gateway) -> None:
    """By the files of docs/clients Apollo's cache joins the pages of a list."""
    url = f"http://127.0.0.1:{gateway.port}/graphql"
    done = subprocess.run(
        [*node("apollo_pages.mjs"), url, f"Bearer {gateway.keys['client']}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * PATIENCE_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"first": 3, "all": 6, "distinct": 6, "embedded": None}


@pytest.mark.parametrize("name", ["urql_pages", "relay_pages"])
def test_pages(name: str, gateway: Gateway) -> None:
    """The client reads a list page by page, as docs/how-to/paging.md shows."""
    url = f"http://127.0.0.1:{gateway.port}/graphql"
    done = subprocess.run(
        [*node(f"{name}.mjs"), url, f"Bearer {gateway.keys['client']}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * PATIENCE_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"all": 8, "distinct": 8}


def test_a_retryable_error_is_tried_again(gateway: Gateway) -> None:
    """The function of docs/how-to/errors.md repeats only what may succeed later."""
    calls = {}
    url = f"http://127.0.0.1:{gateway.port}/graphql"
    try:
        for status in (503, 422):
            gateway.sandbox.reset_calls()
            gateway.sandbox.faults.replace([Fault("voucherify", "error", status=status)])
            done = subprocess.run(
                [*node("ask.mjs"), url, f"Bearer {gateway.keys['client']}", body_of("a").decode()],
                capture_output=True,
                text=True,
                check=True,
                timeout=4 * PATIENCE_S,
            )
            [error] = json.loads(done.stdout)["errors"]
            calls[error["extensions"]["code"]] = len(gateway.sandbox.calls)
    finally:
        gateway.sandbox.faults.replace(())
    assert calls == {"PROVIDER_BROKEN": 3, "PROVIDER_REFUSED": 1}
