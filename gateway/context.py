"""What resolvers may use during one operation: providers, loaders, reads, writes, languages.

Resolvers import only this module, the domain and the errors of the gateway.
"""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

from aiodataloader import DataLoader

from gateway.auth.permissions import NOWHERE, Caller, Permission, Requirement
from gateway.changes.feed import ChangeFeed
from gateway.changes.health import HealthWatch
from gateway.changes.reading import ChangeReader
from gateway.changes.streams import EventSource, HealthStream
from gateway.changes.webhooks import WebhookReport, webhook_report
from gateway.domain.change_log import Change, Visibility
from gateway.domain.entities import Ref
from gateway.errors import BadInput, Forbidden, GatewayError
from gateway.identity.person import Person
from gateway.limits.settings import LimitSettings
from gateway.loaders.own_customer import OwnCustomerLoaders
from gateway.loaders.request_loaders import RequestLoaders
from gateway.reads.base import Paging
from gateway.reads.comparison import ComparedSegment, Comparison, Region
from gateway.reads.customer_lists import CustomerLists
from gateway.reads.memberships import Membership
from gateway.reads.merged_list import Connection
from gateway.reads.people import LinkConditions, PeopleReads, PersonConditions
from gateway.reads.persons import PersonReads
from gateway.reads.service import ReadService
from gateway.reads.source_rows import Source
from gateway.request_scope import PhaseRecord, Scope
from gateway.store.change_log import ChangePage
from gateway.store.errors import StoreFailed
from gateway.store.store import Store
from gateway.upstream.provider import Provider
from gateway.writes import receipts
from gateway.writes.assignments import AssignmentFields
from gateway.writes.dispatch import UserErrors, WriteDispatcher
from gateway.writes.entries import ReplacementEntry
from gateway.writes.service import MAX_KEY_LENGTH, WriteService

__all__ = [
    "MAX_KEY_LENGTH",
    "AssignmentFields",
    "ChangePage",
    "ComparedSegment",
    "Comparison",
    "Connection",
    "CustomerLists",
    "EventSource",
    "LinkConditions",
    "Membership",
    "Paging",
    "Person",
    "PersonConditions",
    "PhaseRecord",
    "Provider",
    "Region",
    "ReplacementEntry",
    "RequestContext",
    "Scope",
    "Source",
    "UserErrors",
    "WriteService",
    "languages_of",
    "receipts",
]


DEFAULT_LIMITS: Final = LimitSettings()

CHANGES_REQUIRE: Mapping[str, Requirement] = {
    "SegmentChange": Requirement(frozenset({Permission.SEGMENTS_READ})),
    "AssignmentChange": Requirement(frozenset({Permission.ASSIGNMENTS_READ}), own=True),
}
"""The requirement of each type of change at its provider, by the type's name."""


