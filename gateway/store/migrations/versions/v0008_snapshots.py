"""Snapshots of watched segments, and who entered and left."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables; there is no snapshot yet."""
    op.add_column("segment_sizes", sa.Column("entered", sa.BigInteger))
    op.add_column("segment_sizes", sa.Column("left", sa.BigInteger))
    op.create_table(
        "snapshots",
        sa.Column("provider", NAME, primary_key=True),
        sa.Column("segment", NAME, primary_key=True),
        sa.Column("reading", NAME),
        sa.Column("high", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("customers", sa.BigInteger, nullable=False),
        sa.Column("taken_at", sa.BigInteger),
        sa.Column("checked_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "members",
        sa.Column("provider", NAME, primary_key=True),
        sa.Column("segment", NAME, primary_key=True),
        sa.Column("customer", NAME, primary_key=True),
        sa.Column("legal_entity", NAME, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("is_missed", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("members_by_number", "members", ["provider", "segment", "number"], unique=True)
    op.create_index(
        "members_missed",
        "members",
        ["provider", "segment"],
        sqlite_where=sa.text("is_missed"),
        postgresql_where=sa.text("is_missed"),
    )
    op.create_table(
        "shared_calls",
        sa.Column("provider", NAME, primary_key=True),
        sa.Column("second", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
