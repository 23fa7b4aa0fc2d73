"""Parts of replies without a model nest no deeper than `MAX_DEPTH`, whoever reads them."""

from typing import Annotated, Any

import msgspec
import pytest

from gateway.domain.entities import Membership, Ref, Segment
from gateway.domain.json_depth import MAX_DEPTH
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import SegmentQuery
from gateway.domain.texts import plain
from gateway.errors import Malformed
from gateway.providers.base.exchange import Reply
from gateway.providers.base.untyped import depth_check, is_typed
from gateway.providers.emporix import model as emporix
from gateway.providers.emporix.adapter import Emporix, EmporixSettings
from gateway.providers.voucherify import model as voucherify
from gateway.providers.voucherify.listing import segments_page
from gateway.upstream.reply_reader import read_reply
from resolvers.field_resolvers.segments import document, rule

PAGE = PageRequest(10)
TOO_DEEP = f"nested deeper than {MAX_DEPTH}"
EMPORIX = Emporix(
    EmporixSettings.model_validate(
        {
            "key": "shop",
            "kind": "emporix",
            "base_url": "https://api.example",
            "tenant": "tenant",
            "client_id": "c",
            "client_secret": "s",
        }
    )
)


def nested(levels: int) -> Any:
    """Return an object of so many levels."""
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def voucherify_page(*parts: dict[str, Any]) -> Page[Segment]:
    """Return the page of a reply whose rows have these parts besides the documented ones."""
    documented = {"name": "N", "type": "passive", "created_at": "2026-01-01T00:00:00Z"}
    rows = [{"id": f"{i}", **documented, **part} for i, part in enumerate(parts)]
    body = msgspec.json.encode({"data": rows, "total": len(rows)})
    return read_reply("shop", segments_page("shop", SegmentQuery(), PAGE), Reply(200, {}, body))


def emporix_page(*parts: dict[str, Any]) -> Page[Segment]:
    """Return the same for the other provider."""
    rows = [{"id": f"{i}", "name": {"en": "N"}, **part} for i, part in enumerate(parts)]
    exchange = EMPORIX.segments(SegmentQuery(), PAGE)
    return read_reply("shop", exchange, Reply(200, {}, msgspec.json.encode(rows)))


def test_a_rule_that_is_too_deep_is_not_readable() -> None:
    """It is null; the other rows and the other parts of its row are there."""
    page = voucherify_page({"filter": nested(MAX_DEPTH)}, {"filter": nested(MAX_DEPTH + 1)})
    assert [row.ref.key for row in page.rows] == ["0", "1"]
    shown, hidden = map(rule, page.rows)
    assert shown is not None
    assert shown.native == nested(MAX_DEPTH)
    assert hidden is None


def test_a_document_that_is_too_deep_is_not_shown() -> None:
    """A part that the gateway does not know is only in `raw`."""
    first, second = voucherify_page(
        {"new": nested(MAX_DEPTH - 1)}, {"new": nested(MAX_DEPTH)}
    ).rows
    assert document(first)["new"] == nested(MAX_DEPTH - 1)
    with pytest.raises(Malformed) as failure:
        document(second)
    assert failure.value.detail == TOO_DEEP


def test_attributes_that_are_too_deep_are_malformed() -> None:
    """They are decoded with their row, at the third level."""
    (row,) = emporix_page({"mixins": nested(MAX_DEPTH - 2)}).rows
    assert row.attributes == nested(MAX_DEPTH - 2)
    with pytest.raises(Malformed) as failure:
        emporix_page({}, {"mixins": nested(MAX_DEPTH - 1)})
    assert failure.value.detail == TOO_DEEP


@pytest.mark.parametrize("name", ["filter", "new"])
def test_odd_replies_are_not_read_if_they_are_too_deep(name: str) -> None:
    """What is not as documented is decoded without a model."""
    odd = {"name": 1}
    assert len(voucherify_page(odd, {name: nested(MAX_DEPTH - 3)}).rows) == 2
    with pytest.raises(Malformed):
        voucherify_page(odd, {name: nested(MAX_DEPTH)})


