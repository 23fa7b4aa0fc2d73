"""The languages of a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.context import languages_of


@pytest.mark.parametrize(
    ("accept", "languages"),
    [
        (None, []),
        ("", []),
        ("de", ["de"]),
        ("de-CH, de;q=0.9, en;q=0.8", ["de-CH", "de", "en"]),
        ("en;q=0.2,de;q=0.9,fr", ["fr", "de", "en"]),
        ("en;q=0.5,de;q=0.5", ["en", "de"]),
        ("*", []),
        ("de, *;q=0.1", ["de"]),
        ("de;q=0, en", ["en"]),
        ("de ; Q=0.1 , en ; q=0.5", ["en", "de"]),
        ("de;q=much, en", ["en"]),
        ("de;q=nan, en;q=-1, fr", ["fr"]),
        (",,;,;q=1, de", ["de"]),
        ("de;level=1, en;q=0.1", ["de", "en"]),
        (",".join(f"l{n}" for n in range(30)), [f"l{n}" for n in range(20)]),
    ],
)
def test_languages_are_read_best_first(accept: str | None, languages: list[str]) -> None:
    """Sorted by weight, ties in order; malformed parts are ignored; at most 20."""
    assert list(languages_of(accept)) == languages


@given(accept=st.text(max_size=100))
def test_any_header_is_read(accept: str) -> None:
    """No header raises an error."""
    assert "*" not in languages_of(accept)
