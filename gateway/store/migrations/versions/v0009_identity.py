"""Customers that were seen, the index of their values, and decisions about links."""

import os

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables; nobody was seen yet."""
    state = op.create_table(
        "identity_state",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("index_key", sa.LargeBinary, nullable=False),
    )
    op.bulk_insert(state, [{"id": 1, "index_key": os.urandom(32)}])
    op.create_table(
        "identity_customers",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("provider", NAME, nullable=False),
        sa.Column("customer", NAME, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary),
        sa.Column("is_gone", sa.Boolean, nullable=False),
        sa.UniqueConstraint("provider", "customer", name="identity_customers_key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "identity_values",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("key", NAME, primary_key=True),
        sa.Column("form", sa.String(32), primary_key=True),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("provider", NAME, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("identity_values_shared", "identity_values", ["digest", "provider", "number"])
    op.create_index("identity_values_seen", "identity_values", ["seen_at", "number"])
    op.create_table(
        "identity_links",
        sa.Column("a", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("b", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("is_link", sa.Boolean, nullable=False),
        sa.Column("rule", NAME),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", NAME),
        sa.Column("note", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("identity_links_b", "identity_links", ["b"])
    op.create_index("identity_links_created", "identity_links", ["created_at"])
