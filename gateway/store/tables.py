"""The tables of the store. `migrations` creates them; a test compares the two.

To avoid deadlocks, every transaction locks rows of `tagged_customers` first, then of `tags`, then
of `tag_totals`, each in the order of their keys, and the row of `change_log_head` last; only rows
of snapshots and sizes come after it. Transactions of `budgets` lock nothing else.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
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

# Ordered by code points on both: SQLite compares bytes, PostgreSQL would use its locale.
Name = Text().with_variant(Text(collation="C"), "postgresql")


class Moment(TypeDecorator[datetime]):
    """An aware datetime, stored as microseconds since 1970: SQLite has no type for it."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _: Dialect) -> int | None:
        """Return the stored value."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, _: Dialect) -> datetime | None:
        """Return the time, in UTC."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


# One row for each customer with a write. Locking it locks the customer's writes.
CUSTOMERS = Table(
    "tagged_customers",
    METADATA,
    Column("provider", Name, primary_key=True),
    Column("customer", Name, primary_key=True),
    Column("state", Enum(AssignmentState, native_enum=False, length=16), nullable=False),
    # The newest write's name, chosen by its caller.
    Column("write", Name, nullable=False),
    # The lease of an open write; NULL: no process works on it.
    Column("claim", Name),
    # When an open write may be taken over or repeated. NULL: no write is open.
    Column("due_at", Moment),
    # Earlier attempts of unknown outcome; while there are any, `was` means "possibly".
    Column("attempts", SmallInteger, nullable=False),
    # When the provider last confirmed a write; NULL: never.
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

# The tags that customers have or may have; see gateway.store.tag_states.
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

# The count is updated with each tagging: counting the members of a large segment is too slow.
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
    # A digest of the caller's key, which may have any length and content.
    Column("key", Name, primary_key=True),
    # A digest of the input that the key was first used with.
    Column("digest", Name, nullable=False),
    # Identifies the run; its lease ends at `claimed_until`.
    Column("claim", Name, nullable=False),
    Column("claimed_until", Moment, nullable=False),
    # The result; NULL: not finished.
    Column("answer", LargeBinary),
    Column("expires_at", Moment, nullable=False),
    # What the run will send, encoded by its caller, for writes that recovery can settle.
    Column("plan", LargeBinary),
)
Index("idempotency_keys_expired", KEYS.c.expires_at)

# The outcomes of writes whose idempotency key has a plan, until the key has its result.
OUTCOMES = Table(
    "write_outcomes",
    METADATA,
    # The claim of the key's run.
    Column("write", Name, primary_key=True),
    Column("provider", Name, primary_key=True),
    Column("customer", Name, primary_key=True),
    # A value of `Settlement`; NULL: started, but not settled yet.
    Column("outcome", Name),
    sqlite_with_rowid=False,
)

# The account that each provider key is bound to; see gateway.store.accounts.
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

# A single row. Appending locks it until the commit, so that positions are in commit order.
CHANGE_HEAD = Table(
    "change_log_head",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    # Random, created with the table: cursors of another database have another epoch.
    Column("epoch", LargeBinary, nullable=False),
    # The position and tag of the newest entry; 0 before the first.
    Column("position", BigInteger, nullable=False),
    Column("tag", LargeBinary, nullable=False),
    # Counts the transactions that reported observations, new or not.
    Column("revision", BigInteger, nullable=False),
)

