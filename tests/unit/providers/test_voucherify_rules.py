"""Voucherify's rules, which are decoded when they are needed."""

import msgspec
import pytest

from gateway.domain.entities import Condition, Rule
from gateway.domain.pages import PageRequest
from gateway.domain.queries import SegmentQuery
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


DEEP = b'{"a":' * 200 + b"1" + b"}" * 200


@pytest.mark.parametrize("filter_", [b"[]", b"1", DEEP])
def test_a_rule_that_is_not_readable_is_noted(filter_: bytes) -> None:
    """As any other odd part, whichever call reads it; one that is readable, or null, is not."""
    odd = ROW % (b'"filter": %b' % filter_)
    row = ROW % b'"filter": {"a": 1}'
    none = ROW % b'"filter": null'
    one = Reply(200, {}, odd)
    ADAPTER.segments_by_key(("s",))[0].exchange.read(one)
    body = b'{"data": [%b, %b, %b], "total": 3}' % (row, odd, none)
    several = Reply(200, {}, body)
    ADAPTER.segments_by_key(("s", "t"))[0].exchange.read(several)
    listed = Reply(200, {}, body)
    ADAPTER.segments(SegmentQuery(), PageRequest(size=10)).read(listed)

    assert one.oddities == ["filter: null"]
    assert several.oddities == listed.oddities == ["data[1].filter: null"]


@pytest.mark.parametrize("document", [[], "x", 1, True])
def test_a_rule_that_is_no_object_is_not_readable(document: object) -> None:
    """It is not shown."""
    rule = rule_of(b'"filter": %b' % msgspec.json.encode(document))
    assert rule is not None
    assert (rule.is_readable, rule.native) == (False, {})
