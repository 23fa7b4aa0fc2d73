"""The tables of the record. How they came to be so is in `migrations`; a test compares the two.

Who waits for whom: every transaction locks rows of `tagged_customers` first, then of `tags`, then
of `tag_totals`, each in the order of their keys, and the row of `change_log_head` last. So none
can deadlock.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Enum,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

from gateway.domain.entities import AssignmentState

METADATA = MetaData()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# By code points on both: PostgreSQL would take the database's locale, SQLite compares bytes.
Name = Text().with_variant(Text(collation="C"), "postgresql")


class Moment(TypeDecorator[datetime]):
    """An aware time as microseconds since 1970: SQLite has no type for it."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _: Dialect) -> int | None:
        """Return what is stored."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, _: Dialect) -> datetime | None:
        """Return the time, in UTC."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


# One row for each customer of whom anything is recorded. It is also the lock of their write.
CUSTOMERS = Table(
    "tagged_customers",
    METADATA,
    Column("provider", Name, primary_key=True),
    Column("customer", Name, primary_key=True),
    Column("state", Enum(AssignmentState, native_enum=False, length=16), nullable=False),
    # The newest write, as its caller names it.
    Column("write", Name, nullable=False),
    # Of an open write: who is at it; NULL when nobody is.
    Column("claim", Name),
    # Of an open write: when it may be taken over, or is to be repeated. NULL: none is open.
    Column("due_at", Moment),
    # Earlier attempts of unknown outcome; while there are any, `was` is no more than possible.
    Column("attempts", SmallInteger, nullable=False),
    # When the provider last confirmed a write; NULL: never yet.
    Column("confirmed_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    sqlite_with_rowid=False,
)
Index(
    "tagged_customers_due",
    CUSTOMERS.c.provider,
    CUSTOMERS.c.due_at,
    sqlite_where=CUSTOMERS.c.due_at.is_not(None),
    postgresql_where=CUSTOMERS.c.due_at.is_not(None),
)

# What customers have or may have; see gateway.store.marks.
TAGGINGS = Table(
    "taggings",
    METADATA,
    Column("provider", Name, primary_key=True),
    Column("customer", Name, primary_key=True),
    Column("type", Name, primary_key=True),
    Column("value", Name, primary_key=True),
    Column("was", Boolean, nullable=False),
    Column("wanted", Boolean, nullable=False),
    Column("wanted_before", Boolean, nullable=False),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("position_before", Integer, nullable=False, server_default="0"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    sqlite_with_rowid=False,
)
Index(
    "taggings_by_tag",
    TAGGINGS.c.provider,
    TAGGINGS.c.type,
    TAGGINGS.c.value,
    TAGGINGS.c.customer,
)

# Counted as taggings come and go: counting the members of a large segment takes too long.
TAGS = Table(
    "tags",
    METADATA,
    Column("provider", Name, primary_key=True),
    Column("type", Name, primary_key=True),
    Column("value", Name, primary_key=True),
    Column("members", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    sqlite_with_rowid=False,
)
TOTALS = Table(
    "tag_totals",
    METADATA,
    Column("provider", Name, primary_key=True),
    Column("customers", Integer, nullable=False),
    Column("tags", Integer, nullable=False),
    sqlite_with_rowid=False,
)

KEYS = Table(
    "idempotency_keys",
    METADATA,
    # A digest: callers choose keys of any length and content.
    Column("key", Name, primary_key=True),
    # Of the input that the key was used with.
    Column("digest", Name, nullable=False),
    # Who runs it, and until when they are believed to.
    Column("claim", Name, nullable=False),
    Column("claimed_until", Moment, nullable=False),
    # NULL: not finished.
    Column("answer", LargeBinary),
    Column("expires_at", Moment, nullable=False),
    # What the run sends, as its caller has it, where recovery can find out what came of it.
    Column("plan", LargeBinary),
)
Index("idempotency_keys_expired", KEYS.c.expires_at)

# What the writes of idempotency keys that have a plan came to, until their key has its answer.
OUTCOMES = Table(
    "write_outcomes",
    METADATA,
    # The claim of the key's run.
    Column("write", Name, primary_key=True),
    Column("provider", Name, primary_key=True),
    Column("customer", Name, primary_key=True),
    # A value of `Settlement`; NULL: begun, and not settled yet.
    Column("outcome", Name),
    sqlite_with_rowid=False,
)

# Which account each provider key means; see gateway.store.accounts.
ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("provider", Name, primary_key=True),
    Column("kind", Name, nullable=False),
    Column("base_url", Name, nullable=False),
    Column("account", Name, nullable=False),
    Column("created_at", Moment, nullable=False),
    sqlite_with_rowid=False,
)

# One row. Appending locks it until the commit, so that positions follow the order of commits.
CHANGE_HEAD = Table(
    "change_log_head",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    # Random, made with the table: cursors of another database have another one.
    Column("epoch", LargeBinary, nullable=False),
    # Of the newest entry, and its tag; 0 before the first.
    Column("position", BigInteger, nullable=False),
    Column("tag", LargeBinary, nullable=False),
    # Counts the transactions that reported observations, news or not.
    Column("revision", BigInteger, nullable=False),
)

CHANGES = Table(
    "change_log",
    METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    # Random: it tells this entry from the one that a restored database has here later.
    Column("tag", LargeBinary, nullable=False),
    # `assignment`, `segment`, or `provider`: what no `Change` describes.
    Column("subject", String(16), nullable=False),
    Column("kind", String(16)),
    Column("source", String(16), nullable=False),
    Column("provider", Name, nullable=False),
    Column("segment", Name),
    Column("customer", Name),
    Column("legal_entity", Name),
    Column("occurred_at", Moment),
    Column("recorded_at", Moment, nullable=False),
)
Index("change_log_recorded", CHANGES.c.recorded_at)

# What the newest observation of each assignment said; see gateway.store.known.
KNOWN_MEMBERS = Table(
    "known_members",
    METADATA,
    Column("provider", Name, primary_key=True),
    Column("segment", Name, primary_key=True),
    Column("customer", Name, primary_key=True),
    # Empty: none.
    Column("legal_entity", Name, primary_key=True),
    Column("is_in", Boolean, nullable=False),
    # At the provider, in this life of the assignment.
    Column("version", BigInteger),
    # The provider's time of the newest webhook.
    Column("event_at", Moment),
    # Of `change_log_head` when something was last reported of it.
    Column("revision", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
KNOWN_SEGMENTS = Table(
    "known_segments",
    METADATA,
    Column("provider", Name, primary_key=True),
    Column("segment", Name, primary_key=True),
    Column("is_there", Boolean, nullable=False),
    Column("version", BigInteger),
    Column("event_at", Moment),
    Column("revision", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
