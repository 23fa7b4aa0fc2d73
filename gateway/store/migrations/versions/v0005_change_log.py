"""The change log, and what is known of segments and their members."""

import os

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables; the log is empty, and nothing is known."""
    head = op.create_table(
        "change_log_head",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.LargeBinary, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("tag", sa.LargeBinary, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(
        head,
        [{"id": 1, "epoch": os.urandom(8), "position": 0, "tag": bytes(8), "revision": 0}],
    )
    op.create_table(
        "change_log",
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tag", sa.LargeBinary, nullable=False),
        sa.Column("subject", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16)),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("provider", NAME, nullable=False),
        sa.Column("segment", NAME),
        sa.Column("customer", NAME),
        sa.Column("legal_entity", NAME),
        sa.Column("occurred_at", sa.BigInteger),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_index("change_log_recorded", "change_log", ["recorded_at"])
    op.create_table(
        "known_members",
        sa.Column("provider", NAME, primary_key=True),
        sa.Column("segment", NAME, primary_key=True),
        sa.Column("customer", NAME, primary_key=True),
        sa.Column("legal_entity", NAME, primary_key=True),
        sa.Column("is_in", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger),
        sa.Column("event_at", sa.BigInteger),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "known_segments",
        sa.Column("provider", NAME, primary_key=True),
        sa.Column("segment", NAME, primary_key=True),
        sa.Column("is_there", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger),
        sa.Column("event_at", sa.BigInteger),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
