"""The `[identity]` table: what it means, and what is wrong with it."""

from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.identity.normalizing import EXACT, Form, Normalization
from gateway.identity.rules import Key, Rule
from gateway.settings.loading import load

PROVIDERS = """
[[providers]]
key = "loyalty"
kind = "voucherify"
base_url = "sandbox:"
[[providers]]
key = "receivables"
kind = "stuut"
base_url = "sandbox:"
enabled = false
"""


def problems(tmp_path: Path, text: str) -> list[tuple[str, str]]:
    """Return the problems of a configuration with this [identity] table."""
    file = tmp_path / "gateway.toml"
    file.write_text(text + PROVIDERS, encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        load(file, {})
    assert "topsecret" not in str(raised.value)
    return [(each.path, each.text) for each in raised.value.problems]


def test_rules(tmp_path: Path) -> None:
    """Rules in file order, with their defaults; nothing links without the table."""
    file = tmp_path / "gateway.toml"
    file.write_text(
        """
[identity]
blocked = ["-1"]
max_customers = 4
index_keys = ["topsecret-topsecret-topsecret-topsecret"]
[[identity.rules]]
name = "crm"
keys = ["loyalty:source_id", "receivables:remote_id", "loyalty:attributes.crm.id"]
[[identity.rules]]
name = "phone"
keys = ["loyalty:phone", "receivables:attributes.phone"]
normalize = "phone"
region = "DE"
auto = false
per_provider = 2
"""
        + PROVIDERS,
        encoding="utf-8",
    )
    settings = load(file, {})
    assert "topsecret" not in repr(settings)
    rules = settings.identity.ruleset
    assert rules.max_customers == 4
    assert rules.is_blocked("-1")
    crm = (
        Key("loyalty", "source_id"),
        Key("receivables", "remote_id"),
        Key("loyalty", "attributes.crm.id"),
    )
    phone = (Key("loyalty", "phone"), Key("receivables", "attributes.phone"))
    assert rules.rules == (
        Rule("crm", crm, EXACT),
        Rule("phone", phone, Form(Normalization.PHONE, "DE"), is_auto=False, per_provider=2),
    )
    file.write_text(PROVIDERS, encoding="utf-8")
    assert load(file, {}).identity.ruleset.rules == ()


def test_problems_of_the_tables(tmp_path: Path) -> None:
    """Wrong values are reported by their paths, and secrets are not shown."""
    text = """
[identity]
blocked = ["(", "a"]
max_customers = 1
index_keys = ["topsecret"]
list_max_age_s = -1
color = "red"
[[identity.rules]]
name = "a b"
keys = ["loyalty"]
normalize = "upper"
[[identity.rules]]
name = "one"
keys = ["loyalty:id"]
[[identity.rules]]
name = "twice"
keys = ["loyalty:id", "loyalty:id"]
per_provider = 0
[[identity.rules]]
name = "region"
keys = ["loyalty:phone", "receivables:phone"]
region = "DE"
[[identity.rules]]
name = "nowhere"
keys = ["loyalty:phone", "receivables:phone"]
normalize = "phone"
region = "XX"
"""
    assert problems(tmp_path, text) == [
        ("identity.rules[0].name", "must have 1 to 64 letters, digits, '.', '_', '-'"),
        (
            "identity.rules[0].keys[0]",
            "must be a provider's key and a key of its customers, like loyalty:source_id",
        ),
        ("identity.rules[0].normalize", "input should be 'exact', 'email', 'phone' or 'digits'"),
        ("identity.rules[1].keys", "must have at least two keys: a rule compares them"),
        ("identity.rules[2].keys", "names a key twice"),
        ("identity.rules[2].per_provider", "input should be greater than or equal to 1"),
        ("identity.rules[3]", "a region needs normalize = 'phone'"),
        ("identity.rules[4]", "'XX' is no ISO 3166 code of a country"),
        (
            "identity.blocked",
            "'(' is no regular expression: missing ), unterminated subpattern at position 0",
        ),
        ("identity.max_customers", "input should be greater than or equal to 2"),
        ("identity.index_keys", "a key has at least 32 characters"),
        ("identity.list_max_age_s", "input should be greater than or equal to 0"),
        ("identity.color", "is not a known setting"),
    ]


def test_rules_that_do_not_fit_the_providers(tmp_path: Path) -> None:
    """Unknown providers and keys, and a name twice; a provider that is switched off is known."""
    text = """
[[identity.rules]]
name = "crm"
keys = ["loyalty:source_id", "receivables:remote_id", "shop:id", "loyalty:remote_id"]
[[identity.rules]]
name = "crm"
keys = ["loyalty:attributes.", "receivables:attributes.a"]
"""
    there = "id, source_id, email, phone, attributes.<path>"
    assert problems(tmp_path, text) == [
        ("identity.rules[0].keys[2]", "no provider has the key 'shop'"),
        (
            "identity.rules[0].keys[3]",
            f"customers there have no 'remote_id'; they have {there}",
        ),
        ("identity.rules[1].name", "'crm' is taken by identity.rules[0]"),
        (
            "identity.rules[1].keys[0]",
            f"customers there have no 'attributes.'; they have {there}",
        ),
    ]
