"""Configurations to read, and what comes of them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.settings.loading import load
from gateway.settings.tables import Settings

EXAMPLE = """
[server]
allow_anonymous = false            # true: everybody may do everything (closed networks)
request_timeout_s = 10
cache_ttl_s = 5                    # reads may be this old; 0 turns sharing of finished answers off

[store]
url = "sqlite:///gateway.db"       # or postgresql://…

[[providers]]
key = "acme-emporix"               # unique; appears in the schema
kind = "emporix"
base_url = "https://api.emporix.io"
tenant = "acme"
client_id = "${EMPORIX_CLIENT_ID}"
client_secret = "${EMPORIX_CLIENT_SECRET}"
scope = "customersegment.segment_read customersegment.segment_manage customer.customer_read"

[[providers]]
key = "loyalty"
kind = "voucherify"
base_url = "https://api.voucherify.io"
app_id = "${VOUCHERIFY_APP_ID}"
app_token = "${VOUCHERIFY_APP_TOKEN}"
oauth = false                      # true: trade the key pair for a bearer token

[[providers]]
key = "shop"
kind = "instaleap"
base_url = "https://deadpool.instaleap.io"
token = "${INSTALEAP_TOKEN}"
reverse_token = "${INSTALEAP_REVERSE_TOKEN}"

[[providers]]
key = "receivables"
kind = "stuut"
base_url = "https://api.stuut.ai"
token = "${STUUT_TOKEN}"
"""
"""The example of the documentation, to the letter but for its longer comments."""

ENVIRONMENT = {
    "EMPORIX_CLIENT_ID": "client-1",
    "EMPORIX_CLIENT_SECRET": "secret-2",
    "VOUCHERIFY_APP_ID": "secret-3",
    "VOUCHERIFY_APP_TOKEN": "secret-4",
    "INSTALEAP_TOKEN": "secret-5",
    "INSTALEAP_REVERSE_TOKEN": "secret-6",
    "STUUT_TOKEN": "secret-7",
}

ACCOUNT = """
[[providers]]
key = "acme"
kind = "stuut"
base_url = "https://upstream.test"
token = "secret-1"
"""


def read(file: Path, text: str, environment: Mapping[str, str] | None = None) -> Settings:
    """Read a configuration of this text."""
    file.write_text(text, encoding="utf-8")
    return load(file, environment or {})


def problems(
    file: Path, text: str, environment: Mapping[str, str] | None = None
) -> list[tuple[str, str]]:
    """Return what is wrong with a configuration of this text."""
    with pytest.raises(SettingsError) as refused:
        read(file, text, environment)
    return [(path, what) for path, what in refused.value.problems]
