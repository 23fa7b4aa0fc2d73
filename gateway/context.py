"""What one request may use: the providers, its loaders and reads, its caller's languages.

The resolvers see of the gateway this module, the domain and the errors, and nothing else.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from aiodataloader import DataLoader

from gateway.access import Needs
from gateway.errors import Forbidden, GatewayError
from gateway.lists import Connection, Source
from gateway.loaders import Loaders
from gateway.provider import Provider
from gateway.reads.customers import Membership
from gateway.reads.reads import Reads
from gateway.reads.sources import Paging
from gateway.scope import Scope
from gateway.store.record import Record
from gateway.writes import receipts
from gateway.writes.desk import Desk, Refusals
from gateway.writes.entries import Entry
from gateway.writes.writes import Writes

__all__ = [
    "Connection",
    "Entry",
    "Membership",
    "Paging",
    "Provider",
    "Refusals",
    "RequestContext",
    "Scope",
    "Source",
    "Writes",
    "languages_of",
    "open_context",
    "receipts",
]


class RequestContext:
    """One operation's view of the gateway. What it does not use is not made."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        scope: Scope,
        languages: Sequence[str],
        now: datetime,
        record: Record | None = None,
    ) -> None:
        """Serve one operation inside the running loop.

        `providers` are by key, in configuration order; `languages` best first, as the caller's
        Accept-Language has them; `now` is the moment that "active now" means, one for all of it.
        """
        self.providers = providers
        self.scope = scope
        self.languages = languages
        self.now = now
        self.caller = scope.caller
        self._record = record
        self.batches: dict[Any, DataLoader[Any, Any]] = {}
        """What graphql-core collects of a field's values, by the field's mentions."""

    def admit(self, needs: Needs) -> None:
        """Narrow this to the providers at which the caller holds all that an operation needs.

        Raises `Forbidden` when there is none. Call it before anything is read.
        """
        if self.caller.may_everything:
            return
        allowed = self.caller.providers_for(needs.rights, self.providers)
        if not allowed:
            raise Forbidden(f"This needs the scopes {', '.join(sorted(needs.rights))}.")
        self.providers = {key: self.providers[key] for key in allowed}

    @cached_property
    def loaders(self) -> Loaders:
        """Batching and fan-out."""
        return Loaders(self.providers, self.scope)

    @cached_property
    def reads(self) -> Reads:
        """Lists and lookups."""
        return Reads(self.providers, self.loaders, self.languages)

    @cached_property
    def writes(self) -> Writes:
        """Everything that may be changed."""
        if self._record is None:
            raise GatewayError("This gateway was opened without its record.")
        desk = Desk(self.providers, self.loaders, self.scope)
        return Writes(self.providers, desk, self._record, self.scope.deadline)


def open_context(
    providers: Mapping[str, Provider],
    scope: Scope,
    languages: Sequence[str],
    now: datetime,
    record: Record | None = None,
) -> RequestContext:
    """Return the context of one operation. Call it inside the running loop."""
    return RequestContext(providers, scope, languages, now, record)


def languages_of(accept: str | None) -> Sequence[str]:
    """Return the languages of an Accept-Language header, best first; `*` and q=0 say nothing.

    RFC 9110, 12.5.4. A part that cannot be read is passed over.
    """
    if not accept:
        return ()
    weighed = []
    for place, part in enumerate(accept.split(",")[:20]):
        tag, _, parameter = part.partition(";")
        name, _, weight = parameter.strip().partition("=")
        try:
            quality = float(weight) if name.strip().lower() == "q" else 1.0
        except ValueError:
            continue
        if (language := tag.strip()) and language != "*" and quality > 0:
            weighed.append((-quality, place, language))
    return [language for _, _, language in sorted(weighed)]
