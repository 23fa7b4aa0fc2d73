"""Which older programs can use the tables of this version and of later ones."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table; `gateway.store.upgrade` fills it after each upgrade."""
    op.create_table("compatibility", sa.Column("oldest", NAME, nullable=False))
