"""The index of customers' values, filled by whatever reads them.

Values are digested with a secret: the store has no email address or phone number. A process
remembers which customers it has recorded, so that reading them again costs no statement.
"""

import asyncio
import hashlib
import hmac
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, and_, bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.entities import Customer, Ref
from gateway.identity.graph import Pair
from gateway.identity.normalizing import Form
from gateway.identity.rules import NO_RULES, Ruleset, raw_values
from gateway.store.database import Database
from gateway.store.identity_tables import IDENTITY_CUSTOMERS, IDENTITY_STATE, IDENTITY_VALUES
from gateway.store.limits import MAX_STORED_BYTES, size_of

DIGEST_BYTES: Final = 16
BATCH: Final = 500
"""Customers of one transaction."""
REMEMBERED: Final = 100_000
"""Customers that one process remembers."""
REMEMBERED_S: Final = 300.0
"""For how long: another process may have recorded other values since."""
VALUES: Final = 50
"""The most values of one customer; further ones are ignored."""

_CUSTOMERS, _VALUES = IDENTITY_CUSTOMERS.c, IDENTITY_VALUES.c


class _Indexed(NamedTuple):
    """What the index has of a customer's values."""

    ref: Ref
    values: frozenset[tuple[str, str, bytes]]
    """Key, form and digest."""
    fingerprint: bytes
    renewed: Mapping[bytes, bytes]
    """The digests of the same values by earlier keys, with the ones that replace them."""