class RequestContext:
    """One operation's view of the gateway, created lazily."""

    def __init__(  # noqa: PLR0913, PLR0917  # names would take more time than all the rest
        self,
        providers: Mapping[str, Provider],
        scope: Scope,
        languages: Sequence[str],
        now: datetime,
        store: Store | None = None,
        feed: ChangeFeed | None = None,
        limits: LimitSettings = DEFAULT_LIMITS,
        health_watch: HealthWatch | None = None,
        customer_lists: CustomerLists | None = None,
    ) -> None:
        """Serve one operation inside the running loop.

        `providers` are by key, in configuration order; `languages` are those of Accept-Language,
        best first; `now` is the time that "active now" refers to in the whole operation.
        """
        self.providers = providers
        self.scope = scope
        self.languages = languages
        self.now = now
        self.caller = scope.caller
        self._store = store
        self._feed = feed
        self._limits = limits
        self._health_watch = health_watch
        self._customer_lists = customer_lists or CustomerLists(0)
        self.last_event_id: str | None = None
        """The cursor to resume a subscription from, instead of its argument `after`."""
        self._own: Mapping[str, str] = {}
        """With self-service access: the caller's id at each provider."""
        self.change_requirements: Mapping[str, Requirement] = {}
        """What the operation needs of each sort of change, by the name of its type."""
        self._loaders: RequestLoaders | None = None
        self._reads: ReadService | None = None

    def admit(self, requirement: Requirement) -> None:
        """Limit this to the providers at which the caller fulfils an operation's requirement.

        If there are none and `own:read` suffices, limit it to the caller's own data at the
        providers that know them. Raises `Forbidden`. Call it before anything is read.
        """
        caller = self.caller
        visible: _VisibleProviders | None = caller.seen.get(requirement)
        if visible is None or visible.known is not self.providers:
            visible = caller.seen[requirement] = _visible(caller, requirement, self.providers)
        if requirement.permissions and not visible.allowed and not caller.is_unrestricted:
            raise Forbidden(
                f"No provider grants you all of {', '.join(sorted(requirement.permissions))}."
            )
        self.providers, self._own = visible.allowed, visible.own

    def may_show(self, permission: Permission, provider: str) -> bool:
        """Return whether objects of a provider that require this permission may be shown.

        With self-service access they may: it contains only the caller's own data.
        """
        return provider in self.providers and (
            bool(self._own) or self.caller.may(permission, provider)
        )

    def require(self, permission: Permission, provider: str, what: str) -> None:
        """Raise `Forbidden` if the caller lacks a permission that only an argument requires.

        `what` names the argument. For a provider that is not visible to this operation nothing is
        raised: to the caller it does not exist.
        """
        if provider in self.providers and not self.caller.may(permission, provider):
            raise Forbidden(f"{what} needs the scope {permission}.")

    def check_keys(self, keys: Collection[str] | None, what: str) -> None:
        """Raise `BadInput` for a key of no provider that is visible to this operation.

        `what` names the argument.
        """
        for key in keys or ():
            if key not in self.providers:
                raise BadInput(f"{what}: no provider has the key {key!r}.")

    @cached_property
    def batches(self) -> dict[Any, DataLoader[Any, Any]]:
        """The batches of values that graphql-core resolves, by the field's nodes."""
        return {}

    @cached_property
    def single_customers(self) -> set[Ref]:
        """The customers that were read one by one: providers are queried for their persons."""
        return set()

    @cached_property
    def visibility(self) -> Visibility:
        """The providers whose changes the caller may see, by type of change.

        Raises `Forbidden` if there are none.
        """
        segments, assignments = (
            self.change_requirements.get(name, requires)
            for name, requires in CHANGES_REQUIRE.items()
        )
        if self._own:
            own = frozenset(self._own if assignments.own else ())
            visibility = Visibility(NOWHERE, own, self._own)
        else:
            caller, known = self.caller, self.providers
            visibility = Visibility(
                _shared(*caller.providers_for(segments.permissions, known)),
                _shared(*caller.providers_for(assignments.permissions, known)),
            )
        if not visibility.providers:
            needs = (segments.permissions, assignments.permissions)
            raise Forbidden(_refusal_of_changes(self.caller, needs, self.providers))
        return visibility

    @cached_property
    def changes(self) -> ChangeReader:
        """The change log, as far as it may be seen: see `visibility`."""
        if self._store is None:
            raise StoreFailed(cause="this gateway was opened without its store")
        return ChangeReader(self._store.changes, self._feed, self.scope)

    async def webhooks(self, provider: Provider) -> WebhookReport:
        """Return how a provider's webhooks arrive, as of the first time it is read."""
        self.scope.note_freshness(0)
        return await self._webhook_reports.load(provider.key)

    @cached_property
    def _webhook_reports(self) -> DataLoader[str, WebhookReport]:
        store = self._store
        if store is None:
            raise StoreFailed(cause="this gateway was opened without its store")

        async def reports(keys: list[str]) -> list[WebhookReport]:
            deadline = self.scope.deadline
            return [await webhook_report(store, self.providers[key], deadline) for key in keys]

        return DataLoader(reports)

    def health_stream(self, keys: Collection[str] | None) -> HealthStream:
        """Follow the health of the visible providers, or of those with these keys."""
        if self._feed is None or self._health_watch is None:
            raise GatewayError("This gateway was opened without its change feed.")
        followed = [key for key in self.providers if keys is None or key in keys]
        return HealthStream(self._health_watch, self._feed, followed)

    def admits(self, source: EventSource, event: Change | Provider) -> bool:
        """Return whether an event may be delivered to the caller. Raises `Forbidden`."""
        if isinstance(event, Provider):
            return event.key in self.providers
        source.stream.visible = self.visibility
        return self.visibility.shows(event)

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

    @property
    def reads(self) -> ReadService:
        """Lists and lookups."""
        if self._reads is None:  # as above
            store = self._store
            self._reads = ReadService(
                self.providers,
                self.loaders,
                self.languages,
                self._limits,
                sizes=None if store is None else store.sizes,
                snapshots=None if store is None else store.snapshots,
            )
        return self._reads

    @cached_property
    def persons(self) -> PersonReads:
        """Persons, of the customers that the caller may see."""
        if self._store is None:
            raise StoreFailed(cause="this gateway was opened without its store")
        return PersonReads(
            {
                key: provider
                for key, provider in self.providers.items()
                if self.may_show(Permission.CUSTOMERS_READ, key)
            },
            self.loaders,
            self._store.identity,
            self._customer_lists,
            self.scope,
            own=self._own or None,
            alone=self.single_customers,
        )

    @cached_property
    def people(self) -> PeopleReads:
        """Lists of persons and links."""
        if self._store is None:
            raise StoreFailed(cause="this gateway was opened without its store")
        return PeopleReads(self.persons, self._store.identity, self.reads, self.scope.deadline)

    @property
    def has_news(self) -> bool:
        """Whether `finish` has anything to record."""
        loaders, store = self._loaders, self._store
        if loaders is None or store is None or not loaders.customers_read:
            return False
        return bool(store.identity.index.rules.rules)  # without rules, there are no persons

    async def finish(self) -> None:
        """Record the customers that were read: call it before the operation is answered."""
        if self.has_news:
            await self.persons.record_read()

    @cached_property
    def writes(self) -> WriteService:
        """All writes."""
        if self._store is None:
            raise StoreFailed(cause="this gateway was opened without its store")
        dispatcher = WriteDispatcher(self.providers, self.loaders, self.scope, self._store.changes)
        return WriteService(self.providers, dispatcher, self._store, self.scope.deadline)


