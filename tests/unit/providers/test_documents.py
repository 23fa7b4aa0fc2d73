"""What a row's `raw` is: the provider's own bytes, whatever else of the reply was read."""

import msgspec
import pytest

from gateway.providers.base.decoding import documents
from gateway.providers.base.exchange import Reply

ROWS = (b'{"id": "1",  "n": 1.0, "n": 1e2}', b"null", b'[ "\\u00e9" , {} ]', b'"\xc3\xa9"')
LIST = b"[" + b" ,\n".join(ROWS) + b"]"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (LIST, None),
        (b'{"total": 4, "data": ' + LIST + b', "more": {"data": [1]}}', "data"),
        (b'{"data": [1, 2], "data" : ' + LIST + b"}", "data"),
    ],
    ids=["the list is the reply", "it is a part of it", "its name stands twice"],
)
def test_rows_are_cut_out_byte_for_byte(body: bytes, name: str | None) -> None:
    """In the order of the list, in any order of asking, as often as wanted."""
    rows = list(documents(Reply(200, {}, body), ROWS, name=name))
    assert [bytes(rows[place]) for place in (2, 0, 3, 1, 2)] == [
        ROWS[place] for place in (2, 0, 3, 1, 2)
    ]


def test_rows_of_which_none_is_looked_at_are_not_cut() -> None:
    """The list is read once for its rows; a second time only for what they say beyond."""
    (row,) = documents(Reply(200, {}, b"[1"), (1,))
    with pytest.raises(msgspec.DecodeError):
        bytes(row)
