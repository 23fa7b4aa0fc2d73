"""Both executors answer the same about persons and links, which are read from a store."""

import asyncio
import gc
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.domain.entities import Ref
from gateway.identity.graph import Decision, LinkOrigin, pair_of
from gateway.identity.settings import IdentitySettings
from gateway.reads.customer_lists import CustomerLists
from gateway.sandbox.identity_rules import RULES as SANDBOX_RULES
from gateway.sandbox.people import person
from gateway.store.database_url import database_url
from gateway.store.identity_reads import Surroundings
from gateway.store.store import Store
from resolvers import global_ids
from resolvers.global_ids import Kind
from tests.differential.both import is_valid
from tests.differential.operations import Maker
from tests.differential.test_gateway import CORE, GROUPS, NOW, World, world
from tests.sizes import size

__all__ = ["world"]

RUNS = size("DIFFERENTIAL_RUNS", 60, 6_000)
ROOTS = frozenset({"person", "people", "identityLinks", "customer", "customers", "node", "nodes"})
RULES = IdentitySettings.model_validate({"rules": SANDBOX_RULES}).ruleset


EVERYONE = """query($provider: String!) {
    customers(first: 250, filter: { providers: [$provider] }) { totalCount nodes { name } }
}"""


def at(n: int, provider: str) -> Ref:
    """Return a person's customer."""
    return Ref(provider, getattr(person(n), f"{provider}_id"))


APART, TOGETHER = (
    pair_of(at(0, "voucherify"), at(0, "emporix")),
    pair_of(at(1, "voucherify"), at(6, "emporix")),
)
PROPOSED = pair_of(at(3, "voucherify"), at(3, "emporix"))


def decided(_: Surroundings) -> list[Decision]:
    """Keep two customers apart that a rule links, and link two others."""
    return [
        Decision(pair, is_link, LinkOrigin.EXPLICIT, None, NOW, "key:x", "A note.")
        for pair, is_link in ((APART, False), (TOGETHER, True))
    ]


@pytest.fixture
async def linked(world: World, tmp_path: Path) -> AsyncIterator[World]:
    """Return the gateway with a store that has everyone in its index, and decisions."""
    store = await Store.open(database_url(f"sqlite:///{tmp_path / 'gateway.db'}", {}), lambda: NOW)
    world.store, world.lists = store, CustomerLists(10**6)
    store.identity.index.configure(RULES, ())
    document = world.operations.document(EVERYONE)
    for provider in world.providers:
        context = world.context()
        await world.operations.run(document, {"provider": provider}, None, context)
        await context.finish()
    ends = {*APART, *TOGETHER}
    deadline = asyncio.get_running_loop().time() + 60
    await store.identity.decisions.decide(ends, [*world.providers], decided, deadline)
    world.known.nodes += [
        global_ids.of_ref(Kind.PERSON, at(n, provider))
        for n in (0, 1, 3, 6)
        for provider in ("voucherify", "emporix")
    ]
    world.known.nodes += [global_ids.of_pair(each) for each in (APART, TOGETHER, PROPOSED)]
    yield world
    await store.close()


# graphql-core leaves coroutines behind where a null takes an object with it.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("group", range(GROUPS))
async def test_generated_operations(linked: World, group: int) -> None:
    """Generated operations about persons, over healthy and failing providers."""
    maker = Maker(
        CORE,
        linked.known.choose,
        partial(is_valid, linked.operations),
        depth=6,
        width=3,
        without=frozenset({"asOf", "changes", "changesCursor", "webhooks", "sizeHistory"}),
        roots=ROOTS,
    )
    with capture_logs():
        for seed in range(group, RUNS, GROUPS):
            variation = seed // GROUPS
            linked.disturb(seed, (0, 0, 20, 60)[variation % 4], slow=variation % 8 > 3)
            await linked.compare(maker.make(seed))
    gc.collect()  # what graphql-core left behind is this test's
