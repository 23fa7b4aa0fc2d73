"""What writes with idempotency keys came to, so that a crash leaves no key open."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add a column and a table."""
    op.add_column("idempotency_keys", sa.Column("plan", sa.LargeBinary))
    op.create_table(
        "write_outcomes",
        sa.Column("write", NAME, primary_key=True),
        sa.Column("provider", NAME, primary_key=True),
        sa.Column("customer", NAME, primary_key=True),
        sa.Column("outcome", NAME),
        sqlite_with_rowid=False,
    )
