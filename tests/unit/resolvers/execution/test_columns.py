"""Rows completed by column are the same as rows completed one by one."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from gateway.context import RequestContext, Scope
from gateway.errors import BadInput
from resolvers.execution import columns as runtime
from resolvers.execution import plan_compiler
from resolvers.execution.columns import column_serializer, in_batches, serializer
from resolvers.execution.executor import Executor
from tests.differential import made_up
from tests.differential.both import assert_equal, both
from tests.differential.made_up import CALLS, SHOWN, Colour, Size
from tests.differential.operations import Operation

MADE_UP = made_up.SCHEMA._schema  # noqa: SLF001  # as gateway.asgi


@pytest.fixture(params=["dicts", "structs"], autouse=True)
def _rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complete the rows of new plans as each of the two."""
    if request.param == "structs":
        monkeypatch.setattr(plan_compiler, "MIN_STRUCTS", 0)


def context() -> RequestContext:
    """Return a context without providers."""
    return RequestContext({}, Scope("request", 0.0), (), datetime(2026, 11, 22, tzinfo=UTC))


async def answered(text: str) -> Any:
    """Return what a client reads of the answer: the same, whichever executor ran."""
    operations = Executor(MADE_UP)
    with capture_logs():  # of the bugs that it is full of
        result, expected = await both(operations, Operation(text, {}, None), context(), context())
    assert_equal(result, expected, Operation(text, {}, None))
    SHOWN.clear()
    CALLS.clear()
    with capture_logs():
        answer = await operations.run(operations.document(text), {}, None, context())
    return msgspec.json.decode(msgspec.json.encode(answer.body))


async def test_any_name_is_a_key() -> None:
    """Whatever it means to Python; keys stand in the order of the document."""
    text = (
        "{ things(number: 2) { __class__: text f1: number f0: holds class: __typename None: sure"
        " __init__: number __struct_fields__: colour self: __typename } }"
    )
    rows = [
        {
            "__class__": f"thing {number}",
            "f1": number,
            "f0": number == 2,
            "class": "Thing",
            "None": f"surely {number}",
            "__init__": number,
            "__struct_fields__": colour,
            "self": "Thing",
        }
        for number, colour in ((2, "RED"), (3, "BLUE"))
    ]
    answer = await answered(text)
    assert answer == {"data": {"things": rows}}
    assert [list(row) for row in answer["data"]["things"]] == [list(row) for row in rows]


@pytest.mark.parametrize("selected", ["kind: __typename", "number @skip(if: true)"])
async def test_rows_that_show_nothing_of_their_values(selected: str) -> None:
    """There are as many as values."""
    row = {"kind": "Thing"} if "kind" in selected else {}
    assert await answered(f"{{ things(number: 3) {{ {selected} }} }}") == {
        "data": {"things": [row] * 3}
    }


async def test_what_stands_for_many_rows_is_made_once() -> None:
    """Three things, in a list each, live in one home."""
    answer = await answered("{ thing(number: 7) { lists { home { address number } } } }")
    home = {"home": {"address": "home 1", "number": 1}}
    assert answer == {"data": {"thing": {"lists": [[home], [home], [home]]}}}
    assert SHOWN == [1]


async def test_what_stands_for_many_rows_beside_what_fails() -> None:
    """Each row shows its error; what is read below such an object is read for each row."""
    text = "{ things(number: 3, trouble: 4) { home { address } many { number } } }"
    answer = await answered(text)
    assert answer["data"]["things"] == [
        {"home": {"address": address}, "many": {"number": number}}
        for address, number in ((None, 112), ("home 0", 143), ("home 1", 174))
    ]
    assert [error["path"] for error in answer["errors"]] == [["things", 0, "home", "address"]]
    assert CALLS == [3]