class IdentityIndex:
    """The index, as far as it is written."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Use this database; the clock is the wall's, in UTC."""
        self._database = database
        self._clock = clock
        self.rules: Ruleset = NO_RULES
        self.keys: Sequence[bytes] = ()
        """`identity.index_keys`; without them the store's own is used."""
        self.paused_until = -math.inf
        """Until then reads record nothing; on the event loop's clock."""
        self.oversized: set[Pair] = set()
        """The links that this process has seen to make too large a person."""
        self._stored_key: bytes | None = None
        self._remembered: dict[Ref, tuple[int, float]] = {}

    def configure(self, rules: Ruleset, keys: Sequence[bytes]) -> None:
        """Use other rules and `identity.index_keys` from now on."""
        self.rules, self.keys = rules, keys
        self._remembered.clear()

    def note_oversized(self, pairs: Sequence[Pair]) -> None:
        """Count links that make too large a person, each once."""
        if pairs and len(self.oversized) < REMEMBERED:
            self.oversized.update(pairs)

    async def load_keys(self) -> Sequence[bytes]:
        """Return the keys of the digests, the first for new ones. Within a read or a write."""
        if self.keys:
            return self.keys
        if self._stored_key is None:
            async with self._database.reading() as connection:
                found = await connection.scalar(select(IDENTITY_STATE.c.index_key))
            self._stored_key = bytes(found or b"")
        return (self._stored_key,)

    def digests(self, keys: Sequence[bytes], form: Form, text: str) -> Sequence[bytes]:
        """Return the digests of a normalized value, by each key."""
        message = f"{form.name}\0{text}".encode("utf-8", "surrogatepass")
        return [hmac.digest(key, message, hashlib.sha256)[:DIGEST_BYTES] for key in keys]

    def news(self, customers: Iterable[Customer]) -> Sequence[Customer]:
        """Return the customers that this process has not recorded as they are now, each once."""
        now = asyncio.get_running_loop().time()
        found: dict[Ref, Customer] = {}
        for customer in customers:
            remembered = self._remembered.get(customer.ref)
            if remembered is None or remembered[0] != self._hash(customer) or remembered[1] < now:
                found[customer.ref] = customer
        return list(found.values())

    async def record(self, customers: Sequence[Customer], deadline: float) -> bool:
        """Record the values of customers; those that are not there any more are removed.

        Return whether the index had other values. Raises `StoreFailed`.
        """
        has_changed = False
        for start in range(0, len(customers), BATCH):
            part = customers[start : start + BATCH]
            if await self._database.read(self._differs(part), deadline):
                await self._database.finish(self._record(part), deadline)
                has_changed = True
            until = asyncio.get_running_loop().time() + REMEMBERED_S
            if len(self._remembered) > REMEMBERED:
                self._remembered.clear()
            self._remembered.update((each.ref, (self._hash(each), until)) for each in part)
        return has_changed

    async def retire(self, refs: Sequence[Ref], deadline: float) -> None:
        """Record that the provider has no such customers any more. Raises `StoreFailed`."""
        is_known: bool = await self._database.read(self._are_there(refs), deadline)
        if is_known:
            await self._database.finish(self._retire(refs), deadline)
        for ref in refs:
            self._remembered.pop(ref, None)

    async def retract(
        self, provider: str, key: str, form: Form, text: str, deadline: float
    ) -> None:
        """Record that no customer of a provider has this value any more. Raises `StoreFailed`."""
        if await self._database.read(self._holders(provider, key, form, text), deadline):
            await self._database.finish(self._retract(provider, key, form, text), deadline)
            # They may have it again later, with the other values that they have now.
            self._remembered.clear()

    def _hash(self, customer: Customer) -> int:
        provider = customer.ref.provider
        return hash(
            tuple(tuple(raw_values(customer, name)) for name, _ in self.rules.indexed(provider))
        )

    def _indexed(self, keys: Sequence[bytes], customer: Customer) -> _Indexed:
        values, renewed = set[tuple[str, str, bytes]](), dict[bytes, bytes]()
        for value in list(self.rules.values(customer))[:VALUES]:
            digest, *earlier = self.digests(keys, value.form, value.text)
            values.add((value.key, value.form.name, digest))
            renewed.update((each, digest) for each in earlier)
        fingerprint = hashlib.blake2b(digest_size=8)
        for key, form, digest in sorted(values):
            fingerprint.update(f"{key}\0{form}\0".encode() + digest)
        return _Indexed(customer.ref, frozenset(values), fingerprint.digest(), renewed)

    async def _storable(self, customers: Sequence[Customer]) -> Sequence[_Indexed]:
        """Return what to index, in the order in which rows are locked."""
        keys = await self.load_keys()
        found = [self._indexed(keys, each) for each in customers if _is_storable(each.ref)]
        return sorted(found, key=lambda each: (each.ref.provider, each.ref.key))

    async def _differs(self, customers: Sequence[Customer]) -> bool:
        """Return whether the index has other values of any of these customers."""
        indexed = await self._storable(customers)
        async with self._database.reading() as connection:
            rows = await rows_of(connection, [each.ref for each in indexed])
        return any(
            (row := rows.get(each.ref)) is None
            or row.is_gone
            or row.fingerprint != each.fingerprint
            for each in indexed
        )

    async def _record(self, customers: Sequence[Customer]) -> None:
        indexed = await self._storable(customers)
        refs = [each.ref for each in indexed]
        async with self._database.writing() as connection:
            rows = await numbered(self._database, connection, refs)
            changed = {
                rows[each.ref].number: each
                for each in indexed
                if rows[each.ref].is_gone or rows[each.ref].fingerprint != each.fingerprint
            }
            if not changed:
                return
            await self._renew(connection, changed.values())
            await self._replace(connection, changed)
            await connection.execute(
                update(IDENTITY_CUSTOMERS)
                .where(_CUSTOMERS.number == bindparam("of"))
                .values(fingerprint=bindparam("print"), is_gone=False),
                [{"of": n, "print": each.fingerprint} for n, each in changed.items()],
            )

    async def _renew(self, connection: AsyncConnection, indexed: Iterable[_Indexed]) -> None:
        """Replace digests by earlier keys, of all customers with these values."""
        renewed = {old: new for each in indexed for old, new in each.renewed.items()}
        if renewed:
            await connection.execute(
                update(IDENTITY_VALUES)
                .where(_VALUES.digest == bindparam("old"))
                .values(digest=bindparam("new")),
                [{"old": old, "new": new} for old, new in sorted(renewed.items())],
            )

    async def _replace(self, connection: AsyncConnection, changed: Mapping[int, _Indexed]) -> None:
        known = await connection.execute(
            select(_VALUES.number, _VALUES.key, _VALUES.form, _VALUES.digest).where(
                _VALUES.number.in_(changed)
            )
        )
        before = {tuple(row) for row in known}
        now = {
            (number, *value): each.ref.provider
            for number, each in changed.items()
            for value in each.values
        }
        gone = sorted(before - now.keys())
        if gone:
            await connection.execute(
                delete(IDENTITY_VALUES).where(
                    *(_VALUES[name] == bindparam(f"its_{name}") for name in _NAMES)
                ),
                [dict(zip((f"its_{name}" for name in _NAMES), row, strict=True)) for row in gone],
            )
        added = sorted(now.keys() - before)
        if added:
            seen_at = self._clock()
            await connection.execute(
                insert(IDENTITY_VALUES),
                [
                    {
                        **dict(zip(_NAMES, row, strict=True)),
                        "provider": now[row],
                        "seen_at": seen_at,
                    }
                    for row in added
                ],
            )

    async def _are_there(self, refs: Sequence[Ref]) -> bool:
        async with self._database.reading() as connection:
            rows = await rows_of(connection, refs)
        return any(not row.is_gone for row in rows.values())

    async def _retire(self, refs: Sequence[Ref]) -> None:
        async with self._database.writing() as connection:
            rows = await rows_of(connection, refs)
            numbers = sorted(row.number for row in rows.values())
            await connection.execute(
                update(IDENTITY_CUSTOMERS)
                .where(_CUSTOMERS.number.in_(numbers))
                .values(is_gone=True, fingerprint=None)
            )
            await connection.execute(delete(IDENTITY_VALUES).where(_VALUES.number.in_(numbers)))

    async def _holders(self, provider: str, key: str, form: Form, text: str) -> Sequence[int]:
        digests = self.digests(await self.load_keys(), form, text)
        async with self._database.reading() as connection:
            return list(
                await connection.scalars(
                    select(_VALUES.number).where(
                        _VALUES.digest.in_(digests),
                        _VALUES.provider == provider,
                        _VALUES.key == key,
                    )
                )
            )

    async def _retract(self, provider: str, key: str, form: Form, text: str) -> None:
        digests = self.digests(await self.load_keys(), form, text)
        numbers = sorted(await self._holders(provider, key, form, text))
        async with self._database.writing() as connection:
            await connection.execute(
                update(IDENTITY_CUSTOMERS)
                .where(_CUSTOMERS.number.in_(numbers))
                .values(fingerprint=None)
            )
            await connection.execute(
                delete(IDENTITY_VALUES).where(
                    _VALUES.digest.in_(digests),
                    _VALUES.provider == provider,
                    _VALUES.key == key,
                )
            )


