"""Lists of persons and of links."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

import msgspec

from gateway.domain.entities import Origin, Ref
from gateway.domain.queries import MemberConditions
from gateway.errors import BadInput, GatewayError, LimitExceeded, settled
from gateway.identity.graph import Edge, Graph, LinkState, Pair
from gateway.identity.person import LookupStatus, Person
from gateway.reads import cursor as cursors
from gateway.reads.base import Paging, check_paging
from gateway.reads.cursor import Progress, identity
from gateway.reads.member_sets import MemberSet, MemberSetReads
from gateway.reads.merged_list import Connection
from gateway.reads.persons import PersonReads
from gateway.reads.source_rows import Source, source_of
from gateway.store.identity import IdentityStore

T = TypeVar("T")

NEVER_SEEN: Final = 2**63
"""The age of customers that are not in the index: they come last."""

RESOLUTION: Final = timedelta(microseconds=1)
"""The precision of times in the store."""

INVALID_CURSOR = "The cursor was not made by this gateway."


class PersonConditions(NamedTuple):
    """Conditions on persons; all given ones must hold."""

    email: str | None = None
    members: MemberConditions = MemberConditions()
    """A person is in a segment if any of its customers is."""


class LinkConditions(NamedTuple):
    """Conditions on links; all given ones must hold."""

    states: frozenset[LinkState] | None = None
    rule: str | None = None
    customer: Ref | None = None

    def hold(self, edge: Edge) -> bool:
        """Return whether they hold for a link."""
        return (
            (self.states is None or edge.state in self.states)
            and (self.rule is None or edge.rule == self.rule)
            and (self.customer is None or self.customer in edge.pair)
        )


class _WholeList(NamedTuple):
    """All persons of a list, in order, and what each provider contributed."""

    persons: Sequence[Person]
    sources: Sequence[Source]
    is_complete: bool = True


class PeopleReads:
    """The lists of persons and links that one request may see."""

    def __init__(
        self,
        persons: PersonReads,
        identity_store: IdentityStore,
        members: MemberSetReads,
        deadline: float,
    ) -> None:
        """List what `persons` sees; `members` reads segments."""
        self._persons = persons
        self._identity = identity_store
        self._members = members
        self._deadline = deadline

    # Persons

    async def people(self, conditions: PersonConditions, paging: Paging) -> Connection[Person]:
        """List persons, oldest first. Raises `BadInput`, `LimitExceeded` and `StoreFailed`.

        Without conditions: those of two or more customers, from the index.
        """
        check_paging(paging)
        of = identity("people", self._persons.sight, conditions.email, conditions.members)
        if conditions == PersonConditions():
            return await self._connected_people(paging, of)
        if conditions.members.refs:
            whole = await self._members_of(conditions)
        else:
            whole = await self._with_email(conditions.email or "")
        return _page_of(whole, paging, of)

    async def _connected_people(self, paging: Paging, of: str) -> Connection[Person]:
        after, shown = _last_shown(paging.after, of)
        found: list[Person] = []
        last = after
        while len(found) <= paging.first:
            refs = await self._identity.lists.connected_after(
                last, self._persons.sight, self._deadline
            )
            if not refs:
                break
            last = refs[-1]
            graph = await self._persons.graph(refs)
            persons = (self._persons.person_in(graph, ref) for ref in refs)
            found += [
                each
                for ref, each in zip(refs, persons, strict=True)
                if each.ref == ref and len(each.customers) > 1
            ]
        rows = found[: paging.first]
        has_next = len(found) > len(rows)

        def cursor(row: int) -> str:
            ref = rows[row].ref
            position = msgspec.json.encode((ref.provider, ref.key)).decode()
            return cursors.write(of, {"": Progress(position, shown + row + 1)})

        return Connection(
            rows,
            cursor,
            lambda: cursor(len(rows) - 1) if rows else paging.after,
            lambda: [source_of(key, Origin.RECORDED, None, None) for key in self._persons.sight],
            has_next=has_next,
            has_previous=paging.after is not None,
            total=None if has_next else shown + len(rows),
        )

    async def _with_email(self, address: str) -> _WholeList:
        refs, statuses = await self._persons.customers_with_email(address)
        graph = await self._persons.graph(refs)
        return _WholeList(_each_once(self._persons, graph, refs), self._sources(statuses))

    async def _members_of(self, conditions: PersonConditions) -> _WholeList:
        """Return the persons that meet conditions on segments.

        Raises `LimitExceeded`; the other failures are in the sources.
        """
        members = conditions.members
        refs = [ref for ref in members.refs if ref.provider in self._persons.sight]
        results = await asyncio.gather(*(settled(self._members.member_set(ref)) for ref in refs))
        sets: dict[Ref, MemberSet] = {}
        statuses: dict[str, LookupStatus] = {}
        failed: set[Ref] = set()
        for ref, result in zip(refs, results, strict=True):
            if isinstance(result, LimitExceeded):
                raise result
            if isinstance(result, GatewayError):
                failed.add(ref)
                statuses[ref.provider] = LookupStatus(None, error=result)
            else:
                sets[ref] = result
                statuses.setdefault(ref.provider, LookupStatus(result.origin, result.as_of))
        sources = self._sources(statuses)
        if not failed.isdisjoint(members.judging):
            return _WholeList((), sources, is_complete=False)
        await self._persons.record_read()
        candidates = await self._candidates(conditions, sets)
        graph = await self._persons.large_graph(candidates)
        within = {ref: frozenset(each.keys) for ref, each in sets.items()}
        persons = [
            each
            for each in _each_once(self._persons, graph, candidates)
            if _holds(members, each, within)
        ]
        return _WholeList(persons, sources, is_complete=not failed)

    async def _candidates(
        self, conditions: PersonConditions, sets: Mapping[Ref, MemberSet]
    ) -> Sequence[Ref]:
        if conditions.email is not None:
            refs, _ = await self._persons.customers_with_email(conditions.email)
            return refs
        members = conditions.members
        first = members.all_of[:1] or members.any_of
        return [Ref(ref.provider, key) for ref in first if ref in sets for key in sets[ref].keys]

    def _sources(self, statuses: Mapping[str, LookupStatus]) -> Sequence[Source]:
        recorded = LookupStatus(Origin.RECORDED)
        return [
            source_of(key, each.origin, each.fetched_at, None, each.error)
            for key in self._persons.sight
            for each in (statuses.get(key, recorded),)
        ]

    # Links

    async def links(self, conditions: LinkConditions, paging: Paging) -> Connection[Edge]:
        """List links, newest first. Raises `BadInput` and `StoreFailed`."""
        check_paging(paging)
        of = identity(
            "links",
            self._persons.sight,
            sorted(each.value for each in conditions.states or ()),
            conditions.states is None,
            conditions.rule,
            conditions.customer,
        )
        position, shown = _last_link(paging.after, of)
        found: list[Edge] = []
        if conditions.customer is not None:
            edges = await self._persons.edges([conditions.customer])
            found = _after(edges, position, conditions)
        elif conditions.states == frozenset({LinkState.BLOCKED}):
            blocked = await self._identity.lists.blocked(self._persons.sight, self._deadline)
            ends = {ref for each in blocked for ref in each.pair}
            graph = await self._persons.graph(ends)
            found = _after([*graph.edges.values()], position, conditions)
        else:
            found = await self._newest_links(position, conditions, paging.first)
        rows = found[: paging.first]
        has_next = len(found) > len(rows)

        def cursor(row: int) -> str:
            edge = rows[row]
            text = msgspec.json.encode((edge.created_at, edge.pair)).decode()
            return cursors.write(of, {"": Progress(text, shown + row + 1)})

        return Connection(
            rows,
            cursor,
            lambda: cursor(len(rows) - 1) if rows else paging.after,
            lambda: (),
            has_next=has_next,
            has_previous=paging.after is not None,
            total=None if has_next else shown + len(rows),
        )

    async def _newest_links(
        self, position: "_Position | None", conditions: LinkConditions, first: int
    ) -> list[Edge]:
        found: list[Edge] = []
        until = None if position is None else position.created_at
        while len(found) <= first:
            window = await self._identity.lists.window_until(
                until, self._persons.sight, self._deadline
            )
            edges = [
                edge
                for edge in await self._persons.edges(window.customers)
                if (window.since is None or edge.created_at >= window.since)
                and (until is None or edge.created_at <= until)
            ]
            found += _after(edges, position, conditions)
            if window.since is None:
                break
            until = window.since - RESOLUTION
        return found


class _Position(NamedTuple):
    """The last link that was shown."""

    created_at: datetime
    pair: Pair


def _after(
    edges: Sequence[Edge], position: _Position | None, conditions: LinkConditions
) -> list[Edge]:
    """Return those for which the conditions hold, newest first, after a position."""
    found = sorted((each for each in edges if conditions.hold(each)), key=_age, reverse=True)
    if position is None:
        return found
    start = (position.created_at, *_text(position.pair))
    return [each for each in found if _age(each) < start]


def _age(edge: Edge) -> tuple[datetime, str, str, str, str]:
    return (edge.created_at, *_text(edge.pair))


def _text(pair: Pair) -> tuple[str, str, str, str]:
    one, other = pair
    return one.provider, one.key, other.provider, other.key


def _last_shown(after: str | None, of: str) -> tuple[Ref | None, int]:
    """Return the person in a cursor, and how many were shown. Raises `BadInput`."""
    progress = None if after is None else _progress(after, of)
    if progress is None:
        return None, 0
    return Ref(*_decoded(progress, tuple[str, str])), progress.shown


def _last_link(after: str | None, of: str) -> tuple[_Position | None, int]:
    progress = None if after is None else _progress(after, of)
    if progress is None:
        return None, 0
    created_at, pair = _decoded(progress, tuple[datetime, tuple[Ref, Ref]])
    return _Position(created_at, pair), progress.shown


def _progress(after: str, of: str) -> Progress:
    progress = cursors.read(of, after).get("")
    if progress is None:
        raise BadInput(INVALID_CURSOR)
    return progress


def _decoded(progress: Progress, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(progress.position or "", type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadInput(INVALID_CURSOR) from error


def _each_once(persons: PersonReads, graph: Graph, refs: Sequence[Ref]) -> Sequence[Person]:
    """Return the persons of customers, oldest first; those never seen come last, in order."""
    found: dict[Ref, Person] = {}
    for ref in refs:
        person = persons.person_in(graph, ref)
        found.setdefault(person.ref, person)
    ages = graph.ages
    return sorted(found.values(), key=lambda each: ages.get(each.ref, NEVER_SEEN))


def _holds(
    members: MemberConditions, person: Person, within: Mapping[Ref, frozenset[str]]
) -> bool:
    def is_in(segment: Ref) -> bool:
        keys = within.get(segment, frozenset())
        return any(ref.key in keys for ref in person.customers if ref.provider == segment.provider)

    return (
        all(map(is_in, members.all_of))
        and (not members.any_of or any(map(is_in, members.any_of)))
        and not any(map(is_in, members.none_of))
    )


def _page_of(whole: _WholeList, paging: Paging, of: str) -> Connection[Person]:
    """Return a page of a list that was read whole; its cursors count persons."""
    start = 0 if paging.after is None else _progress(paging.after, of).shown
    rows = whole.persons[start : start + paging.first]

    def cursor(row: int) -> str:
        end = start + row + 1
        return cursors.write(of, {"": Progress(str(end), end)})

    failed = [each.error for each in whole.sources if each.error is not None]
    return Connection(
        rows,
        cursor,
        lambda: cursor(len(rows) - 1) if rows else paging.after,
        lambda: whole.sources,
        has_next=start + len(rows) < len(whole.persons),
        has_previous=paging.after is not None,
        total=len(whole.persons) if whole.is_complete else None,
        failure=failed[0] if failed else None,
    )
