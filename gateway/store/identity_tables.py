"""The tables of identity: the customers that were seen, the index of their values, and decisions.

Every transaction locks rows of `identity_customers` first, in the order of provider and customer,
except that decisions lock the row of `identity_state` before anything else.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from gateway.store.tables import METADATA, Moment, Name

# The integer primary key of SQLite counts by itself only as INTEGER.
_Number = BigInteger().with_variant(Integer, "sqlite")

# A single row.
IDENTITY_STATE = Table(
    "identity_state",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    # Random, created with the table; unused if the configuration has `identity.index_keys`.
    Column("index_key", LargeBinary, nullable=False),
)

# Numbered in the order in which this gateway saw them first; a number is never reused.
IDENTITY_CUSTOMERS = Table(
    "identity_customers",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("provider", Name, nullable=False),
    Column("customer", Name, nullable=False),
    # Of the values in the index; NULL: they are not complete.
    Column("fingerprint", LargeBinary),
    # The provider has no such customer any more; it has no values, and its decisions rest.
    Column("is_gone", Boolean, nullable=False),
    UniqueConstraint("provider", "customer", name="identity_customers_key"),
    sqlite_autoincrement=True,
)

IDENTITY_VALUES = Table(
    "identity_values",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=False),
    # The name of the key, and the form in which it is compared.
    Column("key", Name, primary_key=True),
    Column("form", String(32), primary_key=True),
    # An HMAC of form and normalized value: the value itself is not stored.
    Column("digest", LargeBinary, primary_key=True),
    # The customer's.
    Column("provider", Name, nullable=False),
    # When the customer was first seen with this value.
    Column("seen_at", Moment, nullable=False),
    sqlite_with_rowid=False,
)
Index(
    "identity_values_shared",
    IDENTITY_VALUES.c.digest,
    IDENTITY_VALUES.c.provider,
    IDENTITY_VALUES.c.number,
)
Index("identity_values_seen", IDENTITY_VALUES.c.seen_at, IDENTITY_VALUES.c.number)

# The latest explicit decision about each pair of customers.
IDENTITY_LINKS = Table(
    "identity_links",
    METADATA,
    # Two numbers of customers, the lower first.
    Column("a", _Number, primary_key=True, autoincrement=False),
    Column("b", _Number, primary_key=True, autoincrement=False),
    # False: the two are kept apart.
    Column("is_link", Boolean, nullable=False),
    # The rule whose edge was unlinked or rejected; NULL: an edge of its own.
    Column("rule", Name),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Name),
    Column("note", Text),
    sqlite_with_rowid=False,
)
Index("identity_links_b", IDENTITY_LINKS.c.b)
Index("identity_links_created", IDENTITY_LINKS.c.created_at)
