"""Mistakes that people make in a configuration: each with its path, reason and remedy."""

# ruff: noqa: E501  # a table, one mistake a line

from pathlib import Path

import pytest

from gateway.auth.permissions import Permission
from tests.unit.configurations import ACCOUNT, problems

KEY = """
[[auth.keys]]
name = "a"
hash = "sha256:0BD3lwdzjEcerC4t1j-O2g:b9f5e53d0712446a15d30d9406ff875b97004c7fde334ccd6ea61034e7a44f98"
scopes = ["segments:read"]
"""
ISSUER = """
[[auth.jwt]]
issuer = "https://login.test"
audience = "gateway"
jwks_url = "https://login.test/keys"
"""
EMPORIX = """
[[providers]]
key = "shop"
kind = "emporix"
base_url = "https://api.test"
tenant = "acme"
client_id = "secret-1"
client_secret = "secret-2"
"""
UNKNOWN = "is not a known setting"
KINDS = "must be one of stuut, voucherify, instaleap, emporix"
TABLES = (
    "known are server, store, changes, identity, auth, limits, documents, federation, mcp, log,"
    " traces, fast_paths, [[providers]] and [[watch]]"
)
SCOPES = (
    f"must be one of {', '.join(each for each in Permission if each is not Permission.OWN_READ)},"
    " optionally followed by @provider"
)
HOST = "must be a host name or an IP address, without scheme, port and path"
PROXY = "must be an IP address, or a network like 10.0.0.0/8"
METRICS = "must be true, false, or an address and a port, like 127.0.0.1:9464"


def table(name: str, line: str) -> str:
    """Return a table with one line, and an account."""
    return f"[{name}]\n{line}\n{ACCOUNT}"


def account(line: str) -> str:
    """Return an account with one more line."""
    return f"{ACCOUNT}{line}\n"


