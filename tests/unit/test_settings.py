"""The configuration file: what it may say, and what is served without one."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.providers.registry import SANDBOXED
from gateway.settings.loading import load
from gateway.settings.tables import CORS_ALLOW_HEADERS
from tests.four_kinds import CREDENTIALS
from tests.unit.configurations import ACCOUNT, ENVIRONMENT, EXAMPLE, problems, read

CLOSED: dict[str, Any] = {
    "hosts": (),
    "cors_origins": (),
    "cors_allow_headers": CORS_ALLOW_HEADERS,
    "trusted_proxies": (),
    "keep_alive_s": 130,
}


def plain(value: Any) -> Any:
    """Return a value with its secrets opened."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def test_the_documented_example_is_read(file: Path) -> None:
    """Every table and key of it, filled from the environment."""
    settings = read(file, EXAMPLE, ENVIRONMENT)
    assert settings.server.model_dump() == {
        "allow_anonymous": False,
        "request_timeout_s": 10,
        "cache_ttl_s": 5,
        "drain_s": 5,
        "pid_file": None,
        "worker_start_s": 60,
        "metrics": True,
        **CLOSED,
    }
    assert settings.store.url == "sqlite:///gateway.db"
    assert settings.source == str(file)
    requested = [
        {name: plain(getattr(each, name)) for name in each.model_fields_set}
        for each in settings.providers
    ]
    assert requested == [
        {
            "key": "acme-emporix",
            "kind": "emporix",
            "base_url": "https://api.emporix.io",
            "tenant": "acme",
            "client_id": "client-1",
            "client_secret": "secret-2",
            "scope": "customersegment.segment_read customersegment.segment_manage "
            "customer.customer_read",
        },
        {
            "key": "loyalty",
            "kind": "voucherify",
            "base_url": "https://api.voucherify.io",
            "app_id": "secret-3",
            "app_token": "secret-4",
            "oauth": False,
        },
        {
            "key": "shop",
            "kind": "instaleap",
            "base_url": "https://deadpool.instaleap.io",
            "token": "secret-5",
            "reverse_token": "secret-6",
        },
        {
            "key": "receivables",
            "kind": "stuut",
            "base_url": "https://api.stuut.ai",
            "token": "secret-7",
        },
    ]


def test_every_provider_takes_the_common_settings(file: Path) -> None:
    """Each of them counts, whatever the kind; a number may come from the environment."""
    common = """
display_name = "Acme's"
timeout_s = "${TIMEOUT}"
max_concurrency = 7
retries = 0
cache_ttl_s = 0
enabled = true
"""
    accounts = "".join(
        f'\n[[providers]]\nkey = "{kind}"\nkind = "{kind}"\nbase_url = "sandbox:"{common}'
        for kind in SANDBOXED
    )
    settings = read(file, accounts, {"TIMEOUT": "2.5"})
    assert [each.kind for each in settings.providers] == list(SANDBOXED)
    for each in settings.providers:
        assert (
            each.display_name,
            each.timeout_s,
            each.max_concurrency,
            each.retries,
            each.cache_ttl_s,
        ) == ("Acme's", 2.5, 7, 0, 0)


def test_what_is_not_said_has_its_documented_default(file: Path) -> None:
    """The least that a file can say."""
    settings = read(file, ACCOUNT)
    assert settings.server.model_dump() == {
        "allow_anonymous": None,
        "request_timeout_s": 10,
        "cache_ttl_s": 5,
        "drain_s": 5,
        "pid_file": None,
        "worker_start_s": 60,
        "metrics": True,
        **CLOSED,
    }
    assert settings.store.url is None
    (account,) = settings.providers
    assert (
        account.display_name,
        account.timeout_s,
        account.max_concurrency,
        account.retries,
        account.cache_ttl_s,
    ) == (None, 5, 20, 2, None)


def test_a_sandbox_account_has_the_sandboxs_credentials(file: Path) -> None:
    """They need not be written; one that is written counts."""
    settings = read(
        file,
        '[[providers]]\nkey = "a"\nkind = "stuut"\nbase_url = "sandbox:"\n'
        '[[providers]]\nkey = "b"\nkind = "stuut"\nbase_url = "sandbox:"\ntoken = "wrong"\n',
    )
    assert [plain(getattr(each, "token")) for each in settings.providers] == [  # noqa: B009  # only this kind's settings have it
        CREDENTIALS["stuut"]["token"],
        "wrong",
    ]


def test_a_disabled_provider_is_not_served_but_checked(file: Path) -> None:
    """It is left out; its mistakes and its key count all the same."""
    other = ACCOUNT.replace("acme", "other")
    settings = read(file, ACCOUNT + "enabled = false\n" + other)
    assert [each.key for each in settings.providers] == ["other"]
    assert problems(file, ACCOUNT + "enabled = false\nretries = -1\n" + ACCOUNT) == [
        ("providers[0].retries", "input should be greater than or equal to 0"),
        ("providers[1].key", "'acme' is taken by providers[0]; keys are unique"),
    ]


def test_settings_show_no_secret(file: Path) -> None:
    """Not whole, and not in part."""
    settings = read(file, EXAMPLE, ENVIRONMENT)
    for shown in (
        repr(settings),
        str(settings),
        repr(settings.providers),
        str(settings.model_dump()),
    ):
        assert "secret-" not in shown


def test_without_a_file_the_sandbox_is_served() -> None:
    """Every kind that has a sandbox, under its own name; an empty variable is none."""
    for environment in ({}, {"GATEWAY_CONFIG": ""}):
        settings = load(None, environment)
        assert settings.source == "no configuration file: the embedded sandbox"
        assert [(each.key, each.kind, each.base_url) for each in settings.providers] == [
            (kind, kind, "sandbox:") for kind in SANDBOXED
        ]


def test_the_environment_names_the_file_unless_the_caller_does(tmp_path: Path) -> None:
    """`GATEWAY_CONFIG` counts when no file is given, and not otherwise."""
    named, given = tmp_path / "named.toml", tmp_path / "given.toml"
    named.write_text(ACCOUNT.replace("acme", "named"))
    given.write_text(ACCOUNT.replace("acme", "given"))
    environment = {"GATEWAY_CONFIG": str(named)}
    assert [each.key for each in load(None, environment).providers] == ["named"]
    assert [each.key for each in load(given, environment).providers] == ["given"]


def test_a_secret_in_a_file(file: Path, tmp_path: Path) -> None:
    """`${file:PATH}` is the text of the file, without the line ending that editors add."""
    (tmp_path / "token").write_text("secret-9\n", encoding="utf-8")
    settings = read(file, ACCOUNT.replace("secret-1", f"${{file:{tmp_path}/token}}"))
    (account,) = settings.providers
    assert plain(vars(account)["token"]) == "secret-9"


@pytest.mark.parametrize("secret", ["$2b$10$abc", "$Ab", "$", "$A-B", "$$A", "x$STUUT"])
def test_a_secret_may_begin_with_a_dollar_sign(file: Path, secret: str) -> None:
    """Only what looks like a variable without braces is refused."""
    (account,) = read(file, ACCOUNT.replace("secret-1", secret)).providers
    assert plain(vars(account)["token"]) == secret


def test_a_secret_that_looks_like_a_variable(file: Path, tmp_path: Path) -> None:
    """It can be the text of a file: what replaces a reference is not read again."""
    (tmp_path / "token").write_text("$STUUT", encoding="utf-8")
    (account,) = read(file, ACCOUNT.replace("secret-1", f"${{file:{tmp_path}/token}}")).providers
    assert plain(vars(account)["token"]) == "$STUUT"
