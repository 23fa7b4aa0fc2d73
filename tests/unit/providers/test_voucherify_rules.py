"""Voucherify's rules, which are decoded when they are needed."""

import msgspec
import pytest

from gateway.domain.entities import Condition, Rule
from gateway.providers.base.exchange import Reply
from gateway.providers.voucherify.adapter import Voucherify, VoucherifySettings

ADAPTER = Voucherify(
    VoucherifySettings.model_validate(
        {
            "key": "shop",
            "kind": "voucherify",
            "base_url": "https://api.example",
            "app_id": "a",
            "app_token": "t",
        }
    )
)
ROW = b'{"id": "s", "name": "n", "type": "passive", "created_at": "2026-01-01T00:00:00Z", %b}'


def rule_of(part: bytes) -> Rule | None:
    """Return the rule in a reply with this part."""
    reply = Reply(200, {}, ROW % part)
    (batch,) = ADAPTER.segments_by_key(("s",))
    return batch.exchange.read(reply)["s"].rule  # type: ignore[no-any-return]  # of any type


@pytest.mark.parametrize("part", [b'"a": 1', b'"filter": null'])
def test_there_may_be_none(part: bytes) -> None:
    """No filter, no rule."""
    assert rule_of(part) is None


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b"[1, 2.5, null]", (1, 2.5, None)),
        (b"1e999", (None,)),
        (b'"\xff"', ("\ufffd",)),
        (rb'"\ud800"', ("\ufffd",)),
    ],
)
def test_what_cannot_be_read_in_a_rule_is_null(written: bytes, value: tuple[object, ...]) -> None:
    """As in a part that is decoded with its reply."""
    rule = rule_of(b'"filter": {"a": {"conditions": {"$is": %b}}}' % written)
    assert rule is not None
    assert rule.is_readable
    assert rule.flatten(rule.native) == [Condition("/a/conditions/$is", "a", "$is", value)]


@pytest.mark.parametrize("document", [[], "x", 1, True])
def test_a_rule_that_is_no_object_is_not_readable(document: object) -> None:
    """It is not shown."""
    rule = rule_of(b'"filter": %b' % msgspec.json.encode(document))
    assert rule is not None
    assert (rule.is_readable, rule.native) == (False, {})
