"""How a call is written as a URL."""

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.providers.base.exchange import Call, quoted


@given(st.text())
@example("%")
@example("%25 %")
@example("id:(a-1,b_2,c.3~)")
def test_a_part_of_a_url_is_quoted_as_the_standard_library_does(text: str) -> None:
    """With nothing taken for safe but what is unreserved."""
    assert quoted(text) == quote(text, safe="")


def test_half_a_character_is_no_part_of_a_url() -> None:
    """It has no UTF-8."""
    with pytest.raises(UnicodeEncodeError):
        quoted("\ud800")


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ((), "/a%2Fb"),
        (
            (("q", "id:(a,b)"), ("q", "c d"), ("é", "")),
            "/a%2Fb?q=id%3A%28a%2Cb%29&q=c%20d&%C3%A9=",
        ),
    ],
    ids=["none", "names and values, one of them twice"],
)
def test_a_target_is_the_path_and_the_query(
    query: tuple[tuple[str, str], ...], target: str
) -> None:
    """The path is encoded already; the query keeps its order."""
    assert Call("GET", "/a%2Fb", query).target == target
