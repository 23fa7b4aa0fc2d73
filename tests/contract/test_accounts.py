"""What the settings of an account make of its adapter."""

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.providers.base.adapter import SignsIn
from gateway.providers.base.capabilities import capabilities
from tests.contract.sample import adapter, settings
from tests.four_kinds import FOUR

HEADERS = {
    "stuut": {"authorization": "Bearer no-real-token-4711"},
    "voucherify": {"x-app-id": "no-real-id-4714", "x-app-token": "no-real-token-4715"},
    "instaleap": {"authorization": "Bearer no-real-token-4712"},
    "emporix": {},
}
READS = {
    "stuut": "SEGMENT_LIST SEGMENT_GET CUSTOMER_LIST CUSTOMER_GET CUSTOMER_SEGMENTS",
    "voucherify": (
        "SEGMENT_LIST SEGMENT_GET SEGMENT_MEMBERS CUSTOMER_LIST CUSTOMER_SEARCH_EMAIL"
        " CUSTOMER_GET CUSTOMER_SEGMENTS"
    ),
    "instaleap": (
        "SEGMENT_LIST SEGMENT_GET SEGMENT_MEMBERS CUSTOMER_LIST CUSTOMER_GET CUSTOMER_SEGMENTS"
    ),
    "emporix": (
        "SEGMENT_LIST SEGMENT_GET SEGMENT_MEMBERS SEGMENT_ITEMS SEGMENT_SEARCH_ITEM"
        " CUSTOMER_LIST CUSTOMER_SEARCH_EMAIL CUSTOMER_SEARCH_NAME CUSTOMER_SEARCH_PHONE"
        " CUSTOMER_GET CUSTOMER_SEGMENTS ITEM_MATCH"
    ),
}

WRITES = {
    "stuut": "SEGMENT_CREATE SEGMENT_REORDER",
    "voucherify": "SEGMENT_CREATE SEGMENT_DELETE CUSTOMER_ATTRIBUTES_UPDATE",
    "instaleap": "ASSIGNMENT_REPLACE",
    "emporix": (
        "SEGMENT_CREATE SEGMENT_UPDATE SEGMENT_UPSERT SEGMENT_DELETE SEGMENT_BULK"
        " ASSIGNMENT_CREATE ASSIGNMENT_DELETE ASSIGNMENT_REPLACE ITEM_ASSIGN"
        " CUSTOMER_ATTRIBUTES_UPDATE"
    ),
}

every_kind = pytest.mark.parametrize("kind", FOUR)


@every_kind
def test_credentials_go_into_the_documented_headers(kind: str) -> None:
    """They go with every call, or with none when they are traded for a token."""
    assert adapter(kind).secret_headers == HEADERS[kind]


@every_kind
def test_an_adapter_can_read_what_its_provider_lets_it(kind: str) -> None:
    """Capabilities follow from the methods; reading ones are those of the documents."""
    offered = capabilities(adapter(kind))
    every_read = {name for names in READS.values() for name in names.split()}
    supported = [each.operation for each in offered if each.supported]
    assert [name for name in supported if name in every_read] == READS[kind].split()


def test_a_write_only_provider_says_so() -> None:
    """Instaleap's notes say that its values come from the store."""
    text = "Instaleap cannot be read: the gateway returns what it wrote, from its own store."
    notes = adapter("instaleap").notes
    assert {name: notes[name] for name in READS["instaleap"].split()} == dict.fromkeys(
        READS["instaleap"].split(), text
    )
    assert notes["CUSTOMER_SEARCH_EMAIL"] == (
        "Instaleap cannot be read, and the store has no email addresses."
    )


@every_kind
def test_an_adapter_can_write_what_its_provider_lets_it(kind: str) -> None:
    """Nothing else can be written there."""
    offered = capabilities(adapter(kind))
    every_read = {name for names in READS.values() for name in names.split()}
    supported = [each.operation for each in offered if each.supported]
    assert [name for name in supported if name not in every_read] == WRITES[kind].split()


@every_kind
def test_only_accounts_with_tokens_sign_in(kind: str) -> None:
    """An adapter whose credentials go with each call has nothing to sign in with."""
    assert isinstance(adapter(kind), SignsIn) == (kind == "emporix")


def test_voucherify_signs_in_where_the_settings_say_so() -> None:
    """With `oauth` the key pair goes to the token endpoint alone."""
    account = adapter("voucherify", {"oauth": True})
    assert isinstance(account, SignsIn)
    assert account.secret_headers == {}


@pytest.mark.parametrize(
    ("kind", "changed", "at"),
    [
        ("stuut", {"token": ""}, "token"),
        ("stuut", {"tokens": "x"}, "tokens"),
        ("voucherify", {"app_id": ""}, "app_id"),
        ("voucherify", {"app_token": ""}, "app_token"),
        ("voucherify", {"scope": ""}, "scope"),
        ("instaleap", {"token": ""}, "token"),
        ("instaleap", {"reverse_token": ""}, "reverse_token"),
        ("instaleap", {"batch_size": 0}, "batch_size"),
        ("instaleap", {"kind": "stuut"}, "kind"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    kind: str, changed: dict[str, Any], at: str
) -> None:
    """Each mistake is reported at its own setting."""
    with pytest.raises(ValidationError) as raised:
        settings(kind, changed)
    assert [error["loc"] for error in raised.value.errors()] == [(at,)]
