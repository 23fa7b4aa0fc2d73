"""One odd value of one row of a list: the other rows stand, and the row does if its id can."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.pages import CompleteList, Page
from gateway.providers.base.exchange import Exchange, Reply
from gateway.providers.base.write_protocols import ReplacedCustomers
from gateway.testing.samples import Sample, plain
from tests.contract.sample import samples
from tests.sizes import size

EXAMPLES = size("ODD_ROWS", 400, 20_000)


def rows_of(document: Any) -> Sequence[Any]:
    """Return the rows of a list: it is the answer, or stands in it under a documented name."""
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        names = ("data", "customers", "updatedCustomers")
        return next((document[name] for name in names if name in document), ())
    return ()


def body_of(sample: Sample) -> Any:
    """Return the documented answer of a sample."""
    assert sample.reply is not None
    return sample.reply.body


LISTS = [
    sample
    for sample in samples()
    if sample.reply is not None
    and "value" in sample.expect
    and sample.reply.status in {200, 207}
    and isinstance(rows_of(sample.reply.body), list)
    and 1 < len(rows_of(sample.reply.body)) <= 10
    and None not in rows_of(sample.reply.body)  # a sample of an odd row: one more would be two
]

TEXT = st.text(st.characters(exclude_categories=()), max_size=6)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from((5.0, 2**31, -(2**31) - 1, 2**64, 0, 7, 1e308))
    | st.sampled_from(("", "2016-12-31T23:59:60Z", "\ud83d", "x\udc00y", "2026-13-01T00:00:00Z"))
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def places(part: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Return the paths of all parts of a row, the row itself first."""
    yield path
    named: Any = ()
    if isinstance(part, dict):
        named = part.items()
    elif isinstance(part, list):
        named = enumerate(part)
    for name, inner in named:
        yield from places(inner, (*path, name))


def replaced(part: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """Return a document with another value at a path."""
    if not path:
        return value
    name, *rest = path
    copy = dict(part) if isinstance(part, dict) else list(part)
    copy[name] = replaced(part[name], tuple(rest), value)  # type: ignore[index]  # by its own path
    return copy


def with_rows(document: Any, rows: Sequence[Any]) -> Any:
    """Return an answer with other rows."""
    if isinstance(document, list):
        return rows
    names = ("data", "customers", "updatedCustomers")
    name = next(name for name in names if name in document)
    return {**document, name: rows}


def read(sample: Sample, document: Any) -> Any:
    """Read an answer, written as JSON that may have half a surrogate in it."""
    exchange = sample.exchange()
    assert isinstance(exchange, Exchange)
    good = sample.answer()
    return exchange.read(Reply(good.status, good.headers, json.dumps(document).encode()))


def shown(value: Any) -> list[Any]:
    """Return what was read of each row, which must be such as an answer can say."""
    if isinstance(value, Page):
        value = value.rows
    if isinstance(value, ReplacedCustomers):
        value = value.customers
    if isinstance(value, Mapping):
        value = value.values()
    rows = [_without_raw(row) for row in value]
    msgspec.json.encode(rows, enc_hook=str)
    return rows


def _without_raw(row: Any) -> Any:
    raw = getattr(row, "raw", None)
    if raw is not None:
        msgspec.json.encode(msgspec.json.decode(bytes(raw)))
    if hasattr(row, "raw"):
        row = msgspec.structs.replace(row, raw=None)
    for name in ("segment", "customer"):
        inner = getattr(row, name, None)
        if hasattr(inner, "raw"):
            row = msgspec.structs.replace(row, **{name: _without_raw(inner)})
    return plain(row, None)


@st.composite
def oddities(draw: st.DrawFn) -> tuple[Sample, int, Any]:
    """Draw a list, the place of a row in it, and the answer with one value of that replaced."""
    sample = draw(st.sampled_from(LISTS))
    document = body_of(sample)
    rows = rows_of(document)
    place = draw(st.integers(0, len(rows) - 1))
    path = draw(st.sampled_from(list(places(rows[place]))))
    value = draw(JSON)
    odd = [replaced(row, path, value) if i == place else row for i, row in enumerate(rows)]
    return sample, place, with_rows(document, odd)


@settings(max_examples=EXAMPLES)
@given(oddities())
def test_the_other_rows_stand(drawn: tuple[Sample, int, Any]) -> None:
    """Whatever one value of one row is replaced by: no other row is lost, and none is changed."""
    sample, place, document = drawn
    good, odd = read(sample, body_of(sample)), read(sample, document)
    # The same answer without the row tells which of the rows that were read are others.
    rows = rows_of(body_of(sample))
    alone = msgspec.json.encode(rows[place])
    before, after = shown(good), shown(odd)
    if ".bulk_" in sample.operation:  # its rows tell by their places whose they are
        before[place] = after[place] = None
        assert before == after
        return
    others = [each for each in before if not _is_of(each, alone)]
    left = iter(after)
    lost = [each for each in others if each not in left]
    is_cut = isinstance(odd, Page) and not odd.is_last
    assert lost == [] or (is_cut and lost == others[-len(lost) :] and len(lost) == 1)
    assert len(after) <= len(before) + 1


def _is_of(shown_row: Any, document: bytes) -> bool:
    """Tell whether what is shown can be of this document: it names the same things."""
    ref = shown_row.get("ref") if isinstance(shown_row, dict) else shown_row
    if isinstance(ref, list):
        ids = ref[1:]
    else:
        ids = [shown_row["key"] if isinstance(shown_row, dict) else shown_row]
    return any(each is not None and json.dumps(each).encode() in document for each in ids)


def test_lists_of_every_kind_are_altered() -> None:
    """There is a documented list of each operation that reads one."""
    assert sorted({f"{each.provider}/{each.operation}" for each in LISTS}) == [
        "emporix/assignments.bulk_create",
        "emporix/assignments.bulk_delete",
        "emporix/customers.list",
        "emporix/customers.of_ids",
        "emporix/items.bulk_assign",
        "emporix/items.bulk_unassign",
        "emporix/items.list",
        "emporix/items.segments",
        "emporix/items.within",
        "emporix/members.list",
        "emporix/members.of_customers",
        "emporix/segments.bulk_create",
        "emporix/segments.bulk_delete",
        "emporix/segments.bulk_upsert",
        "emporix/segments.list",
        "emporix/segments.of_customer",
        "emporix/segments.of_ids",
        "instaleap/tags.replace",
        "stuut/customers.list",
        "stuut/segments.list",
        "stuut/segments.reorder",
        "voucherify/customers.list",
        "voucherify/members.list",
        "voucherify/segments.list",
        "voucherify/segments.of_customer",
        "voucherify/segments.of_ids",
    ]


def test_what_was_left_out_is_counted() -> None:
    """A list that was read to its end knows how many rows it lacks."""
    rows = CompleteList([1, 2])
    rows.skipped = 3
    made = rows.with_rows(["a"])
    assert (made, made.skipped) == (["a"], 3)
