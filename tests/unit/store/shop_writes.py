"""Short ways to write to a record and to see what it says."""

import asyncio
from collections.abc import Mapping

from gateway.domain.entities import AssignmentState
from gateway.domain.mutations import Replacement, Tag
from gateway.providers.base.store_lookup import Lookup, Rows, TaggingRow
from gateway.store.store import Store
from gateway.store.write_intents import Begun, LeasedIntent, Settlement

SHOP = "shop"
LOG_TABLES = (
    "budget_calls",
    "budgets",
    "change_log",
    "change_log_head",
    "compatibility",
    "identity_customers",
    "identity_links",
    "identity_state",
    "identity_values",
    "known_members",
    "known_segments",
    "members",
    "provider_health",
    "segment_sizes",
    "shared_calls",
    "snapshots",
    "webhooks",
    "webhook_status",
)
"""What steps 0005 to 0011 make."""
CONFIRMED = AssignmentState.CONFIRMED
PENDING = AssignmentState.PENDING
UNCONFIRMED = AssignmentState.UNCONFIRMED

Shown = tuple[AssignmentState, set[str]]


def soon(seconds: float = 5) -> float:
    """Return a deadline."""
    return asyncio.get_running_loop().time() + seconds


def wanted(customer: str, *values: str) -> Replacement:
    """Return what a customer is to have, tags of type `t`."""
    return Replacement(customer, tuple(Tag("t", value) for value in values))


async def begin(record: Store, *rows: Replacement, deadline: float | None = None) -> Begun:
    """Begin a write of the shop."""
    return await record.write_intents.begin(
        SHOP, rows, "write", soon() if deadline is None else deadline
    )


async def claim(record: Store, *rows: Replacement) -> LeasedIntent:
    """Begin a write that nobody is in the way of."""
    begun = await begin(record, *rows)
    assert begun.left == ()
    return begun.claim


async def write(record: Store, *rows: Replacement) -> None:
    """Have a write confirmed."""
    mine = await claim(record, *rows)
    assert not await settle(record, mine, Settlement.CONFIRMED)


async def settle(record: Store, mine: LeasedIntent, settlement: Settlement) -> set[str]:
    """Settle a claim the same for all of its customers; return whose write was taken over."""
    outcomes = dict.fromkeys((row.customer for row in mine.rows), settlement)
    return set(await record.write_intents.settle(mine, outcomes))


async def overdue(record: Store, limit: int = 100) -> Mapping[str, set[str]]:
    """Return what recovery is to send, and leave it claimed."""
    return {
        row.customer: {tag.value for tag in row.tags}
        for each in await record.write_intents.overdue([SHOP], soon(0), limit)
        for row in each.rows
    }


async def assignments(record: Store, customer: str) -> Rows[TaggingRow]:
    """Return a customer's assignments as they are recorded."""
    rows = await record.look_up(SHOP, Lookup("assignments", ((customer,),), with_total=True))
    assert isinstance(rows, Rows)
    return rows


async def shown(record: Store, customer: str) -> Shown | None:
    """Return the state and the values that are shown of a customer; None: nothing to show."""
    rows = (await assignments(record, customer)).rows
    states = {row.state for row in rows}
    assert len(states) <= 1
    return (states.pop(), {row.value for row in rows}) if rows else None


async def knows(record: Store, customer: str) -> bool:
    """Tell whether anything is recorded of a customer."""
    customers = await record.look_up(SHOP, Lookup("customer", ((customer,),)))
    return bool(customers.rows)


async def counts(record: Store) -> dict[str, int]:
    """Return how many customers, tags and members of each tag there are, as counted."""
    customers = await record.look_up(SHOP, Lookup("customers", size=1, with_total=True))
    tags = await record.look_up(SHOP, Lookup("segments", with_total=True))
    return {
        "customers": customers.total,
        "tags": tags.total,
        **{
            tag.value: await record.look_up(SHOP, Lookup("member_count", ((tag.type, tag.value),)))
            for tag in tags.rows
        },
    }
