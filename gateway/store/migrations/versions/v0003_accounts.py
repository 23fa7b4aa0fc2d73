"""Which account each provider key means."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table. A record that is older takes the accounts of the next start."""
    op.create_table(
        "accounts",
        sa.Column("provider", NAME, primary_key=True),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("base_url", NAME, nullable=False),
        sa.Column("account", NAME, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
