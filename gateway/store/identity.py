"""Identity in the store: the index, decisions, and what both say about customers."""

from collections.abc import Callable
from datetime import datetime

from gateway.store.database import Database
from gateway.store.identity_decisions import IdentityDecisions
from gateway.store.identity_index import IdentityIndex
from gateway.store.identity_lists import IdentityLists
from gateway.store.identity_reads import IdentityReads


class IdentityStore:
    """All that the store knows about who is who."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Use this database; the clock is the wall's, in UTC."""
        self.index = IdentityIndex(database, clock)
        self.reads = IdentityReads(database, self.index)
        self.lists = IdentityLists(database, self.index)
        self.decisions = IdentityDecisions(database, self.index)
        self.clock = clock