CHANGES = Table(
    "change_log",
    METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    # Random: it differs from that of a later entry at this position of a restored database.
    Column("tag", LargeBinary, nullable=False),
    # `assignment`, `segment`, or `provider` for anything that no `Change` describes.
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
Index(
    "change_log_compared",
    CHANGES.c.provider,
    CHANGES.c.recorded_at,
    sqlite_where=CHANGES.c.source == "DIFF",
    postgresql_where=CHANGES.c.source == "DIFF",
)

# The newest observation of each assignment; see gateway.store.known.
KNOWN_MEMBERS = Table(
    "known_members",
    METADATA,
    Column("provider", Name, primary_key=True),
    Column("segment", Name, primary_key=True),
    Column("customer", Name, primary_key=True),
    # Empty: none.
    Column("legal_entity", Name, primary_key=True),
    Column("is_in", Boolean, nullable=False),
    # The provider's version since the assignment was last created.
    Column("version", BigInteger),
    # The time of the newest webhook or write, by the provider's clock.
    Column("event_at", Moment),
    # The revision of `change_log_head` at the last report.
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

# Webhooks that were accepted; see gateway.store.webhooks.
WEBHOOKS = Table(
    "webhooks",
    METADATA,
    Column("provider", Name, primary_key=True),
    # Equal for every delivery of the same event.
    Column("dedupe_key", Name, primary_key=True),
    Column("type", Name, nullable=False),
    # The provider's time of the event.
    Column("occurred_at", Moment),
    Column("received_at", Moment, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # One live read has to confirm it.
    Column("needs_confirmation", Boolean, nullable=False),
    # NULL: it has had no effect yet.
    Column("applied_at", Moment),
)
Index("webhooks_received", WEBHOOKS.c.received_at)
Index(
    "webhooks_pending",
    WEBHOOKS.c.received_at,
    sqlite_where=WEBHOOKS.c.applied_at.is_(None),
    postgresql_where=WEBHOOKS.c.applied_at.is_(None),
)
WEBHOOK_STATUS = Table(
    "webhook_status",
    METADATA,
    Column("provider", Name, primary_key=True),
    # When one was accepted last, repeats included.
    Column("received_at", Moment),
    Column("rejected_at", Moment),
    Column("rejection", Name),
    # Since one was accepted.
    Column("refusals", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# One row for each hour and segment: the newest total that was read; see gateway.store.sizes.
SEGMENT_SIZES = Table(
    "segment_sizes",
    METADATA,
    Column("provider", Name, primary_key=True),
    Column("segment", Name, primary_key=True),
    # Its start, in UTC.
    Column("hour", Moment, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Column("is_exact", Boolean, nullable=False),
    # Customers, as comparisons found them; NULL: none was made in this hour.
    Column("entered", BigInteger),
    Column("left", BigInteger),
    sqlite_with_rowid=False,
)

# The newest snapshot of each watched segment; see gateway.store.snapshots. An empty segment: the
# provider's list of segments, which is in `known_segments`.
SNAPSHOTS = Table(
    "snapshots",
    METADATA,
    Column("provider", Name, primary_key=True),
    Column("segment", Name, primary_key=True),
    # Identifies the reading in progress.
    Column("reading", Name),
    # The members with numbers up to this one are the snapshot.
    Column("high", BigInteger, nullable=False),
    # What the provider counted before the snapshot was read. NULL: read it again.
    Column("size", BigInteger),
    # The number of customers in it.
    Column("customers", BigInteger, nullable=False),
    # When its reading began. NULL: there is none yet.
    Column("taken_at", Moment),
    # When the provider was last asked for the size.
    Column("checked_at", Moment),
    sqlite_with_rowid=False,
)
MEMBERS = Table(
    "members",
    METADATA,
    Column("provider", Name, primary_key=True),
    Column("segment", Name, primary_key=True),
    Column("customer", Name, primary_key=True),
    # Empty: none.
    Column("legal_entity", Name, primary_key=True),
    # Unique within the segment, in the order in which they were first read.
    Column("number", BigInteger, nullable=False),
    # When the reading began that first showed it.
    Column("seen_at", Moment, nullable=False),
    # The newest reading did not show it, but may have missed it.
    Column("is_missed", Boolean, nullable=False),
    sqlite_with_rowid=False,
)
Index("members_by_number", MEMBERS.c.provider, MEMBERS.c.segment, MEMBERS.c.number, unique=True)
Index(
    "members_missed",
    MEMBERS.c.provider,
    MEMBERS.c.segment,
    sqlite_where=MEMBERS.c.is_missed,
    postgresql_where=MEMBERS.c.is_missed,
)

# Calls that comparing made in each second of the newest window; see gateway.store.rate_shares.
SHARED_CALLS = Table(
    "shared_calls",
    METADATA,
    Column("provider", Name, primary_key=True),
    # Since 1970.
    Column("second", BigInteger, primary_key=True, autoincrement=False),
    Column("calls", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# The budgets that processes share; see gateway.store.shared_budgets.
BUDGETS = Table(
    "budgets",
    METADATA,
    # A digest: names of callers may be addresses.
    Column("name", Name, primary_key=True),
    # Negative: a debt. Without meaning for a budget whose calls are in `budget_calls`.
    Column("left", Double, nullable=False),
    # When, in seconds since 1970 on the database's clock.
    Column("at", Double, nullable=False),
    sqlite_with_rowid=False,
)
Index("budgets_at", BUDGETS.c.at)
BUDGET_CALLS = Table(
    "budget_calls",
    METADATA,
    Column("name", Name, primary_key=True),
    # Since 1970, on the database's clock.
    Column("second", BigInteger, primary_key=True, autoincrement=False),
    Column("calls", Double, nullable=False),
    sqlite_with_rowid=False,
)

# One row, written by each upgrade: the schema version of the oldest program that can use these
# tables; see `gateway.store.migrate.OLDEST`.
COMPATIBILITY = Table("compatibility", METADATA, Column("oldest", Name, nullable=False))

# What processes report about the health of providers; see gateway.store.shared_health.
PROVIDER_HEALTH = Table(
    "provider_health",
    METADATA,
    Column("process", Name, primary_key=True),
    # When it reported, in seconds since 1970 on the database's clock.
    Column("at", Double, nullable=False),
    Column("report", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
