"""What one request may use: the providers, its loaders and reads, its caller's languages.

The resolvers see of the gateway this module, the domain and the errors, and nothing else.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from aiodataloader import DataLoader

from gateway.auth.permissions import Caller, Permission, Requirement
from gateway.changes.feed import ChangeFeed
from gateway.errors import Forbidden, GatewayError
from gateway.loaders.own_customer import OwnCustomerLoaders
from gateway.loaders.request_loaders import RequestLoaders
from gateway.reads.base import Paging
from gateway.reads.memberships import Membership
from gateway.reads.merged_list import Connection
from gateway.reads.service import ReadService
from gateway.reads.source_rows import Source
from gateway.request_scope import Scope
from gateway.store.store import Store
from gateway.upstream.provider import Provider
from gateway.writes import receipts
from gateway.writes.dispatch import UserErrors, WriteDispatcher
from gateway.writes.entries import ReplacementEntry
from gateway.writes.service import WriteService

__all__ = [
    "Connection",
    "Membership",
    "Paging",
    "Provider",
    "ReplacementEntry",
    "RequestContext",
    "Scope",
    "Source",
    "UserErrors",
    "WriteService",
    "languages_of",
    "open_context",
    "receipts",
]


class RequestContext:
    """One operation's view of the gateway. What it does not use is not made."""

    def __init__(  # noqa: PLR0913  # the last one by name
        self,
        providers: Mapping[str, Provider],
        scope: Scope,
        languages: Sequence[str],
        now: datetime,
        record: Store | None = None,
        *,
        feed: ChangeFeed | None = None,
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
        self._feed = feed
        self._own: Mapping[str, str] = {}
        """In the own view: the caller's id at each provider."""
        self.batches: dict[Any, DataLoader[Any, Any]] = {}
        """What graphql-core collects of a field's values, by the field's mentions."""
        self._loaders: RequestLoaders | None = None

    def admit(self, needs: Requirement) -> None:
        """Narrow this to the providers at which the caller holds all that an operation needs.

        Where that is none, and `own:read` suffices: to the caller's own, at the providers that
        know them. Raises `Forbidden`. Call it before anything is read.
        """
        caller = self.caller
        if caller.is_unrestricted:
            return
        seen: _Seen | None = caller.seen.get(needs)
        if seen is None or seen.known is not self.providers:
            seen = caller.seen[needs] = _seen(caller, needs, self.providers)
        if needs.permissions and not seen.allowed:
            raise Forbidden(
                f"No provider grants you all of {', '.join(sorted(needs.permissions))}."
            )
        self.providers, self._own = seen.allowed, seen.own

    def may_show(self, right: Permission, provider: str) -> bool:
        """Tell whether things of a provider that need this right to be read may be shown.

        In the own view they may: it has only the caller's own.
        """
        return provider in self.providers and (bool(self._own) or self.caller.may(right, provider))

    def require(self, right: Permission, provider: str, what: str) -> None:
        """Raise `Forbidden` where an argument needs a right that its field does not need always.

        `what` names the argument. At a provider that this operation does not see, nothing is
        said: there is no such provider.
        """
        if provider in self.providers and not self.caller.may(right, provider):
            raise Forbidden(f"{what} needs the scope {right}.")

    @property
    def loaders(self) -> RequestLoaders:
        """Batching and fan-out."""
        if self._loaders is None:  # a `cached_property` of Python 3.11 takes a lock
            self._loaders = (
                OwnCustomerLoaders(self.providers, self.scope, self._own, self.now)
                if self._own
                else RequestLoaders(self.providers, self.scope)
            )
        return self._loaders

    @cached_property
    def reads(self) -> ReadService:
        """Lists and lookups."""
        return ReadService(self.providers, self.loaders, self.languages)

    @cached_property
    def writes(self) -> WriteService:
        """Everything that may be changed."""
        if self._record is None:
            raise GatewayError("This gateway was opened without its record.")
        desk = WriteDispatcher(self.providers, self.loaders, self.scope, self._record.changes)
        return WriteService(self.providers, desk, self._record, self.scope.deadline)


class _Seen(NamedTuple):
    """What a caller sees of the known providers by what an operation needs."""

    known: Mapping[str, Provider]
    allowed: Mapping[str, Provider]
    own: Mapping[str, str]


def _seen(caller: Caller, needs: Requirement, known: Mapping[str, Provider]) -> _Seen:
    allowed = caller.providers_for(needs.permissions, known)
    own: Mapping[str, str] = {}
    if not allowed and needs.own:
        allowed = own = caller.own_at(known)
    if allowed is known:
        return _Seen(known, known, own)
    return _Seen(known, {key: known[key] for key in allowed}, own)


def open_context(  # noqa: PLR0913  # the last one by name
    providers: Mapping[str, Provider],
    scope: Scope,
    languages: Sequence[str],
    now: datetime,
    record: Store | None = None,
    *,
    feed: ChangeFeed | None = None,
) -> RequestContext:
    """Return the context of one operation. Call it inside the running loop."""
    return RequestContext(providers, scope, languages, now, record, feed=feed)


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
