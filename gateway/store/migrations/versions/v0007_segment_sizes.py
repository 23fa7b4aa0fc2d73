"""The sizes of segments over time."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table; there is no history yet."""
    op.create_table(
        "segment_sizes",
        sa.Column("provider", NAME, primary_key=True),
        sa.Column("segment", NAME, primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("is_exact", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
