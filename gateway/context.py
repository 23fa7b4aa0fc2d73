"""What one request may use: the providers, its loaders and reads, its caller's languages.

The resolvers see of the gateway this module, the domain and the errors, and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.lists import Connection, Source
from gateway.loaders import Loaders
from gateway.provider import Provider
from gateway.reads import Membership, Paging, Reads
from gateway.scope import Scope

__all__ = [
    "Connection",
    "Membership",
    "Paging",
    "Provider",
    "RequestContext",
    "Scope",
    "Source",
    "languages_of",
    "open_context",
]


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One operation's view of the gateway."""

    providers: Mapping[str, Provider]
    """By key, in configuration order."""
    scope: Scope
    loaders: Loaders
    reads: Reads
    languages: Sequence[str]
    """Best first, as the caller's Accept-Language has them."""
    now: datetime
    """The moment that "active now" means, one for the whole request."""


def open_context(
    providers: Mapping[str, Provider], scope: Scope, languages: Sequence[str], now: datetime
) -> RequestContext:
    """Return the context of one operation. Call it inside the running loop."""
    loaders = Loaders(providers, scope)
    reads = Reads(providers, loaders, languages)
    return RequestContext(providers, scope, loaders, reads, languages, now)


def languages_of(accept: str | None) -> Sequence[str]:
    """Return the languages of an Accept-Language header, best first; `*` and q=0 say nothing.

    RFC 9110, 12.5.4. A part that cannot be read is passed over.
    """
    weighed = []
    for place, part in enumerate((accept or "").split(",")[:20]):
        tag, _, parameter = part.partition(";")
        name, _, weight = parameter.strip().partition("=")
        try:
            quality = float(weight) if name.strip().lower() == "q" else 1.0
        except ValueError:
            continue
        if (language := tag.strip()) and language != "*" and quality > 0:
            weighed.append((-quality, place, language))
    return [language for _, _, language in sorted(weighed)]
