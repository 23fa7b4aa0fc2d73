"""`gateway identity`."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
import typer

from gateway.asgi import connect
from gateway.cli.configuration import settings_or_fail
from gateway.cli.console import Config, out
from gateway.domain.entities import Customer, Ref
from gateway.domain.pages import PageRequest
from gateway.domain.queries import EVERY_CUSTOMER
from gateway.errors import GatewayError
from gateway.identity.graph import Decision, Edge, LinkState
from gateway.identity.preview import Preview, preview
from gateway.loaders.request_fetches import WHOLE_LIST_PAGE_SIZE
from gateway.observability.logs import start_log
from gateway.providers.base.adapter import ListsCustomers
from gateway.providers.base.store_lookup import Rows
from gateway.request_scope import Scope
from gateway.settings.tables import Settings
from gateway.store.database import Database
from gateway.store.database_url import database_url
from gateway.store.errors import StoreFailed
from gateway.store.identity_reads import every_decision
from gateway.store.queries import StoreQueries
from gateway.store.temporary import TEMPORARY
from gateway.upstream.provider import Provider

SHOWN: Final = 10
"""Links, persons, values and conflicts that are printed of each sort."""

commands = typer.Typer(help="Who is one person.", no_args_is_help=True)


@commands.callback()
def identity() -> None:
    """Who is one person."""


@commands.command(name="preview")
def show_preview(config: Config = None) -> None:
    """Read all customers, and print what the rules would do. Nothing is written."""
    settings = settings_or_fail(config)
    start_log(settings.log)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    if not settings.identity.rules:
        out.print("The configuration has no [[identity.rules]].", markup=False)
        return
    customers, decisions = asyncio.run(_read(settings))
    _print(preview(settings.identity.ruleset, customers, decisions))


async def _read(settings: Settings) -> tuple[Sequence[Customer], Sequence[Decision]]:
    async with _store(settings) as store:
        providers = await connect(settings, store=store)
        try:
            lists = await asyncio.gather(*(_customers(each) for each in providers))
        finally:
            await asyncio.gather(*(each.close() for each in providers))
        decisions = await store.decisions([each.key for each in providers])
    return [customer for each in lists for customer in each], decisions


class _ReadOnlyStore:
    """What the preview reads of the store, if there is one."""

    def __init__(self, database: Database | None) -> None:
        self._database = database

    async def look_up(self, provider: str, lookup: Any, deadline: float | None = None) -> Any:
        if self._database is None:
            return Rows[Any](())
        return await StoreQueries(self._database).look_up(provider, lookup, deadline)

    async def decisions(self, sight: Sequence[str]) -> Sequence[Decision]:
        if self._database is None:
            return ()
        try:
            return await self._database.read(every_decision(self._database, sight))
        except StoreFailed as error:
            out.print(f"Decisions cannot be read from the store: {error.cause}", markup=False)
            return ()


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[_ReadOnlyStore]:
    """Open the store only to read: it is neither created nor upgraded."""
    if settings.store.url == TEMPORARY:
        yield _ReadOnlyStore(None)
        return
    location = database_url(settings.store.url, os.environ)
    if location.path is not None and not location.path.is_file():
        yield _ReadOnlyStore(None)
        return
    database = Database(location, settings.store.connect_timeout_s)
    try:
        yield _ReadOnlyStore(database)
    finally:
        await database.close()


async def _customers(provider: Provider) -> Sequence[Customer]:
    """Read all customers of a provider; print why, if that fails."""
    if not provider.offers(ListsCustomers):
        out.print(f"{provider.key}: customers cannot be listed", markup=False)
        return ()
    adapter = provider.require(ListsCustomers, "CUSTOMER_LIST")
    found: list[Customer] = []
    position: str | None = None
    while True:
        deadline = asyncio.get_running_loop().time() + 60
        scope = Scope(uuid.uuid4().hex, deadline, is_background=True)
        try:
            plan = adapter.customers(EVERY_CUSTOMER, PageRequest(WHOLE_LIST_PAGE_SIZE, position))
            page = await provider.read(plan, scope)
        except GatewayError as error:
            out.print(f"{provider.key}: {error}", markup=False)
            return found
        found += page.rows
        if page.is_last or page.next_position in {None, position}:
            out.print(f"{provider.key}: {len(found)} customers", markup=False)
            return found
        position = page.next_position


def _print(result: Preview) -> None:
    lines = []
    for rule, links in result.links.items():
        made, proposed = links[LinkState.ACTIVE], links[LinkState.PROPOSED]
        lines += ["", f"Rule {rule}: {len(made)} links, {len(proposed)} proposals"]
        for state in (LinkState.ACTIVE, LinkState.PROPOSED):
            lines += [
                f"  {state.value.lower():<8}  {_ends(each.edge)}  by {each.value!r}"
                for each in links[state][:SHOWN]
            ]
    sizes = [len(each) for each in result.persons]
    lines += ["", f"Persons of several customers: {len(sizes)} of {result.customers} customers"]
    lines += [f"  {len(e)}  {', '.join(map(_shown, e))}" for e in result.persons[:SHOWN]]
    lines += [
        "",
        f"Values that too many customers share, and that link nobody: {len(result.shared)}",
    ]
    lines += [
        f"  {e.rule}: {e.customers} customers have {e.value!r}" for e in result.shared[:SHOWN]
    ]
    lines += ["", f"Kept apart, though a rule would link them: {len(result.conflicts)}"]
    lines += [f"  {_ends(each)}" for each in result.conflicts[:SHOWN]]
    out.print("\n".join(lines), markup=False, soft_wrap=True)


def _ends(edge: Edge) -> str:
    return " - ".join(map(_shown, edge.pair))


def _shown(ref: Ref) -> str:
    return f"{ref.provider}:{ref.key}"
