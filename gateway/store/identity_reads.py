"""Read from the index what links may connect customers with.

Only the customers of given providers are read, so that the others have no effect on the result.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import starmap
from typing import Any, Final

import structlog
from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    Select,
    and_,
    bindparam,
    func,
    literal,
    select,
    true,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.entities import Ref
from gateway.identity.graph import (
    MOST_SHARED,
    Decision,
    Graph,
    IndexedValue,
    LinkOrigin,
    Pair,
    graph,
    linking_neighbours,
    pair_of,
)
from gateway.identity.normalizing import EMAIL, normalized
from gateway.identity.rules import EMAIL_KEY, Ruleset
from gateway.store.database import Database
from gateway.store.identity_index import IdentityIndex, rows_of
from gateway.store.identity_tables import IDENTITY_CUSTOMERS, IDENTITY_LINKS, IDENTITY_VALUES

CHUNK: Final = 500
"""Customers of one statement."""
MOST_CONNECTED: Final = 2000
"""Customers beyond those asked for that are read for one answer: more are the links of no
persons, but of values that connect everyone."""
MOST_FOUND: Final = 1000
"""The most customers with one value that are listed."""

_LARGEST: Final = 2**63 - 1
_CUSTOMERS, _VALUES, _LINKS = IDENTITY_CUSTOMERS.c, IDENTITY_VALUES.c, IDENTITY_LINKS.c

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Surroundings:
    """The known facts about some customers, and about those that links may connect them with."""

    numbers: dict[Ref, int] = field(default_factory=dict)
    """All of these customers, with their ages; the others are only ends of edges."""
    values: list[IndexedValue] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    def graph(self, rules: Ruleset) -> Graph:
        """Return the edges and persons of the customers."""
        return graph(rules, self.numbers, self.values, self.decisions)


class _Search:
    """The search for all customers that links may connect."""

    def __init__(self, found: Surroundings, rules: Ruleset) -> None:
        self._found = found
        self._rules = rules
        self._values: dict[Ref, list[IndexedValue]] = {}
        """All values of the customers that were near."""
        self._shared: set[bytes] = set()
        """The digests all of whose customers are known."""
        self._ends: dict[Pair, tuple[int, int]] = {}
        """The numbers of the customers of each decision."""
        self.undecided = dict(found.numbers)
        """The customers whose decisions were not read yet."""

    @property
    def frontier(self) -> Sequence[int]:
        """The customers that may share values with others that are not known yet."""
        return [
            number
            for ref, number in self._found.numbers.items()
            if ref not in self._values
            or any(each.digest not in self._shared for each in self._values[ref])
        ]

    def add_values(self, frontier: Sequence[int], near: Sequence[IndexedValue]) -> None:
        """Add all values of the customers that share any with the frontier."""
        numbers = frozenset(frontier)
        for ref, number in self._found.numbers.items():
            if number in numbers:
                self._values[ref] = []
        for each in near:
            if each.number in numbers:
                self._shared.add(each.digest)
        for ref in {each.customer for each in near}:
            self._values[ref] = []
        for each in near:
            self._values[each.customer].append(each)
        self._found.values = [
            each
            for values in self._values.values()
            for each in values
            if each.digest in self._shared
        ]
        numbers_of = {each.customer: each.number for each in near}
        for ref in linking_neighbours(self._rules, self._found.values, ()):
            self._add(ref, numbers_of.get(ref))

    def add_ring(self) -> None:
        """Add all that share a value, or have a decision, with the customers that are known."""
        for each in self._found.values:
            self._add(each.customer, each.number)
        for (one, other), (a, b) in self._ends.items():
            self._add(one, a)
            self._add(other, b)

    def add_decisions(self, decisions: Sequence[tuple[int, int, Decision]]) -> None:
        """Add the decisions about customers that were undecided."""
        self.undecided = {}
        for a, b, decision in decisions:
            if decision.pair not in self._ends:
                self._found.decisions.append(decision)
            self._ends[decision.pair] = (a, b)
            if decision.is_link:
                self._add(decision.pair[0], a)
                self._add(decision.pair[1], b)

    def _add(self, ref: Ref, number: int | None) -> None:
        if number is not None and ref not in self._found.numbers:
            self._found.numbers[ref] = self.undecided[ref] = number


class IdentityReads:
    """Reads of the index."""

    def __init__(self, database: Database, index: IdentityIndex) -> None:
        """Read what `index` writes."""
        self._database = database
        self._index = index

    async def around(
        self,
        refs: Collection[Ref],
        sight: Sequence[str],
        deadline: float,
        *,
        has_ring: bool = False,
    ) -> Surroundings:
        """Return the surroundings of customers at the providers in `sight`.

        Customers that were never seen are not in it. With `has_ring` it includes all that these
        have any edge with, proposed or blocked. Raises `StoreFailed`.
        """
        return await self._database.read(self._around(refs, sight, has_ring=has_ring), deadline)

    async def _around(
        self, refs: Collection[Ref], sight: Sequence[str], *, has_ring: bool
    ) -> Surroundings:
        async with self._database.reading() as connection:
            rules = self._index.rules
            return await surroundings(connection, rules, refs, sight, has_ring=has_ring)

    async def with_email(
        self, address: str, sight: Sequence[str], deadline: float
    ) -> Sequence[Ref]:
        """Return the customers with an email address, oldest first. Raises `StoreFailed`."""
        text = normalized(EMAIL, address)
        if text is None or not sight:
            return ()
        return await self._database.read(self._with_email(text, sight), deadline)

    async def _with_email(self, text: str, sight: Sequence[str]) -> Sequence[Ref]:
        digests = self._index.digests(await self._index.load_keys(), EMAIL, text)
        statement = (
            select(_CUSTOMERS.provider, _CUSTOMERS.customer)
            .join(IDENTITY_VALUES, _VALUES.number == _CUSTOMERS.number)
            .where(
                _VALUES.digest.in_(digests),
                _VALUES.provider.in_(sight),
                _VALUES.key == EMAIL_KEY,
            )
            .order_by(_CUSTOMERS.number)
            .limit(MOST_FOUND)
        )
        async with self._database.reading() as connection:
            return list(dict.fromkeys(starmap(Ref, await connection.execute(statement))))


async def surroundings(
    connection: AsyncConnection,
    rules: Ruleset,
    refs: Collection[Ref],
    sight: Sequence[str],
    *,
    has_ring: bool = False,
) -> Surroundings:
    """Return the surroundings of customers; see `IdentityReads.around`."""
    seen = frozenset(sight)
    rows = await rows_of(connection, (ref for ref in refs if ref.provider in seen))
    found = Surroundings({ref: row.number for ref, row in rows.items() if not row.is_gone})
    most = len(found.numbers) + MOST_CONNECTED
    search = _Search(found, rules)
    while search.undecided or search.frontier:
        if len(found.numbers) > most:
            log.warning("links connect too many customers to compute all of them")
            break
        if frontier := search.frontier:
            search.add_values(frontier, await _near(connection, frontier, sight))
        if search.undecided:
            numbers = [*search.undecided.values()]
            search.add_decisions(await _decided(connection, numbers, sight))
        if has_ring:
            has_ring = False
            search.add_ring()
            most += len(found.numbers)
    return found


async def _near(
    connection: AsyncConnection, numbers: Sequence[int], sight: Sequence[str]
) -> Sequence[IndexedValue]:
    """Return all values of the customers that share any with those of these numbers."""
    is_sqlite = connection.dialect.name == "sqlite"
    names = {f"sight_{place}": provider for place, provider in enumerate(sight)}
    found: dict[tuple[int, str, str, bytes], IndexedValue] = {}
    for start in range(0, len(numbers), CHUNK):
        parameters = {"numbers": numbers[start : start + CHUNK], **names}
        for provider, customer, *rest in await connection.execute(
            _shared(len(sight), is_sqlite=is_sqlite), parameters
        ):
            value = IndexedValue(Ref(provider, customer), *rest)
            found[value.number, value.key, value.form, value.digest] = value
    return [*found.values()]


async def _decided(
    connection: AsyncConnection, numbers: Sequence[int], sight: Sequence[str]
) -> Sequence[tuple[int, int, Decision]]:
    """Return the decisions about any of the customers of these numbers, with both numbers."""
    found = []
    for start in range(0, len(numbers), CHUNK):
        parameters = {"numbers": numbers[start : start + CHUNK], "sight": list(sight)}
        found += [decision_of(row) for row in await connection.execute(_linked(), parameters)]
    return found


def decision_of(row: Any) -> tuple[int, int, Decision]:
    """Return the decision of a row of `decisions_with_ends`, after the numbers of its pair."""
    one, other = Ref(row.a_provider, row.a_customer), Ref(row.b_provider, row.b_customer)
    pair = pair_of(one, other)
    a, b = (row.a, row.b) if pair[0] == one else (row.b, row.a)
    origin = LinkOrigin.EXPLICIT if row.rule is None else LinkOrigin.RULE
    created_at: datetime = row.created_at
    return (
        a,
        b,
        Decision(pair, row.is_link, origin, row.rule, created_at, row.created_by, row.note),
    )


def sight_of(count: int) -> CTE:
    """Return a table of that many providers, the parameters `sight_0` and so on."""
    rows: list[Select[Any]] = [
        select(bindparam(f"sight_{place}").label("provider")) for place in range(count)
    ]
    return union_all(*rows).cte("sight")


@lru_cache(64)
def _shared(count: int, *, is_sqlite: bool) -> Select[Any]:
    """Return all values of those with whom customers share any, at `count` providers in sight.

    Of a value that very many customers share, only the first of each provider are read.
    """
    sight = sight_of(count)
    digests = (
        select(_VALUES.digest)
        .where(_VALUES.number.in_(bindparam("numbers", expanding=True)))
        .distinct()
        .subquery("digests")
    )
    first = _first_of(digests, sight, is_sqlite=is_sqlite)
    near = (
        select(first.c.number)
        .select_from(digests)
        .join(sight, true())
        .join(first, true() if not is_sqlite else _is_first(first, digests, sight))
        .distinct()
        .subquery("near")
    )
    return (
        select(
            _CUSTOMERS.provider,
            _CUSTOMERS.customer,
            _VALUES.number,
            _VALUES.key,
            _VALUES.form,
            _VALUES.digest,
            _VALUES.seen_at,
        )
        .select_from(near)
        .join(IDENTITY_VALUES, _VALUES.number == near.c.number)
        .join(IDENTITY_CUSTOMERS, _CUSTOMERS.number == _VALUES.number)
    )


# A customer may have the same value by two keys.
_FIRST: Final = 2 * MOST_SHARED + 1


def _first_of(digests: Any, sight: CTE, *, is_sqlite: bool) -> Any:
    """Return the first customers with each digest at each provider.

    PostgreSQL would choose a join that reads the whole index; LATERAL leaves it no choice. SQLite
    has no LATERAL, and always searches: `_is_first` is its condition.
    """
    if is_sqlite:
        return IDENTITY_VALUES.alias("first")
    return (
        select(_VALUES.number)
        .where(_VALUES.digest == digests.c.digest, _VALUES.provider == sight.c.provider)
        .order_by(_VALUES.number)
        .limit(_FIRST)
        .correlate(digests, sight)
        .lateral("first")
    )


def _is_first(first: Any, digests: Any, sight: CTE) -> ColumnElement[bool]:
    last = (
        select(_VALUES.number)
        .where(_VALUES.digest == digests.c.digest, _VALUES.provider == sight.c.provider)
        .order_by(_VALUES.number)
        .offset(_FIRST - 1)
        .limit(1)
        .correlate(digests, sight)
        .scalar_subquery()
    )
    return and_(
        first.c.digest == digests.c.digest,
        first.c.provider == sight.c.provider,
        first.c.number <= func.coalesce(last, literal(_LARGEST)),
    )


def decisions_with_ends() -> Select[Any]:
    """Return decisions with both of their customers, of which neither is gone or out of sight.

    The parameter `sight` is the list of providers.
    """
    one, other = IDENTITY_CUSTOMERS.alias("one"), IDENTITY_CUSTOMERS.alias("other")
    sight: BindParameter[Any] = bindparam("sight", expanding=True)
    return (
        select(
            *IDENTITY_LINKS.c,
            one.c.provider.label("a_provider"),
            one.c.customer.label("a_customer"),
            other.c.provider.label("b_provider"),
            other.c.customer.label("b_customer"),
        )
        .select_from(IDENTITY_LINKS)
        .join(one, one.c.number == _LINKS.a)
        .join(other, other.c.number == _LINKS.b)
        .where(
            one.c.provider.in_(sight),
            other.c.provider.in_(sight),
            one.c.is_gone.is_(False),
            other.c.is_gone.is_(False),
        )
    )


async def every_decision(database: Database, sight: Sequence[str]) -> Sequence[Decision]:
    """Return all decisions about customers of these providers. Raises `StoreFailed`."""
    async with database.reading() as connection:
        rows = await connection.execute(decisions_with_ends(), {"sight": list(sight)})
        return [decision_of(row)[2] for row in rows]


@lru_cache(1)
def _linked() -> Any:
    numbers: BindParameter[Any] = bindparam("numbers", expanding=True)
    return union_all(
        *(decisions_with_ends().where(end.in_(numbers)) for end in (_LINKS.a, _LINKS.b))
    )