def test_what_the_parser_refuses_is_malformed() -> None:
    """It recurses into parts that it skips, too."""
    body = b'{"data": [], "total": 0, "new": %b}' % (b"[" * 100_000 + b"]" * 100_000)
    with pytest.raises(Malformed):
        read_reply("shop", segments_page("shop", SegmentQuery(), PAGE), Reply(200, {}, body))


def test_single_objects_are_checked_whole() -> None:
    """Writes store their documents, and send them again."""
    body = msgspec.json.encode({"id": "1", "name": {"en": "N"}, "new": nested(MAX_DEPTH)})
    (batch,) = EMPORIX.segments_by_key(["1"])
    with pytest.raises(Malformed) as failure:
        read_reply("shop", batch.exchange, Reply(200, {}, body))  # type: ignore[arg-type]  # a call
    assert failure.value.detail == TOO_DEEP


class Tree(msgspec.Struct):
    """A type that is a part of itself."""

    below: list["Tree"]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (voucherify.SegmentList[voucherify.SegmentModel], True),
        (voucherify.SegmentList[voucherify.NamedSegmentModel], True),
        (voucherify.CustomerList, False),
        (list[emporix.SegmentModel], False),
        (list[emporix.AssignmentModel], True),
        (list[emporix.ItemAssignmentModel], True),
        (Annotated[int, msgspec.Meta(ge=0)], True),
        (dict[str, list[str | None]], True),
        (dict[str, Any], False),
        (dict, False),
        (object, False),
        (Tree, False),
        (list[Tree], False),
    ],
    ids=repr,
)
def test_a_type_bounds_its_depth_or_not(form: Any, expected: bool) -> None:  # noqa: FBT001  # of a table
    """Everything else is without a bound."""
    assert is_typed(form) is expected


def emporix_rows(*mixins: Any) -> list[emporix.SegmentModel]:
    """Return rows with these parts that no model describes."""
    return [
        emporix.SegmentModel(f"{i}", {"en": "N"}, mixins=each) for i, each in enumerate(mixins)
    ]


def voucherify_rows(*metadata: Any) -> voucherify.CustomerList:
    """Return the same, in a list with other parts."""
    rows = [voucherify.CustomerModel(f"{i}", metadata=each) for i, each in enumerate(metadata)]
    return voucherify.CustomerList(rows, len(rows))


@pytest.mark.parametrize(
    ("form", "rows", "around"),
    [
        (list[emporix.SegmentModel], emporix_rows, 2),
        (voucherify.CustomerList, voucherify_rows, 3),
    ],
    ids=["list", "list in an object"],
)
def test_only_the_parts_of_rows_are_checked(form: Any, rows: Any, around: int) -> None:
    """Their levels are counted together with those around them, through objects and lists."""
    is_too_deep = depth_check(form)
    assert is_too_deep is not None
    deepest = nested(MAX_DEPTH - around)
    in_lists = {"a": [1, [deepest["a"]["a"]["a"]]]}
    allowed = [(), (None,), (None, {}, {"a": 1}), (deepest,), ({"a": 1}, in_lists)]
    refused = [({"a": deepest},), (None, {"a": 1}, {"a": [deepest]}), ({"b": 1, "a": in_lists},)]
    body = b"[" * (MAX_DEPTH + 1)  # the rows alone count
    assert [is_too_deep(rows(*each), body) for each in allowed] == [False] * len(allowed)
    assert [is_too_deep(rows(*each), body) for each in refused] == [True] * len(refused)


def test_a_segment_without_a_document_has_none() -> None:
    """It was not read, but written."""
    assert (
        document(Segment(ref=Ref("p", "1"), names=plain("N"), membership=Membership.TAG)) is None
    )