MISTAKES = [
    # Names.
    (table("server", "host = ['a.test']"), "server.host", f"{UNKNOWN}; did you mean hosts?"),
    (table("server", "cors_origin = []"), "server.cors_origin", f"{UNKNOWN}; did you mean cors_origins?"),
    (table("server", "keepalive_s = 9"), "server.keepalive_s", f"{UNKNOWN}; did you mean keep_alive_s?"),
    (table("server", "cost = 9"), "server.cost", f"{UNKNOWN}; it belongs into [limits]"),
    (table("server", "url = 'sqlite:///a'"), "server.url", f"{UNKNOWN}; it belongs into [store]"),
    (table("server", "zzz = 9"), "server.zzz", UNKNOWN),
    (table("store", "uri = 'sqlite:///a'"), "store.uri", f"{UNKNOWN}; did you mean url?"),
    (table("limits", "body_byte = 9"), "limits.body_byte", f"{UNKNOWN}; did you mean body_bytes?"),
    (table("limits", "drain_s = 9"), "limits.drain_s", f"{UNKNOWN}; it belongs into [server]"),
    (table("documents", "manifests = 'a'"), "documents.manifests", f"{UNKNOWN}; did you mean manifest?"),
    (table("fast_paths", "http1_clients = true"), "fast_paths.http1_clients", f"{UNKNOWN}; did you mean http1_client?"),
    (account("time_out_s = 9"), "providers[0].time_out_s", f"{UNKNOWN}; did you mean timeout_s?"),
    (account("timeout_s = 5000"), "providers[0].timeout_s", "input should be less than or equal to 120 seconds"),
    (account("proxy = 'proxy.test:3128'"), "providers[0].proxy", "must be the URL of an HTTP proxy, like http://proxy.test:3128"),
    (account("tokens = 'a'"), "providers[0].tokens", f"{UNKNOWN}; did you mean token?"),
    (ACCOUNT + KEY + "scope = []", "auth.keys[0].scope", f"{UNKNOWN}; did you mean scopes?"),
    (ACCOUNT + ISSUER + "jwks_uri = 'a'", "auth.jwt[0].jwks_uri", f"{UNKNOWN}; did you mean jwks_url?"),
    (table("limit", "cost = 9"), "limit", f"is not a known table; did you mean [limits]?; {TABLES}"),
    (table("provider", "key = 'a'"), "provider", f"is not a known table; did you mean [providers]?; {TABLES}"),
    ("drain_s = 9\n" + ACCOUNT, "drain_s", f"is not a known table; it belongs into [server]; {TABLES}"),
    # Kinds, scopes, algorithms.
    (ACCOUNT.replace("stuut", "stut"), "providers[0].kind", f"{KINDS}; did you mean stuut?"),
    (ACCOUNT.replace('"stuut"', '"Stuut"'), "providers[0].kind", f"{KINDS}; did you mean stuut?"),
    (ACCOUNT.replace('kind = "stuut"\n', ""), "providers[0].kind", KINDS),
    (ACCOUNT + KEY.replace("segments:read", "segment:read"), "auth.keys[0].scopes", f"{SCOPES}; did you mean segments:read?"),
    (ACCOUNT + KEY.replace("segments:read", "own:read"), "auth.keys[0].scopes", "own:read is only for tokens, where a claim names the customer"),
    # Missing and repeated.
    (ACCOUNT.replace('token = "secret-1"\n', ""), "providers[0].token", "is missing"),
    (EMPORIX.replace('tenant = "acme"\n', ""), "providers[0].tenant", "is missing"),
    (ACCOUNT * 2, "providers[1].key", "'acme' is taken by providers[0]; keys are unique"),
    (ACCOUNT + KEY * 2, "auth.keys", "two keys have the name 'a'; names must be unique"),
    (ACCOUNT + ISSUER.replace("jwks_url", "jwks_file"), "auth.jwt[0].jwks_file", "path does not point to a file"),
    (ACCOUNT + "\n".join(ISSUER.splitlines()[:-1]), "auth.jwt[0]", "needs exactly one of jwks_url and jwks_file"),
    (ACCOUNT.replace("secret-1", "${STUUT}"), "providers[0].token", "the environment variable STUUT is not set"),
    (ACCOUNT.replace("secret-1", "${file:/none}"), "providers[0].token", "the file /none cannot be read: No such file or directory"),
    # Values.
    (table("server", "drain_s = -1"), "server.drain_s", "input should be greater than or equal to 0"),
    (table("server", "request_timeout_s = '10s'"), "server.request_timeout_s", "input should be a valid number, unable to parse string as a number"),
    (table("server", "cors_origins = ['https://a.test/']"), "server.cors_origins[0]", "must be scheme and host, like https://shop.example, without a path"),
    (table("server", "cors_origins = 'https://a.test'"), "server.cors_origins", "must be a list"),
    (table("server", "hosts = ['https://a.test']"), "server.hosts[0]", HOST),
    (table("server", "hosts = ['a.test:8000']"), "server.hosts[0]", HOST),
    (table("server", "hosts = ['*']"), "server.hosts[0]", HOST),
    (table("server", "trusted_proxies = ['nginx']"), "server.trusted_proxies[0]", PROXY),
    (table("server", "trusted_proxies = ['10.0.0.1', '10.0.0.1/8']"), "server.trusted_proxies[1]", PROXY),
    (table("server", "metrics = ':9464'"), "server.metrics", METRICS),
    (table("server", "metrics = 9464"), "server.metrics", METRICS),
    (table("store", "url = 'postgres://db'"), "store.url", "must begin with sqlite:// or postgresql://"),
    (ACCOUNT.replace("https://upstream.test", "upstream.test"), "providers[0].base_url", "must be an http or https URL without user, query and fragment, or 'sandbox:'"),
    (ACCOUNT.replace("acme", "a b"), "providers[0].key", "must begin with a letter or digit, and have up to 64 letters, digits, '.', '_', '-'"),
    (ACCOUNT + KEY.replace("sha256:", ""), "auth.keys[0].hash", "is not what `gateway key create` prints: sha256:…"),
    (ACCOUNT + ISSUER + "algorithms = ['HS256']", "auth.jwt[0].algorithms[0]", "input should be 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA' or 'Ed25519'"),
    (ACCOUNT + ISSUER.replace("https://login.test/keys", "http://login.test/keys"), "auth.jwt[0].jwks_url", "must be https, except for this machine's own addresses"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    MISTAKES,
    ids=[f"{number}-{path}" for number, (_, path, _) in enumerate(MISTAKES)],
)
def test_a_mistake(file: Path, text: str, path: str, problem: str) -> None:
    """It is the only problem that is reported."""
    assert problems(file, text) == [(path, problem)]
