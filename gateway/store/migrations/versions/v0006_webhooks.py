"""Received webhooks, and what is known of the webhooks of each provider."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "webhooks",
        sa.Column("provider", NAME, primary_key=True),
        sa.Column("dedupe_key", NAME, primary_key=True),
        sa.Column("type", NAME, nullable=False),
        sa.Column("occurred_at", sa.BigInteger),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("needs_confirmation", sa.Boolean, nullable=False),
        sa.Column("applied_at", sa.BigInteger),
    )
    op.create_index("webhooks_received", "webhooks", ["received_at"])
    op.create_index(
        "webhooks_pending",
        "webhooks",
        ["received_at"],
        sqlite_where=sa.text("applied_at IS NULL"),
        postgresql_where=sa.text("applied_at IS NULL"),
    )
    op.create_table(
        "webhook_status",
        sa.Column("provider", NAME, primary_key=True),
        sa.Column("received_at", sa.BigInteger),
        sa.Column("rejected_at", sa.BigInteger),
        sa.Column("rejection", NAME),
        sa.Column("refusals", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    # `Provider.webhooks` looks for changes that only a comparison reported.
    op.create_index(
        "change_log_compared",
        "change_log",
        ["provider", "recorded_at"],
        sqlite_where=sa.text("source = 'DIFF'"),
        postgresql_where=sa.text("source = 'DIFF'"),
    )
