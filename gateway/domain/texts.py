"""Texts in several languages, and the best one for a reader."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec

UNDETERMINED = "und"
"""BCP 47 for "not determined": what texts of providers without languages are filed under."""


class Texts(msgspec.Struct, frozen=True, gc=False):
    """One text in several languages: language tag (BCP 47) to text, and the provider's default."""

    by_language: Mapping[str, str]
    default: str = UNDETERMINED

    def best(self, languages: Sequence[str]) -> str | None:
        """Return the text in the first language there is: asked, its base, default, any."""
        texts = self.by_language
        if len(texts) > 1:
            for tag in _preferred(tuple(languages), tuple(texts)) if languages else ():
                if texts[tag]:
                    return texts[tag]
            if found := texts.get(self.default):
                return found
        return next(iter(texts.values()), None)


def best_texts(of: Iterable[Texts], languages: Sequence[str]) -> list[str | None]:
    """Return the `best` of each: a list shows thousands, most alone or in the first language."""
    wanted = languages[0] if languages else None
    found: list[str | None] = []
    for each in of:
        texts = each.by_language
        if len(texts) == 1:
            (text,) = texts.values()
            found.append(text)
        else:
            found.append(texts.get(wanted or each.default) or each.best(languages))
    return found


@lru_cache(maxsize=256)  # the rows of a list mostly have the same languages
def _preferred(languages: tuple[str, ...], known: tuple[str, ...]) -> Sequence[str]:
    """Return those of the known tags that are wanted, best first.

    The case of a tag does not matter (RFC 5646, 2.1.1), but where two differ in nothing else.
    """
    told = {tag.lower(): tag for tag in reversed(known)}
    wanted = [tag for each in languages for tag in (each, each.partition("-")[0])]
    return [tag if tag in known else told[tag.lower()] for tag in wanted if tag.lower() in told]


NO_TEXTS = Texts({})


def plain(text: str | None) -> Texts:
    """Return a text of a provider that knows no languages."""
    return Texts({UNDETERMINED: text}) if text is not None else NO_TEXTS
