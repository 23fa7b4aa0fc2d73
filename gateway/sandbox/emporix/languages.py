"""Localised texts: maps from language to text, narrowed by `Accept-Language`.

Standard practices, translations: `*` means all languages, one language only that one. Our
decisions: texts are always maps, a priority list returns the first available language, and no
header means the tenant's default language.
"""

from collections.abc import Mapping

from gateway.sandbox.emporix.faults import invalid

CONFIGURED = ("en", "de", "pl", "es")
DEFAULT = "en"


def accepted(header: str | None) -> tuple[str, ...]:
    """Return the languages of an `Accept-Language` header, most preferred first."""
    weighted = []
    for entry in (header or DEFAULT).split(","):
        language, _, weight = entry.replace(" ", "").partition(";q=")
        try:
            quality = float(weight or 1)
        except ValueError:
            continue
        if language and quality > 0:
            weighted.append((-quality, language.lower()))
    weighted.sort(key=lambda pair: pair[0])
    return tuple(language for _, language in weighted) or (DEFAULT,)


def narrowed(texts: Mapping[str, str], languages: tuple[str, ...]) -> Mapping[str, str]:
    """Return the texts in the first available language, or in all for `*`."""
    for language in languages:
        if language == "*":
            return texts
        for name in (language, language.partition("-")[0]):
            if name in texts:
                return {name: texts[name]}
    return {}


def check_content_language(header: str | None) -> None:
    """Refuse a `Content-Language` that is neither `*` nor a list of configured languages."""
    names = {name.strip().lower() for name in (header or DEFAULT).split(",")}
    if names != {"*"} and not names <= set(CONFIGURED):
        raise invalid("not a configured language", "Content-Language")


def check_texts(texts: Mapping[str, str], field: str) -> None:
    """Refuse texts in a language that is not configured for the tenant."""
    for language in texts:
        if language not in CONFIGURED:
            raise invalid(f"{language} is not a configured language", field)
