"""Explicit decisions about links, one after the other in all processes."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.entities import Ref
from gateway.identity.graph import Decision, LinkOrigin
from gateway.store.database import Database
from gateway.store.identity_index import IdentityIndex, numbered, rows_of
from gateway.store.identity_reads import Surroundings, surroundings
from gateway.store.identity_tables import IDENTITY_LINKS, IDENTITY_STATE

Plan: TypeAlias = Callable[[Surroundings], Sequence[Decision]]
"""Returns what to decide, from what is known. Raises what refuses it."""


class IdentityDecisions:
    """Writes decisions."""

    def __init__(self, database: Database, index: IdentityIndex) -> None:
        """Decide about the customers in `index`."""
        self._database = database
        self._index = index

    async def decide(
        self, refs: Collection[Ref], sight: Sequence[str], plan: Plan, deadline: float
    ) -> None:
        """Store what `plan` decides about these customers. Raises its errors and `StoreFailed`.

        It sees the surroundings of the customers at the providers in `sight`, which nobody else
        changes meanwhile.
        """
        await self._database.finish(self._decide(refs, sight, plan), deadline)

    async def _decide(self, refs: Collection[Ref], sight: Sequence[str], plan: Plan) -> None:
        async with self._database.writing() as connection:
            await connection.execute(select(IDENTITY_STATE.c.id).with_for_update())
            await numbered(self._database, connection, [*refs])
            known = await surroundings(connection, self._index.rules, refs, sight)
            decisions = plan(known)
            if decisions:
                await self._save(connection, decisions)

    async def _save(self, connection: AsyncConnection, decisions: Sequence[Decision]) -> None:
        refs = {ref for each in decisions for ref in each.pair}
        numbers = {ref: row.number for ref, row in (await rows_of(connection, refs)).items()}
        rows = []
        for each in decisions:
            a, b = sorted(numbers[ref] for ref in each.pair)
            rows.append(
                {
                    "a": a,
                    "b": b,
                    "is_link": each.is_link,
                    "rule": each.rule if each.origin is LinkOrigin.RULE else None,
                    "created_at": each.created_at,
                    "created_by": each.created_by,
                    "note": each.note,
                }
            )
        insert = self._database.insert(IDENTITY_LINKS)
        statement = insert.on_conflict_do_update(
            index_elements=["a", "b"],
            set_={name: insert.excluded[name] for name in rows[0] if name not in {"a", "b"}},
        )
        await connection.execute(statement, rows)
