"""Texts in several languages, and the best match for preferred languages."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, final

import msgspec

from gateway.domain.lazy_columns import LazyColumn

UNDETERMINED = "und"
"""The BCP 47 tag for texts of providers without languages."""


class Texts(msgspec.Struct, frozen=True, gc=False):
    """A text by language (BCP 47 tag), and the provider's default language."""

    by_language: Mapping[str, str]
    default: str = UNDETERMINED

    def best(self, languages: Sequence[str]) -> str | None:
        """Return the text in the first available language: preferred, its base, default, any."""
        texts = self.by_language
        if len(texts) > 1:
            for tag in _preferred(tuple(languages), tuple(texts)) if languages else ():
                if texts[tag]:
                    return texts[tag]
            if text := texts.get(self.default):
                return text
        return next(iter(texts.values()), None)


class PlainText(Texts, frozen=True, gc=False):
    """The text of a provider without languages: a list has many, and dicts cost more."""

    text: str | None = None

    @property  # type: ignore[misc]  # in place of the field
    def by_language(self) -> Mapping[str, str]:
        """The text by language."""
        return NOTHING if self.text is None else {self.default: self.text}

    def best(self, _languages: Sequence[str]) -> str | None:
        """Return the text."""
        return self.text


@final
class LazyTexts(LazyColumn[Texts]):
    """The texts of many rows; `Texts` are made only if the first preferred language is not enough.

    `make` makes them. `pick` returns them in one language; it may raise `LookupError` or
    `TypeError`, or return empty ones.
    """

    def __init__(
        self,
        count: int,
        default: str,
        make: Callable[[], Sequence[Texts]],
        pick: Callable[[str], list[str | None]],
    ) -> None:
        """Make nothing yet; `default` is the provider's default language."""
        self._count = count
        self._default = default
        self._make = make
        self._pick = pick

    def _made(self) -> Sequence[Texts]:
        return self._make()

    def in_language(self, tag: str | None) -> list[str | None] | None:
        """Return the texts in one language, or in the default one; None unless all are in it."""
        try:
            texts = self._pick(tag or self._default)
        except (LookupError, TypeError):
            return None
        return texts if all(texts) else None

    def __len__(self) -> int:
        """Return the number of texts."""
        return self._count


def best_texts(of: Iterable[Texts], languages: Sequence[str]) -> list[str | None]:
    """Return the `best` of each text; fast for one language, or the first preferred one."""
    first = languages[0] if languages else None
    if type(of) is LazyTexts:
        picked = of.in_language(first)
        if picked is not None:
            return picked
    texts: list[Any] = [*of]
    if texts and texts[0] is NO_TEXTS and texts.count(NO_TEXTS) == len(texts):
        return [None] * len(texts)  # of a provider without such texts
    try:
        return [each.text for each in texts]
    except AttributeError:  # some are in several languages
        return [
            each.by_language.get(first or each.default) or each.best(languages) for each in texts
        ]


@lru_cache(maxsize=256)  # the rows of a list usually have the same languages
def _preferred(languages: tuple[str, ...], available: tuple[str, ...]) -> Sequence[str]:
    """Return the available tags that match, best first.

    Tags are case-insensitive (RFC 5646, 2.1.1), unless two differ in nothing else.
    """
    by_lower = {tag.lower(): tag for tag in reversed(available)}
    wanted = [tag for each in languages for tag in (each, each.partition("-")[0])]
    return [
        tag if tag in available else by_lower[tag.lower()]
        for tag in wanted
        if tag.lower() in by_lower
    ]


NOTHING: Mapping[str, str] = {}


def plain(text: str | None) -> Texts:
    """Return a text of a provider without languages."""
    return PlainText(NOTHING, UNDETERMINED, text)


NO_TEXTS = plain(None)
