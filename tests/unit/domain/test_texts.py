"""Which of several languages a text is shown in."""

from collections.abc import Mapping, Sequence

import pytest

from gateway.domain.texts import NO_TEXTS, Texts, best_texts, plain

BOTH = {"en": "Gold", "de-AT": "Gold (AT)", "de": "Gold (DE)"}


@pytest.mark.parametrize(
    ("by_language", "default", "asked", "shown"),
    [
        (BOTH, "en", (), "Gold"),
        (BOTH, "en", ("de",), "Gold (DE)"),
        (BOTH, "en", ("de-AT",), "Gold (AT)"),
        (BOTH, "en", ("DE-at",), "Gold (AT)"),
        (BOTH, "en", ("de-CH", "en"), "Gold (DE)"),
        (BOTH, "en", ("fr", "DE"), "Gold (DE)"),
        (BOTH, "de", ("fr",), "Gold (DE)"),
        (BOTH, "fr", ("it",), "Gold"),
        ({"de": "", "en": "Gold"}, "en", ("de",), "Gold"),
        ({"en": "", "de": "Gold (DE)"}, "en", ("fr",), ""),
        ({"EN": "upper", "en": "lower", "De": "first", "DE": "second"}, "x", ("en",), "lower"),
        ({"EN": "upper", "en": "lower", "De": "first", "DE": "second"}, "x", ("de",), "first"),
        ({"pl": "only"}, "en", ("de", "en"), "only"),
        ({"pl": ""}, "en", ("de",), ""),
    ],
)
def test_the_first_there_is(
    by_language: Mapping[str, str], default: str, asked: Sequence[str], shown: str
) -> None:
    """Of those asked for, each before its base language; the default; any. Case means nothing."""
    text = Texts(by_language, default)
    assert text.best(asked) == shown
    assert best_texts([text, NO_TEXTS, plain("A")], asked) == [shown, None, "A"]


def test_no_text() -> None:
    """Nothing is made up."""
    assert (NO_TEXTS.best(("en",)), plain(None).best(()), plain("A").best(("en",))) == (
        None,
        None,
        "A",
    )