async def test_a_null_takes_an_object_of_a_list_whose_siblings_are_read() -> None:
    """The others keep what was read for them."""
    text = "{ things(number: 10, trouble: 10) { some { sure many { number } } } }"
    answer = await answered(text)
    assert answer["data"]["things"] == [
        {
            "some": [
                number and {"sure": f"surely {number}", "many": {"number": read}}
                for number, read in rows
            ]
        }
        for rows in (
            ((None, None), (311, 579), (312, 610)),
            ((341, 500), (342, 531), (343, 562)),
        )
    ]
    assert [error["path"] for error in answer["errors"]] == [["things", 0, "some", 0, "sure"]]


async def test_what_the_values_tell_is_not_read() -> None:
    """Where one of a list's values does not tell it, it is read for all of that list."""
    assert await answered("{ things(number: 3) { said surelySaid } }") == {
        "data": {"things": [{"said": number, "surelySaid": number} for number in (3, 4, 5)]}
    }
    assert CALLS == []
    assert await answered("{ things(number: 3, trouble: 100) { said } }") == {
        "data": {"things": [{"said": number} for number in (3, 4, 5)]}
    }
    assert CALLS == [3]


class Text(str):
    """A text that is not quite one."""

    __slots__ = ()


class Whole(int):
    """A number that is not quite one."""


ODD = [
    None,
    "a",
    Text("b"),
    0,
    7,
    Whole(8),
    2**31 - 1,
    2**31,
    -(2**31),
    -(2**31) - 1,
    True,
    False,
    1.0,
    0.5,
    math.nan,
    Colour.RED,
    Colour.BLUE,
    Size.SMALL,
    datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
    datetime(2026, 1, 31, 9, 30, 0, 500, tzinfo=timezone(timedelta(hours=1))),
    BadInput("an error for a value"),
    object(),
]
KINDS = ("String", "Int", "Boolean", "Float", "Colour", "Size", "DateTime", "JSON")


@pytest.mark.parametrize("is_nullable", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_a_column_is_what_its_values_are(name: str, *, is_nullable: bool) -> None:
    """Of whatever types they are: it raises if one of them does."""
    kind: Any = MADE_UP.get_type(name)
    one, many = serializer(kind), column_serializer(kind, is_nullable=is_nullable)

    def shown(value: Any) -> Any:
        if value is None and not is_nullable:
            raise runtime.UnexpectedNullError
        return None if value is None else one(value)

    for values in ([], *product(ODD, repeat=1), *product(ODD, repeat=2)):
        try:
            expected = [shown(value) for value in values]
        except Exception:  # noqa: BLE001  # whatever it is, for a column it is one, too
            with pytest.raises(Exception):  # noqa: B017, PT011  # likewise
                many(values)
        else:
            assert list(map(repr, many(values))) == list(map(repr, expected))


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([], []),
        ([0], [1]),
        ([3, 0, 2], [3]),
        ([runtime.BATCH_ROWS], [1]),
        ([runtime.BATCH_ROWS + 1, 1, runtime.BATCH_ROWS - 1, 1], [1, 2, 1]),
    ],
)
def test_lists_are_made_together_up_to_a_size(sizes: list[int], batches: list[int]) -> None:
    """Each is what it would be alone."""
    seen = []

    def complete(lists: list[Sequence[Any]], slots: Any) -> list[Any]:
        assert slots is sizes
        seen.append(len(lists))
        rows = [row for each in lists for row in each]
        return runtime.split(tuple(-row for row in rows), lists)

    lists = [range(size) for size in sizes]
    completed = in_batches(complete, lists, sizes)
    assert (completed, seen) == ([[-row for row in each] for each in lists], batches)


@pytest.mark.parametrize("value", [None, "text", {"a": 1}, 1, BadInput("no list")], ids=repr)
def test_what_is_no_list(value: object) -> None:
    """It is not taken apart."""
    with pytest.raises(TypeError):
        runtime.as_list(value)


def test_one_for_each() -> None:
    """A function that skips a row is detected."""
    with pytest.raises(ValueError, match="1"):
        runtime.check_length(["a"], ["a", "b"])