_NAMES: Final = ("number", "key", "form", "digest")


class CustomerRow(NamedTuple):
    """A customer that was seen."""

    number: int
    fingerprint: bytes | None
    is_gone: bool


async def rows_of(connection: AsyncConnection, refs: Iterable[Ref]) -> Mapping[Ref, CustomerRow]:
    """Return the rows of those of these customers that were seen."""
    by_provider: dict[str, list[str]] = {}
    for ref in refs:
        if _is_storable(ref):
            by_provider.setdefault(ref.provider, []).append(ref.key)
    if not by_provider:
        return {}
    parameters: dict[str, Any] = {}
    for place, (provider, customers) in enumerate(by_provider.items()):
        parameters |= {f"provider_{place}": provider, f"customers_{place}": customers}
    rows = await connection.execute(_rows(len(by_provider)), parameters)
    return {Ref(provider, customer): CustomerRow(*rest) for provider, customer, *rest in rows}


@lru_cache(64)
def _rows(providers: int) -> Select[Any]:
    """Return the rows of customers at so many providers: each statement costs its own time."""
    return select(
        _CUSTOMERS.provider,
        _CUSTOMERS.customer,
        _CUSTOMERS.number,
        _CUSTOMERS.fingerprint,
        _CUSTOMERS.is_gone,
    ).where(
        or_(
            *(
                and_(
                    _CUSTOMERS.provider == bindparam(f"provider_{place}"),
                    _CUSTOMERS.customer.in_(bindparam(f"customers_{place}", expanding=True)),
                )
                for place in range(providers)
            )
        )
    )


async def numbered(
    database: Database, connection: AsyncConnection, refs: Sequence[Ref]
) -> Mapping[Ref, CustomerRow]:
    """Return the rows of these customers; add those that are missing. Within a write."""
    rows = await rows_of(connection, refs)
    missing = [
        {"provider": ref.provider, "customer": ref.key, "is_gone": False}
        for ref in sorted(set(refs) - rows.keys(), key=lambda ref: (ref.provider, ref.key))
    ]
    if not missing:
        return rows
    statement = database.insert(IDENTITY_CUSTOMERS).on_conflict_do_nothing()
    await connection.execute(statement, missing)
    return await rows_of(connection, refs)


def _is_storable(ref: Ref) -> bool:
    size = size_of((ref.provider, ref.key))
    return size is not None and size <= MAX_STORED_BYTES
