"""Which of several languages a text is shown in."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pytest

from gateway.domain.texts import NO_TEXTS, LazyTexts, Texts, best_texts, plain

BOTH = {"en": "Gold", "de-AT": "Gold (AT)", "de": "Gold (DE)"}


@pytest.mark.parametrize(
    ("by_language", "default", "preferred", "shown"),
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
    by_language: Mapping[str, str], default: str, preferred: Sequence[str], shown: str
) -> None:
    """Each preferred language before its base; then the default; then any. Case is ignored."""
    text = Texts(by_language, default)
    assert text.best(preferred) == shown
    assert best_texts([text, NO_TEXTS, plain("A")], preferred) == [shown, None, "A"]
    for others in ([], [{default: "A"}], ["text"], [None]):
        values = [by_language, *others]
        make, pick = partial(texts_of, default, values), partial(picked, values)
        lazy = LazyTexts(len(values), default, make, pick)
        assert ([*lazy], lazy[:], lazy[0], len(lazy)) == (
            texts_of(default, values),
            [*lazy],
            text,
            1 + len(others),
        )
        assert best_texts(lazy, preferred) == best_texts([*lazy], preferred)


def texts_of(default: str, values: Sequence[Any]) -> Sequence[Texts]:
    """Return texts of values, as an adapter does."""
    return [Texts(each, default) if isinstance(each, Mapping) else plain(each) for each in values]


def picked(values: Sequence[Any], tag: str) -> list[str | None]:
    """Return the texts in one language, as an adapter does."""
    return [each[tag] for each in values]


def test_texts_without_languages() -> None:
    """They are shown whatever is preferred, also if some are missing."""
    texts = [plain("A"), NO_TEXTS, plain(""), plain(None)]
    assert [each.by_language for each in texts] == [{"und": "A"}, {}, {"und": ""}, {}]
    for preferred in ((), ("de", "en")):
        shown = ["A", None, "", None]
        assert best_texts(iter(texts), preferred) == shown
        assert [each.best(preferred) for each in texts] == shown


def test_no_text() -> None:
    """Nothing is invented."""
    assert (NO_TEXTS.best(("en",)), plain(None).best(()), plain("A").best(("en",))) == (
        None,
        None,
        "A",
    )