class _VisibleProviders(NamedTuple):
    """The providers that are visible to a caller, for one requirement."""

    known: Mapping[str, Provider]
    allowed: Mapping[str, Provider]
    own: Mapping[str, str]


def _refusal_of_changes(
    caller: Caller, needs: Collection[AbstractSet[Permission]], known: Collection[str]
) -> str:
    """Return what the caller lacks for either type of change; one of them suffices."""
    missing = {
        frozenset(each for each in need if not caller.providers_for([each], known))
        for need in needs
    }
    if frozenset() in missing:
        return "No provider grants you all scopes that a type of change needs."
    fewest = [each for each in missing if not any(other < each for other in missing)]
    scopes = sorted(" and ".join(sorted(each)) for each in fewest)
    return f"Changes need the scope {' or '.join(scopes)}."


@lru_cache(maxsize=1024)
def _shared(*keys: str) -> frozenset[str]:
    """Return a set that all subscribers share that may see the same providers."""
    return frozenset(keys)


def _visible(
    caller: Caller, requirement: Requirement, known: Mapping[str, Provider]
) -> _VisibleProviders:
    allowed = caller.providers_for(requirement.permissions, known)
    own: Mapping[str, str] = {}
    if not allowed and requirement.own:
        allowed = own = caller.own_at(known)
    if allowed is known:
        return _VisibleProviders(known, known, own)
    return _VisibleProviders(known, {key: known[key] for key in allowed}, own)


def languages_of(accept: str | None) -> Sequence[str]:
    """Return the languages of an Accept-Language header (RFC 9110, 12.5.4), best first.

    `*`, languages with q=0 and malformed parts are ignored.
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
