"""Budgets that processes share."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables; every budget is full."""
    op.create_table(
        "budgets",
        sa.Column("name", NAME, primary_key=True),
        sa.Column("left", sa.Double, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("budgets_at", "budgets", ["at"])
    op.create_table(
        "budget_calls",
        sa.Column("name", NAME, primary_key=True),
        sa.Column("second", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("calls", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
